//! Nothing is sent before what it promises is durable, and nothing goes back that another node was told.
//!
//! | message | promises, of its term |
//! |---|---|
//! | RequestVote, AppendEntries | the sender's vote for itself |
//! | a granted vote | that vote |
//! | an acknowledgement of entries | the term, and the leader's log up to there |
//!
//! Pre-votes, refusals and mere echoes promise nothing.

use bowline_raft::{AppendReply, Body, Envelope, LogId, NodeId, Outcome, Term};

use super::durability::Ledger;
use super::leader_append_only::LeaderAppendOnly;
use super::{Verdict, ensure};

/// What a node has told others, in the latest term in which it told them anything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Promises {
    term: Term,
    vote: Option<NodeId>,
    /// The last entry that it acknowledged.
    matched: Option<LogId>,
}

impl Promises {
    /// The node sends a message. Its disk must hold already what that promises.
    pub fn sent(
        &mut self,
        from: NodeId,
        envelope: &Envelope,
        ledger: &Ledger,
        leaders: &LeaderAppendOnly,
    ) -> Verdict {
        let term = envelope.message.term;
        let (vote, matched) = match &envelope.message.body {
            Body::RequestVote { .. } | Body::AppendEntries(_) => (Some(from), None),
            Body::VoteReply { granted: true } => (Some(envelope.to), None),
            Body::AppendReply(AppendReply { outcome: Outcome::Accepted { matched: 1.. }, .. }) => {
                (None, acknowledged(from, envelope, leaders)?)
            }
            _ => return Ok(()),
        };
        let promise = Promises { term, vote, matched };
        let held = promise.held_by(ledger);
        if term > self.term {
            *self = promise;
        } else if term == self.term {
            self.vote = self.vote.or(vote);
            self.matched = self.matched.max(matched);
        }
        ensure(held, "sent before durable", || {
            format!("node {from} told node {} {promise:?}, which its disk does not hold", envelope.to)
        })
    }

    /// The node's disk holds something else now.
    pub fn kept(&self, id: NodeId, ledger: &Ledger) -> Verdict {
        ensure(self.held_by(ledger), "told and gone", || {
            format!("node {id} told others {self:?}, which its disk does not hold any more")
        })
    }

    /// A later term frees from the vote, and its leader may have replaced what was acknowledged.
    fn held_by(&self, ledger: &Ledger) -> bool {
        let durable = ledger.hard_state();
        let vote = self.vote.is_none() || durable.vote == self.vote;
        let matched = self.matched.is_none_or(|matched| ledger.has(matched));
        durable.term > self.term || (durable.term == self.term && vote && matched)
    }
}

/// Which entry of the leader is acknowledged.
fn acknowledged(from: NodeId, envelope: &Envelope, leaders: &LeaderAppendOnly) -> Verdict<Option<LogId>> {
    let Body::AppendReply(AppendReply { outcome: Outcome::Accepted { matched }, .. }) = envelope.message.body
    else {
        return Ok(None);
    };
    let term = envelope.message.term;
    let entry = leaders.entry(term, matched);
    ensure(entry.is_some(), "acknowledged what was never sent", || {
        format!("node {from} acknowledges {matched}, which the leader of term {term} never had")
    })?;
    Ok(entry)
}
