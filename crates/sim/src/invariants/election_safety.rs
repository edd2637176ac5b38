//! Election Safety: at most one leader can be elected in a given term (paper, Figure 3; section 5.2).

use std::collections::BTreeMap;

use bowline_raft::{NodeId, Term};

use super::{Verdict, ensure};

/// Who led, by term.
#[derive(Debug, Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<Term, NodeId>,
}

impl ElectionSafety {
    /// A node leads. True if that is news.
    pub fn leads(&mut self, id: NodeId, term: Term) -> Verdict<bool> {
        let Some(other) = self.leaders.insert(term, id) else { return Ok(true) };
        ensure(other == id, "election safety", || {
            format!("nodes {other} and {id} both lead in term {term}")
        })?;
        Ok(false)
    }

    /// How many leaders there were.
    pub fn elections(&self) -> u64 {
        self.leaders.len() as u64
    }
}
