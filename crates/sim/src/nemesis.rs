//! Who breaks things, and the weather of a run.
//!
//! Every run has its own weather: how slow the disks and the network are, how often something is broken, how
//! long the log's segments are. One kind of run would see one kind of mistake.

use std::time::Duration;

use bowline_raft::{Config, NodeId};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::network::NetworkWeather;
use crate::process::Crash;
use crate::random::{stream, up_to, weighted};

/// What stays the same in one run.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// The network's.
    pub network: NetworkWeather,
    /// Each sync takes from zero up to this.
    pub longest_sync: Duration,
    /// The length of the log's segments, in bytes.
    pub segment_bytes: u64,
    /// Between two faults: from zero up to this.
    pub fault_pause: Duration,
    /// Between two proposals: from zero up to this.
    pub proposal_pause: Duration,
    /// The longest payload, in bytes.
    pub payload_bytes: usize,
    /// The nodes' election timeout; a heartbeat comes five times as often.
    pub election_timeout: Duration,
    /// Whether a new leader begins with an empty entry. Without it what earlier terms left stays uncommitted for
    /// long, which is what the paper's Figure 8 is made of.
    pub empty_entry_on_election: bool,
    /// The most that one AppendEntries carries, in bytes.
    pub append_bytes: usize,
    /// What is handed to a state machine it applies after from zero up to this.
    pub longest_apply: Duration,
}

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Weather {
    /// The weather of the run with this seed.
    pub fn of(seed: u64) -> Self {
        let random = &mut stream(seed, "weather", 0);
        let network = NetworkWeather {
            delay: weighted(random, &[(1, ms(1)), (2, ms(10)), (1, ms(40))]),
            loss: weighted(random, &[(1, 0.0), (2, 0.02), (1, 0.1)]),
            duplication: weighted(random, &[(1, 0.0), (1, 0.05)]),
        };
        Self {
            network,
            longest_sync: weighted(random, &[(1, ms(2)), (3, ms(20)), (1, ms(60))]),
            segment_bytes: weighted(random, &[(1, 1024), (1, 4096), (1, 16384)]),
            fault_pause: weighted(random, &[(1, ms(150)), (1, ms(400)), (2, ms(800)), (1, ms(2000))]),
            proposal_pause: weighted(random, &[(1, ms(10)), (1, ms(30)), (1, ms(100))]),
            payload_bytes: weighted(random, &[(2, 24), (2, 200), (1, 2500)]),
            election_timeout: weighted(random, &[(1, ms(100)), (1, ms(200)), (1, ms(300))]),
            empty_entry_on_election: weighted(random, &[(2, true), (1, false)]),
            append_bytes: weighted(random, &[(2, 1 << 20), (1, 2000)]),
            longest_apply: weighted(random, &[(2, ms(0)), (1, ms(30))]),
        }
    }

    /// The settings of a node.
    pub fn node_config(&self, id: NodeId, voters: &[NodeId], seed: u64) -> Config {
        Config {
            election_timeout: self.election_timeout,
            heartbeat_interval: self.election_timeout / 5,
            empty_entry_on_election: self.empty_entry_on_election,
            max_append_bytes: self.append_bytes,
            ..Config::new(id, voters.to_vec(), seed)
        }
    }
}

/// One thing to break.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// These go down at the same instant.
    Crash(Crash, Vec<NodeId>),
    /// These are killed, and the power of their machines goes after a while, whether they run again or not.
    KillThenPowerLoss(Vec<NodeId>, Duration),
    /// It goes down in the middle of an operation of its disk, so many from now on.
    Stop(Crash, NodeId, u64),
    /// Its next sync fails, with which the process ends.
    FailedSync(NodeId),
    /// These links carry nothing, for so long.
    Cut(Vec<(NodeId, NodeId)>, Duration),
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Crash(Crash),
    KillThenPowerLoss,
    Stop(Crash),
    FailedSync,
    Isolate,
    OneWay,
}

/// Draws what is broken next.
#[derive(Debug)]
pub struct Nemesis {
    random: StdRng,
    pause: Duration,
}

impl Nemesis {
    /// The nemesis of the run with this seed.
    pub fn new(seed: u64, weather: &Weather) -> Self {
        Self { random: stream(seed, "nemesis", 0), pause: weather.fault_pause }
    }

    /// How long nothing is broken.
    pub fn pause(&mut self) -> Duration {
        up_to(&mut self.random, self.pause)
    }

    /// How long a process stays down.
    pub fn downtime(&mut self) -> Duration {
        let longest = weighted(&mut self.random, &[(4, ms(20)), (3, ms(300)), (1, ms(1500))]);
        up_to(&mut self.random, longest)
    }

    /// Whether the node goes down again while it reads its log back: how, and in the middle of which operation.
    pub fn stop_in_recovery(&mut self) -> Option<(Crash, u64)> {
        let crash =
            weighted(&mut self.random, &[(8, None), (1, Some(Crash::Kill)), (1, Some(Crash::PowerLoss))]);
        crash.map(|crash| (crash, self.random.random_range(0..10)))
    }

    /// What is broken next; `leader` is who leads now.
    pub fn fault(&mut self, members: &[NodeId], leader: Option<NodeId>) -> Fault {
        let kinds = [
            (2, Kind::Crash(Crash::Kill)),
            (4, Kind::Crash(Crash::PowerLoss)),
            (3, Kind::KillThenPowerLoss),
            (2, Kind::Stop(Crash::Kill)),
            (2, Kind::Stop(Crash::PowerLoss)),
            (1, Kind::FailedSync),
            (4, Kind::Isolate),
            (1, Kind::OneWay),
        ];
        match weighted(&mut self.random, &kinds) {
            Kind::Crash(crash) => Fault::Crash(crash, self.some(members, leader)),
            Kind::KillThenPowerLoss => {
                let after = weighted(&mut self.random, &[(1, ms(20)), (2, ms(150))]);
                let victims = self.some(members, leader);
                Fault::KillThenPowerLoss(victims, up_to(&mut self.random, after))
            }
            Kind::Stop(crash) => {
                let victim = self.one(members, leader);
                Fault::Stop(crash, victim, self.random.random_range(0..12))
            }
            Kind::FailedSync => Fault::FailedSync(self.one(members, leader)),
            Kind::Isolate => {
                let victim = self.one(members, leader);
                let others = members.iter().copied().filter(|id| *id != victim);
                let links = others.flat_map(|other| [(other, victim), (victim, other)]).collect();
                Fault::Cut(links, self.cut_time())
            }
            Kind::OneWay => {
                let victim = self.one(members, leader);
                let others = members.iter().copied().filter(|id| *id != victim);
                let outwards = self.random.random_bool(0.5);
                let link = |other| if outwards { (victim, other) } else { (other, victim) };
                Fault::Cut(others.map(link).collect(), self.cut_time())
            }
        }
    }

    fn cut_time(&mut self) -> Duration {
        up_to(&mut self.random, ms(1500))
    }

    /// One member, the leader more often than another.
    fn one(&mut self, members: &[NodeId], leader: Option<NodeId>) -> NodeId {
        let any = members[self.random.random_range(0..members.len())];
        leader.filter(|_| self.random.random_bool(0.4)).unwrap_or(any)
    }

    /// One, a majority, or all.
    fn some(&mut self, members: &[NodeId], leader: Option<NodeId>) -> Vec<NodeId> {
        let first = self.one(members, leader);
        let mut others: Vec<NodeId> = members.iter().copied().filter(|id| *id != first).collect();
        let majority = members.len() / 2 + 1;
        let size = weighted(&mut self.random, &[(4, 1), (3, majority), (3, members.len())]);
        let mut victims = vec![first];
        while victims.len() < size {
            victims.push(others.swap_remove(self.random.random_range(0..others.len())));
        }
        victims
    }
}
