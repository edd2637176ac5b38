//! What can be refused, and why.

use crate::types::{Index, LogId, NodeId, Term};

/// Why a proposal was not taken. It certainly has no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// Only a leader takes proposals.
    #[error("this node does not lead")]
    NotLeader {
        /// Whom it takes for the leader, if anybody.
        leader: Option<NodeId>,
    },
    /// Too much waits to be committed. Room comes with the next commit.
    #[error("{waiting_bytes} bytes wait to be committed already")]
    Busy {
        /// How much waits, in bytes of weight.
        waiting_bytes: usize,
    },
    /// The log has reached its limit.
    #[error("the log has {log_bytes} bytes, and its limit is {limit_bytes}")]
    LogFull {
        /// Its size, in bytes of weight.
        log_bytes: u64,
        /// The setting.
        limit_bytes: u64,
    },
}

/// Why a read was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Only a leader can confirm reads.
    #[error("this node does not lead")]
    NotLeader {
        /// Whom it takes for the leader, if anybody.
        leader: Option<NodeId>,
    },
    /// Too many reads wait for their confirmation.
    #[error("too many reads are waiting")]
    Busy,
}

/// Why a message was not taken. The node is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reject {
    /// Not a member, or this node itself.
    #[error("message from {0}, which is not another member of this group")]
    NotAPeer(NodeId),
    /// A term, index or round so large that no cluster ever reached it.
    #[error("message from node {from} with a number beyond any that a cluster reaches")]
    Absurd {
        /// Who sent it.
        from: NodeId,
    },
    /// The entries do not follow each other, or their terms go back or are later than the leader's.
    #[error("malformed AppendEntries: entry {found} behind {previous} in term {term}")]
    MalformedAppend {
        /// The entry that does not fit.
        found: LogId,
        /// The one in front of it.
        previous: LogId,
        /// The leader's term.
        term: Term,
    },
    /// A snapshot of nothing, or up to an entry of no term or of a later one than the leader's.
    #[error("malformed InstallSnapshot: up to entry {last} in term {term}")]
    MalformedSnapshot {
        /// What it claims to hold.
        last: LogId,
        /// The leader's term.
        term: Term,
    },
    /// An answer to what was never asked, or about entries that were never sent.
    #[error("an answer from node {from} to round {round}, index {index}, which it was never sent")]
    NeverSent {
        /// Who answered.
        from: NodeId,
        /// Which round.
        round: u64,
        /// Which index it claims.
        index: Index,
    },
    /// A second leader in one term.
    #[error("node {from} claims to lead in term {term}, in which {leader} leads")]
    TwoLeaders {
        /// Who claims.
        from: NodeId,
        /// The term.
        term: Term,
        /// Who leads.
        leader: NodeId,
    },
    /// The sender's log differs from this one where this one is committed: one of them lost data.
    #[error("node {from} sent entry {theirs}, where this node has committed {ours}: one of them lost data")]
    ContradictsCommitted {
        /// Who sent it.
        from: NodeId,
        /// What it sent.
        theirs: LogId,
        /// What is committed here.
        ours: LogId,
    },
}
