//! The cluster: one queue of events in virtual time, in microseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bowline_kv::{Output, Replica, ReplicaConfig, Time};
use bowline_raft::{Config, Index, NodeId, RoleKind, Term};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::clients::Clients;
use crate::disk::Disk;
use crate::event::{Event, Queue};
use crate::expiry::WallClock;
use crate::nemesis::{Plan, Weather};
use crate::roamers::Roamers;
use crate::streams::Streams;
use crate::tally::Tally;

pub(crate) const MS: u64 = 1000;
const SECOND: u64 = 1000 * MS;

pub(crate) const COMMAND_TIMEOUT: Duration = Duration::from_secs(2);

/// How long the faults go on, and how long the cluster has to recover from them.
const SUFFERING: u64 = 9 * SECOND;
const RECOVERY: u64 = 8 * SECOND;

pub(crate) struct Member {
    pub(crate) life: u64,
    /// None while it is down.
    pub(crate) replica: Option<Replica>,
    pub(crate) disk: Disk,
    /// How long a write takes at most, in microseconds.
    pub(crate) slowest_write: u64,
    pub(crate) paused_since: Option<u64>,
    /// How long it stood still or was down, all together.
    pub(crate) stood_still: u64,
    /// What came while it stood still.
    inbox: Vec<Event>,
    persisted: u64,
    is_rung: bool,
    /// Whether a snapshot is being written.
    pub(crate) is_writing_snapshot: bool,
    pub(crate) clock: WallClock,
    pub(crate) digested: Index,
    /// The most commands that waited for an answer, in any of its lives.
    most_unanswered: u64,
}

pub(crate) struct Cluster {
    pub(crate) rng: StdRng,
    pub(crate) now: u64,
    pub(crate) plan: Plan,
    pub(crate) weather: Weather,
    pub(crate) members: BTreeMap<u64, Member>,
    pub(crate) streams: Streams,
    /// From whom to whom nothing arrives.
    pub(crate) blocked: BTreeSet<(u64, u64)>,
    pub(crate) clients: Clients,
    pub(crate) roamers: Roamers,
    pub(crate) tally: Tally,
    pub(crate) queue: Queue,
    /// The latest message that arrived, by sender and receiver.
    arrived: BTreeMap<(u64, u64), u64>,
    /// The digest of the state at each index, from whoever got there first.
    pub(crate) digests: BTreeMap<Index, (u64, u64)>,
    leaders: BTreeSet<Term>,
    is_told: bool,
}

impl Cluster {
    pub(crate) fn new(seed: u64, is_told: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let plan = Plan::draw(seed, &mut rng);
        let member = |id| {
            let member = Member {
                life: 0,
                replica: None,
                disk: Disk::default(),
                slowest_write: 2 * MS,
                paused_since: None,
                stood_still: 0,
                inbox: Vec::new(),
                persisted: 0,
                is_rung: false,
                is_writing_snapshot: false,
                clock: WallClock::right(),
                digested: 0,
                most_unanswered: 0,
            };
            (id, member)
        };
        let mut cluster = Self {
            weather: Weather::draw(&plan, &mut rng),
            members: (1..=plan.size).map(member).collect(),
            rng,
            now: 0,
            plan,
            streams: Streams::default(),
            blocked: BTreeSet::new(),
            clients: Clients::default(),
            roamers: Roamers::default(),
            tally: Tally::default(),
            queue: Queue::default(),
            arrived: BTreeMap::new(),
            digests: BTreeMap::new(),
            leaders: BTreeSet::new(),
            is_told,
        };
        for id in cluster.ids() {
            cluster.start(id);
        }
        cluster.new_roamers();
        cluster.push(SECOND, Event::Fault);
        cluster
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.members.keys().copied().collect()
    }

    pub(crate) fn member(&mut self, id: u64) -> &mut Member {
        self.members.get_mut(&id).expect("a member")
    }

    pub(crate) fn tell(&self, text: impl FnOnce() -> String) {
        if self.is_told {
            println!("{:>9.3} ms  {}", self.now as f64 / 1000.0, text());
        }
    }

    /// Lets an event happen after `delay`.
    pub(crate) fn push(&mut self, delay: u64, event: Event) {
        self.queue.put(self.now + delay, event);
    }

    fn run_until(&mut self, end: u64) {
        while let Some((at, event)) = self.queue.next(end) {
            self.now = at;
            self.happen(event);
        }
        self.now = end;
    }

    pub(crate) fn suffer(&mut self) {
        self.run_until(SUFFERING);
    }

    /// No more faults: everything must be answered, and the replicas be equal, and serve.
    pub(crate) fn heal_and_examine(&mut self) {
        self.end_faults();
        self.clients.stop();
        self.roamers.stop();
        self.run_until(SUFFERING + RECOVERY);
        self.clients.check_all_answered();
        self.roamers.check(&mut self.tally);
        let examiners: Vec<usize> = self.ids().into_iter().map(|id| self.examine(id)).collect();
        self.run_until(SUFFERING + RECOVERY + SECOND);
        self.clients.check_all_answered();
        self.clients.check_histories(&examiners, self.plan.log_may_fill(), &mut self.tally);
        self.run_until(SUFFERING + RECOVERY + 2 * SECOND);
        let mut states = BTreeSet::new();
        for member in self.members.values() {
            let replica = member.replica.as_ref().expect("all are up");
            assert!(replica.node().peers().iter().all(|p| !p.lost_data), "nobody lost data");
            let status = replica.status();
            self.tally.duplicates += status.duplicates;
            states.insert((status.last_applied, replica.digest(), status.keys, status.records));
        }
        assert_eq!(states.len(), 1, "the replicas differ after all is healed: {states:?}");
        self.tally.commands = self.clients.submitted();
        self.tally.leaders = self.leaders.len() as u64;
    }

    fn happen(&mut self, event: Event) {
        let to = match &event {
            Event::Tick { node, .. } | Event::Pass { node } => *node,
            Event::Snapshot { node, .. } | Event::Restore { node, .. } => *node,
            Event::Failed { from, .. } => *from,
            Event::Raft { to, .. } => *to,
            Event::Forward { stream } => self.streams.get(*stream).acceptor,
            Event::Answers { stream } => self.streams.get(*stream).dialler,
            Event::Dial { from, .. } => *from,
            Event::Client { client } => self.clients.node_of(*client),
            Event::Ask { node, .. } | Event::Leave { node, .. } => *node,
            // What a disk does, or a network, stands still for nobody.
            Event::Persisted { node, life } => return self.finish_write(*node, *life),
            Event::HangUp { stream } => return self.hang_up(*stream),
            Event::Roam { roamer, alarm } => return self.roam(*roamer, *alarm),
            Event::Fault => return self.fault(),
            Event::Resume { node } => return self.resume(*node),
            Event::Start { node } => return self.start(*node),
            Event::Heal => return self.heal_network(),
            Event::HealDisk { node } => {
                self.member(*node).slowest_write = 2 * MS;
                return;
            }
        };
        let member = self.member(to);
        if member.paused_since.is_some() {
            member.inbox.push(event);
        } else if member.replica.is_some() {
            self.arrive(to, event);
        }
    }

    /// An event of a node that is up.
    fn arrive(&mut self, to: u64, event: Event) {
        match event {
            Event::Tick { node, life } => {
                if self.member(node).life == life {
                    let delay = self.rng.random_range(5 * MS..25 * MS);
                    self.push(delay, Event::Tick { node, life });
                    self.pass(node);
                }
            }
            Event::Pass { node } => {
                self.member(node).is_rung = false;
                self.pass(node);
            }
            Event::Raft { from, to, sent, message } => {
                let latest = self.arrived.entry((from, to)).or_default();
                self.tally.messages_overtaken += u64::from(sent < *latest);
                *latest = sent.max(*latest);
                let replica = self.member(to).replica.as_mut().expect("it is up");
                bowline_kv::check_entries(&message).expect("what a leader makes, others can carry out");
                replica.message(NodeId(from), message).expect("a correct peer is never rejected");
                self.ring(to);
            }
            Event::Snapshot { node, life, image } => self.finish_snapshot(node, life, *image),
            Event::Restore { node, life, restore } => self.restore(node, life, &restore),
            Event::Failed { from, life, to, round } => self.snapshot_failed(from, life, to, round),
            Event::Forward { stream } => self.deliver_forward(stream),
            Event::Answers { stream } => self.deliver_answers(stream),
            Event::Dial { from, life, to } => self.dial(from, life, to),
            Event::Client { client } => self.client_acts(client),
            Event::Ask { node, life, client, token, command } => {
                self.asked(node, life, client, token, &command);
            }
            Event::Leave { node, life, client } => self.left(node, life, client),
            other => unreachable!("not an event of node {to}: {other:?}"),
        }
    }

    /// A pass soon: what comes until then is in it.
    pub(crate) fn ring(&mut self, node: u64) {
        if !std::mem::replace(&mut self.member(node).is_rung, true) {
            let delay = if self.rng.random_bool(0.5) { 0 } else { self.rng.random_range(0..MS) };
            self.push(delay, Event::Pass { node });
        }
    }

    fn pass(&mut self, id: u64) {
        let now = self.now;
        let member = self.member(id);
        let replica = member.replica.as_mut().expect("it is up");
        if member.persisted > 0 {
            replica.persisted(member.persisted);
        }
        let unix_ms = member.clock.reads_ms(now);
        replica.tick(Time { monotonic: Duration::from_micros(now), unix_ms });
        let output = replica.ready();
        let (status, term) = (replica.status(), replica.node().term());
        member.most_unanswered = member.most_unanswered.max(status.most_unanswered);
        if status.role == RoleKind::Leader && self.leaders.insert(term) {
            self.tell(|| format!("node {id} leads in term {term}"));
        }
        self.check_state(id);
        self.carry_out(id, output);
        self.begin_snapshot(id);
    }

    /// Replicas that have applied as much hold the same, and no more records than there can be.
    fn check_state(&mut self, id: u64) {
        // All together: a node that falls silent, or dies, leaves its last records until it speaks again.
        let most_unanswered: u64 = self.members.values().map(|member| member.most_unanswered).sum();
        let member = self.member(id);
        let replica = member.replica.as_ref().expect("it is up");
        let applied = replica.node().last_applied();
        if applied == member.digested {
            return;
        }
        assert!(applied > member.digested, "node {id} went back to {applied}");
        member.digested = applied;
        let status = replica.status();
        // Each session has one at most.
        assert!(
            status.records <= 2 * most_unanswered + status.sessions,
            "node {id} holds {} records, {most_unanswered} commands were unanswered at most, {} sessions are open",
            status.records,
            status.sessions
        );
        // Not at each index: it takes long, and what has become different stays so.
        if !applied.is_multiple_of(8) {
            return;
        }
        let digest = replica.digest();
        self.check_digest(id, applied, digest);
    }

    fn carry_out(&mut self, id: u64, output: Output) {
        for envelope in output.messages {
            let message = self.with_snapshot(id, envelope.message);
            self.send_message(id, envelope.to.0, &message);
        }
        if let Some(restore) = output.restore {
            self.begin_restore(id, restore);
        }
        for (to, bytes) in output.forwards {
            let stream = self.streams.dialled(id, to.0);
            self.send_frame(stream, true, bytes.into());
        }
        for (to, bytes) in output.replies {
            let stream = self.streams.accepted(id, to.0);
            self.send_frame(stream, false, bytes.into());
        }
        if let Some(write) = output.write {
            let now = self.now;
            let delay = self.rng.random_range(50..=self.members[&id].slowest_write);
            let member = self.member(id);
            member.disk.submit(write);
            // One does not wait for another, but they are done in their order.
            member.disk.busy_until = member.disk.busy_until.max(now + delay);
            let (delay, life) = (member.disk.busy_until - now, member.life);
            self.push(delay, Event::Persisted { node: id, life });
        }
        let stood_still = self.members[&id].stood_still;
        for answer in output.answers {
            if Roamers::owns(answer.client) {
                self.roamer_answered(answer);
                continue;
            }
            if let Some(text) = self.clients.answered(id, answer, self.now, stood_still, &mut self.tally) {
                self.tell(|| text);
            }
        }
        assert!(output.alarms.is_empty(), "node {id} raises {:?}", output.alarms);
        if output.again {
            self.ring(id);
        }
    }

    fn finish_write(&mut self, id: u64, life: u64) {
        let member = self.member(id);
        if member.life == life && member.replica.is_some() {
            member.persisted = member.disk.finish();
            if member.paused_since.is_none() {
                self.ring(id);
            }
        }
    }

    fn start(&mut self, id: u64) {
        let voters: Vec<NodeId> = self.members.keys().copied().map(NodeId).collect();
        let raft = self.plan.settings(Config::new(NodeId(id), voters, 5));
        let member = self.member(id);
        member.life += 1;
        member.digested = 0;
        member.persisted = 0;
        member.is_rung = false;
        member.is_writing_snapshot = false;
        let config = ReplicaConfig { raft, life: member.life, command_timeout: COMMAND_TIMEOUT };
        let (hard_state, entries) = (member.disk.hard_state, member.disk.recover());
        let image = self.image_on_disk(id);
        let mut replica = Replica::new(config, hard_state, image, entries);
        let unix_ms = self.members[&id].clock.reads_ms(self.now);
        replica.tick(Time { monotonic: Duration::from_micros(self.now), unix_ms });
        let member = self.member(id);
        member.replica = Some(replica);
        let life = member.life;
        self.tell(|| format!("node {id} starts life {life}"));
        self.push(0, Event::Tick { node: id, life });
        for to in self.ids().into_iter().filter(|&to| to != id) {
            self.push(MS, Event::Dial { from: id, life, to });
        }
        if self.now < SUFFERING {
            self.new_clients(id);
        }
    }

    /// It goes on with all that has come meanwhile.
    pub(crate) fn resume(&mut self, id: u64) {
        let now = self.now;
        let member = self.member(id);
        let Some(since) = member.paused_since.take() else { return };
        member.stood_still += now - since;
        let inbox = std::mem::take(&mut member.inbox);
        self.tell(|| format!("node {id} goes on"));
        for event in inbox {
            self.arrive(id, event);
        }
        self.ring(id);
    }

    /// The power goes, and comes back after a while.
    pub(crate) fn lose_power(&mut self, id: u64, down: u64) {
        let unfinished = self.members[&id].disk.unfinished();
        let (survive, tears) = (self.rng.random_range(0..=unfinished), self.rng.random_bool(0.5));
        let member = self.member(id);
        if member.replica.take().is_none() {
            return;
        }
        let lost = member.disk.lose_power(survive, tears);
        member.paused_since = None;
        member.inbox.clear();
        self.tally.power_losses += 1;
        self.tally.writes_lost += lost as u64;
        self.tell(|| format!("node {id} loses its power, and {lost} writes"));
        for stream in self.streams.of(id) {
            let is_its_own = self.streams.get(stream).dialler == id;
            self.break_stream(stream);
            if is_its_own {
                self.streams.hang_up(stream);
            }
        }
        self.clients.node_died(id);
        self.push(down, Event::Start { node: id });
    }
}
