//! The follower's side of replication (paper section 5.3).
//!
//! An AppendEntries is answered at once, with what is durable already: the echo of its round
//! confirms the leader's reads without waiting for a disk. The acknowledgement of what it brought
//! follows when that is durable. A later term drops what was not acknowledged by then.

use crate::error::Reject;
use crate::message::{AppendEntries, AppendReply, Body, Conflict, Outcome};
use crate::node::Node;
use crate::role::{Follower, Role};
use crate::types::{Entry, Index, LogId, NodeId, Term};

impl Node {
    pub(crate) fn on_append_entries(
        &mut self,
        from: NodeId,
        term: Term,
        append: AppendEntries,
    ) -> Result<(), Reject> {
        check_form(term, &append)?;
        if term < self.term {
            // A leader of the past: the answer's term tells it. Not the round: rounds begin anew in
            // each term, and if it leads again this one would be another message's.
            self.refuse(from, 0, append.prev);
            return Ok(());
        }
        self.check_leader(from, term)?;
        self.check_committed(from, &append)?;
        self.hear_leader(from, term);
        if !self.log.contains(append.prev) {
            self.refuse(from, append.round, append.prev);
            return Ok(());
        }
        let (round, commit, covers) = (append.round, append.commit, append.covers());
        self.take_entries(append.entries);
        // What this message covers is the leader's; what lies behind may be anybody's.
        self.commit = self.commit.max(commit.min(covers));
        let follower = self.following();
        follower.verified = follower.verified.max(covers);
        follower.round = follower.round.max(round);
        self.acknowledge(from, round);
        Ok(())
    }

    /// In a term only one node leads.
    pub(crate) fn check_leader(&self, from: NodeId, term: Term) -> Result<(), Reject> {
        match self.leader() {
            Some(leader) if term == self.term && leader != from => {
                Err(Reject::TwoLeaders { from, term, leader })
            }
            _ => Ok(()),
        }
    }

    /// The leader of this term, or of a later one, is there.
    pub(crate) fn hear_leader(&mut self, leader: NodeId, term: Term) {
        if term > self.term || self.leader().is_none() {
            self.follow(term, Some(leader));
        }
        self.leader_heard_at = Some(self.now);
        self.campaign_at = None;
    }

    /// Adds what is missing. Only a real conflict cuts the log: an old and short message must not
    /// take away what a newer one brought. What is in front of the log's start is here, in the
    /// snapshot.
    fn take_entries(&mut self, entries: Vec<Entry>) {
        let start = self.log.start().index;
        for entry in entries.into_iter().skip_while(|entry| entry.id.index <= start) {
            match self.log.term_at(entry.id.index) {
                Some(term) if term == entry.id.term => continue,
                Some(_) => {
                    let keep = entry.id.index - 1;
                    assert!(
                        keep >= self.commit,
                        "cutting the log to {keep}, but {} is committed",
                        self.commit
                    );
                    self.log.truncate(keep);
                    self.durability.truncate(keep);
                    let follower = self.following();
                    follower.verified = follower.verified.min(keep);
                }
                None => {}
            }
            self.log.push(entry);
        }
    }

    /// Nothing that is committed here may be contradicted, as far back as it is still known.
    fn check_committed(&self, from: NodeId, append: &AppendEntries) -> Result<(), Reject> {
        let ids = std::iter::once(append.prev).chain(append.entries.iter().map(|e| e.id));
        for theirs in ids.take_while(|id| id.index <= self.commit) {
            let Some(term) = self.log.term_at(theirs.index) else { continue };
            if term != theirs.term {
                let ours = LogId::new(term, theirs.index);
                return Err(Reject::ContradictsCommitted { from, theirs, ours });
            }
        }
        Ok(())
    }

    /// Says what is durable, if that is more than was said.
    pub(crate) fn acknowledge_durable(&mut self) {
        let matched = self.acknowledgeable();
        let follower = self.following();
        if let Some(leader) = follower.leader
            && matched > follower.acknowledged
        {
            let round = follower.round;
            self.acknowledge(leader, round);
        }
    }

    pub(crate) fn acknowledge(&mut self, leader: NodeId, round: u64) {
        let matched = self.acknowledgeable();
        self.following().acknowledged = matched;
        self.send(leader, self.term, self.append_reply(round, Outcome::Accepted { matched }));
    }

    /// The last index that is both durable and the present leader's, once the term is durable too.
    fn acknowledgeable(&mut self) -> Index {
        let durable = self.durability.index();
        let term_is_durable = self.durability.hard_state().term == self.term;
        let verified = self.following().verified;
        if term_is_durable { durable.min(verified) } else { 0 }
    }

    pub(crate) fn refuse(&mut self, leader: NodeId, round: u64, prev: LogId) {
        let last_index = self.log.last_index();
        let term = self.log.get(prev.index).map(|entry| entry.id.term);
        let first_index = term.map_or(0, |_| self.log.first_of_term_at(prev.index));
        let conflict = Conflict { term, first_index, last_index };
        self.send(leader, self.term, self.append_reply(round, Outcome::Refused(conflict)));
    }

    pub(crate) fn append_reply(&self, round: u64, outcome: Outcome) -> Body {
        Body::AppendReply(AppendReply { round, outcome, clock_ms: self.clock_ms })
    }

    pub(crate) fn following(&mut self) -> &mut Follower {
        match &mut self.role {
            Role::Follower(follower) => follower,
            other => panic!("not a follower: {:?}", other.kind()),
        }
    }
}

/// Entries follow each other, in terms that begin with 1, never go back, and are never later than the
/// leader's.
fn check_form(term: Term, append: &AppendEntries) -> Result<(), Reject> {
    let mut previous = append.prev;
    if previous.term > term {
        return Err(Reject::MalformedAppend { found: previous, previous, term });
    }
    for entry in &append.entries {
        let found = entry.id;
        let terms = previous.term.max(1)..=term;
        if found.index != previous.index + 1 || !terms.contains(&found.term) {
            return Err(Reject::MalformedAppend { found, previous, term });
        }
        previous = found;
    }
    Ok(())
}
