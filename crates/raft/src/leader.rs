//! The leader (paper sections 5.3 and 5.4; thesis sections 6.2, 6.4 and 10.2.1).
//!
//! A proposal is appended in memory, and then its write and its replication run side by side: the
//! leader's own copy counts for the commit like any other, when it is durable. What is proposed
//! while an append is in flight joins the next one, so that under load one message, one write and
//! one acknowledgement carry many proposals.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::error::{ProposeError, ReadError, Reject};
use crate::message::{AppendEntries, AppendReply, Body, Conflict, Outcome};
use crate::node::Node;
use crate::progress::{Progress, Sent, State};
use crate::quorum::reached_by_majority;
use crate::read::Reads;
use crate::ready::Alarm;
use crate::role::{Leader, Role};
use crate::types::{Entry, EntryKind, HardState, Index, LogId, NodeId, Term};

/// A probe carries at most so much, in bytes of weight: it may be for a peer that is not there.
const MAX_PROBE_BYTES: usize = 4096;

impl Node {
    /// Appends a command, if this node leads. Whether it ever becomes committed is not said: it
    /// is when an entry with this name is handed out as committed, and it is not when another one
    /// is handed out at this index.
    ///
    /// # Errors
    ///
    /// [`ProposeError`]: the command certainly has no effect.
    pub fn propose(&mut self, payload: Bytes) -> Result<LogId, ProposeError> {
        let leader_id = self.leader();
        let Role::Leader(leader) = &self.role else {
            return Err(ProposeError::NotLeader { leader: leader_id });
        };
        let waiting_bytes = leader.uncommitted_bytes;
        let weight = payload.len() + Entry::OVERHEAD;
        // What earlier terms left is committed only behind an entry of this one: the first must go in.
        let has_own_entry = self.log.last().term == self.term;
        if has_own_entry && waiting_bytes > 0 && waiting_bytes + weight > self.config.max_uncommitted_bytes {
            return Err(ProposeError::Busy { waiting_bytes });
        }
        let (log_bytes, limit_bytes) = (self.log.bytes(), self.config.max_log_bytes);
        if log_bytes + weight as u64 > limit_bytes {
            return Err(ProposeError::LogFull { log_bytes, limit_bytes });
        }
        Ok(self.append_own(EntryKind::Command, payload))
    }

    fn append_own(&mut self, kind: EntryKind, payload: Bytes) -> LogId {
        let id = LogId::new(self.term, self.log.last_index() + 1);
        let entry = Entry { id, kind, payload };
        self.leading().uncommitted_bytes += entry.weight();
        self.log.push(entry);
        id
    }

    /// Asks for a confirmation that nobody else leads. It comes as a [`ReadGrant`](crate::ReadGrant)
    /// with this number, or never if this node ceases to lead.
    ///
    /// # Errors
    ///
    /// [`ReadError`]: there will be no grant.
    pub fn read(&mut self, id: u64) -> Result<(), ReadError> {
        let leader_id = self.leader();
        let limit = self.config.max_waiting_reads;
        let Role::Leader(leader) = &mut self.role else {
            return Err(ReadError::NotLeader { leader: leader_id });
        };
        if leader.reads.len() >= limit {
            return Err(ReadError::Busy);
        }
        leader.reads.push(id);
        Ok(())
    }

    pub(crate) fn become_leader(&mut self) {
        let on_disk = self.durability.hard_state();
        let voted = HardState { term: self.term, vote: Some(self.config.id) };
        assert_eq!(on_disk, voted, "leading in a term in which the own vote is not durable");
        let (start, last_index) = (self.log.start().index, self.log.last_index());
        let now = self.now;
        self.role = Role::Leader(Leader {
            peers: self
                .others
                .iter()
                .map(|&id| (id, Progress::new(start, last_index, now)))
                .collect::<BTreeMap<_, _>>(),
            round: 0,
            reads: Reads::default(),
            uncommitted_bytes: self.log.weight_behind(self.commit),
        });
        if self.config.empty_entry_on_election {
            self.append_own(EntryKind::Empty, Bytes::new());
        }
    }

    /// Check-quorum (thesis section 6.2): a leader that no longer hears a majority, or cannot
    /// write, makes room for one that does. Not before two election timeouts: that is how long its
    /// followers may wait before they campaign, and to be gone earlier helps nobody. Where answers
    /// come late while messages arrive, it would only cost a leader that everybody hears.
    pub(crate) fn tick_leader(&mut self) {
        let (now, longest_silence) = (self.now, self.config.election_timeout * 2);
        let (interval, patience) = (self.config.heartbeat_interval, self.config.snapshot_patience);
        let leader = self.leading();
        let mut heard: Vec<_> = leader.counted().map(|p| p.heard_at).collect();
        for peer in leader.peers.values_mut() {
            peer.give_up_unanswered(now, interval, patience);
        }
        let ignored = leader.peers.len() - heard.len();
        heard.resize(heard.len() + ignored, std::time::Duration::ZERO);
        heard.push(now);
        let majority_heard_at = reached_by_majority(&mut heard);
        if now.saturating_sub(majority_heard_at) >= longest_silence || self.disk_stalled() {
            self.leader_heard_at = None;
            self.follow(self.term, None);
            self.draw_campaign_time();
        }
    }

    pub(crate) fn on_append_reply(
        &mut self,
        from: NodeId,
        term: Term,
        reply: AppendReply,
    ) -> Result<(), Reject> {
        if term > self.term {
            self.follow(term, None);
            return Ok(());
        }
        let (last_index, now, own_term) = (self.log.last_index(), self.now, self.term);
        let Role::Leader(leader) = &mut self.role else { return Ok(()) };
        if term < own_term {
            return Ok(());
        }
        let round = reply.round;
        let index = match reply.outcome {
            Outcome::Accepted { matched } => matched,
            Outcome::Refused(_) => 0,
        };
        if round > leader.round || index > last_index {
            return Err(Reject::NeverSent { from, round, index });
        }
        let peer = leader.peers.get_mut(&from).expect("each other member has its progress");
        if peer.lost_data {
            return Ok(());
        }
        peer.heard_at = now;
        peer.echoed_round = peer.echoed_round.max(round);
        match reply.outcome {
            Outcome::Accepted { matched } => {
                peer.accepted(round, matched);
                self.advance_commit();
            }
            Outcome::Refused(conflict) => self.on_refusal(from, round, conflict),
        }
        self.confirm_reads();
        Ok(())
    }

    /// Fast backing up: skip all entries of the conflicting term, or all that the follower lacks.
    fn on_refusal(&mut self, from: NodeId, round: u64, conflict: Conflict) {
        let last_of_term = conflict.term.and_then(|term| self.log.last_of_term(term));
        let hint = match conflict.term {
            None => conflict.last_index + 1,
            Some(_) => last_of_term.map_or(conflict.first_index, |index| index + 1),
        };
        let peer = self.leading().peers.get_mut(&from).expect("each other member has its progress");
        let Some(sent) = peer.sent_in(round) else { return };
        // It refuses what it had acknowledged before it was asked, or its log ends in front of that.
        let missing = sent.prev.index.min(conflict.last_index + 1);
        if missing > sent.matched {
            return peer.refused(round, sent, hint);
        }
        peer.lost_data = true;
        peer.in_flight = None;
        let acknowledged = peer.matched;
        self.alarms.push(Alarm::PeerLostData { peer: from, acknowledged, missing });
    }

    /// The commit rule (paper section 5.4.2): an entry that a majority has on disk is committed if
    /// it is of the leader's own term, and with it all in front of it. Counting replicas of an
    /// earlier term's entry proves nothing (Figure 8).
    pub(crate) fn advance_commit(&mut self) {
        let own = self.durability.index();
        let leader = self.leading();
        let mut matched: Vec<Index> = leader.counted().map(|p| p.matched).collect();
        matched.resize(leader.peers.len(), 0);
        matched.push(own);
        let index = reached_by_majority(&mut matched);
        if index <= self.commit || self.log.term_at(index) != Some(self.term) {
            return;
        }
        let freed: usize = (self.commit + 1..=index).filter_map(|i| self.log.get(i)).map(Entry::weight).sum();
        self.leading().uncommitted_bytes -= freed;
        self.commit = index;
    }

    /// Confirms the open reads with the rounds that a majority has echoed; this node is one of it.
    fn confirm_reads(&mut self) {
        let leader = self.leading();
        let mut rounds: Vec<u64> = leader.counted().map(|p| p.echoed_round).collect();
        rounds.resize(leader.peers.len(), 0);
        rounds.push(leader.round);
        let echoed = reached_by_majority(&mut rounds);
        let grants = leader.reads.confirm(echoed);
        self.grants.extend(grants);
    }

    /// Sends what each follower should have now: the snapshot if nothing else helps; entries if there
    /// are any and none are in flight; else an empty append if it is due or a read waits for its echo.
    pub(crate) fn replicate(&mut self) {
        self.open_reads();
        let now = self.now;
        let last_index = self.log.last_index();
        let interval = self.config.heartbeat_interval;
        for to in self.others.clone() {
            let leader = self.leading();
            let wanted_round = leader.reads.wanted_round();
            let peer = &leader.peers[&to];
            if peer.lost_data {
                continue;
            }
            if peer.lacks_start() {
                self.send_snapshot(to);
                continue;
            }
            let has_work = match peer.state {
                State::Probe => true,
                State::Replicate => peer.next <= last_index,
                State::Snapshot(_) => false,
            };
            let sent_round = peer.latest().map_or(0, |sent| sent.round);
            let due = peer.latest().is_none_or(|sent| now.saturating_sub(sent.at) >= interval);
            if peer.in_flight.is_none() && has_work {
                self.send_entries(to);
            } else if due || wanted_round.is_some_and(|round| sent_round < round) {
                let prev = peer.heartbeat_prev();
                self.send_append(to, prev, Vec::new());
            }
        }
        if self.others.is_empty() {
            // Nobody to ask: a round that begins now is echoed by all.
            self.leading().round += 1;
            self.confirm_reads();
        }
    }

    /// A read waits until an entry of this term is committed; then all that wait share a round.
    fn open_reads(&mut self) {
        let commit = self.commit;
        if self.log.term_at(commit) == Some(self.term) {
            let leader = self.leading();
            leader.reads.open(leader.round, commit);
        }
    }

    fn send_entries(&mut self, to: NodeId) {
        let peer = &self.leading().peers[&to];
        let (state, next) = (peer.state, peer.next);
        let entries = match state {
            State::Snapshot(_) => unreachable!("node {to} is sent entries and a snapshot"),
            State::Replicate => self.log.slice(next, Index::MAX, self.config.max_append_bytes),
            State::Probe => {
                let mut entries = self.log.slice(next, Index::MAX, MAX_PROBE_BYTES);
                entries.retain(|e| e.weight() <= MAX_PROBE_BYTES);
                entries
            }
        };
        let sent = self.send_append(to, next - 1, entries);
        let peer = self.leading().peers.get_mut(&to).expect("a member");
        peer.in_flight = Some(sent);
        if state == State::Replicate {
            peer.next = sent.last + 1;
        }
    }

    fn send_append(&mut self, to: NodeId, prev: Index, entries: Vec<Entry>) -> Sent {
        // Nothing is in front of everything.
        let prev_term = if prev == 0 { Some(0) } else { self.log.term_at(prev) };
        let prev = LogId::new(prev_term.expect("what is sent is in the log"), prev);
        let (now, commit) = (self.now, self.commit);
        let leader = self.leading();
        leader.round += 1;
        let round = leader.round;
        let peer = leader.peers.get_mut(&to).expect("a member");
        let last = prev.index + entries.len() as Index;
        let sent = peer.send(round, prev, last, now);
        let append = AppendEntries { round, prev, entries, commit };
        self.send(to, self.term, Body::AppendEntries(append));
        sent
    }

    /// What each follower is known to have, for an operator; empty when this node does not lead.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let Role::Leader(leader) = &self.role else { return Vec::new() };
        let status = |(&id, p): (&NodeId, &Progress)| PeerStatus {
            id,
            matched: p.matched,
            installing: match p.state {
                State::Snapshot(sent) => Some(sent.last),
                State::Probe | State::Replicate => None,
            },
            since_heard: self.now.saturating_sub(p.heard_at),
            lost_data: p.lost_data,
        };
        leader.peers.iter().map(status).collect()
    }

    pub(crate) fn leading(&mut self) -> &mut Leader {
        match &mut self.role {
            Role::Leader(leader) => leader,
            other => panic!("not a leader: {:?}", other.kind()),
        }
    }
}

impl Leader {
    /// The peers whose word counts.
    pub(crate) fn counted(&self) -> impl Iterator<Item = &Progress> {
        self.peers.values().filter(|p| !p.lost_data)
    }
}

/// What a leader knows of one follower.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerStatus {
    /// Who.
    pub id: NodeId,
    /// Up to here its disk has the leader's log.
    pub matched: Index,
    /// It is being sent a snapshot, which holds everything up to here.
    pub installing: Option<Index>,
    /// For how long it has said nothing.
    pub since_heard: std::time::Duration,
    /// It no longer has what it had acknowledged, and is not counted.
    pub lost_data: bool,
}
