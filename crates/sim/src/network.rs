//! A network that delays, loses, repeats and reorders messages, and falls apart.
//!
//! It decides when a message arrives, and whether; it neither reads nor keeps it. A message that is on its way
//! when its link is cut does not arrive, and one that outlives the sender, or the receiver's restart, does.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bowline_raft::NodeId;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::random::up_to;

/// How bad the network is.
#[derive(Clone, Copy, Debug)]
pub struct NetworkWeather {
    /// The longest delay; each message draws its own from zero up to this.
    pub delay: Duration,
    /// How often a message is lost, from 0 to 1.
    pub loss: f64,
    /// How often it comes twice, from 0 to 1.
    pub duplication: f64,
}

/// What has really happened to messages.
#[derive(Clone, Copy, Debug, Default)]
pub struct NetworkFaults {
    /// Lost one by one.
    pub lost: u64,
    /// Sent once and delivered twice.
    pub duplicated: u64,
    /// Arrived behind one that had been sent later on the same link.
    pub reordered: u64,
    /// Did not arrive because their link was cut.
    pub cut: u64,
}

/// The links between all nodes.
#[derive(Debug)]
pub struct Network {
    weather: NetworkWeather,
    /// Links that carry nothing: from, to.
    cut: BTreeSet<(NodeId, NodeId)>,
    sent: u64,
    /// The latest sent of those that have arrived.
    arrived: BTreeMap<(NodeId, NodeId), u64>,
    faults: NetworkFaults,
    random: StdRng,
}

/// One copy of a message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Passage {
    from: NodeId,
    to: NodeId,
    number: u64,
    /// How long it takes.
    pub delay: Duration,
}

impl Network {
    /// A whole network.
    pub fn new(weather: NetworkWeather, random: StdRng) -> Self {
        Self {
            weather,
            cut: BTreeSet::new(),
            sent: 0,
            arrived: BTreeMap::new(),
            faults: NetworkFaults::default(),
            random,
        }
    }

    /// Sends a message: the copies of it that are on their way.
    pub fn send(&mut self, from: NodeId, to: NodeId) -> impl Iterator<Item = Passage> + use<> {
        self.sent += 1;
        let copies = if self.random.random_bool(self.weather.loss) {
            self.faults.lost += 1;
            0
        } else if self.random.random_bool(self.weather.duplication) {
            self.faults.duplicated += 1;
            2
        } else {
            1
        };
        let mut passage = || {
            let delay = up_to(&mut self.random, self.weather.delay);
            Passage { from, to, number: self.sent, delay }
        };
        let passages = [passage(), passage()];
        passages.into_iter().take(copies)
    }

    /// Whether a message that was on its way arrives.
    pub fn arrives(&mut self, passage: Passage) -> bool {
        let link = (passage.from, passage.to);
        if self.cut.contains(&link) {
            self.faults.cut += 1;
            return false;
        }
        let latest = self.arrived.entry(link).or_default();
        self.faults.reordered += u64::from(passage.number < *latest);
        *latest = passage.number.max(*latest);
        true
    }

    /// From now on these links carry nothing, and all others do.
    pub fn cut(&mut self, links: impl IntoIterator<Item = (NodeId, NodeId)>) {
        self.cut = links.into_iter().collect();
    }

    /// From now on it only delays.
    pub fn calm(&mut self) {
        self.cut.clear();
        self.weather.loss = 0.0;
        self.weather.duplication = 0.0;
    }

    /// What has happened so far.
    pub fn faults(&self) -> NetworkFaults {
        self.faults
    }
}
