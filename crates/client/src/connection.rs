//! The connection to one node.
//!
//! A task carries it: it makes the connection, writes what callers ask in the order in which they asked, and gives
//! each the reply that is its own, for replies come in the order of commands. It ends with the connection, or when
//! nobody is left who could ask, and the next caller starts another one.
//!
//! What it takes care of is the difference that matters to somebody who writes: a command that did not leave whole
//! certainly did not happen, and one that did may have, whatever became of its reply.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Formatter};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bowline_kv::Reply;
use bowline_kv::clerk::PATIENCE;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::resp::{self, NoReply, Reader};

/// How long a connection may take to come about.
const CONNECT_TIME: Duration = Duration::from_secs(2);

/// How many bytes may wait to be written, and how many commands for their replies, before callers have to wait.
const MAX_UNSENT_BYTES: usize = 1 << 20;
const MAX_UNANSWERED: usize = 1024;

/// How many commands may wait for that: each may be large.
const MAX_QUEUED: usize = 16;

/// A node that has too many clients says this, and closes.
const REFUSAL: &[u8] = b"ERR max number of clients reached";

/// Why there is no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The command did not reach the node whole, and never will: it did not happen.
    #[error("{0}")]
    NotSent(String),
    /// The command was sent: it may have happened.
    #[error("{0}")]
    Unanswered(String),
}

/// A connection to one node, made when it is first needed, and again when it was lost. It is carried by a task of the
/// tokio runtime in which it was made. Whoever calls from another one shares that task; when that runtime has
/// ended, the next call makes the connection anew, in its own.
pub struct Connection {
    addr: String,
    password: Option<Vec<u8>>,
    /// How long a node may owe an answer while it neither sends anything nor takes more of the command that it owes it
    /// to: [`PATIENCE`], but in tests.
    patience: Duration,
    requests: Mutex<Option<mpsc::Sender<Request>>>,
}

/// Commands that are sent in one piece, and of which the last one's reply is wanted.
#[derive(Debug)]
struct Request {
    frame: Vec<u8>,
    /// How many replies they have together.
    replies: usize,
    /// Set by who comes first: the task that sends them, or the caller who gives up.
    is_settled: Arc<AtomicBool>,
    answer: oneshot::Sender<Result<Reply, Lost>>,
}

impl Connection {
    /// A connection to the node at `addr`, HOST:PORT. Nothing is done yet.
    pub fn new(addr: impl Into<String>) -> Self {
        Self { addr: addr.into(), password: None, patience: PATIENCE, requests: Mutex::new(None) }
    }

    /// With the password that the node asks for, if it does. If it is wrong, that is the reply to every command.
    #[must_use]
    pub fn with_password(self, password: Option<&[u8]>) -> Self {
        Self { password: password.map(<[u8]>::to_vec), ..self }
    }

    /// Where the node is.
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// Sends a command, its name first, and waits for its reply, until `deadline` at the latest. A future that is
    /// dropped gives up as at a deadline.
    ///
    /// # Errors
    ///
    /// The reply did not come. One that says that something went wrong is no error here.
    pub async fn call(&self, command: &[&[u8]], deadline: Option<Instant>) -> Result<Reply, Lost> {
        let mut frame = Vec::new();
        resp::encode(command.iter(), &mut frame);
        self.ask(frame, 1, deadline).await
    }

    /// Sends commands in one piece, and waits for the last one's reply.
    pub(crate) async fn ask(
        &self,
        frame: Vec<u8>,
        replies: usize,
        deadline: Option<Instant>,
    ) -> Result<Reply, Lost> {
        let is_settled = Arc::new(AtomicBool::new(false));
        let (answer, reply) = oneshot::channel();
        let request = Request { frame, replies, is_settled: is_settled.clone(), answer };
        let requests = self.requests();
        // However this ends, what is not on its way by then will not be sent.
        let withdrawal = Withdrawal(is_settled);
        let exchange = async {
            if requests.send(request).await.is_err() {
                return Err(Lost::NotSent("the connection was closed".to_owned()));
            }
            reply.await.unwrap_or_else(|_| Err(Lost::Unanswered("the connection was given up".to_owned())))
        };
        let Some(deadline) = deadline else { return exchange.await };
        timeout_at(deadline, exchange).await.unwrap_or_else(|_| {
            let why = "no answer in time".to_owned();
            Err(if withdrawal.withdraw() { Lost::NotSent(why) } else { Lost::Unanswered(why) })
        })
    }

    /// The way to the task that carries the connection, started if there is none.
    fn requests(&self) -> mpsc::Sender<Request> {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        match requests.as_ref().filter(|requests| !requests.is_closed()) {
            Some(requests) => requests.clone(),
            None => {
                let (sender, receiver) = mpsc::channel(MAX_QUEUED);
                let wire = Wire::new(self.password.as_deref());
                tokio::spawn(carry(self.addr.clone(), self.patience, wire, receiver));
                requests.insert(sender).clone()
            }
        }
    }
}

impl Debug for Connection {
    /// Without the password.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("addr", &self.addr).finish_non_exhaustive()
    }
}

/// Takes a request back, unless it is on its way.
struct Withdrawal(Arc<AtomicBool>);

impl Withdrawal {
    /// Whether it was in time.
    fn withdraw(&self) -> bool {
        !self.0.swap(true, Ordering::SeqCst)
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        self.withdraw();
    }
}

/// What is on its way.
struct Pending {
    /// Where its last byte stands among all that were written.
    end: u64,
    /// How many replies are still to come.
    replies: usize,
    since: Instant,
    /// Nobody waits for the answer to the password.
    answer: Option<oneshot::Sender<Result<Reply, Lost>>>,
}

/// How a connection ends that did not have to.
#[derive(Debug, thiserror::Error)]
enum End {
    #[error("the connection was closed before the answer")]
    Closed,
    #[error("no answer in time")]
    Silent,
    #[error("the node has too many clients")]
    Refused,
    #[error("{0}")]
    NoReply(#[from] NoReply),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// One connection, from its first byte to its last.
async fn carry(addr: String, patience: Duration, mut wire: Wire, mut requests: mpsc::Receiver<Request>) {
    let end = match timeout(CONNECT_TIME, TcpStream::connect(&addr)).await {
        Ok(Ok(stream)) => wire.exchange(stream, patience, &mut requests).await,
        Ok(Err(error)) => Err(error.into()),
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no connection within {CONNECT_TIME:?}"))
                .into())
        }
    };
    let Err(end) = end else { return };
    requests.close();
    wire.abandon(&end);
    while let Some(request) = requests.recv().await {
        let _ = request.answer.send(Err(Lost::NotSent(end.to_string())));
    }
}

/// The state of a connection that is there.
#[derive(Default)]
struct Wire {
    /// What is to be written, and how much was.
    unsent: BytesMut,
    sent: u64,
    pending: VecDeque<Pending>,
    reader: Reader,
    /// What the node has said to the password, if it does not like it.
    refusal: Option<Reply>,
}

impl Wire {
    /// The password, if there is one, goes in front of everything, and is not waited for.
    fn new(password: Option<&[u8]>) -> Self {
        let mut wire = Self::default();
        if let Some(password) = password {
            let mut frame = Vec::new();
            resp::encode([b"AUTH", &b"default"[..], password].iter(), &mut frame);
            wire.send(&frame, 1, None);
        }
        wire
    }

    /// Carries requests and replies until nobody is left who could ask.
    ///
    /// # Errors
    ///
    /// When the connection cannot go on.
    async fn exchange(
        &mut self,
        mut stream: TcpStream,
        patience: Duration,
        requests: &mut mpsc::Receiver<Request>,
    ) -> Result<(), End> {
        stream.set_nodelay(true)?;
        let (mut read, mut write) = stream.split();
        let mut last_byte = Instant::now();
        loop {
            let has_room = self.unsent.len() < MAX_UNSENT_BYTES && self.pending.len() < MAX_UNANSWERED;
            let waits_since = self.pending.front().map(|pending| pending.since.max(last_byte));
            tokio::select! {
                request = requests.recv(), if has_room => match request {
                    Some(request) => self.take(request),
                    None => return Ok(()),
                },
                written = write.write_buf(&mut self.unsent), if !self.unsent.is_empty() => {
                    // Behind a command that is out whole it says nothing: this machine takes bytes for a dead node too.
                    let front_is_out = self.pending.front().is_some_and(|pending| pending.end <= self.sent);
                    self.sent += written? as u64;
                    if !front_is_out {
                        last_byte = Instant::now();
                    }
                    resp::let_go(&mut self.unsent);
                }
                read = read.read_buf(self.reader.buffer()) => {
                    if read? == 0 {
                        return Err(End::Closed);
                    }
                    last_byte = Instant::now();
                    self.deliver()?;
                }
                () = sleep_until(waits_since.unwrap_or(last_byte) + patience), if waits_since.is_some() => {
                    return Err(End::Silent);
                }
            }
        }
    }

    fn take(&mut self, request: Request) {
        if request.is_settled.swap(true, Ordering::SeqCst) {
            return;
        }
        self.send(&request.frame, request.replies, Some(request.answer));
    }

    fn send(&mut self, frame: &[u8], replies: usize, answer: Option<oneshot::Sender<Result<Reply, Lost>>>) {
        self.unsent.extend_from_slice(frame);
        let end = self.sent + self.unsent.len() as u64;
        self.pending.push_back(Pending { end, replies, since: Instant::now(), answer });
    }

    /// Gives callers the replies that have come.
    fn deliver(&mut self) -> Result<(), End> {
        while let Some(reply) = self.reader.next()? {
            if matches!(&reply, Reply::Error(text) if text.starts_with(REFUSAL)) {
                return Err(End::Refused);
            }
            let pending = self.pending.front_mut().ok_or(NoReply::UNASKED)?;
            pending.replies -= 1;
            if pending.replies == 0 {
                let answered = self.pending.pop_front().expect("it was looked at");
                self.answer(answered, reply);
            }
        }
        Ok(())
    }

    fn answer(&mut self, pending: Pending, reply: Reply) {
        let Some(answer) = pending.answer else {
            self.refusal = Some(reply).filter(|reply| *reply != Reply::Ok);
            return;
        };
        let wants_password = matches!(&reply, Reply::Error(text) if text.starts_with(b"NOAUTH "));
        let refusal = self.refusal.clone().filter(|_| wants_password);
        // The caller may have given up.
        let _ = answer.send(Ok(refusal.unwrap_or(reply)));
    }

    /// Tells those who wait that it has ended. A node takes a command only once it has all of it, so one that was
    /// cut short did not happen; nor did any on a connection that was refused.
    fn abandon(&mut self, end: &End) {
        for pending in self.pending.drain(..) {
            let certainly_not = matches!(end, End::Refused) || pending.end > self.sent;
            let kind = if certainly_not { Lost::NotSent } else { Lost::Unanswered };
            if let Some(answer) = pending.answer {
                let _ = answer.send(Err(kind(end.to_string())));
            }
        }
    }
}

#[cfg(test)]
mod tests;
