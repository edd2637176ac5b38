//! Many clients of a service that is simulated, each always in a call.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use bowline_linearizability::{CallId, History, Model};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// What the clients do.
pub(crate) struct Load<M: Model> {
    pub(crate) name: &'static str,
    pub(crate) clients: u64,
    pub(crate) calls: usize,
    /// One call in so many is never answered; its client goes on. 0: every call is answered.
    pub(crate) lost: u32,
    /// An operation; the number is another for each call.
    pub(crate) operation: fn(&mut StdRng, usize) -> M::Operation,
}

/// The history of a load, which is linearizable: a call takes effect up to a millisecond after its invocation, and is answered up to one after that.
pub(crate) fn simulate<M: Model>(load: &Load<M>) -> History<M::Operation, M::Reply> {
    let random = &mut StdRng::seed_from_u64(1);
    let mut history = History::new();
    let mut state = M::State::default();
    let mut replies = HashMap::new();
    // What comes next: when, for which call, and whether that is its effect or its answer.
    let mut events = BinaryHeap::new();
    for client in 0..load.clients {
        let at = random.random_range(0..1000);
        let id = history.invoked(client, (load.operation)(random, history.calls().len()), at);
        events.push(Reverse((at + random.random_range(1..1_000_000), id, Moment::Effect)));
    }
    while let Some(Reverse((at, id, moment))) = events.pop() {
        let client = history.calls()[id.0].client;
        if moment == Moment::Effect {
            replies.insert(id, M::apply(&mut state, &history.calls()[id.0].operation));
            events.push(Reverse((at + random.random_range(1..1_000_000), id, Moment::Answer)));
            continue;
        }
        let reply = replies.remove(&id).expect("it has taken effect");
        if load.lost == 0 || !random.random_ratio(1, load.lost) {
            history.returned(id, reply, at);
        }
        if history.calls().len() < load.calls {
            let at = at + 1000;
            let id = history.invoked(client, (load.operation)(random, history.calls().len()), at);
            events.push(Reverse((at + random.random_range(1..1_000_000), id, Moment::Effect)));
        }
    }
    history
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    Effect,
    Answer,
}

/// The same history, in which one call in its last quarter is answered as if it had been made some hundred calls earlier; and
/// which it is.
pub(crate) fn with_a_lie<M: Model>(
    history: &History<M::Operation, M::Reply>,
) -> (History<M::Operation, M::Reply>, CallId) {
    let calls = history.calls();
    let stale = |number: usize| {
        let (_, reply) = calls[number].returned()?;
        let earlier =
            calls[..number - 200].iter().rev().find(|call| call.operation == calls[number].operation)?;
        earlier.returned().map(|(_, old)| old).filter(|old| *old != reply)
    };
    let lie = (calls.len() * 3 / 4..).find_map(|number| stale(number).map(|old| (number, old)));
    let (liar, old) = lie.expect("something was asked twice");
    let mut told = History::new();
    for (number, call) in calls.iter().enumerate() {
        let id = told.invoked(call.client, call.operation.clone(), call.invoked_ns);
        if let Some((at_ns, reply)) = call.returned() {
            told.returned(id, if number == liar { old.clone() } else { reply.clone() }, at_ns);
        }
    }
    (told, CallId(liar))
}
