//! The list of all scenarios, and how one is found.

use std::future::Future;
use std::pin::Pin;

use bowline_sim::executor::Sim;

use crate::config::{Edition, Lab};
use crate::kv::{Generic, KvLab, generic};
use crate::{kv_a, kv_b, kv_expiry, kv_sessions, network, raft_2016, raft_a, raft_b, raft_c, raft_d};

/// A script that runs in the virtual world.
pub type Script<T> = Pin<Box<dyn Future<Output = T>>>;

/// The parts of the labs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The network's own tests.
    Network,
    /// Leader election.
    RaftA,
    /// Log replication.
    RaftB,
    /// Persistence, and unreliable networks.
    RaftC,
    /// Snapshots.
    RaftD,
    /// The suite of 2016.
    Raft2016,
    /// The key/value service.
    KvA,
    /// The same, with snapshots.
    KvB,
    /// Sessions of the key/value service that end too early: no scenarios of the seeds.
    KvSessions,
    /// Keys of the key/value service whose time ends, and wrong clocks: no scenarios of the seeds.
    KvExpiry,
}

impl Part {
    /// As it is written in a filter.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::RaftA => "raft-a",
            Self::RaftB => "raft-b",
            Self::RaftC => "raft-c",
            Self::RaftD => "raft-d",
            Self::Raft2016 => "raft-2016",
            Self::KvA => "kv-a",
            Self::KvB => "kv-b",
            Self::KvSessions => "kv-sessions",
            Self::KvExpiry => "kv-expiry",
        }
    }
}

/// What the seeds print behind "Passed".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many servers.
    pub peers: usize,
    /// How many calls.
    pub rpcs: u64,
    /// How many bytes, in the seeds' own encoding.
    pub bytes: u64,
    /// How many entries were committed.
    pub committed: u64,
}

/// What a test of the key/value service prints, and what seed 003 prints behind "Passed".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct KvLine {
    /// The line that it prints.
    pub title: &'static str,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// How many calls, those of clients and those between servers.
    pub rpcs: u64,
    /// How many operations of clerks the script has counted.
    pub operations: u64,
}

impl KvLine {
    /// The line with this title.
    pub(crate) const fn new(title: &'static str, seconds: f64, rpcs: u64, operations: u64) -> Self {
        Self { title, seconds, rpcs, operations }
    }
}

/// What happens to a group of key/value servers.
#[derive(Clone, Copy, Debug)]
pub enum KvScript {
    /// What most tests of the seeds do.
    Generic(Generic),
    /// Something of its own.
    Own(fn(KvLab) -> Script<()>),
}

impl KvScript {
    /// Runs it.
    pub async fn run(self, lab: KvLab) {
        match self {
            Self::Generic(test) => generic(lab, test).await,
            Self::Own(script) => script(lab).await,
        }
    }
}

/// Something with a group of key/value servers.
#[derive(Clone, Copy, Debug)]
pub struct KvBody {
    /// The script.
    pub script: KvScript,
    /// Above how many bytes of raft state a server takes a snapshot; never without.
    pub max_raft_state: Option<usize>,
    /// The tests that it prints, one or several; none if the seeds have no such scenario.
    pub seed_003: &'static [KvLine],
}

/// What a scenario does.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// Something with nothing but a network.
    Network(fn(Sim, u64) -> Script<Result<(), String>>),
    /// Something with a group of servers.
    Raft(fn(Lab) -> Script<()>),
    /// Something with a group of key/value servers.
    Kv(KvBody),
}

/// One test of the seeds' suites, under its own name.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Where it belongs.
    pub part: Part,
    /// The name of the test function, as in `TestBasicAgree3B`.
    pub name: &'static str,
    /// The line that it prints.
    pub title: &'static str,
    /// How many servers; 0 without any.
    pub peers: usize,
    /// Whether the network is unreliable at the beginning.
    pub unreliable: bool,
    /// The script.
    pub body: Body,
    /// The line that seed 002 shows, the course of 2024.
    pub seed_002: Option<Line>,
    /// The line that seed 001 shows, elections alone.
    pub seed_001: Option<Line>,
}

impl Scenario {
    /// One with a group of key/value servers, whose network is reliable at the beginning.
    pub(crate) const fn of_kv(
        part: Part,
        name: &'static str,
        title: &'static str,
        servers: usize,
        body: KvBody,
    ) -> Self {
        let body = Body::Kv(body);
        Self { part, name, title, peers: servers, unreliable: false, body, seed_002: None, seed_001: None }
    }

    /// Whose rules hold.
    pub fn edition(&self) -> Edition {
        if self.part == Part::Raft2016 { Edition::Y2016 } else { Edition::Course }
    }

    /// Whether there are servers, and so disks.
    pub fn has_disks(&self) -> bool {
        !matches!(self.body, Body::Network(_))
    }

    /// How many calls the seeds' own servers made, if that is known.
    pub fn reference_rpcs(&self) -> Option<u64> {
        match self.body {
            Body::Kv(kv) => Some(kv.seed_003.iter().map(|line| line.rpcs).sum()).filter(|rpcs| *rpcs > 0),
            Body::Network(_) | Body::Raft(_) => self.seed_002.map(|line| line.rpcs),
        }
    }

    /// How many of them for each operation of a clerk.
    pub fn reference_rpcs_per_operation(&self) -> Option<f64> {
        let Body::Kv(kv) = self.body else { return None };
        let operations: u64 = kv.seed_003.iter().map(|line| line.operations).sum();
        self.reference_rpcs().filter(|_| operations > 0).map(|rpcs| rpcs as f64 / operations as f64)
    }

    /// Whether its name or title has this piece in it.
    fn has_piece(&self, piece: &str) -> bool {
        let lines = if let Body::Kv(kv) = self.body { kv.seed_003 } else { &[] };
        let mut texts = lines.iter().map(|line| line.title).chain([self.name, self.title]);
        texts.any(|text| text.to_lowercase().contains(piece))
    }
}

/// All scenarios, in the order of the parts.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    [
        network::SCENARIOS,
        raft_a::SCENARIOS,
        raft_b::SCENARIOS,
        raft_c::SCENARIOS,
        raft_d::SCENARIOS,
        raft_2016::SCENARIOS,
        kv_a::SCENARIOS,
        kv_b::SCENARIOS,
        kv_sessions::SCENARIOS,
        kv_expiry::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// The scenarios that a filter means, in upper or lower case: the one with this name, or those of this part, or of
/// the parts that begin with it and a dash, or else all with this piece in their name or title.
pub fn find(filter: &str) -> Vec<&'static Scenario> {
    let filter = filter.to_lowercase();
    let is_name = |scenario: &&Scenario| scenario.name.to_lowercase() == filter;
    let is_part = |scenario: &&Scenario| scenario.part.name() == filter;
    let is_family = |scenario: &&Scenario| scenario.part.name().starts_with(&format!("{filter}-"));
    let has_piece = |scenario: &&Scenario| scenario.has_piece(&filter);
    let matches: [&dyn Fn(&&'static Scenario) -> bool; 4] = [&is_name, &is_part, &is_family, &has_piece];
    let mut found = matches.into_iter().map(|matches| all().filter(matches).collect::<Vec<_>>());
    found.find(|found| !found.is_empty()).unwrap_or_default()
}
