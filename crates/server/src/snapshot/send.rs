//! A snapshot on its way to a follower.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bowline_raft::codec;
use bowline_raft::{Body, InstallSnapshot, Message as RaftMessage, NodeId, RoleKind};
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::{CHUNK_BYTES, Chunk, GROUP, MAX_SAID_BYTES, Offer, Progress, describe};
use crate::frame::Kind;
use crate::inbox::Inbox;
use crate::peers::{self, Peer};
use crate::shell::Shell;

/// How long nothing may be heard from the receiver, which says something every second.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a peer is to be sent.
#[derive(Debug, Default)]
pub(crate) struct Sending {
    /// The latest InstallSnapshot that Raft has made for it and that nobody has begun to send.
    wanted: RefCell<Option<RaftMessage>>,
    bell: Notify,
}

impl Sending {
    /// Raft wants this to be sent, and nothing that it has wanted before.
    pub(crate) fn want(&self, message: RaftMessage) {
        *self.wanted.borrow_mut() = Some(message);
        self.bell.notify_one();
    }
}

/// Why it did not arrive.
struct Failure {
    what: String,
    /// The file is no good.
    damaged: bool,
}

impl From<String> for Failure {
    fn from(what: String) -> Self {
        Self { what, damaged: false }
    }
}

/// Sends that node what it is to be sent, for as long as the server runs.
pub(crate) async fn serve(shell: Rc<Shell>, to: NodeId) {
    let peer = &shell.peers.all[&to];
    loop {
        let wanted = peer.snapshot.wanted.take();
        let Some(RaftMessage { term, body: Body::InstallSnapshot(install) }) = wanted else {
            peer.snapshot.bell.notified().await;
            continue;
        };
        let round = install.round;
        let sent = tokio::select! {
            sent = send(&shell, peer, term, install) => sent,
            () = peer.snapshot.bell.notified() => continue,
        };
        if let Err(Failure { what, damaged }) = sent {
            shell.peers.complain(to, format!("a snapshot did not arrive: {what}"));
            shell.replica.borrow_mut().snapshot_failed(to, round);
            if damaged {
                // The state itself is not: so there will be a better one.
                shell.snapshots.ask();
            }
        }
        shell.wake.notify_one();
    }
}

async fn send(shell: &Shell, peer: &Peer, term: u64, install: InstallSnapshot) -> Result<(), Failure> {
    let to = peer.member.id;
    let round = install.round;
    let last = shell.replica.borrow().node().snapshot();
    let files = shell.snapshots.files.clone();
    let opened = blocking(move || files.open(GROUP, last)).await;
    let reader = Arc::new(opened.map_err(|error| Failure { what: error.to_string(), damaged: true })?);
    let size_bytes = reader.size_bytes();
    tracing::info!("sends {}", describe(last, to, size_bytes));

    let (mut stream, mut inbox) = connect(shell, peer).await?;
    let message = RaftMessage { term, body: Body::InstallSnapshot(InstallSnapshot { last, ..install }) };
    let mut encoded = Vec::new();
    codec::encode(shell.header(to), &message, &mut encoded);
    let id = reader.header().id.0.to_be_bytes().to_vec();
    peers::say(&mut stream, &Offer { message: encoded.into(), id, size_bytes }).await?;

    loop {
        let heard =
            tokio::time::timeout(PATIENCE, peers::hear::<Progress>(&stream, &mut inbox, MAX_SAID_BYTES))
                .await;
        let progress = heard.map_err(|_| "nothing is heard of the receiver".to_owned())??;
        if !progress.refusal.is_empty() {
            return Err(Failure { what: progress.refusal, damaged: progress.damaged });
        }
        if progress.done {
            tracing::info!("sent {}", describe(last, to, size_bytes));
            return Ok(());
        }
        {
            let mut replica = shell.replica.borrow_mut();
            if replica.node().role() != RoleKind::Leader || replica.node().term() != term {
                return Err("this node does not lead any more".to_owned().into());
            }
            replica.snapshot_progress(to, round);
        }
        let offset = progress.offset;
        if !progress.wants_more {
            continue;
        }
        if offset >= size_bytes {
            return Err(format!("it wants more than the {size_bytes} bytes that there are").into());
        }
        let length = usize::try_from(size_bytes - offset).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let file = reader.clone();
        let read = blocking(move || {
            let mut bytes = vec![0; length];
            file.read_at(&mut bytes, offset).map(|()| bytes)
        });
        let bytes = Bytes::from(read.await.map_err(|error| error.to_string())?);
        peers::say(&mut stream, &Chunk { offset, bytes }).await?;
    }
}

async fn connect(shell: &Shell, peer: &Peer) -> Result<(TcpStream, Inbox), String> {
    let made = peers::connect(&shell.peers, peer, Kind::Snapshot);
    tokio::time::timeout(peers::GREETING_TIME, made).await.unwrap_or_else(|_| Err("no answer".to_owned()))
}

/// Runs what waits for the disk where it holds nobody up.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic.into_panic()),
    }
}
