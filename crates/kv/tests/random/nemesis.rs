//! What goes wrong: another mixture for each seed.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_raft::{Config, RoleKind};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::cluster::{Cluster, MS};
use crate::event::Event;

/// Drawn once for a run.
pub(crate) struct Plan {
    pub(crate) size: u64,
    pub(crate) clients_per_node: u64,
    /// The longest pause between two faults, in microseconds.
    longest_peace: u64,
    /// How often each fault is the next one.
    weights: Vec<(u32, Fault)>,
    /// How much may go wrong with a message.
    roughness: f64,
    max_log_bytes: u64,
    max_uncommitted_bytes: usize,
    max_waiting_reads: usize,
    max_apply_bytes: usize,
    max_retained_bytes: u64,
    /// How large the log may grow before a snapshot is made. None: there are no snapshots.
    pub(crate) snapshot_bytes: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Partition,
    OneWay,
    Isolation,
    Pause,
    PowerLoss,
    SlowDisk,
    BreakStream,
    BreakAllOfOne,
    ClientGone,
    WallClock,
    Weather,
}

impl Plan {
    pub(crate) fn log_may_fill(&self) -> bool {
        self.max_log_bytes < 1 << 30
    }

    pub(crate) fn draw(seed: u64, rng: &mut StdRng) -> Self {
        let mut weight = |most, fault| {
            // Each is left out of some runs.
            let weight = if rng.random_bool(0.2) { 0 } else { rng.random_range(1..=most) };
            (weight, fault)
        };
        let weights = vec![
            weight(10, Fault::Partition),
            weight(8, Fault::OneWay),
            weight(8, Fault::Isolation),
            weight(10, Fault::Pause),
            weight(10, Fault::PowerLoss),
            weight(6, Fault::SlowDisk),
            weight(20, Fault::BreakStream),
            weight(8, Fault::BreakAllOfOne),
            weight(6, Fault::ClientGone),
            weight(8, Fault::WallClock),
            (3, Fault::Weather),
        ];
        let mut one_of = |rare, usual, chance| if rng.random_bool(chance) { rare } else { usual };
        let max_uncommitted_bytes = one_of(600, 64 << 20, 0.3);
        let max_waiting_reads = one_of(1, 10_000, 0.2);
        let max_apply_bytes = one_of(400, 4 << 20, 0.4);
        let snapshot_bytes: Option<u64> = rng.random_bool(0.7).then(|| rng.random_range(300..6_000));
        let log_may_fill = rng.random_bool(0.15);
        let max_log_bytes = match snapshot_bytes {
            _ if !log_may_fill => 2 << 30,
            // It has room again with each snapshot.
            Some(bytes) => 2000 + bytes,
            None => 60_000,
        };
        Self {
            size: if seed.is_multiple_of(3) { 5 } else { 3 },
            clients_per_node: rng.random_range(1..=4),
            longest_peace: rng.random_range(100..1200) * MS,
            weights,
            roughness: rng.random_range(0.0..1.0),
            max_log_bytes,
            max_uncommitted_bytes,
            max_waiting_reads,
            max_apply_bytes,
            max_retained_bytes: if rng.random_bool(0.5) { 3000 } else { 256 << 20 },
            snapshot_bytes,
        }
    }

    pub(crate) fn settings(&self, config: Config) -> Config {
        Config {
            max_log_bytes: self.max_log_bytes,
            max_uncommitted_bytes: self.max_uncommitted_bytes,
            max_waiting_reads: self.max_waiting_reads,
            max_apply_bytes: self.max_apply_bytes,
            max_retained_bytes: self.max_retained_bytes,
            disk_stall_limit: Duration::from_secs(60),
            ..config
        }
    }
}

/// How the network is for a while.
pub(crate) struct Weather {
    pub(crate) lose: f64,
    pub(crate) repeat: f64,
    /// How often a message is far later than usual.
    pub(crate) late: f64,
    /// At most, in microseconds.
    pub(crate) usual_delay: u64,
}

impl Weather {
    pub(crate) fn draw(plan: &Plan, rng: &mut StdRng) -> Self {
        let roughness = plan.roughness;
        Self {
            lose: roughness * rng.random_range(0.0..0.1),
            repeat: roughness * rng.random_range(0.0..0.1),
            late: roughness * rng.random_range(0.0..0.1),
            usual_delay: rng.random_range(100..3 * MS),
        }
    }

    fn fair() -> Self {
        Self { lose: 0.0, repeat: 0.0, late: 0.0, usual_delay: MS }
    }
}

impl Cluster {
    pub(crate) fn fault(&mut self) {
        let peace = self.rng.random_range(5 * MS..self.plan.longest_peace);
        self.push(peace, Event::Fault);
        let total: u32 = self.plan.weights.iter().map(|&(weight, _)| weight).sum();
        let mut drawn = self.rng.random_range(0..total);
        let fault = self.plan.weights.iter().find(|&&(weight, _)| {
            let found = drawn < weight;
            drawn = drawn.saturating_sub(weight);
            found
        });
        let fault = fault.expect("one of them").1;
        let node = self.victim();
        match fault {
            Fault::Partition => self.partition(),
            Fault::OneWay => self.block_one_way(node),
            Fault::Isolation => self.isolate(node),
            Fault::Pause => self.pause(node),
            Fault::PowerLoss => {
                let longest = if self.rng.random_bool(0.5) { 10 * MS } else { 600 * MS };
                let down = self.rng.random_range(MS..longest);
                self.lose_power(node, down);
            }
            Fault::SlowDisk => {
                let slowest = self.rng.random_range(10 * MS..400 * MS);
                self.member(node).slowest_write = slowest;
                self.tally.slow_disks += 1;
                let healed = self.rng.random_range(50 * MS..2000 * MS);
                self.push(healed, Event::HealDisk { node });
            }
            Fault::BreakStream => {
                let open = self.streams.open();
                if !open.is_empty() {
                    let at = self.rng.random_range(0..open.len());
                    self.break_stream(open[at]);
                }
            }
            Fault::BreakAllOfOne => {
                for stream in self.streams.of(node) {
                    self.break_stream(stream);
                }
            }
            Fault::ClientGone => self.client_leaves(node),
            Fault::WallClock => self.spoil_clock(),
            Fault::Weather => self.weather = Weather::draw(&self.plan, &mut self.rng),
        }
    }

    /// Any node, and often the one that leads.
    fn victim(&mut self) -> u64 {
        let leads = |id: &u64| {
            let replica = self.members[id].replica.as_ref();
            replica.is_some_and(|replica| replica.node().role() == RoleKind::Leader)
        };
        let leader = self.ids().into_iter().find(leads);
        let any = self.rng.random_range(1..=self.plan.size);
        leader.filter(|_| self.rng.random_bool(0.4)).unwrap_or(any)
    }

    /// Cuts the nodes into two groups: with luck, neither is the majority with the leader.
    fn partition(&mut self) {
        let ids = self.ids();
        let side: BTreeMap<u64, bool> = ids.iter().map(|&id| (id, self.rng.random_bool(0.5))).collect();
        self.blocked.clear();
        for &from in &ids {
            self.blocked.extend(ids.iter().filter(|to| side[&from] != side[to]).map(|&to| (from, to)));
        }
        self.tally.partitions += u64::from(!self.blocked.is_empty());
        self.tell(|| format!("a partition: {side:?}"));
        self.after_blocking();
    }

    /// Nothing comes from that node, or nothing gets to it.
    fn block_one_way(&mut self, node: u64) {
        let is_from = self.rng.random_bool(0.5);
        for other in self.ids().into_iter().filter(|&other| other != node) {
            if self.rng.random_bool(0.8) {
                self.blocked.insert(if is_from { (node, other) } else { (other, node) });
            }
        }
        self.tally.one_way_partitions += 1;
        self.tell(|| format!("blocked {} node {node}", if is_from { "from" } else { "to" }));
        self.after_blocking();
    }

    /// Nothing comes from that node, nor gets to it: the others may go far without it.
    fn isolate(&mut self, node: u64) {
        for other in self.ids().into_iter().filter(|&other| other != node) {
            self.blocked.extend([(node, other), (other, node)]);
        }
        self.tally.isolations += 1;
        self.tell(|| format!("node {node} is isolated"));
        self.after_blocking();
    }

    /// A connection may wait for the end of it, or break.
    fn after_blocking(&mut self) {
        for id in self.streams.open() {
            let stream = self.streams.get(id);
            let (a, b) = (stream.dialler, stream.acceptor);
            let is_hit = self.blocked.contains(&(a, b)) || self.blocked.contains(&(b, a));
            if is_hit && self.rng.random_bool(0.5) {
                self.break_stream(id);
            }
        }
        let lasts = if self.rng.random_bool(0.7) {
            self.rng.random_range(50 * MS..1500 * MS)
        } else {
            self.rng.random_range(2000 * MS..4000 * MS)
        };
        self.push(lasts, Event::Heal);
    }

    pub(crate) fn heal_network(&mut self) {
        self.blocked.clear();
        self.tell(|| "the network heals".to_owned());
    }

    fn pause(&mut self, node: u64) {
        let now = self.now;
        let member = self.member(node);
        if member.replica.is_none() || member.paused_since.is_some() {
            return;
        }
        member.paused_since = Some(now);
        self.tally.pauses += 1;
        let long = self.rng.random_bool(0.3);
        let lasts = self.rng.random_range(10 * MS..if long { 3500 * MS } else { 700 * MS });
        self.tell(|| format!("node {node} stands still for {} ms", lasts / MS));
        self.push(lasts, Event::Resume { node });
    }

    pub(crate) fn end_faults(&mut self) {
        self.heal_network();
        self.weather = Weather::fair();
        // Partitions that end later, and nodes that start later, do no harm; another fault would.
        self.plan.longest_peace = 1 << 40;
        self.plan.weights = vec![(1, Fault::Weather)];
        self.plan.roughness = 0.0;
        for id in self.ids() {
            self.member(id).slowest_write = MS;
            self.resume(id);
        }
    }
}
