//! A search through the model's own states.

use crate::model::Model;
use crate::part::Part;
use crate::search::Space;

/// The states of a model as they are: nothing is known of them but whether they are equal. Each step copies one, so it is
/// for small histories.
pub(crate) struct Plain<'a, M: Model> {
    part: &'a Part<'a, M>,
}

impl<'a, M: Model> Plain<'a, M> {
    pub(crate) fn new(part: &'a Part<'a, M>) -> Self {
        Self { part }
    }
}

impl<M: Model> Space for Plain<'_, M> {
    type State = M::State;

    fn initial(&self) -> M::State {
        M::State::default()
    }

    fn step(&self, state: &M::State, call: usize) -> Option<M::State> {
        let call = &self.part.calls[call];
        let mut after = state.clone();
        let reply = M::apply(&mut after, call.operation);
        call.reply.is_none_or(|answered| *answered == reply).then_some(after)
    }

    fn can_matter(&self, _: usize) -> bool {
        true
    }

    fn is_free(&self, state: &M::State, number: usize) -> bool {
        let call = &self.part.calls[number];
        call.reply.is_some_and(|reply| M::is_read(call.operation, reply))
            && self.step(state, number).is_some()
    }
}
