//! What a store counts for the people who watch it. No result depends on it.

use std::cell::Cell;

/// How often that has happened at this replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// A read has found its key. One that names several counts for each.
    pub hits: u64,
    /// A read has not found its key.
    pub misses: u64,
    /// The time of a key came to its end.
    pub expired: u64,
}

/// The counters; reads count too.
#[derive(Debug, Default)]
pub(super) struct Counters {
    hits: Cell<u64>,
    misses: Cell<u64>,
    expired: Cell<u64>,
}

impl Counters {
    /// A read has looked for a key.
    pub(super) fn looked(&self, is_there: bool) {
        let counter = if is_there { &self.hits } else { &self.misses };
        counter.set(counter.get() + 1);
    }

    /// So many keys are over.
    pub(super) fn ended(&self, keys: usize) {
        self.expired.set(self.expired.get() + keys as u64);
    }

    pub(super) fn tally(&self) -> Tally {
        Tally { hits: self.hits.get(), misses: self.misses.get(), expired: self.expired.get() }
    }
}
