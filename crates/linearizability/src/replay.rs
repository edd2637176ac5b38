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

#[cfg(test)]
mod tests {
    use super::replay;
    use crate::course::{Answer, Course, Operation};
    use crate::history::History;
    use crate::part::split;

    /// What is said of an order of four calls: two puts that meet, one behind the other of which a get reads the second, and an
    /// append that nobody has answered.
    fn said(order: &[usize]) -> Result<(), String> {
        let mut history = History::new();
        let mut put = |value, [from, to]: [u64; 2]| {
            let id = history.invoked(1, Operation::put("k", value), from);
            history.returned(id, Answer::Done, to);
        };
        put("a", [0, 10]);
        put("b", [10, 20]);
        history.invoked(2, Operation::append("k", "lost"), 15);
        let get = history.invoked(3, Operation::get("k"), 21);
        history.returned(get, Answer::value("b"), 30);
        let parts = split::<Course>(&history);
        replay(&parts[0], order).map(drop)
    }

    #[track_caller]
    fn assert_refused(order: &[usize], reason: &str) {
        let said = said(order).expect_err("it is no linearization");
        assert!(said.contains(reason), "{said:?} instead of {reason:?}");
    }

    #[test]
    fn what_is_an_order_is_believed() {
        assert_eq!(said(&[0, 1, 3]), Ok(()));
        assert_eq!(said(&[0, 1, 3, 2]), Ok(()), "what nobody has answered may be there");
        assert_eq!(said(&[0, 2, 1, 3]), Ok(()));
    }

    #[test]
    fn what_is_none_is_not() {
        assert_refused(&[0, 1, 3, 3], "is placed twice");
        assert_refused(&[0, 1, 2, 3], "would have answered");
        assert_refused(&[1, 0, 3], "would have answered");
        assert_refused(&[0, 1], "get k is missing");
        assert_refused(&[1, 3], "put k \"a\" was over before get k began");
        assert_refused(&[1, 3, 0], "put k \"a\" was over before get k began");
        assert_refused(&[2, 0, 1, 3], "put k \"a\" was over before append k \"lost\" began");
        assert_refused(&[], "put k \"a\" is missing");
    }
}
