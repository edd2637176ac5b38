//! Is a history linearizable?
//!
//! Clients have called a service, at the same time, and have written down what they asked, what they were answered, and
//! when ([`History`]). The history is *linearizable* if there is an order of the calls, one after the other, such
//! that no call stands before one that was over before it began, and a service that does one thing at a time would have
//! given the same answers in this order (Herlihy and Wing 1990). Then no client could tell the real service from
//! that one.
//!
//! ```
//! use bowline_linearizability::course::{Answer, Course, Operation};
//! use bowline_linearizability::{History, Verdict, check};
//!
//! let mut history = History::new();
//! let put = history.invoked(1, Operation::put("k", "new"), 0);
//! history.returned(put, Answer::Done, 10);
//! let get = history.invoked(2, Operation::get("k"), 20);
//! history.returned(get, Answer::value(""), 30);
//!
//! let Verdict::NotLinearizable(violations) = check::<Course>(&history, &mut || true) else {
//!     panic!("the get is stale");
//! };
//! assert_eq!(violations[0].unplaced, get);
//! ```
//!
//! | module | |
//! |---|---|
//! | [`History`] | how calls are noted |
//! | [`Model`] | what a correct service would answer: [`course`] for put, append and get, [`redis`] for some twenty commands about strings, [`redis::timed`] for those about their time |
//! | `part`, `timing` | the parts of a history that can be checked apart; which call was over before which began |
//! | `search`, `memo` | the search of Wing, Gong and Lowe |
//! | `plain`, `text` | the states it goes through: any model's as they are, and those of one key, which are small however long its value is |
//! | `replay` | every order that is found is carried out before it is believed |
//! | `blame` | the first answer that cannot be explained |
//! | [`page`] | a picture of it |
//!
//! No clock, no thread, no randomness, no file: one history has one verdict, unless the time runs out.
#![forbid(unsafe_code)]

mod blame;
pub mod course;
mod history;
mod memo;
mod model;
pub mod page;
mod part;
mod plain;
pub mod redis;
mod replay;
mod search;
mod show;
mod text;
mod timing;

pub use blame::Violation;
pub use history::{Call, CallId, History, Outcome};
pub use model::{Model, Scope};
pub use part::Part;
pub use search::{Budget, Found};

/// What is known of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is linearizable. An order was found for each of its parts, and carried out.
    Linearizable,
    /// It is not: each of these parts of it has no order.
    NotLinearizable(Vec<Violation>),
    /// The time ran out. It is no pass: nobody knows.
    Unknown,
}

/// Whether a history is linearizable.
///
/// `go_on` says whether there is time left. It is asked after about every thousand steps, each of which takes well below a
/// microsecond and remembers well below 100 bytes, however long the history is. In a part with commands over several
/// keys a step costs a copy of these keys and their values. So it can hold a deadline as well as a limit of steps
/// and memory. After its first no it is not asked again.
///
/// Parts with few calls come first, and all of them are looked at: if one is not linearizable that is the verdict, whatever time
/// ran out on another.
///
/// # Panics
///
/// If the search has found an order that the model does not confirm: then this crate is wrong, and its word worth nothing.
pub fn check<M: Model>(
    history: &History<M::Operation, M::Reply>,
    go_on: &mut dyn FnMut() -> bool,
) -> Verdict {
    let mut budget = Budget::new(go_on);
    let mut violations = Vec::new();
    let mut is_known = true;
    for part in part::split::<M>(history) {
        match find(&part, &mut budget) {
            Found::Order(_) => {}
            Found::Nothing => violations.push(blame::blame(&part, &mut budget)),
            Found::Unknown => is_known = false,
        }
    }
    if !violations.is_empty() {
        Verdict::NotLinearizable(violations)
    } else if is_known {
        Verdict::Linearizable
    } else {
        Verdict::Unknown
    }
}

/// Why a history is not linearizable, in a sentence; none if it is. Takes so many thousand steps at most, which is the same
/// on every machine: that the search has not come to its end by then is no pass either.
///
/// # Panics
///
/// As [`check`] does.
pub fn unplaced<M: Model>(
    history: &History<M::Operation, M::Reply>,
    most_thousand_steps: u64,
) -> Option<String> {
    let mut thousands = 0;
    let verdict = check::<M>(history, &mut || {
        thousands += 1;
        thousands <= most_thousand_steps
    });
    match verdict {
        Verdict::Linearizable => None,
        Verdict::Unknown => Some("the checker does not come to an end".to_owned()),
        Verdict::NotLinearizable(violations) => {
            let violation = &violations[0];
            let call = &history.calls()[violation.unplaced.0];
            let key = String::from_utf8_lossy(violation.key.as_deref().unwrap_or_default());
            Some(format!(
                "the history is not linearizable: no place, for key {key}, for {} of client {}, from {} ms on: {:?}",
                call.operation,
                call.client,
                call.invoked_ns / 1_000_000,
                call.outcome,
            ))
        }
    }
}

/// An order of the calls of a part, confirmed.
fn find<M: Model>(part: &Part<'_, M>, budget: &mut Budget<'_>) -> Found {
    let found = M::search(part, budget);
    if let Found::Order(order) = &found
        && let Err(reason) = replay::replay(part, order)
    {
        panic!("the order that was found is none: {reason}");
    }
    found
}
