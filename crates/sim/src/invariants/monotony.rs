//! Within one life, term, commit index and applied index never go back, and a vote never changes within its
//! term.

use bowline_raft::{Index, Node, NodeId, Term};

use super::{Verdict, ensure};

/// How a node was when it was last looked at.
#[derive(Clone, Copy, Debug)]
pub struct Monotony {
    term: Term,
    vote: Option<NodeId>,
    commit: Index,
    applied: Index,
}

impl Monotony {
    /// A node at the beginning of a life.
    pub fn begin(node: &Node) -> Self {
        Self {
            term: node.term(),
            vote: node.vote(),
            commit: node.commit_index(),
            applied: node.last_applied(),
        }
    }

    /// The commit index when it was last looked at.
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// The same node, later.
    pub fn go_on(&mut self, node: &Node) -> Verdict {
        let now = Self::begin(node);
        let before = std::mem::replace(self, now);
        let forward = now.term >= before.term && now.commit >= before.commit && now.applied >= before.applied;
        let vote_kept = now.term > before.term || before.vote.is_none() || now.vote == before.vote;
        ensure(forward && vote_kept, "monotony", || {
            format!("node {} went from {before:?} to {now:?}", node.id())
        })
    }
}
