//! The cluster, its network and its faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bowline_raft::{Body, Config, Entry, Index, InstallSnapshot, Message, NodeId, RoleKind, Term};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::checks::holds;
use crate::member::{Disk, Member, Snapshot};
use crate::tally::Happened;

#[derive(Clone, Copy)]
enum Step {
    Deliver,
    Tick,
    Persist,
    Propose,
    Read,
    Compact,
    Report,
    Offer,
    Lose,
    Repeat,
    Cut,
    Heal,
    Restart,
}

#[derive(Clone)]
pub(crate) struct Flying {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) message: Message,
}

pub(crate) struct World {
    pub(crate) rng: StdRng,
    /// How often each step is taken: another mixture for each seed.
    weights: Vec<(u32, Step)>,
    longest_tick_ms: u64,
    /// How often the oldest message is the next to arrive.
    in_order: f64,
    pub(crate) members: Vec<Member>,
    pub(crate) flying: Vec<Flying>,
    pub(crate) cut: BTreeSet<NodeId>,
    pub(crate) proposals: u64,
    pub(crate) reads: u64,
    /// The commit index that each waiting read must cover, by its number.
    pub(crate) asked: BTreeMap<u64, Index>,
    /// Every entry that any node called committed, with the term of the first that did.
    pub(crate) committed: Vec<(Entry, Term)>,
    /// What a service's state is after each of them, and at first.
    pub(crate) texts: Vec<Bytes>,
    pub(crate) leaders: BTreeMap<Term, NodeId>,
    pub(crate) votes: BTreeMap<(NodeId, Term), NodeId>,
    /// What each node acknowledged: up to an index, in the term of a leader.
    pub(crate) acknowledged: BTreeMap<(NodeId, Term), Index>,
    /// Snapshots that were sent: by whom, to whom, in which round.
    pub(crate) sent_snapshots: Vec<(usize, NodeId, u64)>,
    /// Whether what brings much comes a second time, any time later: here it waits for that.
    comes_late: bool,
    late: Vec<Flying>,
    /// How often a snapshot is durable before the log speaks of it.
    file_first: f64,
    pub(crate) happened: Happened,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let size = if seed.is_multiple_of(2) { 3 } else { 5 };
        let ids: Vec<_> = (1..=size).map(NodeId).collect();
        let empty_entry_on_election = rng.random_bool(0.7);
        let max_append_bytes = if rng.random_bool(0.5) { 200 } else { 1 << 20 };
        let max_retained_bytes = [0, 300, 1 << 20][rng.random_range(0..3)];
        let file_first = [0.0, 0.5, 1.0][rng.random_range(0..3)];
        let member = |&id: &NodeId| {
            let config = Config {
                empty_entry_on_election,
                max_append_bytes,
                max_apply_bytes: 300,
                max_retained_bytes,
                ..Config::new(id, ids.clone(), seed)
            };
            Member::new(config, Disk::default())
        };
        let mut weight = |step, least, most| (rng.random_range(least..=most), step);
        let weights = vec![
            weight(Step::Deliver, 200, 600),
            weight(Step::Tick, 100, 600),
            weight(Step::Persist, 20, 300),
            weight(Step::Propose, 20, 100),
            weight(Step::Read, 10, 60),
            weight(Step::Compact, 0, 60),
            weight(Step::Report, 0, 20),
            weight(Step::Offer, 0, 40),
            weight(Step::Lose, 0, 60),
            weight(Step::Repeat, 5, 40),
            weight(Step::Cut, 0, 8),
            weight(Step::Heal, 1, 8),
            weight(Step::Restart, 0, 10),
        ];
        let comes_late = rng.random_bool(0.7);
        let longest_tick_ms = rng.random_range(20..200);
        let in_order = rng.random_range(0.3..1.0);
        Self {
            weights,
            longest_tick_ms,
            in_order,
            members: ids.iter().map(member).collect(),
            rng,
            flying: Vec::new(),
            cut: BTreeSet::new(),
            proposals: 0,
            reads: 0,
            asked: BTreeMap::new(),
            committed: Vec::new(),
            texts: vec![Bytes::new()],
            sent_snapshots: Vec::new(),
            comes_late,
            late: Vec::new(),
            file_first,
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            happened: Happened::default(),
        }
    }

    fn pick(&mut self) -> usize {
        self.rng.random_range(0..self.members.len())
    }

    pub(crate) fn fault_or_step(&mut self) {
        let total = self.weights.iter().map(|&(weight, _)| weight).sum();
        let mut drawn = self.rng.random_range(0..total);
        let step = self.weights.iter().find(|&&(weight, _)| {
            let found = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            found
        });
        match step.expect("one of them").1 {
            Step::Deliver => {
                for _ in 0..self.rng.random_range(1..6) {
                    self.deliver();
                }
            }
            Step::Tick => {
                let (at, ms) = (self.pick(), self.rng.random_range(1..self.longest_tick_ms));
                self.members[at].tick(Duration::from_millis(ms));
                self.carry_out(at);
            }
            Step::Persist => {
                let (at, count) = (self.pick(), self.rng.random_range(1..4));
                self.members[at].persist(count);
                self.carry_out(at);
            }
            Step::Propose => self.propose(),
            Step::Read => self.read(),
            Step::Compact => self.compact(),
            Step::Report => self.report(),
            Step::Offer => self.offer(),
            Step::Lose => {
                if let Some(at) = self.any_flying() {
                    self.flying.swap_remove(at);
                    self.happened.count("messages lost", 1);
                }
            }
            Step::Repeat if self.rng.random_bool(0.2) && !self.late.is_empty() => {
                let any = self.rng.random_range(0..self.late.len());
                let late = self.late.swap_remove(any);
                self.flying.push(late);
            }
            Step::Repeat => {
                if let Some(at) = self.any_flying() {
                    let Flying { from, to, ref message } = self.flying[at];
                    self.flying.push(Flying { from, to, message: message.clone() });
                    self.happened.count("messages repeated", 1);
                }
            }
            Step::Cut => {
                // Mostly one that leads: its proposals are what a later leader cuts off.
                let any = self.pick();
                let leader = self.members.iter().position(|m| m.node.role() == RoleKind::Leader);
                let at = leader.filter(|_| self.rng.random_bool(0.7)).unwrap_or(any);
                if self.cut.len() < self.members.len() / 2 {
                    self.cut.insert(self.members[at].node.id());
                }
            }
            Step::Heal => self.cut.clear(),
            Step::Restart => self.restart(),
        }
    }

    fn any_flying(&mut self) -> Option<usize> {
        (!self.flying.is_empty()).then(|| self.rng.random_range(0..self.flying.len()))
    }

    /// Mostly the oldest message, sometimes any.
    fn deliver(&mut self) {
        let Some(any) = self.any_flying() else { return };
        let at = if self.rng.random_bool(self.in_order) { 0 } else { any };
        self.happened.count("messages overtaken", u64::from(at > 0));
        let Flying { from, to, message } = self.flying.remove(at);
        if self.cut.contains(&from) || self.cut.contains(&to) {
            self.happened.count("messages lost", 1);
            return;
        }
        self.arrive(from, to, message);
    }

    pub(crate) fn arrive(&mut self, from: NodeId, to: NodeId, message: Message) {
        let at = self.members.iter().position(|m| m.node.id() == to).expect("a member");
        let member = &mut self.members[at];
        let (last, commit) = (member.node.last_log_id(), member.node.commit_index());
        let sent = match &message.body {
            Body::InstallSnapshot(install) => {
                Some(Snapshot { last: install.last, data: install.data.clone() })
            }
            _ => None,
        };
        // Where a snapshot comes in pieces they are on the disk before the node hears of it.
        if let Some(snapshot) = &sent
            && self.rng.random_bool(self.file_first)
        {
            member.disk.keep_file(snapshot.clone());
        }
        member.node.step(from, message).expect("what a correct peer sent is never rejected");
        let node = &member.node;
        let is_cut = last.index > node.snapshot().index && node.entry(last.index).map(|e| e.id) != Some(last);
        self.happened.count("logs cut", u64::from(is_cut));
        if let Some(Snapshot { last: sent, .. }) = sent {
            let restored = node.snapshot() == sent && node.commit_index() > commit;
            let kept = !restored && node.commit_index() > commit;
            self.happened.count("snapshots on a log that has their end", u64::from(kept));
            self.happened.count("snapshots too late", u64::from(sent.index <= commit));
        }
        self.carry_out(at);
    }

    fn propose(&mut self) {
        let leaders: Vec<_> =
            (0..self.members.len()).filter(|&at| self.members[at].node.role() == RoleKind::Leader).collect();
        if leaders.is_empty() {
            return;
        }
        let at = leaders[self.rng.random_range(0..leaders.len())];
        let text = format!("{}-{}", self.proposals, "x".repeat(self.rng.random_range(0..80)));
        if self.members[at].node.propose(Bytes::from(text)).is_ok() {
            self.proposals += 1;
            if self.rng.random_bool(0.8) {
                self.carry_out(at);
            }
        }
    }

    fn read(&mut self) {
        let at = self.pick();
        if self.members[at].node.read(self.reads).is_ok() {
            self.asked.insert(self.reads, self.committed.len() as Index);
            self.reads += 1;
            self.carry_out(at);
        }
    }

    /// A service has a snapshot, of its present state or of an earlier one; sometimes of one that
    /// nobody wants any more, or that was never reached.
    fn compact(&mut self) {
        let leader = self.members.iter().position(|m| m.node.role() == RoleKind::Leader);
        let at = leader.filter(|_| self.rng.random_bool(0.4)).unwrap_or_else(|| self.pick());
        let file_first = self.rng.random_bool(self.file_first);
        let member = &mut self.members[at];
        let (snapshot, applied) = (member.node.snapshot().index, member.node.last_applied());
        let any = self.rng.random_range(snapshot.saturating_sub(1)..=applied.max(snapshot) + 1);
        let index = if self.rng.random_bool(0.5) { applied } else { any };
        let taken = member.compact(index, file_first);
        assert_eq!(taken, index > snapshot && index <= applied);
        self.happened.count(if taken { "compactions" } else { "compactions in vain" }, 1);
        self.carry_out(at);
    }

    /// A leader's snapshot comes to somebody who did not need it, or not any more, as if it had been
    /// under way for long.
    fn offer(&mut self) {
        let (at, to) = (self.pick(), self.pick());
        let (from, to) = (&self.members[at], self.members[to].node.id());
        let Snapshot { last, data } = from.snapshot.clone();
        if from.node.role() != RoleKind::Leader || to == from.node.id() || last.index == 0 {
            return;
        }
        // Round 0 is no round: the answer says nothing but what is matched.
        let body = Body::InstallSnapshot(InstallSnapshot { round: 0, last, data });
        let message = Message { term: from.node.term(), body };
        self.flying.push(Flying { from: from.node.id(), to, message });
    }

    /// Whoever sends a snapshot says that it is getting on, or that it did not arrive; now and then of
    /// one that has arrived.
    fn report(&mut self) {
        if self.sent_snapshots.is_empty() {
            return;
        }
        let any = self.rng.random_range(0..self.sent_snapshots.len());
        let (at, to, round) = self.sent_snapshots[any];
        let node = &mut self.members[at].node;
        if self.rng.random_bool(0.5) {
            node.snapshot_progress(to, round);
        } else {
            node.snapshot_failed(to, round);
            self.happened.count("snapshots said to be lost", 1);
        }
        self.carry_out(at);
    }

    /// Any number of the unfinished writes got to the disk.
    fn restart(&mut self) {
        let at = self.pick();
        let unfinished = self.members[at].writes.len();
        let survive = self.rng.random_range(0..=unfinished);
        self.happened.count("power losses", 1);
        self.happened.count("writes lost", (unfinished - survive) as u64);
        let recovered = self.members[at].restart(survive);
        self.happened.count("snapshots newer than the log", u64::from(recovered));
        self.carry_out(at);
    }

    pub(crate) fn carry_out(&mut self, at: usize) {
        let from = self.members[at].node.id();
        self.check(at);
        loop {
            let ready = self.members[at].ready();
            for envelope in ready.messages {
                self.check_promise(at, &envelope.message);
                if let Body::InstallSnapshot(install) = &envelope.message.body {
                    self.sent_snapshots.push((at, envelope.to, install.round));
                    self.happened.count("snapshots sent", 1);
                }
                let rarely = match &envelope.message.body {
                    Body::InstallSnapshot(_) => 1.0,
                    Body::AppendEntries(append) if append.entries.len() > 2 => 0.3,
                    _ => 0.0,
                };
                if self.comes_late && self.rng.random_bool(rarely) {
                    let (to, message) = (envelope.to, envelope.message.clone());
                    self.late.push(Flying { from, to, message });
                }
                self.flying.push(Flying { from, to: envelope.to, message: envelope.message });
            }
            for grant in ready.reads {
                let asked = self.asked.remove(&grant.id).expect("a read is granted once");
                assert!(
                    grant.index >= asked,
                    "read {} at {}, but {asked} was committed",
                    grant.id,
                    grant.index
                );
                self.happened.count("reads granted", 1);
            }
            self.happened.count("snapshots restored", u64::from(ready.restore.is_some()));
            self.happened.count("entries retained", u64::from(self.members[at].node.retained_bytes() > 0));
            self.check_state(at);
            for entry in &ready.committed {
                let committed = self.committed_at(entry.id.index);
                assert_eq!(committed, Some(entry), "node {from} applies what nobody committed");
                assert!(holds(&self.members[at].disk, entry), "applied, but not on disk");
            }
            if !self.members[at].node.has_more_to_apply() {
                return;
            }
        }
    }
}
