//! Nothing goes back that was durable.
//!
//! The ledger is what a node's disk must hold, kept the simple way: it changes when a sync returns, and when
//! recovery returns. A node that starts must get back exactly its ledger, or that with the one write that was
//! being made when it went down: all of that write or nothing. And it must never take more of its log for
//! durable than the ledger has.

use bowline_raft::{Entry, HardState, Index, LogId, Node, NodeId, SnapshotWrite, Write};

use super::{Verdict, ensure, place};

/// What one disk must hold.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    hard_state: HardState,
    /// What stands before the first entry: all up to here is in a snapshot.
    snapshot: LogId,
    entries: Vec<Entry>,
    /// Being written.
    in_flight: Vec<Write>,
}

impl Ledger {
    /// A disk on which nothing is being written.
    pub fn new(hard_state: HardState, snapshot: LogId, entries: Vec<Entry>) -> Self {
        Self { hard_state, snapshot, entries, in_flight: Vec::new() }
    }

    /// Term and vote.
    pub fn hard_state(&self) -> HardState {
        self.hard_state
    }

    /// The log, from behind the snapshot on.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Whether it has this entry, or a snapshot with all that is committed up to there.
    pub fn has(&self, id: LogId) -> bool {
        id.index <= self.snapshot.index || self.entry(id.index).is_some_and(|entry| entry.id == id)
    }

    fn entry(&self, index: Index) -> Option<&Entry> {
        self.entries.get(place(index.checked_sub(self.snapshot.index)?))
    }

    /// These are about to be written, as one write.
    pub fn begin(&mut self, writes: &[Write]) {
        self.in_flight = writes.to_vec();
    }

    /// They are synced. Gives back the entries that were there and are no longer.
    pub fn synced(&mut self) -> Vec<LogId> {
        let writes = std::mem::take(&mut self.in_flight);
        let mut gone = Vec::new();
        for write in writes {
            self.hard_state = write.hard_state.unwrap_or(self.hard_state);
            if let Some(SnapshotWrite { last, data }) = write.snapshot {
                // One of the service's own stands for the entries that it has applied; an installed one for the log.
                let kept =
                    if data.is_none() { place(last.index - self.snapshot.index + 1) } else { usize::MAX };
                let dropped = self.entries.drain(..kept.min(self.entries.len()));
                gone.extend(dropped.map(|entry| entry.id).filter(|id| id.index > last.index));
                self.snapshot = last;
            }
            if let Some(first) = write.entries.first() {
                let kept = place(first.id.index - self.snapshot.index);
                gone.extend(self.entries.drain(kept.min(self.entries.len())..).map(|entry| entry.id));
                self.entries.extend(write.entries);
            }
        }
        gone.retain(|id| !self.has(*id));
        gone
    }

    /// A disk gave this back; it is durable from now on. Gives back the entries that were there and are no longer.
    pub fn recovered(&mut self, id: NodeId, found: Self) -> (Vec<LogId>, Verdict) {
        let mut one_more = self.clone();
        one_more.synced();
        let expected = self.is(&found) || one_more.is(&found);
        let before = std::mem::replace(self, found);
        let gone = before.entries.iter().map(|entry| entry.id).filter(|id| !self.has(*id)).collect();
        let verdict = ensure(expected, "durability", || {
            format!(
                "node {id} had {} on its disk, or {} if its last write was whole, and got back {}",
                before.summary(),
                one_more.summary(),
                self.summary()
            )
        });
        (gone, verdict)
    }

    /// The node takes no more for durable than is.
    pub fn believed(&self, node: &Node) -> Verdict {
        let durable = node.durable_index();
        let own = node.entry(durable).map(|entry| entry.id);
        // What the node has dropped, it had applied: then the index alone can be compared.
        let holds = match own {
            Some(id) => self.has(id),
            None => durable <= self.snapshot.index || self.entry(durable).is_some(),
        };
        ensure(holds, "durable index", || {
            let (id, there) = (node.id(), self.entry(durable).map(|entry| entry.id));
            format!("node {id} takes {durable}, {own:?}, for durable, and its disk has {there:?} there")
        })
    }

    fn is(&self, found: &Self) -> bool {
        (self.hard_state, self.snapshot) == (found.hard_state, found.snapshot)
            && self.entries == found.entries
    }

    fn summary(&self) -> String {
        let HardState { term, vote } = self.hard_state;
        let last = self.entries.last().map_or(self.snapshot, |entry| entry.id);
        let snapshot = self.snapshot;
        format!("(term {term}, vote {}, snapshot {snapshot}, last {last})", vote.map_or(0, |id| id.0))
    }
}
