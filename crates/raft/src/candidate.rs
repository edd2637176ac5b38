//! Elections (paper section 5.2), with pre-vote (thesis section 9.6) and leader stickiness
//! (thesis section 4.2.3).
//!
//! A follower that misses its leader first asks whether it *would* be elected. Only with a
//! majority of pre-votes does it raise its term, so that a node that was cut off does not depose a
//! working leader when it comes back. Both kinds of request are repeated every heartbeat interval
//! until the round ends, to whoever may still say yes: one lost message does not cost a whole
//! election timeout.

use std::collections::BTreeSet;

use crate::message::Body;
use crate::node::Node;
use crate::role::{Campaign, Role};
use crate::types::{HardState, LogId, NodeId, Term};

impl Node {
    pub(crate) fn tick_campaign(&mut self) {
        // A node that cannot write could not make its vote durable, nor lead: it begins nothing, and
        // gives up what it has begun.
        if self.disk_stalled() {
            if !matches!(self.role, Role::Follower(_)) {
                self.follow(self.term, None);
            }
            self.campaign_at = None;
            return;
        }
        match self.campaign_at {
            None => self.draw_campaign_time(),
            Some(at) if self.now >= at && !self.awaits_own_vote() => {
                self.draw_campaign_time();
                self.start_pre_vote();
            }
            Some(_) => self.ask_again(),
        }
    }

    /// Whether this is a candidate whose vote is on its way to the disk. To begin again would only
    /// put another term behind it: on a slow disk no vote would ever be durable in time.
    fn awaits_own_vote(&self) -> bool {
        matches!(&self.role, Role::Candidate(campaign) if campaign.ask_again_at.is_none())
    }

    fn start_pre_vote(&mut self) {
        self.role = Role::PreCandidate(Campaign {
            granted: BTreeSet::from([self.config.id]),
            refused: BTreeSet::new(),
            ask_again_at: Some(self.now + self.config.heartbeat_interval),
        });
        self.ask();
        self.count_votes();
    }

    /// A new term, and this node's vote in it. Nobody is asked until that is on disk: a candidate
    /// that forgot its vote in a power loss could give it to another, and two could win the term.
    fn start_election(&mut self) {
        self.term += 1;
        self.vote = Some(self.config.id);
        self.leader_heard_at = None;
        self.draw_campaign_time();
        self.role = Role::Candidate(Campaign::default());
    }

    /// The candidate's own vote, once it is durable; then the others may be asked.
    pub(crate) fn count_own_vote(&mut self) {
        let on_disk = self.durability.hard_state() == HardState { term: self.term, vote: self.vote };
        let Role::Candidate(campaign) = &mut self.role else { return };
        if on_disk && campaign.granted.insert(self.config.id) {
            campaign.ask_again_at = Some(self.now + self.config.heartbeat_interval);
            // The others have a whole election timeout to answer, however long the write took.
            self.draw_campaign_time();
            self.ask();
            self.count_votes();
        }
    }

    /// Asks everybody who has not said yes in this round, nor a no that is final.
    fn ask(&mut self) {
        let last = self.log.last();
        let (campaign, term, body) = match &self.role {
            Role::PreCandidate(campaign) => (campaign, self.term + 1, Body::PreVote { last }),
            Role::Candidate(campaign) => (campaign, self.term, Body::RequestVote { last }),
            Role::Follower(_) | Role::Leader(_) => return,
        };
        let is_open = |id: &NodeId| !campaign.granted.contains(id) && !campaign.refused.contains(id);
        let open: Vec<NodeId> = self.others.iter().copied().filter(is_open).collect();
        for id in open {
            self.send(id, term, body.clone());
        }
    }

    fn ask_again(&mut self) {
        let (Role::PreCandidate(campaign) | Role::Candidate(campaign)) = &mut self.role else { return };
        if campaign.ask_again_at.is_some_and(|at| self.now >= at) {
            campaign.ask_again_at = Some(self.now + self.config.heartbeat_interval);
            self.ask();
        }
    }

    fn count_votes(&mut self) {
        let quorum = self.config.quorum();
        match &self.role {
            Role::PreCandidate(campaign) if campaign.granted.len() >= quorum => self.start_election(),
            Role::Candidate(campaign) if campaign.granted.len() >= quorum => self.become_leader(),
            _ => {}
        }
    }

    /// Would this node vote for a candidate with this log in `term`? Its own term stays as it is.
    pub(crate) fn on_pre_vote(&mut self, from: NodeId, term: Term, last: LogId) {
        let granted = term > self.term && last >= self.log.last() && !self.hears_a_leader();
        let answer_term = if granted { term } else { self.term };
        self.send(from, answer_term, Body::PreVoteReply { granted });
    }

    pub(crate) fn on_pre_vote_reply(&mut self, from: NodeId, term: Term, granted: bool) {
        if !granted {
            // The refusal of a later term teaches it: the next round asks for a term that can win.
            if term > self.term {
                self.follow(term, None);
            }
            return;
        }
        let asked = self.term + 1;
        if let Role::PreCandidate(campaign) = &mut self.role
            && term == asked
        {
            campaign.granted.insert(from);
            self.count_votes();
        }
    }

    pub(crate) fn on_request_vote(&mut self, from: NodeId, term: Term, last: LogId) {
        // A node that hears its leader lets nobody depose it, not even by a later term.
        let heard = self.hears_a_leader();
        if term > self.term && !heard {
            self.follow(term, None);
        }
        let free = self.vote.is_none() || self.vote == Some(from);
        let undecided = matches!(self.role, Role::Follower(_) | Role::PreCandidate(_));
        let granted = term == self.term && !heard && free && undecided && last >= self.log.last();
        if !granted {
            return self.send(from, self.term, Body::VoteReply { granted: false });
        }
        // Asking for pre-votes has promised nothing to anybody.
        if matches!(self.role, Role::PreCandidate(_)) {
            self.follow(term, None);
        }
        if self.vote.is_none() {
            self.vote = Some(from);
            // Somebody is about to be elected; give it the time.
            self.campaign_at = None;
        }
        if let Role::Follower(follower) = &mut self.role {
            follower.owes_vote = true;
        }
        // At once if this is a repeated request and the vote is on disk already.
        self.pay_vote();
    }

    /// Tells the candidate of this node's vote, once term and vote are durable.
    pub(crate) fn pay_vote(&mut self) {
        let on_disk = self.durability.hard_state() == HardState { term: self.term, vote: self.vote };
        let Role::Follower(follower) = &mut self.role else { return };
        if follower.owes_vote && on_disk {
            follower.owes_vote = false;
            let candidate = self.vote.expect("a vote that is owed was given");
            self.send(candidate, self.term, Body::VoteReply { granted: true });
        }
    }

    pub(crate) fn on_vote_reply(&mut self, from: NodeId, term: Term, granted: bool) {
        if term > self.term {
            return self.follow(term, None);
        }
        // Who has not been asked, because the own vote is not durable yet, cannot have answered.
        if let Role::Candidate(campaign) = &mut self.role
            && term == self.term
            && campaign.ask_again_at.is_some()
        {
            let said = if granted { &mut campaign.granted } else { &mut campaign.refused };
            said.insert(from);
            self.count_votes();
        }
    }
}
