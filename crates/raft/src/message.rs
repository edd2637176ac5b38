//! What nodes say to each other: the calls of the paper's Figures 2 and 13, and pre-vote (thesis 9.6).

use bytes::Bytes;

use crate::types::{Entry, Index, LogId, NodeId, Term};

/// A message together with whom it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The receiver.
    pub to: NodeId,
    /// What it is told.
    pub message: Message,
}

/// A message of one group. Who sent it is known from the connection it came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The sender's term; in [`Body::PreVote`], and in a reply that grants one, the term in which
    /// the sender of the request would campaign.
    pub term: Term,
    /// What is said.
    pub body: Body,
}

impl Message {
    /// The largest term, index or round that is believed: far above any that is ever reached, and
    /// far enough below the end of `u64` to be counted on from without overflow.
    pub const MAX_NUMBER: u64 = 1 << 62;

    /// Whether it answers something: a granted or refused vote, or what became of an AppendEntries or an
    /// InstallSnapshot.
    pub fn is_reply(&self) -> bool {
        match self.body {
            Body::PreVoteReply { .. } | Body::VoteReply { .. } | Body::AppendReply(_) => true,
            Body::PreVote { .. }
            | Body::RequestVote { .. }
            | Body::AppendEntries(_)
            | Body::InstallSnapshot(_) => false,
        }
    }

    /// The largest of the message's terms, indices and rounds (entries follow `prev` one by one).
    pub(crate) fn largest_number(&self) -> u64 {
        let in_body = match &self.body {
            Body::PreVote { last } | Body::RequestVote { last } => last.term.max(last.index),
            Body::PreVoteReply { .. } | Body::VoteReply { .. } => 0,
            Body::AppendEntries(a) => a.round.max(a.prev.term).max(a.prev.index).max(a.commit),
            Body::InstallSnapshot(i) => i.round.max(i.last.term).max(i.last.index),
            Body::AppendReply(AppendReply { round, outcome: Outcome::Accepted { matched }, .. }) => {
                *round.max(matched)
            }
            Body::AppendReply(AppendReply { round, outcome: Outcome::Refused(c), .. }) => {
                (*round).max(c.term.unwrap_or(0)).max(c.first_index).max(c.last_index)
            }
        };
        self.term.max(in_body)
    }
}

/// The kinds of message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// Would you vote for me? Changes nothing at the receiver, not even its term.
    PreVote {
        /// The last entry of the sender's log.
        last: LogId,
    },
    /// The answer to a pre-vote. A refusal carries the sender's own term, so that a node which
    /// has fallen behind learns it.
    PreVoteReply {
        /// Whether the sender would vote for the receiver.
        granted: bool,
    },
    /// Vote for me in this term (RequestVote). Leaves only when the sender's own vote is durable.
    RequestVote {
        /// The last entry of the candidate's log (paper section 5.4.1).
        last: LogId,
    },
    /// The answer to a RequestVote. Leaves only when the vote is durable, if it grants it.
    VoteReply {
        /// Whether the receiver has the sender's vote in this term.
        granted: bool,
    },
    /// Entries, or a heartbeat when there are none.
    AppendEntries(AppendEntries),
    /// The answer to an AppendEntries or an InstallSnapshot.
    AppendReply(AppendReply),
    /// A snapshot, in place of entries that the leader no longer has.
    InstallSnapshot(InstallSnapshot),
}

/// Entries from the leader to one follower (paper section 5.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendEntries {
    /// One higher for each AppendEntries or InstallSnapshot that the leader sends in its term, to
    /// whomever. It tells the answers apart, and confirms the reads that were waiting when it was
    /// sent.
    pub round: u64,
    /// The entry in front of `entries`: the follower must have it.
    pub prev: LogId,
    /// Contiguous, the first directly behind `prev`.
    pub entries: Vec<Entry>,
    /// The leader's commit index.
    pub commit: Index,
}

impl AppendEntries {
    /// The last index that this message says anything about.
    pub fn covers(&self) -> Index {
        self.prev.index + self.entries.len() as Index
    }
}

/// A snapshot from the leader to one follower (paper section 7), whole.
///
/// The leader's node makes it without data: whoever sends it puts in the snapshot that the service
/// has, and if that reaches farther by then, says so in `last`. Where the data travels by another way,
/// the receiver's node is given the message when all of it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstallSnapshot {
    /// As in [`AppendEntries`]: the same count.
    pub round: u64,
    /// The last entry that the snapshot holds.
    pub last: LogId,
    /// The service's bytes, opaque here.
    pub data: Bytes,
}

/// What a follower made of an AppendEntries or an InstallSnapshot.
///
/// An acceptance goes out at once, as an echo that confirms reads, with what is durable then; and
/// again whenever more of what the leader sent has become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendReply {
    /// The round of the message that is answered; of the latest one when it is said again. 0,
    /// which is no round, in the refusal of one of an earlier term.
    pub round: u64,
    /// The answer.
    pub outcome: Outcome,
    /// What the sender's driver last [told it](crate::Node::set_clock) of its wall clock before the message left,
    /// in milliseconds; 0 if it was told nothing. Raft makes no use of it: it is for a service whose leader wants to know its
    /// members' clocks.
    pub clock_ms: u64,
}

/// The two answers to an AppendEntries; an InstallSnapshot is refused only in a later term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The follower had the previous entry.
    Accepted {
        /// Up to here the follower's log is the leader's and on the follower's disk. 0 when that
        /// is not known of any entry yet.
        matched: Index,
    },
    /// The follower does not have the previous entry, or its term is the later one.
    Refused(Conflict),
}

/// Where to look for agreement next: the fast backing up of the paper's section 5.3, as the
/// course labs spell it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// The term that the follower has where the leader's previous entry stands; none when its log
    /// is too short.
    pub term: Option<Term>,
    /// The first index that has this term. 0 without a term.
    pub first_index: Index,
    /// The follower's last index.
    pub last_index: Index,
}
