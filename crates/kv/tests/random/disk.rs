//! A disk that finishes writes late, in their order, and forgets the rest when the power goes.

use std::collections::VecDeque;

use bowline_raft::{Entry, HardState, LogId, SnapshotWrite, Write, entries_behind_snapshot};
use bytes::Bytes;

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    /// The newest snapshot, and up to where it reaches.
    pub(crate) snapshot: (LogId, Bytes),
    /// Those behind the snapshot, and perhaps some in front of its end.
    entries: Vec<Entry>,
    unfinished: VecDeque<Write>,
    /// When the last of them will be.
    pub(crate) busy_until: u64,
}

impl Disk {
    pub(crate) fn submit(&mut self, write: Write) {
        self.unfinished.push_back(write);
    }

    /// The oldest write is done: hands back its number.
    pub(crate) fn finish(&mut self) -> u64 {
        let write = self.unfinished.pop_front().expect("something is being written");
        self.put_hard_state(&write);
        if let Some(SnapshotWrite { last, data }) = write.snapshot {
            match data {
                Some(data) => self.install(last, data),
                None => self.entries.retain(|entry| entry.id.index > last.index),
            }
            assert!(self.snapshot.0 >= last, "{last} is said to be in {}", self.snapshot.0);
        }
        if let Some(first) = write.entries.first() {
            self.entries.retain(|entry| entry.id.index < first.id.index);
            self.entries.extend(write.entries);
        }
        let is_contiguous = self.entries.is_sorted_by(|a, b| a.id.index + 1 == b.id.index);
        assert!(is_contiguous, "a gap in the log on disk");
        write.seq
    }

    fn put_hard_state(&mut self, write: &Write) {
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
    }

    fn install(&mut self, last: LogId, data: Bytes) {
        self.entries.clear();
        self.snapshot = (last, data);
    }

    /// The service's own snapshot is written. Says whether it is newer than what is there.
    pub(crate) fn put_snapshot(&mut self, last: LogId, data: Bytes) -> bool {
        let is_newer = last > self.snapshot.0;
        if is_newer {
            self.snapshot = (last, data);
        }
        is_newer
    }

    /// What a restart finds behind the snapshot. One that the log does not speak of is installed in it.
    pub(crate) fn recover(&mut self) -> Vec<Entry> {
        self.entries = entries_behind_snapshot(self.snapshot.0, std::mem::take(&mut self.entries));
        self.entries.clone()
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// The power goes: so many of the unfinished writes were done all the same, and of the next one, if
    /// `tears`, its hard state and its snapshot. Says how many were not.
    pub(crate) fn lose_power(&mut self, survive: usize, tears: bool) -> usize {
        for _ in 0..survive {
            self.finish();
        }
        self.busy_until = 0;
        let lost = self.unfinished.len();
        if let Some(write) = self.unfinished.front().filter(|_| tears).cloned() {
            self.put_hard_state(&write);
            if let Some(SnapshotWrite { last, data: Some(data) }) = write.snapshot {
                self.put_snapshot(last, data);
            }
        }
        self.unfinished.clear();
        lost
    }
}
