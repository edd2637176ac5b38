//! Leader Append-Only: a leader never overwrites or deletes entries in its log; it only appends new ones
//! (paper, Figure 3; section 5.3).

use std::collections::BTreeMap;

use bowline_raft::{Entry, Index, LogId, Node, NodeId, Term};

use super::{Verdict, ensure, place};

/// The log of each term's leader, as far as it came.
#[derive(Debug, Default)]
pub struct LeaderAppendOnly {
    logs: BTreeMap<Term, Vec<LogId>>,
}

impl LeaderAppendOnly {
    /// A leader, with the log that it has when it is first seen; in front of it, what its snapshot stands for.
    pub fn elected(&mut self, node: &Node, committed: &[Entry]) {
        let entry = |index| node.entry(index).or_else(|| committed.get(place(index)));
        let ids = (1..=node.last_log_id().index)
            .map(|index| entry(index).expect("what is not in the log was committed").id);
        self.logs.insert(node.term(), ids.collect());
    }

    /// The leader of that term changes its log.
    pub fn written(&mut self, id: NodeId, term: Term, entries: &[Entry]) -> Verdict {
        let log = self.logs.entry(term).or_default();
        for entry in entries {
            let next = log.len() as Index + 1;
            ensure(entry.id.index == next, "leader append-only", || {
                format!("node {id} leads in term {term}, and writes {} where {next} comes next", entry.id)
            })?;
            log.push(entry.id);
        }
        Ok(())
    }

    /// What the leader of that term had at `index`.
    pub fn entry(&self, term: Term, index: Index) -> Option<LogId> {
        self.logs.get(&term)?.get(place(index)).copied()
    }
}
