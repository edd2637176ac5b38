//! The harness: a group of servers, and what a script may do to them.
//!
//! The primitives have the names of the seeds' own, and do what theirs do: servers are cut off and come back,
//! crash and start again from a copy of what they had saved. What a script asks of a server in a loop costs it
//! [`STEP`] of virtual time, so that no loop can spin at one instant.

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::time::Duration;

use bowline_raft::peer::Peer;
use bowline_raft::{Index, Term};
use bowline_sim::executor::Sim;
use bowline_sim::host::{DiskKind, Host, PRE_VOTE};
use bowline_sim::trace::MarkKind;
use bowline_sim::tracer::Tracer;
use bytes::Bytes;

use crate::applier::Records;
use crate::group::{Group, name};
use crate::monitor::Monitor;

/// The tester's election timeout: its unit of patience, not the servers' own timeout.
pub const E: Duration = Duration::from_millis(1000);

/// What it costs a script to ask a server for something.
pub const STEP: Duration = Duration::from_micros(10);

/// The course's edition that a scenario is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edition {
    /// 2022 and later.
    Course,
    /// The spring and autumn of 2016: fixed pauses, and every agreement may be tried again.
    Y2016,
}

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How many servers.
    pub peers: usize,
    /// Whether the network is unreliable at the beginning.
    pub unreliable: bool,
    /// Whose rules.
    pub edition: Edition,
    /// Whether the service takes snapshots.
    pub snapshots: bool,
    /// How long a save takes.
    pub disk: DiskKind,
    /// Everything that is drawn comes from it.
    pub seed: u64,
}

/// A group of servers under test. Handles are cheap and mean the same group.
#[derive(Clone)]
pub struct Lab(Rc<Inner>);

struct Inner {
    group: Group<Peer>,
    edition: Edition,
    snapshots: bool,
    connected: RefCell<Vec<bool>>,
    records: RefCell<Records>,
    monitor: RefCell<Monitor>,
    reliable: Cell<bool>,
}

impl Deref for Lab {
    type Target = Group<Peer>;

    fn deref(&self) -> &Self::Target {
        &self.0.group
    }
}

impl Lab {
    /// Creates and starts all servers, and then connects them.
    pub fn new(sim: &Sim, setting: Setting, tracer: Option<Tracer>) -> Self {
        let Setting { peers, unreliable, edition, snapshots, disk, seed } = setting;
        let group = Group::new(sim, peers, disk, seed, tracer);
        group.network().set_reliable(!unreliable);
        group.network().set_long_delays(true);
        let lab = Self(Rc::new(Inner {
            group,
            edition,
            snapshots,
            connected: RefCell::new(vec![false; peers]),
            records: RefCell::new(Records::new(peers)),
            monitor: RefCell::default(),
            reliable: Cell::new(!unreliable),
        }));
        for i in 0..peers {
            lab.start1(i);
        }
        for i in 0..peers {
            lab.connect(i);
        }
        sim.spawn(crate::monitor::look(lab.clone()));
        lab
    }

    /// Whose rules hold.
    pub fn edition(&self) -> Edition {
        self.0.edition
    }

    /// Links the server with each other one that is connected.
    pub fn connect(&self, i: usize) {
        self.0.connected.borrow_mut()[i] = true;
        self.mark(i, MarkKind::Connected, "connected");
        for j in self.all().into_iter().filter(|j| self.is_connected(*j)) {
            self.link(i, j, true);
            self.link(j, i, true);
        }
    }

    /// Cuts the server off. It goes on running, on its own.
    pub fn disconnect(&self, i: usize) {
        self.0.connected.borrow_mut()[i] = false;
        self.mark(i, MarkKind::Disconnected, "disconnected");
        for j in self.all() {
            self.link(i, j, false);
            self.link(j, i, false);
        }
    }

    /// Crashes the server.
    pub fn crash1(&self, i: usize) {
        if self.lives(i) > 0 {
            self.disconnect(i);
        }
        self.kill(i);
    }

    /// Starts the server, from what it had saved; if it runs it crashes first. It is not connected.
    pub fn start1(&self, i: usize) {
        self.crash1(i);
        let parts = self.revive(i);
        let ingested = self.0.records.borrow_mut().start(i, &parts.persister.borrow().read_snapshot());
        if let Err(what) = ingested {
            self.fail_now(what);
        }
        let life = parts.life;
        let (host, applied) = Host::start(self.sim(), parts);
        let service = host.service();
        self.started(i, host, service);
        self.spawn(crate::applier::apply(self.clone(), i, life, applied));
    }

    /// Whether this life of the server goes on.
    pub(crate) fn is_life(&self, i: usize, life: u64) -> bool {
        self.lives(i) == life && self.is_alive(i)
    }

    /// Whether the server is connected.
    pub fn is_connected(&self, i: usize) -> bool {
        self.0.connected.borrow()[i]
    }

    /// Whether the server runs.
    pub fn is_alive(&self, i: usize) -> bool {
        self.host(i).is_some()
    }

    /// Makes the network lose and delay, or no longer.
    pub fn set_unreliable(&self, unreliable: bool) {
        self.0.reliable.set(!unreliable);
        self.0.monitor.borrow_mut().network_changed();
        self.network().set_reliable(!unreliable);
    }

    /// Makes most replies late, or no longer.
    pub fn set_long_reordering(&self, on: bool) {
        self.network().set_long_reordering(on);
    }

    /// Starts agreement on a command at that server: where it will stand and in which term, if the server runs and
    /// takes itself for the leader.
    pub async fn start(&self, i: usize, command: Bytes) -> Option<(Index, Term)> {
        self.sleep(STEP).await;
        let host = self.host(i)?;
        let (index, term, leads) = host.submit(command);
        leads.then_some((index, term))
    }

    /// The server's term, and whether it takes itself for the leader; none when it is down.
    pub async fn get_state(&self, i: usize) -> Option<(Term, bool)> {
        self.sleep(STEP).await;
        self.state_now(i)
    }

    pub(crate) fn state_now(&self, i: usize) -> Option<(Term, bool)> {
        Some(self.host(i)?.get_state())
    }

    /// How many requests have reached the server since it was started.
    pub fn rpc_count(&self, i: usize) -> u64 {
        self.network().server_calls(name(i))
    }

    /// How many bytes have travelled.
    pub fn bytes_total(&self) -> u64 {
        self.network().total_bytes()
    }

    /// How many calls were made, pre-votes apart.
    pub fn rpcs_total(&self) -> u64 {
        self.network().total_calls() - self.pre_votes_total()
    }

    /// How many pre-votes were asked for.
    pub fn pre_votes_total(&self) -> u64 {
        self.network().calls_of(PRE_VOTE)
    }

    /// Whether something happens that does so in `percent` of 100 cases.
    pub fn chance(&self, percent: u64) -> bool {
        self.random_below(100) < percent
    }

    /// A command that nobody else is likely to draw: an integer of 63 bits.
    pub fn random_int(&self) -> Bytes {
        int(self.random_below(1 << 63))
    }

    pub(crate) fn takes_snapshots(&self) -> bool {
        self.0.snapshots
    }

    /// The service of server `i` has made a snapshot of all up to `index`.
    pub(crate) fn snapshot(&self, i: usize, index: Index, snapshot: Bytes) {
        if let Some(host) = self.host(i) {
            host.snapshot(index, snapshot);
        }
    }

    pub(crate) fn records(&self) -> &RefCell<Records> {
        &self.0.records
    }

    pub(crate) fn monitor(&self) -> &RefCell<Monitor> {
        &self.0.monitor
    }

    pub(crate) fn is_reliable(&self) -> bool {
        self.0.reliable.get()
    }
}

/// An integer as a command: its decimal text.
pub fn int(n: u64) -> Bytes {
    n.to_string().into()
}
