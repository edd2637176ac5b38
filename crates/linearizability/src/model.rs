//! What a correct service would answer.

use std::fmt::{Debug, Display};
use std::hash::Hash;

use crate::part::Part;
use crate::plain::Plain;
use crate::search::{Budget, Found, search};

/// A service that does one thing at a time, on one machine that never fails: what the real one has to look like.
pub trait Model {
    /// What a client may ask. It is shown in one line.
    type Operation: Clone + Debug + Display + Eq + Hash;
    /// What it may be answered. It is shown in one line.
    type Reply: Clone + Debug + Display + PartialEq;
    /// Everything that the service remembers. It begins with the default.
    type State: Clone + Debug + Default + Eq + Hash;

    /// Does `operation`, and answers it.
    fn apply(state: &mut Self::State, operation: &Self::Operation) -> Self::Reply;

    /// What an operation looks at or changes.
    fn scope(operation: &Self::Operation) -> Scope<'_>;

    /// Whether an operation that was answered like this has changed nothing, whatever the state was.
    fn is_read(operation: &Self::Operation, reply: &Self::Reply) -> bool;

    /// The value of a key, if the operation can be shown beside one; for the picture.
    fn value<'a>(state: &'a Self::State, key: &[u8]) -> Option<&'a [u8]>;

    /// Looks for a linearization of a part of a history, with states as they are. A model that knows which states
    /// nobody can tell apart has a better way.
    fn search(part: &Part<'_, Self>, budget: &mut Budget<'_>) -> Found
    where
        Self: Sized,
    {
        search(part, &mut Plain::new(part), budget)
    }
}

/// What an operation looks at or changes. Operations without a key in common can be checked apart: a history is
/// linearizable if and only if its parts are (Herlihy and Wing 1990, theorem 1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope<'a> {
    /// These keys, at least one.
    Keys(Vec<&'a [u8]>),
    /// All there are.
    Everything,
}
