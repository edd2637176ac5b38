//! Reads that are never stale (thesis section 6.4), without a word about clocks.
//!
//! A leader may have been replaced without knowing it. Before it answers a read it must hear, from
//! a majority and in its term, echoes of rounds that began after the read came: then no later
//! leader had been elected at that time, and its commit index of then covers all that had been
//! acknowledged. All reads that come while a round of echoes is open share the next one. Since
//! each AppendEntries has a round of its own, a late echo of an earlier one confirms nothing.

use crate::ready::ReadGrant;
use crate::types::Index;

#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// Came after the open batch began, or before an entry of the leader's term was committed.
    waiting: Vec<u64>,
    open: Option<Batch>,
}

#[derive(Debug)]
struct Batch {
    /// A round that confirms must be at least this.
    first_round: u64,
    index: Index,
    ids: Vec<u64>,
}

impl Reads {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len() + self.open.as_ref().map_or(0, |b| b.ids.len())
    }

    pub(crate) fn push(&mut self, id: u64) {
        self.waiting.push(id);
    }

    /// Opens the next batch if none is open: to be confirmed by rounds after `last_round`, and
    /// served when `commit` is applied. Only for a leader that has committed an entry of its own
    /// term: before, its commit index may lack what was acknowledged in an earlier one.
    pub(crate) fn open(&mut self, last_round: u64, commit: Index) {
        if self.open.is_none() && !self.waiting.is_empty() {
            let ids = std::mem::take(&mut self.waiting);
            self.open = Some(Batch { first_round: last_round + 1, index: commit, ids });
        }
    }

    /// The least round that confirms the open batch.
    pub(crate) fn wanted_round(&self) -> Option<u64> {
        self.open.as_ref().map(|b| b.first_round)
    }

    /// A majority has echoed rounds up to `round`.
    pub(crate) fn confirm(&mut self, round: u64) -> Vec<ReadGrant> {
        match self.open.take_if(|b| b.first_round <= round) {
            Some(batch) => batch.ids.into_iter().map(|id| ReadGrant { id, index: batch.index }).collect(),
            None => Vec::new(),
        }
    }
}
