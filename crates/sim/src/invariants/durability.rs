//! Nothing goes back that was durable.
//!
//! The ledger is what a node's disk must hold, kept the simple way: it changes when a sync returns, and when
//! recovery returns. A node that starts must get back exactly its ledger, or that with the one write that was
//! being made when it went down: all of that write or nothing. And it must never take more of its log for
//! durable than the ledger has.

use bowline_raft::{Entry, HardState, Index, LogId, Node, NodeId, Write};
use bowline_storage::RecoveredGroup;

use super::{Verdict, ensure, place};

/// What one disk must hold.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    hard_state: HardState,
    entries: Vec<Entry>,
    /// Being written.
    in_flight: Vec<Write>,
}

impl Ledger {
    /// Term and vote.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The log.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry at that index, by its name.
    pub fn id_at(&self, index: Index) -> Option<LogId> {
        self.entries.get(place(index)).map(|entry| entry.id)
    }

    /// These are about to be written, as one write.
    pub fn begin(&mut self, writes: &[Write]) {
        self.in_flight = writes.to_vec();
    }

    /// They are synced. Gives back the index behind which the log is another one than before, and what stood
    /// there.
    pub fn synced(&mut self) -> (Index, Vec<LogId>) {
        let writes = std::mem::take(&mut self.in_flight);
        let firsts = writes.iter().filter_map(|write| write.entries.first()).map(|entry| entry.id.index - 1);
        let kept = firsts.fold(self.entries.len() as Index, Index::min);
        let replaced = self.entries[place(kept + 1)..].iter().map(|entry| entry.id).collect();
        for write in writes {
            self.hard_state = write.hard_state.unwrap_or(self.hard_state);
            if let Some(first) = write.entries.first() {
                self.entries.truncate(place(first.id.index));
                self.entries.extend(write.entries);
            }
        }
        (kept, replaced)
    }

    /// A disk gave this back; it is durable from now on.
    pub fn recovered(&mut self, id: NodeId, found: &RecoveredGroup) -> Verdict {
        let mut one_more = self.clone();
        one_more.synced();
        let expected = self.is(found) || one_more.is(found);
        let was = self.summary();
        *self = Self { hard_state: found.hard_state, entries: found.entries.clone(), in_flight: Vec::new() };
        ensure(expected, "durability", || {
            format!(
                "node {id} had {was} on its disk, or {} if its last write was whole, and got back {}",
                one_more.summary(),
                self.summary()
            )
        })
    }

    /// The node takes no more for durable than is.
    pub fn believed(&self, node: &Node) -> Verdict {
        let durable = node.durable_index();
        let own = node.entry(durable).map(|entry| entry.id);
        ensure(durable == 0 || own == self.id_at(durable), "durable index", || {
            format!(
                "node {} takes {:?} for durable, and its disk has {:?} at {durable}",
                node.id(),
                own,
                self.id_at(durable)
            )
        })
    }

    fn is(&self, found: &RecoveredGroup) -> bool {
        self.hard_state == found.hard_state && self.entries == found.entries
    }

    fn summary(&self) -> String {
        let HardState { term, vote } = self.hard_state;
        let last = self.entries.last().map_or(LogId::ZERO, |entry| entry.id);
        format!("(term {term}, vote {}, last {last})", vote.map_or(0, |id| id.0))
    }
}
