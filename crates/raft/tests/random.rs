//! Clusters under random faults, checked after every step.
//!
//! Messages are lost, repeated and overtaken; writes finish late, and a power loss takes what was
//! not finished; clocks run unevenly; members are cut off. After each step: at most one leader a
//! term, a vote that never changes in its term, equal logs up to any entry that they share, what
//! was committed once is committed for ever and stands in the log of each later leader, what was
//! acknowledged is on that disk as long as its term lasts, nothing is promised before it is durable,
//! and a read covers all that was committed anywhere when it was asked. Then the network heals, and the cluster must serve a proposal and a read.
//!
//! Seeds are fixed, so that a run says the same everywhere; RANDOM_SEED runs one of them alone.

#[path = "harness/member.rs"]
mod member;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bowline_raft::{Body, Config, Entry, Index, LogId, Message, NodeId, Outcome, RoleKind, Term};
use bytes::Bytes;
use member::{Disk, Member};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const STEPS: usize = 2000;
const SEEDS: u64 = 300;

#[derive(Clone, Copy)]
enum Step {
    Deliver,
    Tick,
    Persist,
    Propose,
    Read,
    Lose,
    Repeat,
    Cut,
    Heal,
    Restart,
}

struct Flying {
    from: NodeId,
    to: NodeId,
    message: Message,
}

/// What really happened; a run without it would have tested nothing.
#[derive(Debug, Default)]
struct Happened {
    lost: u64,
    repeated: u64,
    overtaken: u64,
    power_losses: u64,
    writes_lost: u64,
    leaders: u64,
    committed: u64,
    reads: u64,
    truncations: u64,
}

struct World {
    rng: StdRng,
    /// How often each step is taken: another mixture for each seed.
    weights: Vec<(u32, Step)>,
    longest_tick_ms: u64,
    /// How often the oldest message is the next to arrive.
    in_order: f64,
    members: Vec<Member>,
    flying: Vec<Flying>,
    cut: BTreeSet<NodeId>,
    proposals: u64,
    reads: u64,
    /// The commit index that each waiting read must cover, by its number.
    asked: BTreeMap<u64, Index>,
    /// Every entry that any node called committed, with the term of the first that did.
    committed: Vec<(Entry, Term)>,
    leaders: BTreeMap<Term, NodeId>,
    votes: BTreeMap<(NodeId, Term), NodeId>,
    /// What each node acknowledged: up to an index, in the term of a leader.
    acknowledged: BTreeMap<(NodeId, Term), Index>,
    happened: Happened,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let size = if seed.is_multiple_of(2) { 3 } else { 5 };
        let ids: Vec<_> = (1..=size).map(NodeId).collect();
        let empty_entry_on_election = rng.random_bool(0.7);
        let max_append_bytes = if rng.random_bool(0.5) { 200 } else { 1 << 20 };
        let member = |&id: &NodeId| {
            let config = Config {
                empty_entry_on_election,
                max_append_bytes,
                max_apply_bytes: 300,
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
            weight(Step::Lose, 0, 60),
            weight(Step::Repeat, 5, 40),
            weight(Step::Cut, 0, 8),
            weight(Step::Heal, 1, 8),
            weight(Step::Restart, 0, 10),
        ];
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
            leaders: BTreeMap::new(),
            votes: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            happened: Happened::default(),
        }
    }

    fn pick(&mut self) -> usize {
        self.rng.random_range(0..self.members.len())
    }

    fn fault_or_step(&mut self) {
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
            Step::Lose => {
                if let Some(at) = self.any_flying() {
                    self.flying.swap_remove(at);
                    self.happened.lost += 1;
                }
            }
            Step::Repeat => {
                if let Some(at) = self.any_flying() {
                    let Flying { from, to, ref message } = self.flying[at];
                    self.flying.push(Flying { from, to, message: message.clone() });
                    self.happened.repeated += 1;
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
        self.happened.overtaken += u64::from(at > 0);
        let Flying { from, to, message } = self.flying.remove(at);
        if self.cut.contains(&from) || self.cut.contains(&to) {
            self.happened.lost += 1;
            return;
        }
        let at = self.members.iter().position(|m| m.node.id() == to).expect("a member");
        let node = &mut self.members[at].node;
        let last = node.last_log_id();
        node.step(from, message).expect("what a correct peer sent is never rejected");
        self.happened.truncations +=
            u64::from(last.index > 0 && node.entry(last.index).map(|e| e.id) != Some(last));
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

    /// Any number of the unfinished writes got to the disk.
    fn restart(&mut self) {
        let at = self.pick();
        let unfinished = self.members[at].writes.len();
        let survive = self.rng.random_range(0..=unfinished);
        self.happened.power_losses += 1;
        self.happened.writes_lost += (unfinished - survive) as u64;
        self.members[at].restart(survive);
        self.carry_out(at);
    }

    fn carry_out(&mut self, at: usize) {
        let from = self.members[at].node.id();
        self.check(at);
        loop {
            let ready = self.members[at].ready();
            for envelope in ready.messages {
                self.check_promise(at, &envelope.message);
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
                self.happened.reads += 1;
            }
            for entry in &ready.committed {
                let place = usize::try_from(entry.id.index - 1).expect("a small index");
                assert_eq!(
                    self.committed.get(place).map(|(e, _)| e),
                    Some(entry),
                    "node {from} applies what nobody committed"
                );
                assert_eq!(self.members[at].disk.entries.get(place), Some(entry), "applied, but not on disk");
            }
            if !self.members[at].node.has_more_to_apply() {
                return;
            }
        }
    }

    /// What a message promises is on the sender's disk.
    fn check_promise(&mut self, at: usize, message: &Message) {
        let member = &self.members[at];
        let (id, disk) = (member.node.id(), &member.disk);
        match &message.body {
            Body::RequestVote { .. } => {
                // A later term may have come since; then it is the word of the past.
                if disk.hard_state.term == message.term {
                    assert_eq!(disk.hard_state.vote, Some(id), "asks for votes before its own is durable");
                }
                assert!(disk.hard_state.term >= message.term, "asks in a term that is not durable");
            }
            Body::VoteReply { granted: true } => {
                assert!(disk.hard_state.term >= message.term, "votes in a term that is not durable");
                let to_whom = (disk.hard_state.term == message.term).then_some(disk.hard_state.vote);
                assert_ne!(to_whom, Some(None), "grants a vote that is not durable");
            }
            Body::AppendEntries(_) => {
                assert!(disk.hard_state.term >= message.term, "leads in a term that is not durable");
            }
            Body::AppendReply(reply) => {
                if let Outcome::Accepted { matched } = reply.outcome
                    && matched > 0
                {
                    assert!(
                        disk.hard_state.term >= message.term,
                        "acknowledges in a term that is not durable"
                    );
                    assert!(
                        disk.entries.len() as Index >= matched,
                        "acknowledges {matched}, which is not durable"
                    );
                    let said = self.acknowledged.entry((id, message.term)).or_default();
                    *said = matched.max(*said);
                }
            }
            Body::PreVote { .. } | Body::PreVoteReply { .. } | Body::VoteReply { granted: false } => {}
        }
    }

    fn check(&mut self, at: usize) {
        let node = &self.members[at].node;
        let (id, term) = (node.id(), node.term());
        if let Some(vote) = node.vote() {
            // A vote that never got to the disk, and was told to nobody, is no vote.
            let hard_state = self.members[at].disk.hard_state;
            if (hard_state.term, hard_state.vote) == (term, Some(vote)) {
                let first = *self.votes.entry((id, term)).or_insert(vote);
                assert_eq!(first, vote, "node {id} voted twice in term {term}");
            }
        }
        if node.role() == RoleKind::Leader {
            let first = *self.leaders.entry(term).or_insert_with(|| {
                self.happened.leaders += 1;
                id
            });
            assert_eq!(first, id, "two leaders in term {term}");
            // Leader completeness: what was committed by its term stands in its log. (What a later
            // leader committed since may be older than that, and still be missing here.)
            for (entry, _) in self.committed.iter().filter(|&&(_, committed_in)| committed_in <= term) {
                assert_eq!(node.entry(entry.id.index), Some(entry), "leader {id} of term {term} lacks it");
            }
        }
        // What is committed anywhere is committed for ever.
        for index in 1..=node.commit_index() {
            let entry = node.entry(index).expect("what is committed is in the log");
            match self.committed.get(usize::try_from(index - 1).expect("a small index")) {
                Some((first, _)) => assert_eq!(first, entry, "node {id} has another entry committed"),
                None => {
                    self.happened.committed += 1;
                    let holders =
                        self.members.iter().filter(|m| m.disk.entries.iter().any(|e| e == entry)).count();
                    assert!(holders > self.members.len() / 2, "{} is committed on {holders} disks", entry.id);
                    self.committed.push((entry.clone(), term));
                }
            }
        }
        self.check_acknowledged(at);
        self.check_log_matching(at);
    }

    /// What a node acknowledged in its present term is on its disk, whatever restarts.
    fn check_acknowledged(&self, at: usize) {
        let member = &self.members[at];
        let key = (member.node.id(), member.node.term());
        if let Some(&matched) = self.acknowledged.get(&key) {
            let held = member.disk.entries.len() as Index;
            assert!(held >= matched, "node {} acknowledged {matched} and holds {held}", key.0);
            assert!(member.node.last_log_id().index >= matched, "node {} cut what it acknowledged", key.0);
        }
    }

    /// If two logs share an entry's name, they are the same up to it.
    fn check_log_matching(&self, at: usize) {
        let node = &self.members[at].node;
        for other in self.members.iter().map(|m| &m.node).filter(|n| n.id() != node.id()) {
            let ends = node.last_log_id().index.min(other.last_log_id().index);
            let id_at = |n: &bowline_raft::Node, i| n.entry(i).map_or(LogId::ZERO, |e| e.id);
            let Some(shared) = (1..=ends).rev().find(|&i| id_at(node, i) == id_at(other, i)) else {
                continue;
            };
            for index in 1..=shared {
                assert_eq!(node.entry(index), other.entry(index), "{} and {} differ", node.id(), other.id());
            }
        }
    }

    /// Without faults, in time that is the same for all.
    fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            for at in 0..self.members.len() {
                self.members[at].tick(Duration::from_millis(10));
                self.members[at].persist(usize::MAX);
                self.carry_out(at);
            }
            for _ in 0..3 {
                for Flying { from, to, message } in std::mem::take(&mut self.flying) {
                    let at = self.members.iter().position(|m| m.node.id() == to).expect("a member");
                    self.members[at].node.step(from, message).expect("never rejected");
                    self.carry_out(at);
                }
            }
        }
    }

    fn heal_and_serve(&mut self) {
        self.cut.clear();
        self.pass(5000);
        let leaders = |w: &Self| -> Vec<usize> {
            (0..w.members.len()).filter(|&at| w.members[at].node.role() == RoleKind::Leader).collect()
        };
        let [leader] = leaders(self)[..] else { panic!("leaders after 5 s: {:?}", leaders(self)) };
        let id = self.members[leader].node.propose(Bytes::from("last")).expect("the leader takes it");
        self.pass(100);
        let read = self.reads;
        self.members[leader].node.read(read).expect("the leader takes it");
        self.asked.insert(read, self.committed.len() as Index);
        self.pass(300);
        assert!(!self.asked.contains_key(&read), "the read was not granted");
        for member in &self.members {
            assert_eq!(member.node.last_applied(), id.index, "node {} is behind", member.node.id());
            assert!(member.node.peers().iter().all(|p| !p.lost_data), "nobody lost data");
        }
    }
}

fn run(seed: u64) -> Happened {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.fault_or_step();
    }
    world.heal_and_serve();
    world.happened
}

#[test]
fn random_faults_break_nothing() {
    if let Ok(seed) = std::env::var("RANDOM_SEED") {
        println!("{:?}", run(seed.parse().expect("a number")));
        return;
    }
    let mut total = Happened::default();
    for seed in 0..SEEDS {
        let happened = std::panic::catch_unwind(|| run(seed));
        let h = happened.unwrap_or_else(|_| panic!("to see it again: RANDOM_SEED={seed}"));
        total.lost += h.lost;
        total.repeated += h.repeated;
        total.overtaken += h.overtaken;
        total.power_losses += h.power_losses;
        total.writes_lost += h.writes_lost;
        total.leaders += h.leaders;
        total.committed += h.committed;
        total.reads += h.reads;
        total.truncations += h.truncations;
    }
    println!("{total:?}");
    let least = total.leaders.min(total.writes_lost).min(total.reads).min(total.truncations);
    assert!(least > SEEDS / 2, "too little happened: {total:?}");
}
