//! Requests that may not be forwarded: whoever asks has found this node himself, and looks for another one if
//! it does not lead.
//!
//! The contacted node's part, holding a command and sending it again, is the client's here. So the leader
//! takes a request as one of no origin, [`Origin::NONE`](crate::Origin::NONE), and never sends it again: it
//! answers when the request's entry has been applied, or as soon as it no longer leads in the term in which it
//! took the request. Its number tells the requests of one term apart, and only the leader of a term makes
//! entries in it: a request that another leader took is nobody's here.

use std::collections::BTreeMap;

use bowline_raft::{NodeId, Term};

use crate::contact::LOG_FULL;
use crate::forward::Outcome;
use crate::reply::Reply;

/// What has become of a request that may not be forwarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Served {
    /// It was executed, now or by an earlier sending, or refused by the state.
    Done(Reply),
    /// This node does not lead: this sending certainly has no effect. Whom it takes for the leader.
    NotLeader(Option<NodeId>),
    /// It was taken, and then this node ceased to lead: it may have been executed, or will be, or not.
    Lost,
}

/// All that wait.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    /// The term in which this node leads.
    term: Option<Term>,
    /// The callers' tokens, by number.
    waiting: BTreeMap<u64, u64>,
    last_number: u64,
    pub(crate) served: Vec<(u64, Served)>,
}

impl Direct {
    /// Notices when the node begins or ceases to lead.
    pub(crate) fn follow(&mut self, term: Option<Term>) {
        if term != self.term {
            self.term = term;
            let lost = std::mem::take(&mut self.waiting);
            self.served.extend(lost.into_values().map(|token| (token, Served::Lost)));
        }
    }

    /// A request that is being taken; its number.
    pub(crate) fn take(&mut self, token: u64) -> u64 {
        self.last_number += 1;
        self.waiting.insert(self.last_number, token);
        self.last_number
    }

    /// Whether what was made in this term may be answered here.
    pub(crate) fn leads_in(&self, term: Term) -> bool {
        self.term == Some(term)
    }

    /// A request of the present term has been carried out.
    pub(crate) fn answered(&mut self, number: u64, outcome: Outcome) {
        let Some(token) = self.waiting.remove(&number) else { return };
        let reply = match outcome {
            Outcome::Done(reply) => reply,
            Outcome::LogFull => Reply::error_text(LOG_FULL),
        };
        self.served.push((token, Served::Done(reply)));
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
