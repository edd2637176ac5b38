//! Election Safety: at most one leader can be elected in a given term (paper, Figure 3; section 5.2).
//!
//! That follows from two things, of which one is checked here as well: a leader has the votes of a majority, each
//! on its voter's disk. The other, that nobody votes twice in a term, is one of the [`promises`](super::promises).

use std::collections::{BTreeMap, BTreeSet};

use bowline_raft::{HardState, NodeId, Term};

use super::{Verdict, ensure};

/// Who led, by term.
#[derive(Debug, Default)]
pub struct ElectionSafety {
    leaders: BTreeMap<Term, NodeId>,
    /// Whose vote a candidate has had on disk, by term and candidate.
    votes: BTreeMap<(Term, NodeId), BTreeSet<NodeId>>,
}

impl ElectionSafety {
    /// This is on a node's disk now.
    pub fn durable(&mut self, id: NodeId, HardState { term, vote }: HardState) {
        if let Some(candidate) = vote {
            self.votes.entry((term, candidate)).or_default().insert(id);
        }
    }

    /// A node leads. True if that is news.
    pub fn leads(&mut self, id: NodeId, term: Term) -> Verdict<bool> {
        let Some(other) = self.leaders.insert(term, id) else { return Ok(true) };
        ensure(other == id, "election safety", || {
            format!("nodes {other} and {id} both lead in term {term}")
        })?;
        Ok(false)
    }

    /// The leader of that term, in a group of so many, was elected by more than half of them.
    pub fn elected(&self, id: NodeId, term: Term, members: usize) -> Verdict {
        let votes = self.votes.get(&(term, id)).map_or(0, BTreeSet::len);
        ensure(votes > members / 2, "elected by a majority", || {
            format!("node {id} leads in term {term} with {votes} of {members} votes on disk")
        })
    }

    /// How many leaders there were.
    pub fn elections(&self) -> u64 {
        self.leaders.len() as u64
    }
}
