//! The node: its state, its inputs, and what it wants done.
//!
//! The roles have a file each: `follower` takes what others say, `candidate` campaigns, `leader`
//! replicates and confirms reads. Here is what all of them share.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::config::Config;
use crate::durability::Durability;
use crate::log::Log;
use crate::message::{Body, Envelope, Message};
use crate::ready::{Alarm, Ready, Restore, RoleChange};
use crate::role::{Follower, Role};
use crate::types::{Entry, HardState, Index, LogId, NodeId, Term};
use crate::{Reject, RoleKind};

/// One member of one group.
///
/// Inputs change the state and collect what is to be done; [`ready`](Self::ready) hands it out.
/// Time is what [`tick`](Self::tick) says it is, and stands still in between.
#[derive(Debug)]
pub struct Node {
    pub(crate) config: Config,
    /// The other members, in order.
    pub(crate) others: Vec<NodeId>,
    /// The latest term seen. Only [`follow`](Self::follow) and a candidate raise it.
    pub(crate) term: Term,
    /// Whom this node votes for in `term`. Never changes within a term once it is somebody.
    pub(crate) vote: Option<NodeId>,
    pub(crate) log: Log,
    pub(crate) durability: Durability,
    pub(crate) role: Role,
    /// Known to be on a majority of disks, and final.
    pub(crate) commit: Index,
    /// The last committed entry that was handed out, as itself or in a snapshot.
    delivered: Index,
    /// The last one that was reported as applied.
    pub(crate) applied: Index,
    /// An installed snapshot that was not handed out yet, because it is not durable.
    pub(crate) restore: Option<Restore>,
    pub(crate) now: Duration,
    /// See [`set_clock`](Self::set_clock).
    pub(crate) clock_ms: u64,
    /// When to campaign, for whoever does not lead. None: to be drawn at the next tick.
    pub(crate) campaign_at: Option<Duration>,
    /// When the leader of this term was last heard; what a leader hears of itself is its majority.
    pub(crate) leader_heard_at: Option<Duration>,
    rng: StdRng,
    pub(crate) messages: Vec<Envelope>,
    pub(crate) grants: Vec<crate::ReadGrant>,
    pub(crate) alarms: Vec<Alarm>,
    stall_reported: bool,
    reported_role: Option<RoleChange>,
}

impl Node {
    /// A node with what its disk holds: nothing on the first boot, else exactly what was read
    /// back. `snapshot` is the last entry of the snapshot from which the service has restored itself,
    /// [`LogId::ZERO`] without one, and the entries are those behind it (see
    /// [`entries_behind_snapshot`](crate::entries_behind_snapshot)). The node begins as a follower that
    /// knows no leader, with everything in the snapshot committed and applied. A snapshot may have become
    /// durable before the term in which it was sent: then it teaches its own.
    ///
    /// # Panics
    ///
    /// If the settings contradict themselves, or the entries are not contiguous from behind the
    /// snapshot in terms that never go back and never pass the node's.
    pub fn new(config: Config, hard_state: HardState, snapshot: LogId, entries: Vec<Entry>) -> Self {
        config.check();
        let log = Log::restore(snapshot, entries);
        let on_disk = hard_state;
        let taught = HardState { term: snapshot.term, vote: None };
        let hard_state = if taught.term > on_disk.term { taught } else { on_disk };
        let last = log.last();
        assert!(last.term <= hard_state.term, "entry {last} is of a later term than {hard_state:?}");
        let others = {
            let mut others: Vec<_> = config.voters.iter().copied().filter(|&v| v != config.id).collect();
            others.sort_unstable();
            others
        };
        // The id in the upper half, so that members that share a seed draw different timeouts.
        let rng = StdRng::seed_from_u64(config.seed ^ config.id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self {
            others,
            term: hard_state.term,
            vote: hard_state.vote,
            durability: Durability::restored(on_disk, last.index),
            log,
            role: Role::Follower(Follower::default()),
            commit: snapshot.index,
            delivered: snapshot.index,
            applied: snapshot.index,
            restore: None,
            now: Duration::ZERO,
            clock_ms: 0,
            campaign_at: None,
            leader_heard_at: None,
            rng,
            messages: Vec::new(),
            grants: Vec::new(),
            alarms: Vec::new(),
            stall_reported: false,
            reported_role: None,
            config,
        }
    }

    /// Takes a message.
    ///
    /// # Errors
    ///
    /// [`Reject`] when no correct peer would have sent it; nothing has changed then.
    pub fn step(&mut self, from: NodeId, message: Message) -> Result<(), Reject> {
        if !self.others.contains(&from) {
            return Err(Reject::NotAPeer(from));
        }
        if message.largest_number() > Message::MAX_NUMBER {
            return Err(Reject::Absurd { from });
        }
        let Message { term, body } = message;
        match body {
            Body::PreVote { last } => self.on_pre_vote(from, term, last),
            Body::RequestVote { last } => self.on_request_vote(from, term, last),
            Body::PreVoteReply { granted } => self.on_pre_vote_reply(from, term, granted),
            Body::VoteReply { granted } => self.on_vote_reply(from, term, granted),
            Body::AppendEntries(append) => return self.on_append_entries(from, term, append),
            Body::AppendReply(reply) => return self.on_append_reply(from, term, reply),
            Body::InstallSnapshot(install) => return self.on_install_snapshot(from, term, install),
        }
        Ok(())
    }

    /// Time is now `now`, measured from any fixed beginning; it never goes back. Whatever was
    /// given before this call is older.
    pub fn tick(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let stalled = self.disk_stalled();
        if stalled && !self.stall_reported {
            let age = self.durability.oldest_age(self.now);
            let stalled_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
            self.alarms.push(Alarm::DiskStalled { stalled_ms });
        }
        self.stall_reported = stalled;
        match self.role {
            Role::Leader(_) => self.tick_leader(),
            Role::Follower(_) | Role::PreCandidate(_) | Role::Candidate(_) => self.tick_campaign(),
        }
    }

    /// What the wall clock shows now, in milliseconds. Nothing here is decided by it: it is told to the leader
    /// with each answer, see [`AppendReply::clock_ms`](crate::AppendReply::clock_ms).
    pub fn set_clock(&mut self, clock_ms: u64) {
        self.clock_ms = clock_ms;
    }

    /// All writes up to number `seq` are on disk.
    ///
    /// # Panics
    ///
    /// If no such write was handed out.
    pub fn persisted(&mut self, seq: u64) {
        self.durability.persisted(seq);
        match self.role {
            Role::Follower(_) => {
                self.pay_vote();
                self.acknowledge_durable();
            }
            Role::PreCandidate(_) => {}
            Role::Candidate(_) => self.count_own_vote(),
            Role::Leader(_) => self.advance_commit(),
        }
    }

    /// Everything up to `index` has been applied, or the service was restored from a snapshot that
    /// holds it.
    ///
    /// # Panics
    ///
    /// If it was not handed out yet, or the index goes back.
    pub fn applied(&mut self, index: Index) {
        assert!(
            (self.applied..=self.delivered).contains(&index),
            "applied {index}, behind {} and up to {}",
            self.applied,
            self.delivered
        );
        self.applied = index;
    }

    /// What is to be done now.
    pub fn ready(&mut self) -> Ready {
        if self.role.is_leader() {
            self.replicate();
        }
        self.drop_front();
        let hard_state = HardState { term: self.term, vote: self.vote };
        let write = self.durability.next_write(&self.log, hard_state, self.now);
        // Only what is durable here as well: what was applied must never be missing after a restart.
        let applicable = self.commit.min(self.durability.index());
        let restore = self.restore.take_if(|restore| restore.last.index <= applicable);
        if let Some(restore) = &restore {
            self.delivered = restore.last.index;
        }
        // Nothing passes a snapshot that is still to come.
        let committed = match self.restore {
            Some(_) => Vec::new(),
            None => self.log.slice(self.delivered + 1, applicable, self.config.max_apply_bytes),
        };
        if let Some(last) = committed.last() {
            self.delivered = last.id.index;
        }
        self.check_watermarks();
        let role = RoleChange { role: self.role.kind(), term: self.term, leader: self.leader() };
        let role_changed = self.reported_role.replace(role) != Some(role);
        self.tell_clock();
        Ready {
            messages: std::mem::take(&mut self.messages),
            write,
            restore,
            committed,
            reads: std::mem::take(&mut self.grants),
            role: role_changed.then_some(role),
            alarms: std::mem::take(&mut self.alarms),
        }
    }

    /// What leaves now tells what the clock shows now: an answer may have been made before the last tick.
    fn tell_clock(&mut self) {
        for envelope in &mut self.messages {
            if let Body::AppendReply(reply) = &mut envelope.message.body {
                reply.clock_ms = self.clock_ms;
            }
        }
    }

    /// Whether committed and durable entries are left that the last [`Ready`] had no room for.
    pub fn has_more_to_apply(&self) -> bool {
        self.restore.is_none() && self.delivered < self.commit.min(self.durability.index())
    }

    /// applied <= delivered <= commit <= last, and durable <= last; start <= snapshot <= commit, and
    /// snapshot <= applied unless it was installed and is still to be handed out.
    fn check_watermarks(&self) {
        let last = self.log.last_index();
        let durable = self.durability.index();
        let (start, snapshot) = (self.log.start().index, self.log.snapshot().index);
        let in_order = [start, snapshot, self.commit, last].is_sorted()
            && [self.applied, self.delivered, self.commit].is_sorted()
            && durable <= last
            && (snapshot <= self.delivered || self.restore.is_some());
        assert!(
            in_order,
            "the watermarks are out of order: start {start}, snapshot {snapshot}, applied {}, delivered {}, \
             commit {}, durable {durable}, last {last}",
            self.applied, self.delivered, self.commit,
        );
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.config.id
    }

    /// The latest term seen.
    pub fn term(&self) -> Term {
        self.term
    }

    /// Whom this node voted for in its term.
    pub fn vote(&self) -> Option<NodeId> {
        self.vote
    }

    /// What this node is.
    pub fn role(&self) -> RoleKind {
        self.role.kind()
    }

    /// Whom this node takes for the leader of its term.
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Follower(follower) => follower.leader,
            Role::PreCandidate(_) | Role::Candidate(_) => None,
            Role::Leader(_) => Some(self.config.id),
        }
    }

    /// The last index known to be committed.
    pub fn commit_index(&self) -> Index {
        self.commit
    }

    /// The last index that was reported as applied.
    pub fn last_applied(&self) -> Index {
        self.applied
    }

    /// The last entry that is in the snapshot; [`LogId::ZERO`] without one.
    pub fn snapshot(&self) -> LogId {
        self.log.snapshot()
    }

    /// The last entry of the log, durable or not; the snapshot's when there is nothing behind it.
    pub fn last_log_id(&self) -> LogId {
        self.log.last()
    }

    /// The last index that is on disk here.
    pub fn durable_index(&self) -> Index {
        self.durability.index()
    }

    /// The size of the log behind the snapshot, in bytes of weight: what another snapshot would make
    /// needless.
    pub fn log_bytes(&self) -> u64 {
        self.log.bytes()
    }

    /// The size of what is in the snapshot, and kept in memory for followers that still lack it.
    pub fn retained_bytes(&self) -> u64 {
        self.log.retained_bytes()
    }

    /// The entry at `index`, if the log has it: those in the snapshot may be gone.
    pub fn entry(&self, index: Index) -> Option<&Entry> {
        self.log.get(index)
    }

    /// The settings it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Follows `leader`, if one is known, in `term`: what every role does when it meets a later
    /// term, and a campaigner when somebody has won its own.
    pub(crate) fn follow(&mut self, term: Term, leader: Option<NodeId>) {
        assert!(term >= self.term, "term {term} is earlier than {}", self.term);
        if term > self.term {
            self.term = term;
            self.vote = None;
            self.leader_heard_at = None;
        }
        if !matches!(self.role, Role::Follower(_)) {
            self.campaign_at = None;
        }
        self.role = Role::Follower(Follower { leader, ..Follower::default() });
    }

    /// Draws when to campaign next, counted from now.
    pub(crate) fn draw_campaign_time(&mut self) {
        let base = self.config.election_timeout;
        self.campaign_at = Some(self.now + self.rng.random_range(base..base * 2));
    }

    /// Whether a leader was heard so recently that no other is wanted. A leader hears itself: it
    /// would have stepped down if it no longer had its majority.
    pub(crate) fn hears_a_leader(&self) -> bool {
        self.role.is_leader()
            || self
                .leader_heard_at
                .is_some_and(|at| self.now.saturating_sub(at) < self.config.election_timeout)
    }

    pub(crate) fn disk_stalled(&self) -> bool {
        self.durability.oldest_age(self.now) > self.config.disk_stall_limit
    }

    pub(crate) fn send(&mut self, to: NodeId, term: Term, body: Body) {
        self.messages.push(Envelope { to, message: Message { term, body } });
    }
}
