//! The proof of an order: it is carried out.

use crate::model::Model;
use crate::part::Part;

/// The state behind an order of calls of a part, if the order is a linearization: each call once, every call that was answered
/// is there, none stands before one that was over before it began, and the service of the model, doing them one by
/// one, answers what was answered.
pub(crate) fn replay<M: Model>(part: &Part<'_, M>, order: &[usize]) -> Result<M::State, String> {
    let timing = part.timing();
    let mut state = M::State::default();
    let mut is_placed = vec![false; timing.len()];
    let mut returns = timing.returns().iter().peekable();
    for &number in order {
        let call = &part.calls[number];
        if std::mem::replace(&mut is_placed[number], true) {
            return Err(format!("{} is placed twice", call.operation));
        }
        let reply = M::apply(&mut state, call.operation);
        if call.reply.is_some_and(|answered| *answered != reply) {
            return Err(format!("{} would have answered {reply}", call.operation));
        }
        let earliest = returns.peek().copied();
        if let Some(&late) = earliest.filter(|&&earliest| timing.precedes(earliest, number)) {
            return Err(format!("{} was over before {} began", part.calls[late].operation, call.operation));
        }
        while returns.next_if(|&&next| is_placed[next]).is_some() {}
    }
    match returns.next() {
        Some(&missing) => Err(format!("{} is missing", part.calls[missing].operation)),
        None => Ok(state),
    }
}
