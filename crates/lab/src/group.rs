//! What the harness of a Raft group and that of a key/value group have in common: servers that crash and start again from
//! what they had saved, their ends to each other, and what a script needs of the virtual world.

use std::cell::{RefCell, RefMut};
use std::future::{Future, pending};
use std::rc::Rc;
use std::time::Duration;

use bowline_raft::peer::Persister;
use bowline_sim::executor::{Sim, Task};
use bowline_sim::host::{DiskKind, Host, Parts, Seat};
use bowline_sim::labrpc::{self, ClientEnd, EndId, Network, ServerName};
use bowline_sim::random::stream;
use bowline_sim::trace::MarkKind;
use bowline_sim::tracer::Tracer;
use bowline_sim::watch::Watch;
use rand::RngExt;
use rand::rngs::StdRng;

/// Servers under test, the network between them, and who watches.
pub struct Group<S: Seat> {
    sim: Sim,
    disk: DiskKind,
    seed: u64,
    network: Network,
    servers: RefCell<Vec<Server<S>>>,
    watch: Rc<RefCell<Watch>>,
    script: RefCell<StdRng>,
}

/// One server, through all its lives.
struct Server<S: Seat> {
    host: Option<Host<S>>,
    persister: Rc<RefCell<Persister>>,
    /// Its ends to each server, in the present life.
    ends: Vec<EndId>,
    /// How often it was started.
    lives: u64,
}

impl<S: Seat> Group<S> {
    /// So many servers, none of them started.
    pub(crate) fn new(sim: &Sim, servers: usize, disk: DiskKind, seed: u64, tracer: Option<Tracer>) -> Self {
        let network = Network::new(sim, seed);
        if let Some(tracer) = &tracer {
            network.observe(Rc::new(tracer.clone()));
        }
        let server = || Server { host: None, persister: Rc::default(), ends: Vec::new(), lives: 0 };
        Self {
            sim: sim.clone(),
            disk,
            seed,
            network,
            servers: RefCell::new((0..servers).map(|_| server()).collect()),
            watch: Rc::new(RefCell::new(Watch::new(sim, servers, tracer))),
            script: RefCell::new(stream(seed, "script", 0)),
        }
    }

    /// How many servers there are.
    pub fn n(&self) -> usize {
        self.servers.borrow().len()
    }

    /// All servers.
    pub fn all(&self) -> Vec<usize> {
        (0..self.n()).collect()
    }

    /// The virtual time since the beginning.
    pub fn now(&self) -> Duration {
        self.sim.now()
    }

    /// Lets time pass.
    pub async fn sleep(&self, time: Duration) {
        self.sim.sleep(time).await;
    }

    /// Something that happens beside the script.
    pub fn spawn<T: 'static>(&self, script: impl Future<Output = T> + 'static) -> Task<T> {
        self.sim.spawn(script)
    }

    /// Ends the run: the scenario has failed.
    pub async fn fail(&self, what: impl Into<String>) -> ! {
        self.fail_now(what);
        pending().await
    }

    /// The same from where nothing can be awaited.
    pub(crate) fn fail_now(&self, what: impl Into<String>) {
        self.sim.fail(what);
    }

    /// Ends the run unless `holds`.
    pub async fn ensure(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.fail(what()).await;
        }
    }

    /// A number below `n`, from the script's own stream.
    pub fn random_below(&self, n: u64) -> u64 {
        self.script().random_range(0..n)
    }

    /// The script's own stream of randomness.
    pub(crate) fn script(&self) -> RefMut<'_, StdRng> {
        self.script.borrow_mut()
    }

    /// A stream of randomness for something that happens beside the script.
    pub(crate) fn stream(&self, number: u64) -> StdRng {
        stream(self.seed, "client", number)
    }

    pub(crate) fn sim(&self) -> &Sim {
        &self.sim
    }

    pub(crate) fn network(&self) -> &Network {
        &self.network
    }

    /// Who sees all that the servers do.
    pub(crate) fn watch(&self) -> &RefCell<Watch> {
        &self.watch
    }

    /// The server, if it runs.
    pub(crate) fn host(&self, i: usize) -> Option<Host<S>> {
        self.servers.borrow()[i].host.clone()
    }

    /// The servers that run.
    pub(crate) fn hosts(&self) -> Vec<Host<S>> {
        self.servers.borrow().iter().filter_map(|server| server.host.clone()).collect()
    }

    /// How often the server was started.
    pub(crate) fn lives(&self, i: usize) -> u64 {
        self.servers.borrow()[i].lives
    }

    /// Lets what server `i` sends to server `j` through, or no longer.
    pub(crate) fn link(&self, i: usize, j: usize, through: bool) {
        self.network.enable(self.servers.borrow()[i].ends[j], through);
    }

    /// What a new life of the server is made of: what it had saved, and ends of its own that lead nowhere yet.
    pub(crate) fn revive(&self, i: usize) -> Parts {
        let end = |j: usize| {
            let end = self.network.make_end();
            self.network.connect(end.id(), name(j));
            if let Some(tracer) = self.watch.borrow().tracer() {
                tracer.end(end.id(), i);
            }
            end
        };
        let ends: Vec<_> = (0..self.n()).map(end).collect();
        let server = &mut self.servers.borrow_mut()[i];
        server.ends = ends.iter().map(ClientEnd::id).collect();
        server.keep_what_is_saved();
        server.lives += 1;
        Parts {
            me: i,
            life: server.lives,
            ends,
            persister: server.persister.clone(),
            disk: self.disk,
            seed: self.seed,
            watch: self.watch.clone(),
        }
    }

    /// From now on the server runs, and the network knows it.
    pub(crate) fn started(&self, i: usize, host: Host<S>, service: labrpc::Server) {
        self.network.add_server(name(i), service);
        self.servers.borrow_mut()[i].host = Some(host);
    }

    /// Ends the server, if it runs. Nothing positive leaves it any more before the copy of what it has saved is taken, and
    /// what it saves after that is lost.
    pub(crate) fn kill(&self, i: usize) {
        self.network.delete_server(name(i));
        let server = &mut self.servers.borrow_mut()[i];
        server.keep_what_is_saved();
        if let Some(host) = server.host.take() {
            host.kill();
            self.mark(i, MarkKind::Crash, "crash");
        }
    }

    /// The size of the largest saved raft state of a server, snapshots apart, in bytes.
    pub fn log_size(&self) -> usize {
        self.largest(Persister::raft_state_size)
    }

    /// The size of the largest saved snapshot of a server, in bytes.
    pub fn snapshot_size(&self) -> usize {
        self.largest(Persister::snapshot_size)
    }

    fn largest(&self, size: impl Fn(&Persister) -> usize) -> usize {
        self.servers.borrow().iter().map(|server| size(&server.persister.borrow())).max().unwrap_or(0)
    }

    /// Kills all servers, and ends the network.
    pub(crate) fn clean_up(&self) {
        for server in self.servers.borrow_mut().iter_mut() {
            if let Some(host) = server.host.take() {
                host.kill();
            }
        }
        self.network.shut_down();
    }

    /// A mark on the line of a server in the trace.
    pub(crate) fn mark(&self, i: usize, kind: MarkKind, label: &str) {
        if let Some(tracer) = self.watch.borrow().tracer() {
            tracer.mark(i, kind, label);
        }
    }

    /// A line of the trace: what the script does.
    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        if let Some(tracer) = self.watch.borrow().tracer() {
            tracer.note(text());
        }
    }
}

impl<S: Seat> Server<S> {
    /// What is still being saved for the life before is lost.
    fn keep_what_is_saved(&mut self) {
        let copy = self.persister.borrow().clone();
        self.persister = Rc::new(RefCell::new(copy));
    }
}

/// As the network knows server `i`.
pub(crate) fn name(i: usize) -> ServerName {
    ServerName(i as u64)
}
