//! The network of the laboratory: calls between servers, over links that can be switched off.
//!
//! After `labrpc` of the course 6.5840 (MIT), on which its Raft and key/value laboratories run; its figures are
//! kept to the last one, since the laboratories' limits are made for them. Other than [`crate::network`],
//! which carries messages, it carries *calls*: one request, and one reply or a failure.
//!
//! A [`ClientEnd`] is a one-way link to one server *name*. It belongs to who calls, begins disabled, and reaches
//! whatever [`Server`] is registered under the name at that moment. There is no order among calls, also of one
//! end; each is on its way by itself.
//!
//! # The life of a call
//!
//! When a call is made it is counted, with the bytes of its arguments, whatever becomes of it. At the same moment
//! the network notes all that decides its way: whether the end is enabled, the server object that it leads to,
//! and its own switches. What is changed later does not touch a call that is under way, but for "dead".
//!
//! | step | reliable | unreliable |
//! |---|---|---|
//! | 0. *the end is disabled, or nothing is registered* | failure after U\[0, 99\] ms; with long delays U\[0, 6999\] ms | same |
//! | 1. short delay | none | U\[0, 26\] ms |
//! | 2. the request is lost | never | 1 in 10: failure at once |
//! | 3. transit | U\[2, 6\] ms | same |
//! | 4. the handler runs; the server object counts the call | whatever has happened to end and server since | same |
//! | 5. every 100 ms meanwhile: dead? | failure at once; the handler goes on, for nobody | same |
//! | 6. it has replied: dead? | failure at once; what it has done stays done | same |
//! | 7. the reply is lost | never | 1 in 10: failure at once |
//! | 8. with long reordering, 2 of 3 | held for 200 + U\[0, U\[0, 1999\]\] ms | same |
//! | 9. transit | U\[2, 6\] ms | same |
//! | 10. the reply is delivered; its bytes are counted | whatever has happened since step 6 | same |
//!
//! U\[a, b\] is any whole number from a to b, each as likely; U\[2, 6\] ms any whole number of microseconds. *Dead*:
//! the end is disabled now, or its server object is not the one registered under the name any more. So on
//! the unreliable network 81 of 100 calls succeed, 10 are never executed, and 9 are although they fail.
//!
//! The original takes no time for transit; in virtual time that would let a script make any number of
//! calls at one instant.

mod call;
mod network;

use std::rc::Rc;

use bytes::Bytes;

pub use self::call::Call;
pub use self::network::Network;
use crate::executor::LocalBoxFuture;

/// One link from a client to a server's name. Ends are numbered in the order in which they were made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EndId(pub u64);

/// Under which a server is registered. It stays when the server is replaced by its next life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName(pub u64);

/// A call that has arrived.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The end through which it came.
    pub end: EndId,
    /// What is to be done.
    pub method: &'static str,
    /// And with what.
    pub args: Bytes,
}

type Handler = Box<dyn Fn(Incoming) -> LocalBoxFuture<Bytes>>;

/// One life of a server, to be registered with [`Network::add_server`].
pub struct Server(Handler);

impl Server {
    /// A server that answers each call with what `handler` makes of it. The handler is called when a request
    /// arrives; its future runs as a part of the call, next to all others, and may take as long as it likes.
    pub fn new(handler: impl Fn(Incoming) -> LocalBoxFuture<Bytes> + 'static) -> Self {
        Self(Box::new(handler))
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Server")
    }
}

/// A link to call through.
#[derive(Clone, Debug)]
pub struct ClientEnd {
    id: EndId,
    network: Network,
}

impl ClientEnd {
    /// Its name in the network.
    pub fn id(&self) -> EndId {
        self.id
    }

    /// Makes a call. It is under way from now on, whether or not anybody waits for the reply; `None` is a
    /// failure, which does not tell whether it was executed.
    pub fn call(&self, method: &'static str, args: Bytes) -> Call {
        self.network.call(self.id, method, args)
    }
}

/// Somebody who sees what becomes of every call, in the order of virtual time.
///
/// A call is known by a number. After [`called`](Self::called) come, each at most once: `request_lost` or
/// `request_arrived`; `replied`; `reply_lost` or `reply_arrived`; `failed`, unless the reply has arrived. A
/// call fails while its handler runs without a loss, and nothing more is told of it. A call through an end
/// that was never connected goes nowhere and is not told.
pub trait NetworkObserver {
    /// A call was made.
    fn called(&self, call: u64, end: EndId, to: ServerName, method: &'static str, args: &Bytes);

    /// Its request will not arrive: the end is disabled, nothing is registered, or it was lost.
    fn request_lost(&self, call: u64);

    /// Its request is with the server's handler.
    fn request_arrived(&self, call: u64);

    /// The handler has replied.
    fn replied(&self, call: u64, reply: &Bytes);

    /// The reply will not arrive: the end or the server is dead, or it was lost.
    fn reply_lost(&self, call: u64);

    /// The caller has the reply.
    fn reply_arrived(&self, call: u64);

    /// The caller knows that the call has failed.
    fn failed(&self, call: u64);
}

/// A server as it is registered. Two are the same if they are one object.
struct Registered {
    handler: Handler,
    /// Calls that have reached the handler.
    calls: std::cell::Cell<u64>,
}

impl Registered {
    fn new(server: Server) -> Rc<Self> {
        Rc::new(Self { handler: server.0, calls: std::cell::Cell::new(0) })
    }
}
