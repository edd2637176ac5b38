//! The harness: a group of servers, and what a script may do to them.
//!
//! The primitives have the names of the seeds' own, and do what theirs do: servers are cut off and come back,
//! crash and start again from a copy of what they had saved. What a script asks of a server in a loop costs it
//! [`STEP`] of virtual time, so that no loop can spin at one instant.

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::rc::Rc;
use std::time::Duration;

use bowline_raft::peer::Persister;
use bowline_raft::{Index, Term};
use bowline_sim::executor::{Sim, Task};
use bowline_sim::host::{DiskKind, Host, PRE_VOTE, Parts};
use bowline_sim::labrpc::{ClientEnd, EndId, Network, ServerName};
use bowline_sim::random::stream;
use bowline_sim::trace::MarkKind;
use bowline_sim::tracer::Tracer;
use bowline_sim::watch::Watch;
use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::applier::Records;
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

pub(crate) struct Inner {
    sim: Sim,
    setting: Setting,
    network: Network,
    servers: RefCell<Vec<Server>>,
    records: RefCell<Records>,
    watch: Rc<RefCell<Watch>>,
    monitor: RefCell<Monitor>,
    script: RefCell<StdRng>,
    reliable: Cell<bool>,
}

/// One server, through all its lives.
struct Server {
    host: Option<Host>,
    persister: Rc<RefCell<Persister>>,
    /// Its ends to each server, in the present life.
    ends: Vec<EndId>,
    connected: bool,
    /// How often it was started.
    lives: u64,
}

impl Lab {
    /// Creates and starts all servers, and then connects them.
    pub fn new(sim: &Sim, setting: Setting, tracer: Option<Tracer>) -> Self {
        let network = Network::new(sim, setting.seed);
        network.set_reliable(!setting.unreliable);
        network.set_long_delays(true);
        if let Some(tracer) = &tracer {
            network.observe(Rc::new(tracer.clone()));
        }
        let server =
            || Server { host: None, persister: Rc::default(), ends: Vec::new(), connected: false, lives: 0 };
        let lab = Self(Rc::new(Inner {
            sim: sim.clone(),
            setting,
            network,
            servers: RefCell::new((0..setting.peers).map(|_| server()).collect()),
            records: RefCell::new(Records::new(setting.peers)),
            watch: Rc::new(RefCell::new(Watch::new(sim, setting.peers, tracer))),
            monitor: RefCell::default(),
            script: RefCell::new(stream(setting.seed, "script", 0)),
            reliable: Cell::new(!setting.unreliable),
        }));
        for i in 0..setting.peers {
            lab.start1(i);
        }
        for i in 0..setting.peers {
            lab.connect(i);
        }
        sim.spawn(crate::monitor::look(lab.clone()));
        lab
    }

    /// How many servers there are.
    pub fn n(&self) -> usize {
        self.0.setting.peers
    }

    /// Whose rules hold.
    pub fn edition(&self) -> Edition {
        self.0.setting.edition
    }

    /// The virtual time since the beginning.
    pub fn now(&self) -> Duration {
        self.0.sim.now()
    }

    /// Lets time pass.
    pub async fn sleep(&self, time: Duration) {
        self.0.sim.sleep(time).await;
    }

    /// Something that happens beside the script.
    pub fn spawn<T: 'static>(&self, script: impl Future<Output = T> + 'static) -> Task<T> {
        self.0.sim.spawn(script)
    }

    /// Links the server with each other one that is connected.
    pub fn connect(&self, i: usize) {
        self.0.servers.borrow_mut()[i].connected = true;
        self.mark(i, MarkKind::Connected, "connected");
        let servers = self.0.servers.borrow();
        for (j, other) in servers.iter().enumerate().filter(|(_, other)| other.connected) {
            self.0.network.enable(servers[i].ends[j], true);
            self.0.network.enable(other.ends[i], true);
        }
    }

    /// Cuts the server off. It goes on running, on its own.
    pub fn disconnect(&self, i: usize) {
        self.0.servers.borrow_mut()[i].connected = false;
        self.mark(i, MarkKind::Disconnected, "disconnected");
        let servers = self.0.servers.borrow();
        for (j, other) in servers.iter().enumerate() {
            self.0.network.enable(servers[i].ends[j], false);
            self.0.network.enable(other.ends[i], false);
        }
    }

    /// Crashes the server. The order is the seeds': nothing positive leaves it any more before the copy of what it
    /// has saved is taken, and what it saves after that is lost.
    pub fn crash1(&self, i: usize) {
        if self.0.servers.borrow()[i].lives > 0 {
            self.disconnect(i);
        }
        self.0.network.delete_server(name(i));
        let server = &mut self.0.servers.borrow_mut()[i];
        let copy = server.persister.borrow().clone();
        server.persister = Rc::new(RefCell::new(copy));
        if let Some(host) = server.host.take() {
            host.kill();
            self.mark(i, MarkKind::Crash, "crash");
        }
    }

    /// Starts the server, from what it had saved, with ends of its own that lead nowhere yet; if it runs it
    /// crashes first. It is not connected.
    pub fn start1(&self, i: usize) {
        self.crash1(i);
        let network = &self.0.network;
        let end = |j: usize| {
            let end = network.make_end();
            network.connect(end.id(), name(j));
            if let Some(tracer) = self.0.watch.borrow().tracer() {
                tracer.end(end.id(), i);
            }
            end
        };
        let ends: Vec<_> = (0..self.n()).map(end).collect();
        let mut servers = self.0.servers.borrow_mut();
        let server = &mut servers[i];
        server.ends = ends.iter().map(ClientEnd::id).collect();
        let copy = server.persister.borrow().clone();
        let ingested = self.0.records.borrow_mut().start(i, &copy.read_snapshot());
        if let Err(what) = ingested {
            self.fail_now(what);
        }
        server.persister = Rc::new(RefCell::new(copy));
        server.lives += 1;
        let life = server.lives;
        let (host, applied) = Host::start(
            &self.0.sim,
            Parts {
                me: i,
                life,
                ends,
                persister: server.persister.clone(),
                disk: self.0.setting.disk,
                seed: self.0.setting.seed,
                watch: self.0.watch.clone(),
            },
        );
        network.add_server(name(i), host.service());
        server.host = Some(host);
        self.0.sim.spawn(crate::applier::apply(self.clone(), i, life, applied));
    }

    /// Whether this life of the server goes on.
    pub(crate) fn is_life(&self, i: usize, life: u64) -> bool {
        let servers = self.0.servers.borrow();
        servers[i].lives == life && servers[i].host.is_some()
    }

    /// Whether the server is connected.
    pub fn is_connected(&self, i: usize) -> bool {
        self.0.servers.borrow()[i].connected
    }

    /// Whether the server runs.
    pub fn is_alive(&self, i: usize) -> bool {
        self.0.servers.borrow()[i].host.is_some()
    }

    /// Makes the network lose and delay, or no longer.
    pub fn set_unreliable(&self, unreliable: bool) {
        self.0.reliable.set(!unreliable);
        self.0.monitor.borrow_mut().network_changed();
        self.0.network.set_reliable(!unreliable);
    }

    /// Makes most replies late, or no longer.
    pub fn set_long_reordering(&self, on: bool) {
        self.0.network.set_long_reordering(on);
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
        self.0.network.server_calls(name(i))
    }

    /// The size of the largest saved state of a server, snapshots apart, in bytes.
    pub fn log_size(&self) -> usize {
        let servers = self.0.servers.borrow();
        servers.iter().map(|server| server.persister.borrow().raft_state_size()).max().unwrap_or(0)
    }

    /// How many bytes have travelled.
    pub fn bytes_total(&self) -> u64 {
        self.0.network.total_bytes()
    }

    /// How many calls were made, pre-votes apart.
    pub fn rpcs_total(&self) -> u64 {
        self.0.network.total_calls() - self.pre_votes_total()
    }

    /// How many pre-votes were asked for.
    pub fn pre_votes_total(&self) -> u64 {
        self.0.network.calls_of(PRE_VOTE)
    }

    /// A number below `n`, from the script's own stream.
    pub fn random_below(&self, n: u64) -> u64 {
        self.0.script.borrow_mut().random_range(0..n)
    }

    /// Whether something happens that does so in `percent` of 100 cases.
    pub fn chance(&self, percent: u64) -> bool {
        self.random_below(100) < percent
    }

    /// A command that nobody else is likely to draw: an integer of 63 bits.
    pub fn random_int(&self) -> Bytes {
        int(self.random_below(1 << 63))
    }

    /// Ends the run: the scenario has failed.
    pub async fn fail(&self, what: impl Into<String>) -> ! {
        self.0.sim.fail(what);
        pending().await
    }

    /// Ends the run unless `holds`.
    pub async fn ensure(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(what()).await;
        }
    }

    pub(crate) fn takes_snapshots(&self) -> bool {
        self.0.setting.snapshots
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

    /// Who sees all that the servers do.
    pub(crate) fn watch(&self) -> &RefCell<Watch> {
        &self.0.watch
    }

    pub(crate) fn monitor(&self) -> &RefCell<Monitor> {
        &self.0.monitor
    }

    pub(crate) fn is_reliable(&self) -> bool {
        self.0.reliable.get()
    }

    /// Ends the run from where nothing can be awaited.
    pub(crate) fn fail_now(&self, what: String) {
        self.0.sim.fail(what);
    }

    /// Kills all servers, and ends the network.
    pub(crate) fn clean_up(&self) {
        for server in self.0.servers.borrow_mut().iter_mut() {
            if let Some(host) = server.host.take() {
                host.kill();
            }
        }
        self.0.network.shut_down();
    }

    fn mark(&self, i: usize, kind: MarkKind, label: &str) {
        if let Some(tracer) = self.0.watch.borrow().tracer() {
            tracer.mark(i, kind, label);
        }
    }

    /// A line of the trace: what the script does.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        if let Some(tracer) = self.0.watch.borrow().tracer() {
            tracer.note(text());
        }
    }

    fn host(&self, i: usize) -> Option<Host> {
        self.0.servers.borrow()[i].host.clone()
    }
}

/// An integer as a command: its decimal text.
pub fn int(n: u64) -> Bytes {
    n.to_string().into()
}

fn name(i: usize) -> ServerName {
    ServerName(i as u64)
}
