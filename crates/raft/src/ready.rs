//! What a node wants done, in one piece.

use bytes::Bytes;

use crate::message::Envelope;
use crate::types::{Entry, Index, LogId, NodeId, Term, Write};

/// What came out of the inputs since the last one. The parts may be carried out in any order and
/// at the same time, since nothing here promises what is not durable yet; only that a service which is
/// to be restored is restored before it applies what is committed.
#[derive(Debug, Default)]
#[must_use = "what is not carried out is lost"]
pub struct Ready {
    /// May be sent at once, in any order; each may be lost, repeated or late.
    pub messages: Vec<Envelope>,
    /// To be made durable, then reported to [`Node::persisted`](crate::Node::persisted). Writes must be made
    /// in the order of their numbers.
    pub write: Option<Write>,
    /// A snapshot that a leader sent, durable here by now. The service becomes what it says, whatever
    /// it was, which is then reported to [`Node::applied`](crate::Node::applied) as the index of
    /// `last`.
    pub restore: Option<Restore>,
    /// Committed, and durable here. To be applied in order, then reported to
    /// [`Node::applied`](crate::Node::applied).
    pub committed: Vec<Entry>,
    /// Reads that are confirmed.
    pub reads: Vec<ReadGrant>,
    /// Role, term or leader, if any of them changed. Reads that were waiting for their
    /// confirmation when a leader ceases to lead are forgotten: the new role says so.
    pub role: Option<RoleChange>,
    /// What an operator must hear of.
    pub alarms: Vec<Alarm>,
}

/// A snapshot that takes the place of all that the service has applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restore {
    /// The last entry that it holds: later than all that was handed out before.
    pub last: LogId,
    /// The service's bytes, as they came with the leader's message.
    pub data: Bytes,
}

/// A read may be served by whoever has applied `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadGrant {
    /// The number given to [`Node::read`](crate::Node::read).
    pub id: u64,
    /// What must be applied first: all that was committed when the read came.
    pub index: Index,
}

/// The four roles, without what they hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleKind {
    /// Takes what a leader sends.
    Follower,
    /// Asks whether it would be voted for.
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Takes proposals.
    Leader,
}

impl RoleKind {
    /// The role as a person reads it. A pre-candidate is a candidate to whoever looks from outside.
    pub fn name(self) -> &'static str {
        match self {
            Self::Follower => "follower",
            Self::PreCandidate | Self::Candidate => "candidate",
            Self::Leader => "leader",
        }
    }
}

/// The role as it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoleChange {
    /// What this node is.
    pub role: RoleKind,
    /// In which term.
    pub term: Term,
    /// Whom it takes for the leader; itself if it leads.
    pub leader: Option<NodeId>,
}

/// Something that should never happen, and that this node survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// A peer no longer has what it had acknowledged. It is neither counted nor sent to while
    /// this node leads.
    #[error(
        "node {peer} lost data: it had acknowledged entries up to {acknowledged} and no longer has entry {missing}; \
         it is not counted any more: stop it and find out what happened to its disk"
    )]
    PeerLostData {
        /// Who.
        peer: NodeId,
        /// What it had said.
        acknowledged: Index,
        /// The first entry that it is known to lack.
        missing: Index,
    },
    /// The oldest write did not finish in time.
    #[error(
        "a write to disk has not finished for {stalled_ms} ms: this node neither leads nor campaigns until it has"
    )]
    DiskStalled {
        /// How long it has been waiting, in milliseconds.
        stalled_ms: u64,
    },
}
