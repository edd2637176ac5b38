//! Every order of the calls, one after the other.

use bowline_linearizability::{Call, CallId, History, Model, Outcome};

/// Whether some order of all calls that were answered and any others explains the answers: by trying them all. It knows of
/// no parts, no memory and no shortcut.
pub(crate) fn is_linearizable<M: Model>(history: &History<M::Operation, M::Reply>) -> bool {
    let calls: Vec<_> = history.calls().iter().filter(|call| call.outcome != Outcome::NotExecuted).collect();
    explains::<M>(&calls, &M::State::default())
}

fn explains<M: Model>(waiting: &[&Call<M::Operation, M::Reply>], state: &M::State) -> bool {
    let end = waiting.iter().filter_map(|call| call.returned()).map(|(at_ns, _)| at_ns).min();
    let Some(end) = end else {
        return true;
    };
    waiting.iter().enumerate().filter(|(_, call)| call.invoked_ns <= end).any(|(place, call)| {
        let mut after = state.clone();
        let reply = M::apply(&mut after, &call.operation);
        let mut rest = waiting.to_vec();
        rest.remove(place);
        call.returned().is_none_or(|(_, answered)| *answered == reply) && explains::<M>(&rest, &after)
    })
}

/// What was known of a history when so many of its answers had arrived.
pub(crate) fn known_after<M: Model>(
    history: &History<M::Operation, M::Reply>,
    answers: &[CallId],
) -> History<M::Operation, M::Reply> {
    let mut known = History::new();
    for (number, call) in history.calls().iter().enumerate() {
        let id = known.invoked(call.client, call.operation.clone(), call.invoked_ns);
        match &call.outcome {
            Outcome::NotExecuted => known.not_executed(id),
            Outcome::Returned { at_ns, reply } if answers.contains(&CallId(number)) => {
                known.returned(id, reply.clone(), *at_ns);
            }
            Outcome::Returned { .. } | Outcome::Unknown => {}
        }
    }
    known
}
