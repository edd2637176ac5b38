//! A snapshot that another node sends.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use bowline_kv::Image;
use bowline_raft::{Body, LogId, NodeId};
use bowline_storage::{RealDisk, ReceivedSnapshot, SnapshotError, SnapshotId};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, Notify};

use super::send::blocking;
use super::{Chunk, GROUP, LoadError, MAX_SAID_BYTES, Made, Offer, Progress, RESERVED_BYTES, describe, load};
use crate::error;
use crate::inbox::Inbox;
use crate::peers;
use crate::shell::Shell;

/// How often the sender hears that this node is alive.
const INTERVAL: Duration = Duration::from_secs(1);

/// How long the sender may take for the next chunk.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who may receive: one at a time, the latest.
#[derive(Debug, Default)]
pub(crate) struct Receiving {
    turn: Mutex<()>,
    latest: Cell<u64>,
    /// Rung when there is a later one.
    later: Notify,
}

impl Receiving {
    /// The number of one that begins: those before it end as soon as they wait for nothing on the disk.
    fn next(&self) -> u64 {
        self.latest.set(self.latest.get() + 1);
        self.later.notify_waiters();
        self.latest.get()
    }

    /// Waits until there is a later one.
    async fn later_than(&self, number: u64) {
        let later = self.later.notified();
        if self.latest.get() == number {
            later.await;
        }
    }
}

/// One end of the connection, and how far the file has come.
struct Incoming {
    stream: TcpStream,
    inbox: Inbox,
    offset: u64,
}

/// What the sender is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Say {
    Busy,
    More,
    Done,
}

impl Incoming {
    async fn say(&mut self, say: Say) -> Result<(), String> {
        let (wants_more, done) = (say == Say::More, say == Say::Done);
        let progress = Progress { offset: self.offset, wants_more, done, ..Progress::default() };
        peers::say(&mut self.stream, &progress).await
    }

    /// What comes next.
    async fn chunk(&mut self) -> Result<Chunk, String> {
        let heard =
            tokio::time::timeout(PATIENCE, peers::hear(&self.stream, &mut self.inbox, MAX_SAID_BYTES)).await;
        heard.unwrap_or_else(|_| Err("nothing is heard of the sender".to_owned()))
    }

    /// Does that, and meanwhile lets the sender know that this node is alive.
    async fn busy<T>(&mut self, work: impl Future<Output = T>) -> Result<T, String> {
        let mut work = pin!(work);
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + INTERVAL, INTERVAL);
        loop {
            // What is under way on the disk is waited for, whatever becomes of the connection: the file is its.
            tokio::select! {
                done = &mut work => return Ok(done),
                _ = ticks.tick() => if let Err(error) = self.say(Say::Busy).await {
                    work.await;
                    return Err(error);
                },
            }
        }
    }
}

/// Why it was not taken. The sender is told.
struct Refusal {
    what: String,
    damaged: bool,
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self { what, damaged: false }
    }
}

impl From<SnapshotError> for Refusal {
    fn from(error: SnapshotError) -> Self {
        match error {
            // Nothing that this node's disk says can be relied on.
            SnapshotError::Sync { .. } | SnapshotError::Io { .. } => error::die(&error.into()),
            error @ (SnapshotError::BadBytes { .. }
            | SnapshotError::Foreign { .. }
            | SnapshotError::Damaged { .. }
            | SnapshotError::CutShort { .. }) => Self { what: error.to_string(), damaged: true },
            error => error.to_string().into(),
        }
    }
}

/// Carries a greeted connection until it ends.
pub(crate) async fn receive(
    shell: &Shell,
    from: NodeId,
    stream: TcpStream,
    inbox: Inbox,
) -> Result<(), String> {
    let mut incoming = Incoming { stream, inbox, offset: 0 };
    let Err(Refusal { what, damaged }) = take_offered(shell, from, &mut incoming).await else {
        return Ok(());
    };
    let refusal = Progress { refusal: what.clone(), damaged, ..Progress::default() };
    // The connection may be what has failed.
    let _ = peers::say(&mut incoming.stream, &refusal).await;
    Err(format!("a snapshot of it was not taken: {what}"))
}

async fn take_offered(shell: &Shell, from: NodeId, incoming: &mut Incoming) -> Result<(), Refusal> {
    let heard = peers::hear::<Offer>(&incoming.stream, &mut incoming.inbox, MAX_SAID_BYTES);
    let offer = tokio::time::timeout(PATIENCE, heard).await.map_err(|_| "no offer".to_owned())??;
    let message = shell.decode(from, &offer.message)?;
    let Body::InstallSnapshot(install) = &message.body else {
        return Err("an offer that is no InstallSnapshot".to_owned().into());
    };
    let last = install.last;
    let id: [u8; 16] = offer.id.as_slice().try_into().map_err(|_| "an offer without an id".to_owned())?;

    let receiving = &shell.snapshots.receiving;
    let number = receiving.next();
    let _turn = receiving.turn.lock().await;
    if receiving.latest.get() != number {
        return Err(superseded());
    }
    let is_needed = {
        let replica = shell.replica.borrow();
        message.term >= replica.node().term() && last.index > replica.node().commit_index()
    };
    if !is_needed {
        // What is to be answered to it Raft knows.
        shell.give(from, message);
        return Ok(incoming.say(Say::Done).await?);
    }
    let id = SnapshotId(u128::from_be_bytes(id));
    let received =
        fetch(shell, from, incoming, number, Wanted { last, id, size_bytes: offer.size_bytes }).await?;
    let (image, made) = read(shell, incoming, received).await?;
    shell.install(from, message, image, made);
    tracing::info!("received {}", describe(last, from, made.size_bytes));
    Ok(incoming.say(Say::Done).await?)
}

/// The file that is offered.
struct Wanted {
    last: LogId,
    id: SnapshotId,
    size_bytes: u64,
}

/// Receives what is not here yet.
async fn fetch(
    shell: &Shell,
    from: NodeId,
    incoming: &mut Incoming,
    number: u64,
    wanted: Wanted,
) -> Result<ReceivedSnapshot<RealDisk>, Refusal> {
    let Wanted { last, id, size_bytes } = wanted;
    let files = shell.snapshots.files.clone();
    let opened =
        blocking(move || files.free_bytes().and_then(|free| Ok((free, files.receive(GROUP, last, id)?))));
    let (free_bytes, mut received) = incoming.busy(opened).await??;
    incoming.offset = received.offset();
    tracing::info!("receives {}: {} bytes are here", describe(last, from, size_bytes), incoming.offset);
    let missing = size_bytes.saturating_sub(incoming.offset);
    if free_bytes < missing.saturating_add(RESERVED_BYTES) {
        let what = format!(
            "{missing} bytes are to come, {free_bytes} are free, and {RESERVED_BYTES} are left to the log; make room on \
             the file system of that node"
        );
        return Err(what.into());
    }
    while !received.is_complete() {
        incoming.say(Say::More).await?;
        let chunk = tokio::select! {
            chunk = incoming.chunk() => chunk?,
            () = shell.snapshots.receiving.later_than(number) => return Err(superseded()),
        };
        let taken = blocking(move || {
            let taken = received.append(chunk.offset, &chunk.bytes).and_then(|()| received.sync());
            taken.map(|()| received)
        });
        received = incoming.busy(taken).await??;
        incoming.offset = received.offset();
    }
    Ok(received)
}

/// Reads all of it, and only then gives it the name under which the next start would take it for the state.
async fn read(
    shell: &Shell,
    incoming: &mut Incoming,
    received: ReceivedSnapshot<RealDisk>,
) -> Result<(Image, Made), Refusal> {
    let seed = shell.replica.borrow().node().config().seed;
    let read = blocking(move || {
        let reader = received.read()?;
        let header = *reader.header();
        match load(reader, seed) {
            Ok(image) => Ok((image, Made::new(&header, received.finish()?))),
            Err(LoadError::File(error)) => Err(error.into()),
            Err(error) => {
                received.discard()?;
                Err(Refusal { what: error.to_string(), damaged: true })
            }
        }
    });
    incoming.busy(read).await?
}

fn superseded() -> Refusal {
    "another one is offered".to_owned().into()
}
