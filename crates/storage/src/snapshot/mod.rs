//! Snapshots of the groups' state, in files: written, received, read, and found again.
//!
//! | file | is |
//! |---|---|
//! | `1-1000000-3.snapshot` | the state of group 1 after entry 1000000 of term 3 |
//! | `1-1200000-3.snapshot.new` | one that this node is writing: no snapshot yet |
//! | `1-1500000-4.snapshot.part` | one that another node is sending: no snapshot yet |
//!
//! A file is made under one of the latter names, synced, renamed, and the directory synced. So what is called
//! `.snapshot` is whole, unless it was damaged afterwards, and that is noticed: header, blocks and footer have
//! checksums, which are seeded with the file's own random id. The bytes of a sent file are those of the sender's.
//!
//! # What is in force
//!
//! A snapshot is in force when a write of the [log](crate::wal) that names it is durable, and the log takes the
//! name of none that is not there. Only then is anything deleted that it replaces: older snapshots, and the
//! segments of the log that it covers ([`Wal::remove_replaced`](crate::Wal::remove_replaced)).
//!
//! A crash may come between the file and the write that names it. So [`Wal::open`](crate::Wal::open) takes the
//! newest intact file that is newer than what the log names as one that was installed: a snapshot holds only what
//! is committed, whoever made it. If the log has the snapshot's last entry, what is behind that stays; otherwise
//! the log was another one, or ended before, and all of it goes.
//!
//! # Memory
//!
//! One block, at most [`MAX_BLOCK_BYTES`], for each snapshot that is being written, received or read.

mod error;
mod files;
mod format;
mod reader;
mod receive;
mod writer;

use std::fmt;
use std::io;

use bowline_raft::{GroupId, LogId};

use crate::disk::Disk;
pub use error::{SnapshotError, UnusableSnapshot};
pub(crate) use files::remove;
use files::{FileKind, SnapshotFile};
pub use reader::SnapshotReader;
use reader::Sought;
pub use receive::ReceivedSnapshot;
pub use writer::SnapshotWriter;

/// The longest block, in bytes.
pub const MAX_BLOCK_BYTES: usize = format::MAX_PAYLOAD_BYTES;

/// What tells one snapshot file from every other, also of the same entries. Random.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub u128);

impl SnapshotId {
    /// One that no other file has.
    ///
    /// # Errors
    ///
    /// If the system gives no random number.
    pub fn random() -> io::Result<Self> {
        Ok(Self(crate::random_id()?))
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What a snapshot file says of itself, beside its cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotHeader {
    /// Whose state it is.
    pub group: GroupId,
    /// The last entry that had been applied.
    pub last: LogId,
    /// The id of this file.
    pub id: SnapshotId,
    /// When it was made, in microseconds since 1970 by the clock of the node that made it. For people: nothing
    /// is decided by it.
    pub made_us: u64,
}

/// The snapshot files of a node's directory. A handle: clones see the same files, and can be used on different
/// threads.
#[derive(Clone, Debug)]
pub struct Snapshots<D> {
    disk: D,
    cluster: u64,
}

impl<D: Disk + Clone> Snapshots<D> {
    /// Those in the directory `disk`, of the cluster with that number, as in [`WalConfig`](crate::WalConfig).
    pub fn new(disk: D, cluster: u64) -> Self {
        Self { disk, cluster }
    }

    /// Begins one. What was left unfinished of this group is removed: there is never more than one being written.
    pub fn create(&self, header: SnapshotHeader) -> Result<SnapshotWriter<D>, SnapshotError> {
        SnapshotWriter::create(self.disk.clone(), self.cluster, header)
    }

    /// How many bytes new files could still take.
    pub fn free_bytes(&self) -> Result<u64, SnapshotError> {
        files::At::directory(&self.disk).io("read the free space of", self.disk.free_bytes())
    }

    /// Opens a finished one; its header and its end are checked, and each block when it is read.
    pub fn open(&self, group: GroupId, last: LogId) -> Result<SnapshotReader<D::File>, SnapshotError> {
        SnapshotReader::open(&self.disk, Sought { cluster: self.cluster, group, last })
    }

    /// Begins to receive one, or goes on with it if a part of the file with this id is here already: that part is
    /// read and written once more, block by block, which takes as long as writing it does. What was received of other
    /// snapshots of this group is removed: there is never more than one being received.
    pub fn receive(
        &self,
        group: GroupId,
        last: LogId,
        id: SnapshotId,
    ) -> Result<ReceivedSnapshot<D>, SnapshotError> {
        ReceivedSnapshot::open(self.disk.clone(), Sought { cluster: self.cluster, group, last }, id)
    }
}

/// The finished snapshots that there are, of any group.
pub(crate) fn finished<D: Disk>(disk: &D) -> Result<Vec<(GroupId, LogId)>, SnapshotError> {
    let files = files::list(disk)?;
    Ok(files
        .into_iter()
        .filter(|(kind, ..)| *kind == FileKind::Finished)
        .map(|(_, group, last)| (group, last))
        .collect())
}

/// That a snapshot is there, of whom it should be, and as long as it should be.
pub(crate) fn check<D: Disk>(
    disk: &D,
    cluster: u64,
    group: GroupId,
    last: LogId,
) -> Result<(), SnapshotError> {
    SnapshotReader::open(disk, Sought { cluster, group, last }).map(|_| ())
}

/// That all of a snapshot is intact.
pub(crate) fn verify<D: Disk>(
    disk: &D,
    cluster: u64,
    group: GroupId,
    last: LogId,
) -> Result<(), SnapshotError> {
    SnapshotReader::open(disk, Sought { cluster, group, last })?.verify()
}

/// Removes what an earlier process left unfinished, but for what it was receiving that is newer than `named`, the
/// snapshot of each group: that can go on.
pub(crate) fn remove_unfinished<D: Disk>(
    disk: &D,
    named: impl Fn(GroupId) -> LogId,
) -> Result<(), SnapshotError> {
    files::remove_all(disk, FileKind::New, |_, _| true)?;
    files::remove_all(disk, FileKind::Part, |group, last| last.index <= named(group).index)
}

/// A file that `named`, the snapshot of its group, has replaced: a finished one that is older, or a part of one that
/// is no newer.
pub(crate) fn replaced<D: Disk>(
    disk: &D,
    named: impl Fn(GroupId) -> LogId,
) -> Result<Option<SnapshotFile>, SnapshotError> {
    let replaced = |(kind, group, last): &SnapshotFile| match kind {
        FileKind::Finished => last.index < named(*group).index,
        FileKind::Part => last.index <= named(*group).index,
        FileKind::New => false,
    };
    Ok(files::list(disk)?.into_iter().find(replaced))
}

/// The name of a finished snapshot.
pub(crate) fn file_name(group: GroupId, last: LogId) -> String {
    files::file_name(FileKind::Finished, group, last)
}
