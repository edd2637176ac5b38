//! The harness of the key/value parts: a group of servers with the production replica in each, and clerks.
//!
//! The primitives have the names of the seeds' own, and do what theirs do. Servers speak to each other only
//! through Raft; clerks have ends of their own to each server, which partitions between servers do not touch. A
//! clerk gets its session through the log too. If the answer to its OPEN is lost it asks again, and a session
//! that nobody uses is left behind; it never has a record, so of records there is at most one a clerk.

mod clerk;
mod generic;
#[cfg(test)]
mod tests;
mod timed;
mod verdict;

use std::cell::{Cell, RefCell};
use std::ops::Deref;
use std::rc::Rc;

use bowline_linearizability::History;
use bowline_linearizability::course::{Answer, Operation};
use bowline_linearizability::redis;
use bowline_raft::RoleKind;
use bowline_sim::clock::Daytime;
use bowline_sim::executor::Sim;
use bowline_sim::host::{DiskKind, Host, PRE_VOTE};
use bowline_sim::kv_server::KvServer;
use bowline_sim::tracer::Tracer;
use rand::seq::SliceRandom;

use crate::group::{Group, name};
use crate::run::Figures;

pub use clerk::{ClerkLinks, LabClerk};
pub use generic::Generic;
pub(crate) use generic::{generic, generic_speed, partitioner};
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
    group: Group<KvServer>,
    max_raft_state: Option<usize>,
    /// What each server takes for the time of day, if the script says so.
    daytimes: RefCell<Vec<Option<Daytime>>>,
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

impl Deref for KvLab {
    type Target = Group<KvServer>;

    fn deref(&self) -> &Self::Target {
        &self.0.group
    }
}

impl KvLab {
    /// Creates and starts all servers, and then connects them.
    pub fn new(sim: &Sim, setting: KvSetting, tracer: Option<Tracer>) -> Self {
        let KvSetting { servers, max_raft_state, disk, seed } = setting;
        let lab = Self(Rc::new(Inner {
            group: Group::new(sim, servers, disk, seed, tracer),
            max_raft_state,
            daytimes: RefCell::new(vec![None; servers]),
            clerks: Cell::new(0),
            operations: Cell::new(0),
            history: RefCell::default(),
            timed: RefCell::default(),
            began: Cell::default(),
            sections: RefCell::default(),
        }));
        for i in 0..servers {
            lab.start_server(i);
        }
        lab.connect_all();
        lab
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
        for (i, (i_one, i_other)) in sides.iter().enumerate() {
            for (j, (j_one, j_other)) in sides.iter().enumerate() {
                if (*i_one && *j_one) || (*i_other && *j_other) {
                    self.link(i, j, true);
                } else if (*i_one && *j_other) || (*i_other && *j_one) {
                    self.link(i, j, false);
                }
            }
        }
    }

    /// The first server that takes itself for the leader; server 0 if none does.
    pub fn leader(&self) -> usize {
        let leads = |i: &usize| {
            let host = self.host(*i)?;
            Some(host.look(|server| server.replica().status().role == RoleKind::Leader))
        };
        self.all().into_iter().find(|i| leads(i) == Some(true)).unwrap_or(0)
    }

    /// A majority without the leader, and the others, the leader among them as the last.
    pub fn make_partition(&self) -> (Vec<usize>, Vec<usize>) {
        let leader = self.leader();
        let mut others: Vec<_> = self.all().into_iter().filter(|i| *i != leader).collect();
        let mut minority = others.split_off(self.n() / 2 + 1);
        minority.push(leader);
        (others, minority)
    }

    /// Crashes the server.
    pub fn shutdown_server(&self, i: usize) {
        for j in self.all() {
            self.link(i, j, false);
            self.link(j, i, false);
        }
        self.kill(i);
    }

    /// Starts the server, from what it had saved. It is not connected.
    pub fn start_server(&self, i: usize) {
        let host = Host::start_kv(self.sim(), self.revive(i), self.0.max_raft_state);
        if let Some(daytime) = self.0.daytimes.borrow()[i] {
            host.set_daytime(daytime);
        }
        let service = host.kv_service();
        self.started(i, host, service);
    }

    /// Makes the network lose and delay.
    pub fn set_unreliable(&self) {
        self.network().set_reliable(false);
    }

    /// A new clerk, with ends to all servers in an order of its own, of which those to these servers lead there.
    pub fn make_clerk(&self, to: &[usize]) -> LabClerk {
        let (number, links) = self.make_links(to);
        LabClerk::new(self, number, links)
    }

    fn make_links(&self, to: &[usize]) -> (u64, ClerkLinks) {
        let number = self.0.clerks.replace(self.0.clerks.get() + 1);
        let mut ends: Vec<_> = self.all().into_iter().map(|i| (i, self.network().make_end())).collect();
        ends.shuffle(&mut *self.script());
        for (i, end) in &ends {
            self.network().connect(end.id(), name(*i));
        }
        let links = ClerkLinks::new(self.network(), ends);
        links.connect(to);
        (number, links)
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
        let network = self.network();
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
        self.hosts().into_iter().map(|host| host.look(|server| server.replica().status())).collect()
    }
}
