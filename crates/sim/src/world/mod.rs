//! A world of some machines, in which one seed decides what happens.
//!
//! The nodes, their logs and their recovery are the ones of production; the machines, the network, the
//! clients, the time and the bad luck are not. For some virtual seconds everything is broken that
//! [`Nemesis`] can break, and the [`invariants`](crate::invariants) are checked after every event. Then all is
//! healed, and the group must find together, and show that it has lost nothing.

mod chaos;
mod members;
mod recovery;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use bowline_raft::{LogId, Message, NodeId};

use crate::clients::Clients;
use crate::invariants::{Invariants, Violation};
use crate::nemesis::{Nemesis, Weather};
use crate::network::{Network, Passage};
use crate::process::Machine;
use crate::queue::Queue;
use crate::random::stream;
use crate::tally::Tally;
use crate::timeline::Timeline;

/// For so long things are broken.
const CHAOS: Duration = Duration::from_secs(6);

/// How many machines there are.
const MEMBERS: u64 = 3;

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// The seed of the run.
    pub seed: u64,
    /// What went wrong, the first of each property, in the order in which it was seen. Empty is good.
    pub violations: Vec<Violation>,
    /// What happened; also what never did and should have.
    pub tally: Tally,
    /// The events up to the first violation, or to the end.
    pub timeline: String,
}

/// Runs the world of that seed, and keeps the last `lines` events for a person to read.
pub fn run(seed: u64, lines: usize) -> Report {
    let mut world = World::new(seed, lines);
    let lived = catch_unwind(AssertUnwindSafe(|| world.live()));
    if let Err(panic) = lived {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        world.violated("assertion", text.unwrap_or_default());
    }
    world.report()
}

/// What is going to happen. Machines are meant by their place in the list; what was planned for one life of a
/// machine does not happen in another.
#[derive(Debug)]
enum Event {
    Start(usize),
    Tick { at: usize, life: u64 },
    Synced { at: usize, life: u64 },
    Applied { at: usize, life: u64 },
    Arrive { passage: Passage, from: NodeId, to: NodeId, message: Message },
    Propose,
    Break,
    PowerLoss(Vec<NodeId>),
    Mend,
    Calm,
}

#[derive(Debug)]
struct World {
    seed: u64,
    weather: Weather,
    ids: Vec<NodeId>,
    machines: Vec<Machine>,
    queue: Queue<Event>,
    network: Network,
    nemesis: Nemesis,
    clients: Clients,
    invariants: Invariants,
    tally: Tally,
    timeline: Timeline,
    /// The timeline as it was at the first violation.
    first_violation: Option<String>,
    /// Things are broken no more.
    calm: bool,
    /// The last proposal of all, and when it was made.
    last_proposal: Option<(LogId, Duration)>,
    over: bool,
}

impl World {
    fn new(seed: u64, lines: usize) -> Self {
        let weather = Weather::of(seed);
        let ids: Vec<NodeId> = (1..=MEMBERS).map(NodeId).collect();
        let machine = |id: &NodeId| Machine::new(*id, seed, weather.segment_bytes, weather.longest_sync);
        let mut tally = Tally::default();
        for name in chaos::FAULTS {
            tally.add(name, 0);
        }
        Self {
            seed,
            weather,
            machines: ids.iter().map(machine).collect(),
            queue: Queue::default(),
            network: Network::new(weather.network, stream(seed, "network", 0)),
            nemesis: Nemesis::new(seed, &weather),
            clients: Clients::new(stream(seed, "proposals", 0), weather.payload_bytes),
            invariants: Invariants::new(&ids),
            tally,
            timeline: Timeline::new(lines),
            first_violation: None,
            calm: false,
            last_proposal: None,
            over: false,
            ids,
        }
    }

    fn live(&mut self) {
        for at in 0..self.machines.len() {
            self.queue.after(Duration::ZERO, Event::Start(at));
        }
        self.queue.after(Duration::ZERO, Event::Propose);
        self.queue.after(self.weather.election_timeout * 2, Event::Break);
        self.queue.after(CHAOS, Event::Calm);
        while !self.over {
            let event = self.queue.take().expect("proposals go on");
            self.happen(event);
            if self.first_violation.is_none() && !self.invariants.violations().is_empty() {
                self.first_violation = Some(self.timeline.to_string());
            }
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Start(at) => self.start(at),
            Event::Tick { at, life } => self.tick(at, life),
            Event::Synced { at, life } => self.synced(at, life),
            Event::Applied { at, life } => self.applied(at, life),
            Event::Arrive { passage, from, to, message } => self.arrive(passage, from, to, message),
            Event::Propose if self.calm => self.converge(),
            Event::Propose => self.propose(),
            Event::Break if self.calm => {}
            Event::Break => self.break_something(),
            Event::PowerLoss(_) if self.calm => {}
            Event::PowerLoss(ids) => self.late_power_loss(&ids),
            Event::Mend => self.network.cut([]),
            Event::Calm => {
                self.calm = true;
                self.network.calm();
            }
        }
    }

    fn violated(&mut self, property: &'static str, what: String) {
        self.invariants.note(Err(Violation { property, what }));
    }

    fn report(mut self) -> Report {
        self.count();
        Report {
            seed: self.seed,
            violations: self.invariants.violations().to_vec(),
            tally: self.tally,
            timeline: self.first_violation.unwrap_or_else(|| self.timeline.to_string()),
        }
    }
}
