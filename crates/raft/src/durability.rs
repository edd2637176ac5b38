//! What is on disk, and what is on its way there.
//!
//! Writes are handed out in order and finish in order; several may be under way. A write
//! remembers the log's last index as it was when the write was made. When the log is cut to `k`,
//! the durable index and the figure of every write under way are lowered to `k`: a later write
//! replaces what they carried behind `k`, so that their end says nothing of it any more (the ABA
//! race: index 7 written, cut, written again with something else, and then the first write's end
//! taken for the second's).
//!
//! A snapshot that is installed takes the place of the whole log. That is a cut as well, to what was
//! known to be committed, since nothing behind that needs to be on disk as the leader has it. So the
//! durable index is at the snapshot's last entry, or behind it, just when the snapshot is durable.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;

use crate::log::Log;
use crate::types::{HardState, Index, LogId, SnapshotWrite, Write};

#[derive(Debug)]
pub(crate) struct Durability {
    /// The last index that is on disk as it is in memory.
    index: Index,
    /// Term and vote on disk.
    hard_state: HardState,
    under_way: VecDeque<UnderWay>,
    /// The number of the last write handed out.
    last_seq: u64,
    /// Term and vote as they were last handed out.
    handed_hard_state: HardState,
    /// The last index that was handed out as it is in memory.
    handed_index: Index,
    /// How far the snapshot reaches, if that was not handed out yet.
    snapshot: Option<SnapshotWrite>,
}

#[derive(Debug)]
struct UnderWay {
    seq: u64,
    last_index: Index,
    hard_state: HardState,
    since: Duration,
}

impl Durability {
    /// Everything that was read back is durable: recovery has synced it.
    pub(crate) fn restored(hard_state: HardState, last_index: Index) -> Self {
        Self {
            index: last_index,
            hard_state,
            under_way: VecDeque::new(),
            last_seq: 0,
            handed_hard_state: hard_state,
            handed_index: last_index,
            snapshot: None,
        }
    }

    pub(crate) fn index(&self) -> Index {
        self.index
    }

    pub(crate) fn hard_state(&self) -> HardState {
        self.hard_state
    }

    pub(crate) fn truncate(&mut self, index: Index) {
        self.index = self.index.min(index);
        self.handed_index = self.handed_index.min(index);
        for write in &mut self.under_way {
            write.last_index = write.last_index.min(index);
        }
    }

    /// The service's own snapshot holds everything up to `last`.
    pub(crate) fn compacted(&mut self, last: LogId) {
        assert!(last.index <= self.index, "a snapshot up to {last}, and {} is durable", self.index);
        self.snapshot = Some(SnapshotWrite { last, data: None });
    }

    /// A snapshot takes the place of the log, of which everything up to `committed` was known to be
    /// committed.
    pub(crate) fn installed(&mut self, last: LogId, data: Bytes, committed: Index) {
        assert!(committed < last.index, "a snapshot up to {last} behind the committed {committed}");
        self.truncate(committed);
        self.handed_index = last.index;
        self.snapshot = Some(SnapshotWrite { last, data: Some(data) });
    }

    /// What has come up since the last write, if anything.
    pub(crate) fn next_write(&mut self, log: &Log, hard_state: HardState, now: Duration) -> Option<Write> {
        let last_index = log.last_index();
        let is_known = hard_state == self.handed_hard_state && last_index == self.handed_index;
        if is_known && self.snapshot.is_none() {
            return None;
        }
        self.last_seq += 1;
        let write = Write {
            seq: self.last_seq,
            hard_state: (hard_state != self.handed_hard_state).then_some(hard_state),
            snapshot: self.snapshot.take(),
            entries: log.slice(self.handed_index + 1, last_index, usize::MAX),
        };
        self.handed_hard_state = hard_state;
        self.handed_index = last_index;
        self.under_way.push_back(UnderWay { seq: self.last_seq, last_index, hard_state, since: now });
        Some(write)
    }

    /// All writes up to `seq` are on disk.
    pub(crate) fn persisted(&mut self, seq: u64) {
        assert!(seq <= self.last_seq, "write {seq} is reported durable, but {} is the last", self.last_seq);
        while self.under_way.front().is_some_and(|w| w.seq <= seq) {
            let write = self.under_way.pop_front().expect("there is a front");
            self.index = self.index.max(write.last_index);
            self.hard_state = write.hard_state;
        }
    }

    /// How long the oldest unfinished write has been under way.
    pub(crate) fn oldest_age(&self, now: Duration) -> Duration {
        self.under_way.front().map_or(Duration::ZERO, |w| now.saturating_sub(w.since))
    }
}

#[cfg(test)]
mod tests;
