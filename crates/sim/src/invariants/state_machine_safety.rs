//! State Machine Safety: if a server has applied a log entry at a given index to its state machine, no other
//! server will ever apply a different log entry for the same index (paper, Figure 3; section 5.4.3).
//!
//! Held against a ghost: the sequence of what any node ever took for committed. It only grows.

use bowline_raft::{Entry, Index, Node, NodeId};

use super::{Verdict, ensure, place};

/// The ghost.
#[derive(Debug, Default)]
pub struct StateMachineSafety {
    committed: Vec<Entry>,
}

impl StateMachineSafety {
    /// The node takes what lies behind `from` for committed, up to its commit index.
    pub fn committed_by(&mut self, node: &Node, from: Index) -> Verdict {
        for index in from + 1..=node.commit_index() {
            let entry = node.entry(index).expect("what is committed is in the log");
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
