//! State Machine Safety: if a server has applied a log entry at a given index to its state machine, no other
//! server will ever apply a different log entry for the same index (paper, Figure 3; section 5.4.3).
//!
//! Held against a ghost: the sequence of what any node ever took for committed. It only grows.

use bowline_raft::{Entry, Index, LogId, Node, NodeId};

use super::{Verdict, ensure, place};

/// The ghost.
#[derive(Debug, Default)]
pub struct StateMachineSafety {
    committed: Vec<Entry>,
}

impl StateMachineSafety {
    /// The node takes what lies behind `from` for committed, up to its commit index.
    pub fn committed_by(&mut self, node: &Node, from: Index) -> Verdict {
        let snapshot = node.snapshot();
        for index in from + 1..=node.commit_index() {
            let Some(entry) = node.entry(index) else {
                self.in_snapshot(node.id(), LogId { index, ..snapshot }, snapshot)?;
                continue;
            };
            match self.committed.get(place(index)) {
                None => self.committed.push(entry.clone()),
                Some(ghost) => same(node.id(), ghost, entry)?,
            }
        }
        Ok(())
    }

    /// The node applies an entry.
    pub fn applied(&self, id: NodeId, entry: &Entry) -> Verdict {
        let ghost = self.committed.get(place(entry.id.index));
        let ghost = ghost.expect("committed before it is applied");
        same(id, ghost, entry)
    }

    /// The node puts a snapshot into the place of its state.
    pub fn restored(&self, id: NodeId, last: LogId) -> Verdict {
        self.in_snapshot(id, last, last)
    }

    /// What the node has at this index is in its snapshot: it was committed before, and the snapshot is of what was.
    fn in_snapshot(&self, id: NodeId, at: LogId, snapshot: LogId) -> Verdict {
        let ghost = self.committed.get(place(at.index)).map(|entry| entry.id);
        let is_last = at.index == snapshot.index;
        let holds = at.index <= snapshot.index && ghost.is_some_and(|ghost| !is_last || ghost == snapshot);
        ensure(holds, "state machine safety", || {
            format!("node {id} has a snapshot up to {snapshot}, and at {} {ghost:?} is committed", at.index)
        })
    }

    /// All that was ever committed.
    pub fn committed(&self) -> &[Entry] {
        &self.committed
    }
}

fn same(id: NodeId, ghost: &Entry, entry: &Entry) -> Verdict {
    ensure(ghost == entry, "state machine safety", || {
        format!("node {id} takes {} for committed, where {} is", entry.id, ghost.id)
    })
}
