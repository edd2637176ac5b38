//! For tests: what the store answers, in the words of the checker's models.
//!
//! The checker must not know the store that it judges, nor the store the checker. Whoever puts the two side by side
//! translates here.
#![forbid(unsafe_code)]

use bowline_kv::Reply;
use bowline_linearizability::redis;

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
