//! The log in memory: contiguous entries, behind a start.
//!
//! ```text
//!              start        snapshot      applied       commit        last
//!  ─ ─ ─ ─ ─ ─ ─ ┼─────────────┼─────────────┼─────────────┼────────────┤
//!   only in the  │  retained   │                 the log                 │
//!    snapshot    │ for others  │        (what a restart reads back)      │
//! ```
//!
//! What is in the service's snapshot need not be in the log (paper section 7). It is kept in memory
//! all the same as long as a follower is about to need it; on disk it is not. In front of the start
//! nothing is known any more, except that it was committed: whatever stands there in the log of a
//! correct leader is what stood here.
//!
//! What is on disk lags behind; how far is the business of `durability`. An entry that went out in
//! a write may still be cut off and replaced: only what is committed is final, and cutting that is a
//! broken invariant.

use std::collections::VecDeque;

use crate::types::{Entry, Index, LogId, Term};

/// A queue that has room for so much more than it holds gives the room back.
const SPARE_ENTRIES: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Log {
    /// The last entry that is only in the snapshot; zero as long as there is none.
    start: LogId,
    /// The last entry that is in the snapshot: at the start, or behind it.
    snapshot: LogId,
    entries: VecDeque<Entry>,
    /// Sum of the entries' weights.
    bytes: u64,
    /// How much of that is in the snapshot too.
    retained_bytes: u64,
}

impl Log {
    /// A log with what was read back from disk: contiguous, directly behind the snapshot.
    pub(crate) fn restore(snapshot: LogId, entries: Vec<Entry>) -> Self {
        let mut log = Self { start: snapshot, snapshot, ..Self::default() };
        for entry in entries {
            log.push(entry);
        }
        log
    }

    /// What stands directly in front of the first entry.
    pub(crate) fn start(&self) -> LogId {
        self.start
    }

    /// The last entry that is in the snapshot.
    pub(crate) fn snapshot(&self) -> LogId {
        self.snapshot
    }

    /// The last entry's name; the start's when there is none.
    pub(crate) fn last(&self) -> LogId {
        self.entries.back().map_or(self.start, |e| e.id)
    }

    pub(crate) fn last_index(&self) -> Index {
        self.start.index + self.entries.len() as Index
    }

    /// The weight of what stands behind the snapshot.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes - self.retained_bytes
    }

    /// The weight of what is in the snapshot and held all the same.
    pub(crate) fn retained_bytes(&self) -> u64 {
        self.retained_bytes
    }

    /// The term at `index`, from the start on; none in front of it and behind the end.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.start.index { Some(self.start.term) } else { self.get(index).map(|e| e.id.term) }
    }

    pub(crate) fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(self.position(index)?)
    }

    /// Whether the log has exactly this entry. What stands in front of the start was committed, and
    /// so it is what any correct leader means.
    pub(crate) fn contains(&self, id: LogId) -> bool {
        id.index < self.start.index || self.term_at(id.index) == Some(id.term)
    }

    /// Appends the entry that comes next.
    pub(crate) fn push(&mut self, entry: Entry) {
        let last = self.last();
        assert_eq!(entry.id.index, last.index + 1, "entry {} does not follow {last}", entry.id);
        assert!(entry.id.term >= last.term, "the term of entry {} goes back behind {last}", entry.id);
        self.bytes += entry.weight() as u64;
        self.entries.push_back(entry);
    }

    /// Cuts off everything behind `index`.
    pub(crate) fn truncate(&mut self, index: Index) {
        let snapshot = self.snapshot;
        assert!(index >= snapshot.index, "cutting the log to {index}, but {snapshot} is in the snapshot");
        while self.last_index() > index {
            let entry = self.entries.pop_back().expect("the log is longer than its cut");
            self.bytes -= entry.weight() as u64;
        }
    }

    /// The snapshot holds everything up to `index` now. The entries stay until they are
    /// [dropped](Self::drop_front).
    pub(crate) fn compact(&mut self, index: Index) {
        let snapshot = self.snapshot;
        assert!(index > snapshot.index, "the snapshot goes back from {snapshot} to {index}");
        let term = self.term_at(index).expect("what is in the snapshot was in the log");
        let added = (snapshot.index + 1..=index).filter_map(|i| self.get(i)).map(|e| e.weight() as u64);
        self.retained_bytes += added.sum::<u64>();
        self.snapshot = LogId::new(term, index);
    }

    /// Drops what is in the snapshot and not behind `keep`, and as much more of it as is needed to
    /// retain no more than `max_bytes`.
    pub(crate) fn drop_front(&mut self, keep: Index, max_bytes: u64) {
        while self.start.index < self.snapshot.index
            && (self.start.index < keep || self.retained_bytes > max_bytes)
        {
            let entry = self.entries.pop_front().expect("what is behind the start is in the log");
            self.bytes -= entry.weight() as u64;
            self.retained_bytes -= entry.weight() as u64;
            self.start = entry.id;
        }
        if self.entries.capacity() > 2 * self.entries.len() + SPARE_ENTRIES {
            self.entries.shrink_to(self.entries.len() + SPARE_ENTRIES);
        }
    }

    /// Entries from `first` to `last` as far as `max_bytes` reach, but at least one if there is any.
    pub(crate) fn slice(&self, first: Index, last: Index, max_bytes: usize) -> Vec<Entry> {
        let mut bytes = 0;
        let mut entries = Vec::new();
        for index in first..=last.min(self.last_index()) {
            let entry = self.get(index).expect("an index within the log");
            bytes += entry.weight();
            if bytes > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry.clone());
        }
        entries
    }

    /// The first index behind the start that has the term of the entry at `index`.
    pub(crate) fn first_of_term_at(&self, index: Index) -> Index {
        let term = self.get(index).expect("an index within the log").id.term;
        let before = self.entries.partition_point(|e| e.id.term < term) as Index;
        self.start.index + before + 1
    }

    /// The last index whose entry has exactly this term, as far as that is known: the start counts,
    /// and what stands in front of it is forgotten.
    pub(crate) fn last_of_term(&self, term: Term) -> Option<Index> {
        let up_to = self.start.index + self.entries.partition_point(|e| e.id.term <= term) as Index;
        Some(up_to).filter(|&index| index > 0 && self.term_at(index) == Some(term))
    }

    /// Sum of the weights of the entries behind `index`.
    pub(crate) fn weight_behind(&self, index: Index) -> usize {
        let from =
            usize::try_from(index.saturating_sub(self.start.index)).expect("it fits the address space");
        self.entries.range(from.min(self.entries.len())..).map(Entry::weight).sum()
    }

    /// Where the entry with this index stands in the queue.
    fn position(&self, index: Index) -> Option<usize> {
        usize::try_from(index.checked_sub(self.start.index + 1)?).ok()
    }
}

/// What a log that was read back is worth beside a snapshot that was found with it: the entries
/// behind the snapshot.
///
/// A snapshot becomes durable before the log speaks of it, and so it may be newer. It is an
/// installation then: if the log does not have the snapshot's last entry, nothing in it follows on
/// the snapshot. `entries` are contiguous and begin at any index up to that behind the snapshot; an
/// entry directly behind it is taken to follow it.
pub fn entries_behind_snapshot(snapshot: LogId, mut entries: Vec<Entry>) -> Vec<Entry> {
    let Some(first) = entries.first().map(|entry| entry.id.index) else { return entries };
    assert!(first <= snapshot.index + 1, "entry {first} leaves a gap behind the snapshot up to {snapshot}");
    if first <= snapshot.index && !entries.iter().any(|entry| entry.id == snapshot) {
        return Vec::new();
    }
    entries.retain(|entry| entry.id.index > snapshot.index);
    entries
}

#[cfg(test)]
mod tests;
