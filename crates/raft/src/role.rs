//! What a node is, and what only that role knows. Leaving a role forgets its data.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::progress::Progress;
use crate::read::Reads;
use crate::ready::RoleKind;
use crate::types::{Index, NodeId};

#[derive(Debug)]
pub(crate) enum Role {
    Follower(Follower),
    PreCandidate(Campaign),
    Candidate(Campaign),
    Leader(Leader),
}

#[derive(Debug, Default)]
pub(crate) struct Follower {
    /// Whom it heard in this term.
    pub(crate) leader: Option<NodeId>,
    /// A candidate of this term has this node's vote and was not told yet.
    pub(crate) owes_vote: bool,
    /// The last index that an AppendEntries of this term covered: up to here the log is the
    /// leader's. What lies behind may be left over from an earlier term, and acknowledging that
    /// would acknowledge what this leader never sent.
    pub(crate) verified: Index,
    /// What was last acknowledged in this term.
    pub(crate) acknowledged: Index,
    /// The highest round seen in this term.
    pub(crate) round: u64,
}

/// One round of pre-votes or of votes.
#[derive(Debug, Default)]
pub(crate) struct Campaign {
    /// Who said yes; a candidate itself only once its vote is durable.
    pub(crate) granted: BTreeSet<NodeId>,
    /// Who refused its vote in this term. It will not change its mind; a refused pre-vote may.
    pub(crate) refused: BTreeSet<NodeId>,
    /// When those who may still say yes are asked again; none as long as nobody may be asked,
    /// because the own vote is not durable.
    pub(crate) ask_again_at: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Leader {
    /// The other members.
    pub(crate) peers: BTreeMap<NodeId, Progress>,
    /// The round of the last AppendEntries sent in this term.
    pub(crate) round: u64,
    pub(crate) reads: Reads,
    /// Weight of the entries behind the commit index.
    pub(crate) uncommitted_bytes: usize,
}

impl Role {
    pub(crate) fn kind(&self) -> RoleKind {
        match self {
            Self::Follower(_) => RoleKind::Follower,
            Self::PreCandidate(_) => RoleKind::PreCandidate,
            Self::Candidate(_) => RoleKind::Candidate,
            Self::Leader(_) => RoleKind::Leader,
        }
    }

    pub(crate) fn is_leader(&self) -> bool {
        matches!(self, Self::Leader(_))
    }
}
