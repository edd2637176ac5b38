//! Small histories, most of them wrong in a small way.

use bowline_linearizability::{Call, History, Model, Outcome};
use rand::RngExt;
use rand::rngs::StdRng;

/// How a history is made.
pub(crate) struct Shape<M: Model> {
    operation: Draw<M::Operation>,
    reply: Draw<M::Reply>,
    calls: usize,
}

type Draw<T> = Box<dyn Fn(&mut StdRng) -> T>;

impl<M: Model> Shape<M> {
    /// Draws operations and answers, right or wrong ones, for so many calls at most.
    pub(crate) fn new(
        operation: impl Fn(&mut StdRng) -> M::Operation + 'static,
        reply: impl Fn(&mut StdRng) -> M::Reply + 'static,
        calls: usize,
    ) -> Self {
        Self { operation: Box::new(operation), reply: Box::new(reply), calls }
    }
}

/// The calls of a few clients, each done at some moment between its invocation and its answer, with times so
/// close that many are the same. Then, in most of them, something is changed.
pub(crate) fn history<M: Model>(random: &mut StdRng, shape: &Shape<M>) -> History<M::Operation, M::Reply> {
    let mut calls = calls(random, shape);
    if random.random_ratio(3, 4) {
        for _ in 0..random.random_range(1..=2) {
            spoil(random, shape, &mut calls);
        }
    }
    let mut history = History::new();
    for call in calls {
        let id = history.invoked(call.client, call.operation, call.invoked_ns);
        match call.outcome {
            Outcome::Returned { at_ns, reply } => history.returned(id, reply, at_ns),
            Outcome::NotExecuted => history.not_executed(id),
            Outcome::Unknown => {}
        }
    }
    history
}

fn calls<M: Model>(random: &mut StdRng, shape: &Shape<M>) -> Vec<Call<M::Operation, M::Reply>> {
    let clients = random.random_range(1..=4);
    let mut free_at = vec![0; clients];
    let mut calls = Vec::new();
    let mut effects = Vec::new();
    for number in 0..random.random_range(2..=shape.calls) {
        let client = random.random_range(0..clients);
        let invoked_ns = free_at[client] + random.random_range(0..3_u64);
        let effect_ns = invoked_ns + random.random_range(0..4_u64);
        let at_ns = effect_ns + random.random_range(0..4_u64);
        free_at[client] = at_ns + random.random_range(0..2_u64);
        let outcome = match random.random_range(0..12) {
            0 => Outcome::Unknown,
            1 => Outcome::NotExecuted,
            _ => Outcome::Returned { at_ns, reply: (shape.reply)(random) },
        };
        if outcome != Outcome::NotExecuted {
            effects.push((effect_ns, random.random::<u32>(), number));
        }
        let client = client as u64;
        calls.push(Call { client, operation: (shape.operation)(random), invoked_ns, outcome });
    }
    effects.sort_unstable();
    let mut state = M::State::default();
    for (_, _, number) in effects {
        let call = &mut calls[number];
        match &mut call.outcome {
            Outcome::Returned { reply, .. } => *reply = M::apply(&mut state, &call.operation),
            // Half of what nobody heard of was done.
            Outcome::Unknown if random.random() => drop(M::apply(&mut state, &call.operation)),
            Outcome::Unknown | Outcome::NotExecuted => {}
        }
    }
    calls
}

fn spoil<M: Model>(random: &mut StdRng, shape: &Shape<M>, calls: &mut [Call<M::Operation, M::Reply>]) {
    let (victim, other) = (random.random_range(0..calls.len()), random.random_range(0..calls.len()));
    let theirs = calls[other].returned().map(|(_, reply)| reply.clone());
    let call = &mut calls[victim];
    match (random.random_range(0..6), &mut call.outcome) {
        (0 | 1, Outcome::Returned { reply, .. }) => *reply = (shape.reply)(random),
        (2, Outcome::Returned { reply, .. }) => *reply = theirs.unwrap_or_else(|| (shape.reply)(random)),
        (3, Outcome::Returned { at_ns, .. }) => *at_ns = call.invoked_ns,
        (4, Outcome::Returned { at_ns, .. }) => {
            call.invoked_ns += 6;
            *at_ns += 6;
        }
        (5, outcome @ (Outcome::Unknown | Outcome::Returned { .. })) => *outcome = Outcome::NotExecuted,
        _ => call.operation = (shape.operation)(random),
    }
}
