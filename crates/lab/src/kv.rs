//! The harness of the key/value parts: a group of servers with the production replica in each, and clerks.
//!
//! The primitives have the names of the seeds' own, and do what theirs do. Servers speak to each other only
//! through Raft; clerks have ends of their own to each server, which partitions between servers do not touch. A
//! clerk gets its session through the log too. If the answer to its OPEN is lost it asks again, and a session
//! that nobody uses is left behind; it never has a record, so of records there is at most one a clerk.

mod clerk;
mod generic;
mod timed;
mod verdict;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending};
use std::rc::Rc;
use std::time::Duration;

use bowline_linearizability::History;
use bowline_linearizability::course::{Answer, Operation};
use bowline_linearizability::redis;
use bowline_raft::peer::Persister;
use bowline_sim::clock::Daytime;
use bowline_sim::executor::{Sim, Task};
use bowline_sim::host::{DiskKind, Host, PRE_VOTE, Parts};
use bowline_sim::kv_server::KvServer;
use bowline_sim::labrpc::{ClientEnd, EndId, Network, ServerName};
use bowline_sim::random::stream;
use bowline_sim::trace::MarkKind;
use bowline_sim::tracer::Tracer;
use bowline_sim::watch::Watch;
use rand::RngExt;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::run::Figures;

pub use clerk::{ClerkLinks, LabClerk};
pub(crate) use generic::{Generic, generic, generic_speed, partitioner};
pub(crate) use timed::TimedClerk;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct KvSetting {
    /// How many servers.
    pub servers: usize,
    /// Above how many bytes of raft state a server takes a snapshot; never without.
    pub max_raft_state: Option<usize>,
    /// How long a save takes.
    pub disk: DiskKind,
    /// Everything that is drawn comes from it.
    pub seed: u64,
}

/// A group of key/value servers under test. Handles are cheap and mean the same group.
#[derive(Clone)]
pub struct KvLab(Rc<Inner>);

struct Inner {
    sim: Sim,
    setting: KvSetting,
    network: Network,
    servers: RefCell<Vec<Server>>,
    watch: Rc<RefCell<Watch>>,
    script: RefCell<StdRng>,
    clerks: Cell<u64>,
    operations: Cell<u64>,
    history: RefCell<History<Operation, Answer>>,
    /// Commands about keys whose time ends.
    timed: RefCell<History<redis::timed::Command, redis::Reply>>,
    /// The figures when the present printed test began.
    began: Cell<Figures>,
    /// Those of each that has ended.
    sections: RefCell<Vec<Figures>>,
}

/// One server, through all its lives.
struct Server {
    host: Option<Host<KvServer>>,
    persister: Rc<RefCell<Persister>>,
    /// Its ends to each server, in the present life.
    ends: Vec<EndId>,
    /// How often it was started.
    lives: u64,
    /// What it takes for the time of day, if the script says so.
    daytime: Option<Daytime>,
}

impl KvLab {
    /// Creates and starts all servers, and then connects them.
    pub fn new(sim: &Sim, setting: KvSetting, tracer: Option<Tracer>) -> Self {
        let network = Network::new(sim, setting.seed);
        if let Some(tracer) = &tracer {
            network.observe(Rc::new(tracer.clone()));
        }
        let server =
            || Server { host: None, persister: Rc::default(), ends: Vec::new(), lives: 0, daytime: None };
        let lab = Self(Rc::new(Inner {
            sim: sim.clone(),
            setting,
            network,
            servers: RefCell::new((0..setting.servers).map(|_| server()).collect()),
            watch: Rc::new(RefCell::new(Watch::new(sim, setting.servers, tracer))),
            script: RefCell::new(stream(setting.seed, "script", 0)),
            clerks: Cell::new(0),
            operations: Cell::new(0),
            history: RefCell::default(),
            timed: RefCell::default(),
            began: Cell::default(),
            sections: RefCell::default(),
        }));
        for i in 0..setting.servers {
            lab.start_server(i);
        }
        lab.connect_all();
        lab
    }

    /// How many servers there are.
    pub fn n(&self) -> usize {
        self.0.setting.servers
    }

    /// All servers.
    pub fn all(&self) -> Vec<usize> {
        (0..self.n()).collect()
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

    /// Links everyone with everyone.
    pub fn connect_all(&self) {
        self.partition(&self.all(), &[]);
    }

    /// Links the servers of each side among themselves, and cuts one side off from the other.
    pub fn partition(&self, one: &[usize], other: &[usize]) {
        self.note(|| format!("the script makes sides of {one:?} and {other:?}"));
        let sides = self.all().into_iter().map(|i| (one.contains(&i), other.contains(&i)));
        let sides: Vec<_> = sides.collect();
        let servers = self.0.servers.borrow();
        for (i, server) in servers.iter().enumerate() {
            for (j, end) in server.ends.iter().enumerate() {
                let ((i_one, i_other), (j_one, j_other)) = (sides[i], sides[j]);
                if (i_one && j_one) || (i_other && j_other) {
                    self.0.network.enable(*end, true);
                } else if (i_one && j_other) || (i_other && j_one) {
                    self.0.network.enable(*end, false);
                }
            }
        }
    }

    /// The first server that takes itself for the leader; server 0 if none does.
    pub fn leader(&self) -> usize {
        let servers = self.0.servers.borrow();
        let leads = |server: &Server| {
            let host = server.host.as_ref()?;
            Some(host.look(|server| server.replica().status().role == bowline_raft::RoleKind::Leader))
        };
        servers.iter().position(|server| leads(server) == Some(true)).unwrap_or(0)
    }

    /// A majority without the leader, and the others, the leader among them as the last.
    pub fn make_partition(&self) -> (Vec<usize>, Vec<usize>) {
        let leader = self.leader();
        let mut others: Vec<_> = self.all().into_iter().filter(|i| *i != leader).collect();
        let mut minority = others.split_off(self.n() / 2 + 1);
        minority.push(leader);
        (others, minority)
    }

    /// Crashes the server. Nothing positive leaves it any more before the copy of what it has saved is taken, and
    /// what it saves after that is lost.
    pub fn shutdown_server(&self, i: usize) {
        let mut servers = self.0.servers.borrow_mut();
        for (j, other) in servers.iter().enumerate() {
            for end in other.ends.iter().enumerate().filter(|(to, _)| i == j || *to == i).map(|(_, end)| end)
            {
                self.0.network.enable(*end, false);
            }
        }
        self.0.network.delete_server(name(i));
        let server = &mut servers[i];
        let copy = server.persister.borrow().clone();
        server.persister = Rc::new(RefCell::new(copy));
        if let Some(host) = server.host.take() {
            host.kill();
            self.mark(i, MarkKind::Crash, "crash");
        }
    }

    /// Starts the server, from what it had saved, with ends of its own that lead nowhere yet.
    pub fn start_server(&self, i: usize) {
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
        let server = &mut self.0.servers.borrow_mut()[i];
        server.ends = ends.iter().map(ClientEnd::id).collect();
        let copy = server.persister.borrow().clone();
        server.persister = Rc::new(RefCell::new(copy));
        server.lives += 1;
        let parts = Parts {
            me: i,
            life: server.lives,
            ends,
            persister: server.persister.clone(),
            disk: self.0.setting.disk,
            seed: self.0.setting.seed,
            watch: self.0.watch.clone(),
        };
        let host = Host::start_kv(&self.0.sim, parts, self.0.setting.max_raft_state);
        if let Some(daytime) = server.daytime {
            host.set_daytime(daytime);
        }
        network.add_server(name(i), host.kv_service());
        server.host = Some(host);
    }

    /// Makes the network lose and delay.
    pub fn set_unreliable(&self) {
        self.0.network.set_reliable(false);
    }

    /// A new clerk, with ends to all servers in an order of its own, of which those to these servers lead there.
    pub fn make_clerk(&self, to: &[usize]) -> LabClerk {
        let (number, links) = self.make_links(to);
        LabClerk::new(self, number, links)
    }

    fn make_links(&self, to: &[usize]) -> (u64, ClerkLinks) {
        let number = self.0.clerks.replace(self.0.clerks.get() + 1);
        let mut ends: Vec<_> = self.all().into_iter().map(|i| (i, self.0.network.make_end())).collect();
        ends.shuffle(&mut *self.0.script.borrow_mut());
        for (i, end) in &ends {
            self.0.network.connect(end.id(), name(*i));
        }
        let links = ClerkLinks::new(&self.0.network, ends);
        links.connect(to);
        (number, links)
    }

    /// The size of the largest saved raft state of a server, in bytes.
    pub fn log_size(&self) -> usize {
        self.largest(Persister::raft_state_size)
    }

    /// The size of the largest saved snapshot of a server, in bytes.
    pub fn snapshot_size(&self) -> usize {
        self.largest(Persister::snapshot_size)
    }

    fn largest(&self, size: impl Fn(&Persister) -> usize) -> usize {
        self.0.servers.borrow().iter().map(|server| size(&server.persister.borrow())).max().unwrap_or(0)
    }

    /// A number below `n`, from the script's own stream.
    pub fn random_below(&self, n: u64) -> u64 {
        self.0.script.borrow_mut().random_range(0..n)
    }

    /// A stream of randomness of its own, for something that happens beside the script.
    pub(crate) fn stream(&self, number: u64) -> StdRng {
        stream(self.0.setting.seed, "client", number)
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

    /// One of the printed tests of this script begins here. The first begins with the run, unless this is said.
    pub fn begin(&self) {
        self.0.began.set(self.figures());
    }

    /// One of the printed tests of this script ends here, and the next begins.
    pub fn end(&self) {
        self.0.sections.borrow_mut().push(self.figures().since(&self.0.began.get()));
        self.begin();
    }

    /// The figures of each printed test that has ended.
    pub(crate) fn sections(&self) -> Vec<Figures> {
        self.0.sections.borrow().clone()
    }

    /// The figures so far.
    pub(crate) fn figures(&self) -> Figures {
        let network = &self.0.network;
        let pre_votes = network.calls_of(PRE_VOTE);
        let committed = self.statuses().into_iter().map(|status| status.commit_index).max().unwrap_or(0);
        Figures {
            time: self.now(),
            rpcs: network.total_calls() - pre_votes,
            pre_votes,
            bytes: network.total_bytes(),
            committed,
            operations: self.0.operations.get(),
        }
    }

    fn statuses(&self) -> Vec<bowline_kv::Status> {
        let servers = self.0.servers.borrow();
        let hosts = servers.iter().filter_map(|server| server.host.as_ref());
        hosts.map(|host| host.look(|server| server.replica().status())).collect()
    }

    /// Who sees all that the servers do.
    pub(crate) fn watch(&self) -> &RefCell<Watch> {
        &self.0.watch
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
}

fn name(i: usize) -> ServerName {
    ServerName(i as u64)
}
