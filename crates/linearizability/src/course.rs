//! The model of the key/value service of the course labs: put, append, get. A missing key reads as the empty string.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

use bytes::Bytes;

use crate::model::{Model, Scope};
use crate::part::Part;
use crate::redis::{Action, Condition, Reply};
use crate::search::{Budget, Found, search};
use crate::show::{Bare, Shown};
use crate::text::{Answered, TextCall, TextSpace, Texts};

/// Put, append and get; each key is checked apart.
#[derive(Clone, Copy, Debug)]
pub struct Course;

/// What a clerk asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Gives a key a value.
    Put {
        /// The key.
        key: Bytes,
        /// Its new value.
        value: Bytes,
    },
    /// Puts bytes behind the value of a key.
    Append {
        /// The key.
        key: Bytes,
        /// What comes behind its value.
        value: Bytes,
    },
    /// Asks for the value of a key.
    Get {
        /// The key.
        key: Bytes,
    },
}

/// What a clerk is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To put and append.
    Done,
    /// To get.
    Value(Bytes),
}

impl Operation {
    /// Gives `key` a value.
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::Put { key: key.into(), value: value.into() }
    }

    /// Puts `value` behind that of `key`.
    pub fn append(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::Append { key: key.into(), value: value.into() }
    }

    /// Asks for the value of `key`.
    pub fn get(key: impl Into<Bytes>) -> Self {
        Self::Get { key: key.into() }
    }
}

impl Answer {
    /// The value of a key; empty if it is missing.
    pub fn value(value: impl Into<Bytes>) -> Self {
        Self::Value(value.into())
    }
}

impl Model for Course {
    type Operation = Operation;
    type Reply = Answer;
    type State = BTreeMap<Bytes, Vec<u8>>;

    fn apply(state: &mut Self::State, operation: &Operation) -> Answer {
        match operation {
            Operation::Put { key, value } => {
                state.insert(key.clone(), value.to_vec());
                Answer::Done
            }
            Operation::Append { key, value } => {
                state.entry(key.clone()).or_default().extend_from_slice(value);
                Answer::Done
            }
            Operation::Get { key } => {
                Answer::Value(state.get(key).map(|value| Bytes::copy_from_slice(value)).unwrap_or_default())
            }
        }
    }

    fn scope(operation: &Operation) -> Scope<'_> {
        let (Operation::Put { key, .. } | Operation::Append { key, .. } | Operation::Get { key }) = operation;
        Scope::Keys(vec![key])
    }

    fn is_read(operation: &Operation, _: &Answer) -> bool {
        matches!(operation, Operation::Get { .. })
    }

    fn value<'a>(state: &'a Self::State, key: &[u8]) -> Option<&'a [u8]> {
        state.get(key).map(Vec::as_slice)
    }

    fn search(part: &Part<'_, Self>, budget: &mut Budget<'_>) -> Found {
        let calls = part.calls.iter().map(|call| {
            let action = match call.operation {
                Operation::Put { value, .. } => {
                    Action::Set { value: value.clone(), condition: Condition::Always, get: false }
                }
                Operation::Append { value, .. } => Action::Append(value.clone()),
                Operation::Get { .. } => Action::Get,
            };
            let answered = match (call.operation, call.reply) {
                (_, None) => Answered::No,
                (Operation::Put { .. } | Operation::Append { .. }, Some(Answer::Done)) => Answered::Silently,
                (Operation::Get { .. }, Some(Answer::Value(value))) => {
                    Answered::With(Reply::Value(value.clone()))
                }
                // No put answers with a value, and no get without: this is never what it would have been.
                (_, Some(_)) => Answered::With(Reply::Array(Vec::new())),
            };
            let is_read = action == Action::Get;
            TextCall { action, answered, is_read }
        });
        // A missing key reads as the empty string: it cannot be told from one that holds it.
        let texts = Texts { initial: Some(Bytes::new()), max_bytes: usize::MAX, is_length_told: false };
        search(part, &mut TextSpace::new(&calls.collect::<Vec<_>>(), texts), budget)
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put { key, value } => write!(f, "put {} {}", Bare(key), Shown(value)),
            Self::Append { key, value } => write!(f, "append {} {}", Bare(key), Shown(value)),
            Self::Get { key } => write!(f, "get {}", Bare(key)),
        }
    }
}

impl Display for Answer {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => write!(f, "done"),
            Self::Value(value) => write!(f, "{}", Shown(value)),
        }
    }
}
