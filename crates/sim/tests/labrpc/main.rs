//! The laboratory's network keeps every figure of its table.

mod counters;
mod dead;
mod fates;
mod observer;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bowline_sim::executor::{Sim, Task};
use bowline_sim::labrpc::{ClientEnd, Network, Server, ServerName};
use bytes::Bytes;

const SERVER: ServerName = ServerName(7);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// What a server has executed: by the arguments of a call when it arrived, and when it was done.
#[derive(Clone, Default)]
struct Executed(Rc<RefCell<BTreeMap<Bytes, Times>>>);

type Times = (Duration, Option<Duration>);

impl Executed {
    /// A server that takes `work` for each call and replies with the arguments, twice.
    fn server(&self, sim: &Sim, work: Duration) -> Server {
        let (sim, executed) = (sim.clone(), self.clone());
        Server::new(move |incoming| {
            let (sim, executed, args) = (sim.clone(), executed.clone(), incoming.args);
            let before = executed.0.borrow_mut().insert(args.clone(), (sim.now(), None));
            assert_eq!(before, None, "a call arrives once");
            Box::pin(async move {
                if work > Duration::ZERO {
                    sim.sleep(work).await;
                }
                executed.0.borrow_mut().get_mut(&args).expect("it has arrived").1 = Some(sim.now());
                [args.clone(), args].concat().into()
            })
        })
    }

    fn count(&self) -> usize {
        self.0.borrow().len()
    }

    fn arrived(&self, args: &[u8]) -> Option<Duration> {
        self.0.borrow().get(args).map(|times| times.0)
    }

    fn done(&self, args: &[u8]) -> Option<Duration> {
        self.0.borrow().get(args).and_then(|times| times.1)
    }
}

/// A network with one server, and an enabled end that leads to it.
#[derive(Clone)]
struct Setup {
    sim: Sim,
    network: Network,
    end: ClientEnd,
    executed: Executed,
}

/// What became of a call; times are counted from when it was made.
struct Outcome {
    arrived: Option<Duration>,
    is_replied: bool,
    /// When the caller knew.
    told: Duration,
}

impl Setup {
    fn new(sim: &Sim, seed: u64, work: Duration) -> Self {
        let (network, executed) = (Network::new(sim, seed), Executed::default());
        network.add_server(SERVER, executed.server(sim, work));
        let end = network.make_end();
        network.connect(end.id(), SERVER);
        network.enable(end.id(), true);
        Self { sim: sim.clone(), network, end, executed }
    }

    /// Makes a call at this moment.
    fn call(&self, args: impl Into<Bytes>) -> Task<Outcome> {
        let (sim, executed, args) = (self.sim.clone(), self.executed.clone(), args.into());
        let made = sim.now();
        let call = self.end.call("Echo", args.clone());
        self.sim.spawn(async move {
            let reply = call.await;
            let told = sim.now() - made;
            let twice = [args.clone(), args.clone()].concat();
            assert!(reply.as_ref().is_none_or(|reply| *reply == twice), "the reply to another call");
            let arrived = executed.arrived(&args).map(|at| at - made);
            Outcome { arrived, is_replied: reply.is_some(), told }
        })
    }

    /// Makes many calls at this moment, and waits until it is known what became of each.
    async fn calls(&self, number: usize) -> Vec<Outcome> {
        let calls: Vec<_> = (0..number).map(|call| self.call(call.to_string())).collect();
        let mut outcomes = Vec::new();
        for call in calls {
            outcomes.push(call.await);
        }
        outcomes
    }
}

/// Runs a test in virtual time.
fn run<T: 'static, F: Future<Output = T> + 'static>(test: impl FnOnce(Sim) -> F) -> T {
    Sim::run(test).expect("it ends")
}
