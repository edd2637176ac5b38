//! The log in memory: contiguous entries, from the first one on.
//!
//! The whole log is held until there are snapshots. What is on disk lags behind; how far is the
//! business of `durability`. An entry that went out in a write may still be cut off and replaced:
//! only what is committed is final, and cutting that is a broken invariant.

use std::collections::VecDeque;

use crate::types::{Entry, Index, LogId, Term};

#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: VecDeque<Entry>,
    /// Sum of the entries' weights.
    bytes: u64,
}

impl Log {
    /// A log with what was read back from disk: contiguous from index 1.
    pub(crate) fn restore(entries: Vec<Entry>) -> Self {
        let mut log = Self::default();
        for entry in entries {
            log.push(entry);
        }
        log
    }

    /// The last entry's name; zero when there is none.
    pub(crate) fn last(&self) -> LogId {
        self.entries.back().map_or(LogId::ZERO, |e| e.id)
    }

    pub(crate) fn last_index(&self) -> Index {
        self.entries.len() as Index
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The term at `index`: 0 in front of the log, none behind its end.
    pub(crate) fn term_at(&self, index: Index) -> Option<Term> {
        if index == 0 { Some(0) } else { self.get(index).map(|e| e.id.term) }
    }

    pub(crate) fn get(&self, index: Index) -> Option<&Entry> {
        self.entries.get(position(index)?)
    }

    /// Whether the log has exactly this entry, or it stands in front of the log.
    pub(crate) fn contains(&self, id: LogId) -> bool {
        self.term_at(id.index) == Some(id.term)
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
        while self.last_index() > index {
            let entry = self.entries.pop_back().expect("the log is longer than its cut");
            self.bytes -= entry.weight() as u64;
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

    /// The first index that has the term of the entry at `index`.
    pub(crate) fn first_of_term_at(&self, index: Index) -> Index {
        let term = self.term_at(index).expect("an index within the log");
        let before = self.entries.partition_point(|e| e.id.term < term) as Index;
        before + 1
    }

    /// The last index whose entry has exactly this term.
    pub(crate) fn last_of_term(&self, term: Term) -> Option<Index> {
        let up_to = self.entries.partition_point(|e| e.id.term <= term) as Index;
        self.get(up_to).filter(|e| e.id.term == term).map(|e| e.id.index)
    }

    /// Sum of the weights of the entries behind `index`.
    pub(crate) fn weight_behind(&self, index: Index) -> usize {
        let from = usize::try_from(index).expect("an index fits the address space");
        self.entries.range(from.min(self.entries.len())..).map(Entry::weight).sum()
    }
}

/// Where the entry with this index stands in the queue.
fn position(index: Index) -> Option<usize> {
    usize::try_from(index.checked_sub(1)?).ok()
}

#[cfg(test)]
mod tests;
