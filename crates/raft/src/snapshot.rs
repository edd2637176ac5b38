//! Snapshots (paper section 7): a log that stays short, and followers that catch up without it.
//!
//! The service makes a snapshot of its state when it likes, on each node by itself, and says up to
//! which entry it reaches. The log in front of that is no longer needed: not on disk, where the next
//! write says so, and in memory only for followers that are about to need it. A follower whose next
//! entry the leader no longer has is sent the snapshot instead.
//!
//! At the follower a snapshot is worth no more than the entries that it holds. What it has committed
//! already does not change; if its log has the snapshot's last entry, that much of the log is
//! committed now, and what stands behind it stays: the leader may have counted it. Only else does the
//! snapshot take the place of the log, and, as soon as it is durable, of the service's state. So the
//! state never goes back.

use crate::error::Reject;
use crate::log::Log;
use crate::message::{Body, InstallSnapshot};
use crate::node::Node;
use crate::progress::{Progress, State};
use crate::ready::Restore;
use crate::role::Role;
use crate::types::{Index, LogId, NodeId, Term};

impl Node {
    /// The service has a snapshot of its state after entry `index`, which is durable, or becomes so
    /// with the next [`Write`](crate::Write) that is handed out. True if the log ends in front of it
    /// from now on; false, and nothing has changed, if there is a snapshot that reaches as far, or
    /// the entry was not reported as applied.
    pub fn compact(&mut self, index: Index) -> bool {
        if index <= self.log.snapshot().index || index > self.applied {
            return false;
        }
        self.log.compact(index);
        self.durability.compacted(self.log.snapshot());
        true
    }

    /// Drops the entries in the snapshot that no follower is about to need. What a leader knows of
    /// its followers changes with time, so this is asked whenever there is something to drop.
    pub(crate) fn drop_front(&mut self) {
        let (start, snapshot) = (self.log.start(), self.log.snapshot());
        if start == snapshot {
            return;
        }
        let (now, timeout) = (self.now, self.config.election_timeout);
        let needed = match &self.role {
            Role::Leader(leader) => {
                let is_there = |p: &&Progress| now.saturating_sub(p.heard_at) < timeout;
                leader.counted().filter(is_there).map(Progress::needs_behind).min()
            }
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => None,
        };
        self.log.drop_front(needed.unwrap_or(Index::MAX), self.config.max_retained_bytes);
        let start = self.log.start().index;
        if let Role::Leader(leader) = &mut self.role {
            leader.peers.values_mut().for_each(|peer| peer.log_starts_at(start));
        }
    }

    pub(crate) fn send_snapshot(&mut self, to: NodeId) {
        let (now, last) = (self.now, self.log.snapshot());
        let leader = self.leading();
        leader.round += 1;
        let round = leader.round;
        leader.peers.get_mut(&to).expect("a member").send_snapshot(round, last, now);
        let install = InstallSnapshot { round, last, data: bytes::Bytes::new() };
        self.send(to, self.term, Body::InstallSnapshot(install));
    }

    /// The snapshot that was sent to `to` in this round is getting on: it is waited for as if it had
    /// just been sent. For whoever sends it in pieces.
    pub fn snapshot_progress(&mut self, to: NodeId, round: u64) {
        let now = self.now;
        if let Some(peer) = self.installing(to, round) {
            peer.state = match peer.state {
                State::Snapshot(sent) => State::Snapshot(sent.alive_at(now)),
                other => other,
            };
        }
    }

    /// The snapshot that was sent to `to` in this round did not arrive. The follower is asked again
    /// what it has.
    pub fn snapshot_failed(&mut self, to: NodeId, round: u64) {
        if let Some(peer) = self.installing(to, round) {
            peer.give_up_snapshot();
        }
    }

    /// What a leader knows of the follower that it sent a snapshot in this round, if it still waits for
    /// the answer.
    fn installing(&mut self, to: NodeId, round: u64) -> Option<&mut Progress> {
        let Role::Leader(leader) = &mut self.role else { return None };
        let is_meant = |p: &&mut Progress| matches!(p.state, State::Snapshot(sent) if sent.round == round);
        leader.peers.get_mut(&to).filter(is_meant)
    }

    pub(crate) fn on_install_snapshot(
        &mut self,
        from: NodeId,
        term: Term,
        install: InstallSnapshot,
    ) -> Result<(), Reject> {
        let InstallSnapshot { round, last, data } = install;
        if last.index == 0 || !(1..=term).contains(&last.term) {
            return Err(Reject::MalformedSnapshot { last, term });
        }
        if term < self.term {
            self.refuse(from, 0, last);
            return Ok(());
        }
        self.check_leader(from, term)?;
        self.check_snapshot(from, last)?;
        self.hear_leader(from, term);
        if last.index > self.commit {
            if self.log.contains(last) {
                self.commit = last.index;
            } else {
                self.install(last, data);
            }
        }
        let follower = self.following();
        follower.verified = follower.verified.max(last.index);
        follower.round = follower.round.max(round);
        self.acknowledge(from, round);
        Ok(())
    }

    /// Puts a snapshot in the place of the whole log. The service hears of it when it is durable; a
    /// snapshot that came before and was not handed out yet is not needed any more.
    fn install(&mut self, last: LogId, data: bytes::Bytes) {
        self.durability.installed(last, data.clone(), self.commit);
        self.log = Log::restore(last, Vec::new());
        self.commit = last.index;
        self.restore = Some(Restore { last, data });
    }

    /// A snapshot must not contradict what is committed here: not by another entry in its place, and
    /// not by terms that would go back behind it.
    fn check_snapshot(&self, from: NodeId, theirs: LogId) -> Result<(), Reject> {
        let place = theirs.index.min(self.commit);
        let Some(term) = self.log.term_at(place) else { return Ok(()) };
        let fits = if theirs.index <= self.commit { theirs.term == term } else { theirs.term >= term };
        if fits {
            return Ok(());
        }
        Err(Reject::ContradictsCommitted { from, theirs, ours: LogId::new(term, place) })
    }
}
