//! A search through the states of one key whose value is a text.
//!
//! A value that is appended to grows without end, and a state for each of a hundred thousand appends would fill any memory. But
//! nobody sees a state, only what calls answer. So a state is no text here: it says which of the values that answers show can
//! still be reached by appending to it. These values are sorted, so the ones that begin with the state stand
//! beside one another, and a state is two places in a list and a length. Appending is a binary search.
//! Nothing is hashed, nothing is approximate: two states are equal if their texts are, as far as an answer shows.
//!
//! ```text
//!   values that answers show         "", then append "ab"    then append "x"    then append "y"
//!   0  "a"
//!   1  "ab"                          1..4, 2 bytes           2..4, 3 bytes      none: hidden
//!   2  "abx"
//!   3  "abxz"
//! ```
//!
//! A text that is not the beginning of any such value is *hidden*: of it no more is kept than lengths and numbers that
//! answers tell. So is a text all of whose values were answered to calls that are placed already.
//!
//! The same lists say when a step cannot be right. Answers that still need the present text, and that no other SET which
//! is not placed yet can bring about, must not be left behind ([`Outlook`]); and bytes that fit in one place only have to come
//! there ([`Fit`]). That makes a wrong choice fail after a few steps, and not when the forgotten answer is due, after
//! every order of what is between has been tried.

mod fit;
mod outlook;
mod sketch;
mod space;
mod values;

pub(crate) use space::TextSpace;

use bytes::Bytes;

use crate::redis::{Action, Reply};

/// A call to one key.
pub(crate) struct TextCall {
    pub(crate) action: Action,
    pub(crate) answered: Answered,
    /// Whether, answered like this, it has changed nothing, whatever there was.
    pub(crate) is_read: bool,
}

/// What is known of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answered {
    /// There is none.
    No,
    /// There is one, and it says no more than that.
    Silently,
    /// This.
    With(Reply),
}

/// What a model says of its texts.
pub(crate) struct Texts {
    /// What a key holds in the beginning.
    pub(crate) initial: Option<Bytes>,
    /// How long a text can be.
    pub(crate) max_bytes: usize,
    /// Whether APPEND answers with the length, and depends on it.
    pub(crate) is_length_told: bool,
}
