//! The connections to the other nodes.
//!
//! To each other node this one makes two: one for Raft's messages, which go one way, and one for
//! its clients' commands, which are answered on it. So a large value among the commands never
//! delays a heartbeat, nor does a [snapshot](crate::snapshot), for which there is a third while it
//! lasts. What is sent on a connection that is not there is dropped: Raft sends it again, and
//! unanswered commands are sent again when the connection is back.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use bowline_raft::NodeId;
use bowline_storage::{Directory, DirectoryId};
use bytes::Bytes;
use prost::Message;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use crate::accept::Acceptor;
use crate::frame::{self, Greeting, Kept, Kind, MAX_FRAME_BYTES};
use crate::inbox::Inbox;
use crate::options::Member;
use crate::outbox::{Outbox, Wanted};
use crate::shell::Shell;
use crate::snapshot::{self, Sending};

/// How long a connection may take to be made and greeted.
pub(crate) const GREETING_TIME: Duration = Duration::from_secs(2);

/// The first and the longest pause before the next try.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What may wait for a peer that does not read, in bytes: beyond it, the connection is made anew. Nothing may be
/// left out of one that goes on: what is behind it would overtake it.
const MAX_WAITING_BYTES: usize = 128 << 20;

/// What may wait of replies to a peer's clients before further ones are held back, in bytes. With the largest
/// reply on top it stays below [`MAX_WAITING_BYTES`].
const MAX_WAITING_REPLY_BYTES: usize = 16 << 20;

/// So many connections may not have greeted yet: they cost files, and anybody can make them.
const MAX_STRANGERS: usize = 32;

/// So many different complaints about a peer are logged until it is connected again.
const MAX_COMPLAINTS: usize = 20;

/// A connection that answers nothing for so long is given up by the system.
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// Another node, and the connections to it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) member: Member,
    /// Raft's messages to it.
    pub(crate) raft: Rc<Link>,
    /// This node's clients' commands to it.
    pub(crate) forward: Rc<Link>,
    /// Answers to its clients' commands: on the latest connection that it made for them.
    pub(crate) replies: RefCell<Option<Rc<Link>>>,
    /// The snapshot that it is to be sent.
    pub(crate) snapshot: Sending,
    /// What was said about it in the log since it was last connected, so that it is said once: the two
    /// directions may have different complaints, in turn.
    complaints: RefCell<BTreeSet<String>>,
}

impl Peer {
    /// Whether so much waits for it that further replies should stay where they take no room.
    pub(crate) fn is_slow_to_take_replies(&self) -> bool {
        self.replies.borrow().as_ref().is_some_and(|link| link.outbox.len() >= MAX_WAITING_REPLY_BYTES)
    }
}

/// One connection, or the place for one.
#[derive(Debug, Default)]
pub(crate) struct Link {
    outbox: Outbox,
    stream: RefCell<Option<Rc<TcpStream>>>,
    dirty: Cell<bool>,
    /// More came than may wait: nothing more is sent on this connection, and it ends.
    overflowed: Cell<bool>,
}

impl Link {
    /// Whether there is a connection.
    pub(crate) fn is_up(&self) -> bool {
        self.stream.borrow().is_some()
    }

    /// Adds a frame, to be written by the next [`flush`](Self::flush). Dropped without a connection.
    pub(crate) fn send(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        if !self.is_up() || self.overflowed.get() {
            return;
        }
        if self.outbox.len() >= MAX_WAITING_BYTES {
            self.overflowed.set(true);
            self.outbox.bell.notify_one();
            return;
        }
        self.outbox.push(|out| frame::put(out, fill));
        self.dirty.set(true);
    }

    /// Writes what was added.
    pub(crate) fn flush(&self) {
        if self.dirty.take()
            && let Some(stream) = self.stream.borrow().as_ref()
        {
            // An error shows itself to the task that reads this connection.
            let _ = self.outbox.flush_or_ring(stream);
        }
    }

    /// Carries a greeted connection until it ends.
    async fn run(
        &self,
        stream: TcpStream,
        mut inbox: Inbox,
        mut on_frame: impl FnMut(Bytes) -> Result<(), String>,
    ) -> Result<(), String> {
        let stream = Rc::new(stream);
        self.outbox.clear();
        self.overflowed.set(false);
        *self.stream.borrow_mut() = Some(stream.clone());
        let ended = self.carry(&stream, &mut inbox, &mut on_frame).await;
        // A later connection may have taken the place already.
        let mut current = self.stream.borrow_mut();
        if current.as_ref().is_some_and(|now| Rc::ptr_eq(now, &stream)) {
            *current = None;
        }
        ended
    }

    async fn carry(
        &self,
        stream: &TcpStream,
        inbox: &mut Inbox,
        on_frame: &mut impl FnMut(Bytes) -> Result<(), String>,
    ) -> Result<(), String> {
        loop {
            while let Some(payload) = inbox.take(MAX_FRAME_BYTES).map_err(no_message)? {
                on_frame(payload).map_err(no_message)?;
            }
            self.outbox.wait(stream, Wanted::Bytes).await.map_err(|error| error.to_string())?;
            if self.overflowed.get() {
                return Err(format!("does not take what it is sent: {MAX_WAITING_BYTES} bytes wait for it"));
            }
            self.outbox.flush(stream).map_err(|error| error.to_string())?;
            match inbox.try_read(stream) {
                Ok(0) => return Err("the other side closed the connection".to_owned()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.to_string()),
            }
        }
    }
}

/// All other nodes.
#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) all: BTreeMap<NodeId, Peer>,
    own: NodeId,
    cluster: String,
    directory: RefCell<Directory>,
}

impl Peers {
    pub(crate) fn new(own: NodeId, members: &[Member], directory: Directory) -> Self {
        let peer = |member: &Member| Peer {
            member: member.clone(),
            raft: Rc::default(),
            forward: Rc::default(),
            replies: RefCell::default(),
            snapshot: Sending::default(),
            complaints: RefCell::default(),
        };
        Self {
            all: members.iter().filter(|m| m.id != own).map(|m| (m.id, peer(m))).collect(),
            own,
            cluster: directory.identity().cluster.clone(),
            directory: RefCell::new(directory),
        }
    }

    /// Writes everything that was sent since the last time.
    pub(crate) fn flush(&self) {
        for peer in self.all.values() {
            peer.raft.flush();
            peer.forward.flush();
            if let Some(replies) = peer.replies.borrow().as_ref() {
                replies.flush();
            }
        }
    }

    fn greeting(&self, to: NodeId, kind: Kind, refusal: String) -> Greeting {
        Greeting {
            version: frame::VERSION,
            cluster: self.cluster.clone(),
            from: self.own.0,
            to: to.0,
            directory: self.directory.borrow().identity().directory.0.to_be_bytes().to_vec(),
            kind: kind.into(),
            refusal,
        }
    }

    /// Whether the other side is who it should be: says why not.
    fn check(&self, greeting: &Greeting) -> Result<NodeId, String> {
        let from = NodeId(greeting.from);
        let own = self.own;
        if greeting.version != frame::VERSION {
            return Err(format!(
                "node {from} speaks version {} between nodes, and node {own} version {}",
                greeting.version,
                frame::VERSION
            ));
        }
        if greeting.cluster != self.cluster {
            return Err(format!(
                "node {from} is of cluster \"{}\", and node {own} of cluster \"{}\"",
                greeting.cluster, self.cluster
            ));
        }
        if greeting.to != own.0 {
            return Err(format!("node {from} looks for node {} here, and this is node {own}", greeting.to));
        }
        if Kind::try_from(greeting.kind).is_err() {
            return Err(format!(
                "node {from} wants a connection for something that node {own} does not know ({})",
                greeting.kind
            ));
        }
        if !self.all.contains_key(&from) {
            return Err(format!("node {from} is not a member, says node {own}"));
        }
        let directory: [u8; 16] = greeting
            .directory
            .as_slice()
            .try_into()
            .map_err(|_| format!("node {from} shows no directory id"))?;
        let directory = DirectoryId(u128::from_be_bytes(directory));
        self.directory.borrow_mut().remember_peer(from, directory).map_err(|error| error.to_string())?;
        Ok(from)
    }

    /// Says it in the log, once until the peer is connected again.
    pub(crate) fn complain(&self, about: NodeId, text: String) {
        let Some(peer) = self.all.get(&about) else {
            tracing::warn!("peer {about}: {text}");
            return;
        };
        let mut said = peer.complaints.borrow_mut();
        if said.len() >= MAX_COMPLAINTS {
            // Texts with a number in them may differ each time.
            return;
        }
        if said.insert(text.clone()) {
            tracing::warn!("peer {about} ({}): {text}", peer.member.peer_addr);
        }
    }

    fn praise(&self, peer: &Peer, kept: Kept) {
        peer.complaints.borrow_mut().clear();
        if kept == Kept::Raft {
            tracing::info!("peer {} ({}): connected", peer.member.id, peer.member.peer_addr);
        }
    }
}

/// Keeps a connection to that node for as long as the server runs.
pub(crate) async fn dial(shell: Rc<Shell>, to: NodeId, kept: Kept) {
    let peer = &shell.peers.all[&to];
    let mut pause = RETRY.0;
    loop {
        let made = tokio::time::timeout(GREETING_TIME, connect(&shell.peers, peer, kept.into())).await;
        let ended = match made.unwrap_or_else(|_| Err("no answer".to_owned())) {
            Ok((stream, inbox)) => {
                pause = RETRY.0;
                shell.peers.praise(peer, kept);
                carry_dialled(&shell, peer, kept, stream, inbox).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            shell.peers.complain(to, error);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY.1);
    }
}

async fn carry_dialled(
    shell: &Shell,
    peer: &Peer,
    kept: Kept,
    stream: TcpStream,
    inbox: Inbox,
) -> Result<(), String> {
    match kept {
        Kept::Raft => peer.raft.run(stream, inbox, |_| Err("an answer where none belongs".to_owned())).await,
        Kept::Forward => {
            shell.replica.borrow_mut().link_up(peer.member.id);
            shell.wake.notify_one();
            let on_frame = |payload: Bytes| {
                shell.wake.notify_one();
                shell.replica.borrow_mut().forward_answers(&payload).map_err(|error| error.to_string())
            };
            peer.forward.run(stream, inbox, on_frame).await
        }
    }
}

/// Makes a connection, and greets.
pub(crate) async fn connect(peers: &Peers, peer: &Peer, kind: Kind) -> Result<(TcpStream, Inbox), String> {
    let mut stream = TcpStream::connect(&peer.member.peer_addr).await.map_err(|error| error.to_string())?;
    tune(&stream).map_err(|error| error.to_string())?;
    say(&mut stream, &peers.greeting(peer.member.id, kind, String::new())).await?;
    let mut inbox = Inbox::default();
    let answer: Greeting = hear(&stream, &mut inbox, MAX_GREETING_BYTES).await?;
    if !answer.refusal.is_empty() {
        return Err(format!("refused this node: {}", answer.refusal));
    }
    let from = peers.check(&answer).map_err(|error| format!("refused: {error}"))?;
    if from != peer.member.id {
        return Err(format!("node {from} answers there"));
    }
    Ok((stream, inbox))
}

/// Takes the connections that other nodes make.
pub(crate) async fn accept(shell: Rc<Shell>, listener: TcpListener) {
    let mut acceptor = Acceptor::new(listener, "peers");
    let strangers = Rc::new(Cell::new(0));
    loop {
        let (stream, addr) = acceptor.next(&shell).await;
        if strangers.get() >= MAX_STRANGERS {
            // Whoever takes all the places has them for two seconds. A node tries again.
            continue;
        }
        strangers.set(strangers.get() + 1);
        let (shell, strangers) = (shell.clone(), strangers.clone());
        tokio::task::spawn_local(async move {
            let greeted = tokio::time::timeout(GREETING_TIME, greet(&shell.peers, stream)).await;
            strangers.set(strangers.get() - 1);
            match greeted.unwrap_or_else(|_| Err((None, "no greeting".to_owned()))) {
                Ok(greeted) => carry_accepted(&shell, greeted).await,
                Err((Some(from), error)) => shell.peers.complain(from, format!("refused: {error}")),
                Err((None, error)) => tracing::warn!("peer port: {addr}: {error}"),
            }
            shell.closed.notify_waiters();
        });
    }
}

struct Greeted {
    from: NodeId,
    kind: Kind,
    stream: TcpStream,
    inbox: Inbox,
}

async fn greet(peers: &Peers, mut stream: TcpStream) -> Result<Greeted, (Option<NodeId>, String)> {
    tune(&stream).map_err(|error| (None, error.to_string()))?;
    let mut inbox = Inbox::default();
    let heard = hear::<Greeting>(&stream, &mut inbox, MAX_GREETING_BYTES).await;
    let greeting = heard.map_err(|error| (None, format!("not a greeting: {error}")))?;
    let claimed = NodeId(greeting.from);
    let checked = peers.check(&greeting);
    let refusal = checked.as_ref().err().cloned().unwrap_or_default();
    let kind = Kind::try_from(greeting.kind).unwrap_or(Kind::Raft);
    say(&mut stream, &peers.greeting(claimed, kind, refusal))
        .await
        .map_err(|error| (Some(claimed), error))?;
    let from = checked.map_err(|error| (Some(claimed), error))?;
    Ok(Greeted { from, kind, stream, inbox })
}

async fn carry_accepted(shell: &Shell, greeted: Greeted) {
    let Greeted { from, kind, stream, inbox } = greeted;
    let link = Rc::new(Link::default());
    let ended = match kind {
        Kind::Raft => link.run(stream, inbox, |payload| shell.on_raft(from, &payload)).await,
        Kind::Forward => {
            *shell.peers.all[&from].replies.borrow_mut() = Some(link.clone());
            let on_frame = |payload: Bytes| {
                shell.wake.notify_one();
                shell.replica.borrow_mut().forwarded(from, &payload).map_err(|error| error.to_string())
            };
            link.run(stream, inbox, on_frame).await
        }
        Kind::Snapshot => snapshot::receive(shell, from, stream, inbox).await,
    };
    if let Err(error) = ended {
        shell.peers.complain(from, error);
    }
}

/// It costs the connection, and nothing else.
fn no_message(error: impl fmt::Display) -> String {
    format!("sent what is no message: {error}")
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    socket2::SockRef::from(stream).set_tcp_user_timeout(Some(USER_TIMEOUT))
}

/// Sends one message.
pub(crate) async fn say(stream: &mut TcpStream, message: &impl Message) -> Result<(), String> {
    let mut out = Vec::new();
    frame::put(&mut out, |out| message.encode_raw(out));
    stream.write_all(&out).await.map_err(|error| error.to_string())
}

/// A greeting is short: nothing longer is waited for from somebody who is not known yet.
const MAX_GREETING_BYTES: usize = 64 << 10;

/// Receives one message of at most `longest` bytes. If this is dropped before it has ended nothing is lost.
pub(crate) async fn hear<M: Message + Default>(
    stream: &TcpStream,
    inbox: &mut Inbox,
    longest: usize,
) -> Result<M, String> {
    loop {
        if let Some(payload) = inbox.take(longest).map_err(|error| error.to_string())? {
            return M::decode(payload).map_err(|error| format!("not what belongs here: {error}"));
        }
        if inbox.read(stream).await.map_err(|error| error.to_string())? == 0 {
            return Err("the other side closed the connection".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_that_is_not_read_ends_instead_of_leaving_something_out() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let addr = listener.local_addr().expect("it is bound");
        let stream = TcpStream::connect(addr).await.expect("it listens");
        let _silent = listener.accept().await.expect("it was connected");
        let link = Link::default();
        let send = async {
            while !link.is_up() {
                tokio::task::yield_now().await;
            }
            for _ in 0..=MAX_WAITING_BYTES >> 20 {
                link.send(|out| out.resize(out.len() + (1 << 20), 0));
            }
            std::future::pending::<()>().await;
        };
        let carried = async {
            tokio::select! {
                ended = link.run(stream, Inbox::default(), |_| Ok(())) => ended,
                () = send => unreachable!("it sends for ever"),
            }
        };
        let ended =
            tokio::time::timeout(Duration::from_secs(30), carried).await.expect("the connection ends");
        let error = ended.expect_err("it cannot have been carried");
        assert!(error.contains("does not take what it is sent"), "{error}");
        assert!(!link.is_up());
    }
}
