//! Snapshots of this node's state: made, sent, received and taken over.
//!
//! ```text
//!  the loop                        a thread of its own           the log's thread
//!  ────────                        ───────────────────           ────────────────
//!  the log has grown, or BGSAVE:
//!  image of the state, by
//!  reference ────────────────────▶ its blocks, paced
//!                                  file synced, renamed
//!  compact(index) ◀─────────────── done
//!  a write that names it ──────────────────────────────────────▶ durable
//!                                                                what it has replaced is deleted
//! ```
//!
//! A follower that lacks what the log no longer has is sent the file, on a connection of its own
//! ([`send`], [`receive`]). There it is checked, block by block, and read, before the node hears of it; from then
//! on it goes the way of the paper: durable first, then in the place of the state.
//!
//! | connection | says |
//! |---|---|
//! | sender | [`Offer`]: Raft's InstallSnapshot, and which file |
//! | receiver | [`Progress`]: so much of it is here, perhaps from an earlier attempt, and more is wanted |
//! | sender | [`Chunk`]: what comes next, at most [`CHUNK_BYTES`] |
//! | receiver | [`Progress`]: that is synced, and more is wanted; or, every second, only that it is alive |
//! | receiver | [`Progress`], at last: Raft has it |
//!
//! So each side holds one chunk in memory, and a node that is reading a large snapshot, which takes longer than
//! anybody waits for an answer, is known to be alive.

mod receive;
mod send;
mod write;

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bowline_kv::{Image, ImageError, ImageReader, Replica};
use bowline_raft::{GroupId, LogId, NodeId};
use bowline_storage::{DiskFile, RealDisk, SnapshotError, SnapshotHeader, SnapshotReader, Snapshots};
use prost::Message;
use tokio::sync::Notify;

use crate::disk::MIN_ROOM_BYTES;
use crate::error;
pub(crate) use receive::{Receiving, receive};
pub(crate) use send::{Sending, blocking, serve};
use write::{Outcome, Writing};

/// How much of a file travels at once.
const CHUNK_BYTES: usize = 1 << 20;

/// The longest message of either side is a chunk and what says that it is one.
const MAX_SAID_BYTES: usize = CHUNK_BYTES + 1024;

/// So much room a snapshot leaves to the log. A node without room for its log must end; one without room for a
/// snapshot only has a log that grows.
const RESERVED_BYTES: u64 = 3 * MIN_ROOM_BYTES;

/// After a snapshot for which there was no room, how long none is begun by itself.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(30);

/// A snapshot, by what its file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) last: LogId,
    pub(crate) size_bytes: u64,
    /// In microseconds since 1970, by the clock of the node that made it.
    pub(crate) made_us: u64,
}

impl Made {
    pub(crate) fn new(header: &SnapshotHeader, size_bytes: u64) -> Self {
        Self { last: header.last, size_bytes, made_us: header.made_us }
    }
}

/// What the loop knows of snapshots.
pub(crate) struct Keeper {
    pub(crate) files: Snapshots<RealDisk>,
    /// So much log makes one due.
    after_bytes: u64,
    current: Cell<Option<Made>>,
    writing: RefCell<Option<Writing>>,
    /// One is wanted, whether it is due or not.
    wanted: Cell<bool>,
    /// None is begun by itself before then.
    not_before: Cell<Option<Instant>>,
    last_save_us: Cell<u64>,
    last_took: Cell<Option<Duration>>,
    last_failed: Cell<bool>,
    pub(crate) receiving: Receiving,
    /// The image of the snapshot that the replica was told of, until it asks for it.
    held: RefCell<Option<(Image, Made)>>,
    wake: Arc<Notify>,
}

/// What BGSAVE is answered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    Begins,
    UnderWay,
}

/// The figures for INFO.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Figures {
    pub(crate) current: Option<Made>,
    /// Since when one is being written.
    pub(crate) writing_since: Option<Instant>,
    pub(crate) last_save_us: u64,
    pub(crate) last_took: Option<Duration>,
    pub(crate) last_failed: bool,
}

impl Keeper {
    /// `current` is what the node was started from, at `now_us`, in microseconds since 1970.
    pub(crate) fn new(
        files: Snapshots<RealDisk>,
        after_bytes: u64,
        current: Option<Made>,
        now_us: u64,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            files,
            after_bytes,
            current: Cell::new(current),
            writing: RefCell::default(),
            wanted: Cell::new(false),
            not_before: Cell::new(None),
            last_save_us: Cell::new(current.map_or(now_us, |made| made.made_us)),
            last_took: Cell::new(None),
            last_failed: Cell::new(false),
            receiving: Receiving::default(),
            held: RefCell::default(),
            wake,
        }
    }

    pub(crate) fn figures(&self) -> Figures {
        Figures {
            current: self.current.get(),
            writing_since: self.writing.borrow().as_ref().map(Writing::since),
            last_save_us: self.last_save_us.get(),
            last_took: self.last_took.get(),
            last_failed: self.last_failed.get(),
        }
    }

    /// A client, or a peer that cannot use the present one, asks for a snapshot.
    pub(crate) fn ask(&self) -> Asked {
        if self.wanted.get() || self.writing.borrow().is_some() {
            return Asked::UnderWay;
        }
        self.wanted.set(true);
        self.wake.notify_one();
        Asked::Begins
    }

    /// To be called in each pass of the loop: takes note of one that was written, and begins one that is due.
    pub(crate) fn pass(&self, replica: &mut Replica, now_us: u64) {
        let finished = self.writing.borrow_mut().as_mut().and_then(Writing::outcome);
        if let Some(outcome) = finished {
            let begun = self.writing.take().expect("it has just said so").since();
            self.written(replica, outcome, begun.elapsed());
        }
        let node = replica.node();
        let log_bytes = node.log_bytes();
        let limit_bytes = node.config().max_log_bytes;
        if let Some(writing) = self.writing.borrow().as_ref() {
            // Commands that are refused are worse than commands that are slow.
            writing.set_urgent(log_bytes > limit_bytes / 2);
            return;
        }
        let is_wanted = self.wanted.get();
        if !is_wanted && !self.is_due(log_bytes, limit_bytes) {
            return;
        }
        self.wanted.set(false);
        if replica.node().last_applied() > node.snapshot().index {
            self.begin(replica, now_us);
        } else if is_wanted {
            // There is nothing that the last one does not hold.
            self.last_save_us.set(now_us);
        }
    }

    /// To write the state costs as much as it is large, so a large one is written less often.
    fn is_due(&self, log_bytes: u64, limit_bytes: u64) -> bool {
        let size_bytes = self.current.get().map_or(0, |made| made.size_bytes);
        let due_at = self.after_bytes.max(size_bytes.min(limit_bytes / 2));
        log_bytes >= due_at && self.not_before.get().is_none_or(|then| Instant::now() >= then)
    }

    fn begin(&self, replica: &Replica, made_us: u64) {
        let image = replica.image();
        match Writing::start(self.files.clone(), image, made_us, self.wake.clone()) {
            Ok(writing) => *self.writing.borrow_mut() = Some(writing),
            Err(error) => self.failed(&error.to_string()),
        }
    }

    fn written(&self, replica: &mut Replica, outcome: Outcome, took: Duration) {
        match outcome {
            Outcome::Written(made) => {
                let Made { last, size_bytes, made_us } = made;
                self.last_failed.set(false);
                self.last_took.set(Some(took));
                // One that was received meanwhile reaches farther.
                if replica.compact(last.index) {
                    self.current.set(Some(made));
                    self.last_save_us.set(made_us);
                    tracing::info!(
                        "snapshot up to entry {}: {size_bytes} bytes, in {} ms",
                        last.index,
                        took.as_millis()
                    );
                }
            }
            Outcome::NoRoom(why) => self.failed(&why),
            Outcome::Cancelled => {}
            Outcome::Broken(error) => error::die(&error),
        }
    }

    /// The log goes on without it.
    fn failed(&self, why: &str) {
        self.last_failed.set(true);
        self.not_before.set(Some(Instant::now() + PAUSE_AFTER_FAILURE));
        tracing::warn!("no snapshot: {why}");
    }

    /// A snapshot was received and read, and Raft has taken it on: the image is wanted when that is durable.
    pub(crate) fn hold(&self, image: Image, made: Made) {
        if let Some((older, _)) = self.held.replace(Some((image, made))) {
            drop_elsewhere(older);
        }
    }

    /// The image that takes the place of the state now.
    ///
    /// # Panics
    ///
    /// If it was never given: the replica was told of a snapshot that nobody has read.
    pub(crate) fn take(&self, last: LogId) -> Image {
        let held = self.held.take().filter(|(_, made)| made.last == last);
        let (image, made) =
            held.unwrap_or_else(|| panic!("the replica is to become snapshot {last}, which was not read"));
        self.current.set(Some(made));
        self.last_save_us.set(made.made_us);
        // What is being written is older.
        if let Some(writing) = self.writing.borrow().as_ref() {
            writing.cancel();
        }
        image
    }

    /// Gives up what is being written, and waits until it is.
    pub(crate) fn stop(&self) {
        if let Some(writing) = self.writing.take() {
            writing.stop();
        }
    }
}

/// An image is large: to free it takes longer than clients should wait.
pub(crate) fn drop_elsewhere(image: Image) {
    tokio::task::spawn_blocking(move || drop(image));
}

/// Reads the image in a snapshot file. `seed` is [`Image::empty`]'s.
pub(crate) fn load<F: DiskFile>(mut reader: SnapshotReader<F>, seed: u64) -> Result<Image, LoadError> {
    let mut image = ImageReader::new(seed);
    while let Some(block) = reader.next_block()? {
        image.push(block)?;
    }
    let image = image.finish()?;
    let named = reader.header().last;
    if image.last() == named { Ok(image) } else { Err(LoadError::OtherEntry { named, found: image.last() }) }
}

/// Why there is no image in a file.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file.
    #[error(transparent)]
    File(#[from] SnapshotError),
    /// What is in it.
    #[error("the snapshot's file is intact, and its content is not: {0}")]
    Image(#[from] ImageError),
    /// It is not what it says.
    #[error("the snapshot's file says that it ends with entry {named}, and its content with entry {found}")]
    OtherEntry {
        /// By its header.
        named: LogId,
        /// By its content.
        found: LogId,
    },
}

/// What a sender has.
#[derive(Clone, PartialEq, Message)]
struct Offer {
    /// Raft's InstallSnapshot without its data, as on a connection for messages.
    #[prost(bytes = "bytes", tag = "1")]
    message: bytes::Bytes,
    /// The file's id, 16 bytes, the highest first.
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    /// The file's length.
    #[prost(uint64, tag = "3")]
    size_bytes: u64,
}

/// A piece of the file.
#[derive(Clone, PartialEq, Message)]
struct Chunk {
    #[prost(uint64, tag = "1")]
    offset: u64,
    #[prost(bytes = "bytes", tag = "2")]
    bytes: bytes::Bytes,
}

/// How far the receiver has come.
#[derive(Clone, PartialEq, Message)]
struct Progress {
    /// So much of the file is here.
    #[prost(uint64, tag = "1")]
    offset: u64,
    /// What comes behind that is to be sent. Without it the receiver is only alive.
    #[prost(bool, tag = "2")]
    wants_more: bool,
    /// Nothing more is wanted: Raft has it, or needs it no longer.
    #[prost(bool, tag = "3")]
    done: bool,
    /// Why nothing more is wanted, if that is an error; empty otherwise.
    #[prost(string, tag = "4")]
    refusal: String,
    /// The error is in the file that is sent.
    #[prost(bool, tag = "5")]
    damaged: bool,
}

/// What both ends say about a snapshot in the log.
fn describe(last: LogId, peer: NodeId, size_bytes: u64) -> String {
    format!("snapshot up to entry {} ({size_bytes} bytes), node {peer}", last.index)
}

/// The group that all of this is about: there is one.
const GROUP: GroupId = GroupId::FIRST_DATA;
