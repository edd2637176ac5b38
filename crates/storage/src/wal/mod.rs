//! The write-ahead log: one for a node, shared by all its groups.
//!
//! Whatever one pass of the node's loop produced, for all groups together, is one *write*: one
//! [`append`](Wal::append) and one [`sync`](Wal::sync). Writes are numbered from 1 on, without gaps, through
//! all files. The next write starts only when the sync of the one before has returned; [`Wal`] insists on it.
//! Hence the rule on which recovery stands:
//!
//! > An intact write, or even the intact header of one, proves that every write before it was durable.
//!
//! So what is broken and has something intact of a later write behind it was damaged *after* it had become
//! durable: [`WalError::Corrupt`], and nothing is changed. What is broken and has nothing behind it was being
//! written when the node went down; nobody was told of it, and the log ends there ([`TornTail`]).
//!
//! # Segments
//!
//! The log lies in segment files of a fixed length, named by their number. They are filled with zeros before
//! they are used, in slices and in the background ([`Wal::prepare_next`]): overwriting what the file already
//! has costs one round to the disk, where a file that grows costs two.
//!
//! A segment's header says which write is its first, and holds the state of every group before that write.
//! A segment counts once its first write is intact in it; from then on whatever older segments hold from
//! that write on is void. Until then it counts as not there: it was being begun.
//!
//! ```text
//! 1.wal  [1..9][10][11][12 torn ]            a crash; 11 is the last intact write
//! 2.wal  [1..11: state][11][12][13]          recovery wrote 11 again, and went on; 12 above is void
//! ```
//!
//! # Why recovery writes the last write again
//!
//! What was read back need not be on the disk. After a kill the last write may be in the cache only, and
//! after a failed sync the cache shows what the disk lacks, and no later sync will write it. The writes
//! before the last are proved by it. So [`Wal::open`] copies the last write into a new segment and syncs that
//! and the directory, before it returns what it read.
//!
//! # The one thing that cannot be told apart
//!
//! A bit that flips in the very last write looks like a write that was torn. So that acknowledged data is
//! rarely last, [`Wal::append_marker`] adds an empty write: at a clean stop, and when the log falls idle.
//!
//! # Large batches
//!
//! A write is never split. One that is longer than what is left goes into the next segment, and the first
//! write of a segment may be as long as it likes: the file grows by what is missing.

mod adopt;
mod error;
mod files;
mod format;
mod group;
mod older;
mod recover;
mod replay;

use std::collections::BTreeMap;

use bowline_raft::{Entry, GroupId, HardState, LogId, SnapshotWrite, Write};

use crate::disk::Disk;
use crate::identity::DirectoryId;
use crate::snapshot::{self, UnusableSnapshot};
pub use error::{TornTail, WalError};
use files::{Active, FILL_SLICE, Files, Next, segment_name};
use format::{GroupState, GroupStates};
use older::OlderSegments;

/// What the log must know of the node that it belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalConfig {
    /// The cluster's number; segments of another one are refused.
    pub cluster: u64,
    /// The directory's own id; segments of another one are refused.
    pub directory: DirectoryId,
    /// How long a segment is made, in bytes; at least [`WalConfig::MIN_SEGMENT_BYTES`].
    pub segment_bytes: u64,
}

impl WalConfig {
    /// What a server uses.
    pub const SEGMENT_BYTES: u64 = 64 << 20;
    /// Room for a header and some small writes.
    pub const MIN_SEGMENT_BYTES: u64 = 1024;
}

/// What the log held of one group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveredGroup {
    /// Term and vote.
    pub hard_state: HardState,
    /// The entries up to this one are in the snapshot of that name; [`LogId::ZERO`] as long as there is none.
    pub snapshot: LogId,
    /// The entries behind it, without gaps.
    pub entries: Vec<Entry>,
}

/// What the log held. All of it is durable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Every group that the log has something of.
    pub groups: BTreeMap<GroupId, RecoveredGroup>,
    /// The log ended in a write that was not whole: worth a line to the operator.
    pub torn_tail: Option<TornTail>,
    /// Snapshots newer than what the log names, and damaged: worth a line each.
    pub unusable_snapshots: Vec<UnusableSnapshot>,
}

/// The log, open to write.
#[derive(Debug)]
pub struct Wal<D: Disk> {
    files: Files<D>,
    active: Active<D::File>,
    next: Option<Next<D::File>>,
    /// The number of the next write.
    next_write: u64,
    /// As of the last write.
    groups: GroupStates,
    /// The write being made. Kept, so that its memory is used again.
    buffer: Vec<u8>,
    /// The last write has not been synced.
    unsynced: bool,
    /// The segments before the active one.
    older: OlderSegments,
    /// The last write that named a snapshot.
    last_naming: u64,
    /// There may be files that a snapshot has replaced.
    replaced: bool,
}

/// The buffer is given back when one write made it larger than this.
const KEEP_BUFFER: usize = 4 << 20;

impl<D: Disk> Wal<D> {
    /// Makes the log of a node that has never run. What an earlier attempt left unfinished is removed; a
    /// log that has been written to is refused ([`WalError::AlreadyThere`]). Durable on return.
    pub fn create(disk: D, config: WalConfig) -> Result<Self, WalError> {
        let mut files = Files::new(disk, config);
        let leftovers = recover::unfinished(&files)?;
        if let Some((group, last)) = snapshot::finished(&files.disk)?.first() {
            let file = snapshot::file_name(*group, *last);
            return Err(WalError::AlreadyThere { directory: files.disk.location(), file });
        }
        let segment = leftovers.last().map_or(1, |last| last + 1);
        files.remove(&leftovers)?;
        let next = files.begin_fill(segment)?;
        let mut wal = Self::begin(files, next, 1, GroupStates::new(), OlderSegments::default())?;
        wal.append_marker()?;
        wal.sync()?;
        Ok(wal)
    }

    /// Opens a log, and gives back what is in it. All of that is durable on return.
    pub fn open(disk: D, config: WalConfig) -> Result<(Self, Recovered), WalError> {
        let mut files = Files::new(disk, config);
        let found = recover::recover(&files)?;
        // First, so that their room is free for the new segment.
        files.remove(&found.not_there)?;
        let named = |group| found.recovered.groups.get(&group).map_or(LogId::ZERO, |group| group.snapshot);
        snapshot::remove_unfinished(&files.disk, named)?;
        let next = match found.next_filled {
            Some(filled) => files.resume_fill(found.next_segment, filled)?,
            None => files.begin_fill(found.next_segment)?,
        };
        let mut wal = Self::begin(files, next, found.last_write, found.before_last, found.older)?;
        format::begin_write(&mut wal.buffer);
        wal.buffer.extend_from_slice(&found.last_body);
        wal.write_out()?;
        wal.sync()?;
        wal.groups = found.groups;
        // What is read back may be the last that names its snapshot.
        (wal.last_naming, wal.replaced) = (found.last_write, true);
        if !found.adopted.is_empty() {
            let writes: Vec<_> = found.adopted.iter().map(|(group, write)| (*group, write)).collect();
            wal.append(&writes)?;
            wal.sync()?;
        }
        wal.files.remove(&found.superseded)?;
        wal.files.trim(found.trim)?;
        Ok((wal, found.recovered))
    }

    /// Puts everything in `writes` into the log as one write, in their order. Not durable before
    /// [`sync`](Self::sync) has returned.
    ///
    /// A snapshot that they name must be there, finished; whether it was installed is told by
    /// [`SnapshotWrite::data`](bowline_raft::SnapshotWrite::data), whose bytes do not go into the log. Otherwise
    /// [`WalError::Snapshot`], and nothing was written.
    ///
    /// # Panics
    ///
    /// If the write before has not been synced, or entries do not follow what the log has of their group.
    pub fn append(&mut self, writes: &[(GroupId, &Write)]) -> Result<(), WalError> {
        for (group, write) in writes {
            if let Some(named) = &write.snapshot {
                snapshot::check(&self.files.disk, self.files.config.cluster, *group, named.last)?;
                (self.last_naming, self.replaced) = (self.next_write, true);
            }
        }
        format::begin_write(&mut self.buffer);
        for (group, write) in writes {
            format::encode_records(&mut self.buffer, *group, write);
        }
        self.make_room()?;
        for (group, write) in writes {
            note(&mut self.groups, &mut self.older, *group, write);
        }
        self.write_out()
    }

    /// Appends the empty write: at a clean stop, and when the log has been idle for a while after a write.
    /// To be synced like any other.
    pub fn append_marker(&mut self) -> Result<(), WalError> {
        self.append(&[])
    }

    /// Makes the last write durable. An error is final: the process must end.
    pub fn sync(&mut self) -> Result<(), WalError> {
        self.files.check()?;
        if self.unsynced {
            self.files.sync(&self.active.file, &segment_name(self.active.segment))?;
            self.unsynced = false;
        }
        Ok(())
    }

    /// Removes one of the files that snapshots have replaced: segments of the log that are covered by the snapshot
    /// of every group, the oldest first, then older snapshots, finished or in part. True while there may be more to do. To be called when
    /// there is nothing else to do, between a sync and the next write, once the snapshots that
    /// [`open`](Self::open) named have been read.
    ///
    /// If the last write is the one that names a snapshot, this adds the empty write first, and syncs it: a bit that
    /// flips in the very last write takes it away, and then what it has replaced would be needed.
    ///
    /// # Panics
    ///
    /// If the write before has not been synced.
    pub fn remove_replaced(&mut self) -> Result<bool, WalError> {
        self.files.check()?;
        assert!(!self.unsynced, "write {} is not durable yet", self.next_write - 1);
        if !self.replaced {
            return Ok(false);
        }
        if let Some(segment) = self.older.covered(&self.groups) {
            self.follow_naming()?;
            self.files.remove(&[segment])?;
            // One at a time: what is left has no gaps, whatever a crash leaves.
            self.files.sync_dir()?;
            self.older.pop();
            return Ok(true);
        }
        let groups = &self.groups;
        let named = |group| groups.get(&group).map_or(LogId::ZERO, |state| state.snapshot);
        if let Some(file) = snapshot::replaced(&self.files.disk, named)? {
            self.follow_naming()?;
            snapshot::remove(&self.files.disk, file)?;
            return Ok(true);
        }
        self.replaced = false;
        Ok(false)
    }

    /// Sees to it that the write that names a snapshot is not the last one.
    fn follow_naming(&mut self) -> Result<(), WalError> {
        if self.next_write - 1 == self.last_naming {
            self.append_marker()?;
            self.sync()?;
        }
        Ok(())
    }

    /// Fills a slice of the next segment with zeros and syncs it. True while there is more to do. To be
    /// called when there is nothing else to do, and beside the writes while [`behind`](Self::behind) says so;
    /// what is missing when the active segment is full is done then, at once.
    ///
    /// [`WalError::NoSpace`] leaves the log as it was: it can be tried again.
    pub fn prepare_next(&mut self) -> Result<bool, WalError> {
        self.prepare(FILL_SLICE as u64)
    }

    /// Less of the next segment is filled than of the active one is used: without a slice now and then the
    /// next change of segment will have to wait for it.
    pub fn behind(&self) -> bool {
        let filled = self.next.as_ref().map_or(0, |next| next.filled);
        filled < self.active.position.min(self.files.config.segment_bytes)
    }

    /// How many bytes the log can still take: what is left of the active segment, and the whole segments
    /// that the file system has room for. Each entry costs [`Entry::OVERHEAD`] beside its payload, or less.
    pub fn room(&self) -> Result<u64, WalError> {
        let free = self.files.io(".", "read the free space of", self.files.disk.free_bytes())?;
        Ok(self.room_with(free))
    }

    /// Whether the log can still take so many bytes. Asks the file system only when what is filled ahead is not
    /// enough.
    pub fn has_room(&self, bytes: u64) -> Result<bool, WalError> {
        Ok(self.room_with(0) >= bytes || self.room()? >= bytes)
    }

    fn room_with(&self, free: u64) -> u64 {
        let segment = self.files.config.segment_bytes;
        let filled = self.next.as_ref().map_or(0, |next| next.filled);
        segment.saturating_sub(self.active.position) + (filled + free) / segment * segment
    }

    /// The log's directory as messages name it.
    pub fn location(&self) -> String {
        self.files.disk.location()
    }

    /// How long the log is, in bytes, without the zeros that wait to be overwritten.
    pub fn total_bytes(&self) -> u64 {
        self.older.bytes() + self.active.position
    }

    /// Starts a log in a segment of its own, with its name durable and its header written.
    fn begin(
        mut files: Files<D>,
        mut next: Next<D::File>,
        next_write: u64,
        groups: GroupStates,
        older: OlderSegments,
    ) -> Result<Self, WalError> {
        files.fill(&mut next, u64::MAX)?;
        let active = files.begin_segment(next, next_write, &groups)?;
        Ok(Self {
            files,
            active,
            next: None,
            next_write,
            groups,
            buffer: Vec::new(),
            unsynced: false,
            older,
            last_naming: 0,
            replaced: false,
        })
    }

    /// Fills up to `budget` bytes of the next segment. True while there is more to do.
    fn prepare(&mut self, budget: u64) -> Result<bool, WalError> {
        self.files.check()?;
        let next = match &mut self.next {
            Some(next) => next,
            None => self.next.insert(self.files.begin_fill(self.active.segment + 1)?),
        };
        if !next.ready {
            self.files.fill(next, budget)?;
        }
        Ok(!next.ready)
    }

    /// Sees to it that the write in the buffer has a segment to go to.
    fn make_room(&mut self) -> Result<(), WalError> {
        self.files.check()?;
        assert!(!self.unsynced, "write {} begun before the sync of the one before it", self.next_write);
        let end = self.active.position + self.buffer.len() as u64;
        if self.active.empty || end <= self.files.config.segment_bytes {
            return Ok(());
        }
        self.prepare(u64::MAX)?;
        let next = self.next.take().expect("just prepared");
        let (full, used) = (self.active.segment, self.active.position);
        self.active = self.files.begin_segment(next, self.next_write, &self.groups)?;
        self.older.push(full, used, &self.groups);
        Ok(())
    }

    /// Gives the write in the buffer its header, and writes it.
    fn write_out(&mut self) -> Result<(), WalError> {
        let Active { segment, file, position, empty } = &mut self.active;
        let seed = format::seed(self.files.config.directory, *segment);
        format::finish_write(&mut self.buffer, self.next_write, *empty, seed);
        self.files.write(file, &segment_name(*segment), &self.buffer, *position)?;
        *position += self.buffer.len() as u64;
        *empty = false;
        self.next_write += 1;
        self.unsynced = true;
        if self.buffer.capacity() > KEEP_BUFFER {
            self.buffer = Vec::new();
        }
        Ok(())
    }
}

/// Brings a group's state up to the write that is about to be made.
fn note(groups: &mut GroupStates, older: &mut OlderSegments, group: GroupId, write: &Write) {
    if write.hard_state.is_none() && write.snapshot.is_none() && write.entries.is_empty() {
        // It leaves no record: recovery will not know the group by it either.
        return;
    }
    let GroupState { hard_state, snapshot, last_index } = groups.entry(group).or_default();
    if let Some(new) = write.hard_state {
        *hard_state = new;
    }
    if let Some(SnapshotWrite { last, data }) = &write.snapshot {
        assert!(snapshot.index < last.index, "group {group}: snapshot {last} is not behind {snapshot}");
        let installed = data.is_some();
        assert!(
            installed || last.index <= *last_index,
            "group {group}: snapshot {last} is behind entry {last_index}"
        );
        *snapshot = *last;
        if installed {
            *last_index = last.index;
            older.replaced(group, 1);
        }
    }
    let first = write.entries.first().map_or(0, |first| first.id.index);
    if !write.entries.is_empty() && first <= *last_index {
        older.replaced(group, first);
    }
    for (follows, entry) in (first..).zip(&write.entries) {
        let index = entry.id.index;
        assert!(index == follows, "group {group}: entry {index} where {follows} comes next");
        assert!(snapshot.index < index, "group {group}: entry {index} is in the snapshot up to {snapshot}");
        assert!(index <= *last_index + 1, "group {group}: entry {index} behind {last_index} leaves a gap");
        *last_index = index;
    }
}
