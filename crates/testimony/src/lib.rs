//! For tests: what the store answers, in the words of the checker's models.
//!
//! The checker must not know the store that it judges, nor the store the checker. Whoever puts the two side by side
//! translates here.
#![forbid(unsafe_code)]

use bowline_kv::Reply;
use bowline_kv::clerk::Operation;
use bowline_linearizability::{course, redis};

/// The same reply, as the models of strings know it.
///
/// # Panics
///
/// If it is what a hash is answered with as a whole, which no model knows.
pub fn translated(reply: &Reply) -> redis::Reply {
    match reply {
        Reply::Ok => redis::Reply::Ok,
        Reply::Nil => redis::Reply::Nil,
        Reply::Int(number) => redis::Reply::Int(*number),
        Reply::Simple(text) => redis::Reply::Simple(text.clone()),
        Reply::Bulk(value) => redis::Reply::Value(value.clone()),
        Reply::Array(replies) => redis::Reply::Array(replies.iter().map(translated).collect()),
        Reply::Error(text) => redis::Reply::Error(text.clone()),
        Reply::Map(_) | Reply::Pairs(_) => panic!("no model is answered by a map: {reply:?}"),
    }
}

/// The same call, as a clerk makes it.
pub fn asked(operation: course::Operation) -> Operation {
    match operation {
        course::Operation::Get { key } => Operation::Get { key },
        course::Operation::Put { key, value } => Operation::Put { key, value },
        course::Operation::Append { key, value } => Operation::Append { key, value },
    }
}

/// What this reply to a clerk's call says, as the course labs' model knows it.
///
/// # Panics
///
/// If no such call can have this reply: it is another one's, or wrong.
pub fn answered(operation: &course::Operation, reply: &Reply) -> course::Answer {
    match (operation, reply) {
        (course::Operation::Get { .. }, Reply::Bulk(value)) => course::Answer::Value(value.clone()),
        (course::Operation::Get { .. }, Reply::Nil) => course::Answer::value(""),
        (course::Operation::Put { .. }, Reply::Ok) => course::Answer::Done,
        (course::Operation::Append { value, .. }, Reply::Int(length))
            if usize::try_from(*length).is_ok_and(|length| length >= value.len()) =>
        {
            course::Answer::Done
        }
        (_, reply) => panic!("{operation} was answered {reply:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "get k was answered Ok")]
    fn a_get_is_not_done_but_answered_by_a_value() {
        answered(&course::Operation::get("k"), &Reply::Ok);
    }

    #[test]
    #[should_panic(expected = "was answered Bulk")]
    fn an_append_is_not_answered_by_a_value() {
        answered(&course::Operation::append("k", "more"), &Reply::Bulk("text".into()));
    }

    #[test]
    #[should_panic(expected = "was answered Int(3)")]
    fn no_append_makes_a_value_that_is_shorter_than_it() {
        answered(&course::Operation::append("k", "more"), &Reply::Int(3));
    }
}
