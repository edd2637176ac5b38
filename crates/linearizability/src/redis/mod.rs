//! The model of Redis's commands about strings, some twenty of those that Bowline serves, written from Redis's documentation
//! (7.0) and not from Bowline's store, so that a mistake there is seen here.
//!
//! Where Bowline's limits are not Redis's, Bowline's hold: a value has at most 16 MiB. What a command is told before it is
//! executed, a wrong number of arguments or a value that is too long, has no effect:
//! [`not_executed`](crate::History::not_executed). So have `-CLUSTERDOWN`, `-OOM` and the like. `-UNCERTAIN` says nothing.
//!
//! Keys whose time ends are in a model of their own, [`timed`].

mod action;
mod command;
pub mod timed;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use action::{Action, Condition};
pub(crate) use action::{Answer, MAX_NUMBER_BYTES, Text, apply, number};
pub use command::{Command, Reply};

use crate::model::{Model, Scope};
use crate::part::Part;
use crate::plain::Plain;
use crate::search::{Budget, Found, search};
use crate::text::{Answered, TextCall, TextSpace, Texts};

/// The longest value: 16 MiB.
const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// Keys and values, and Redis's commands for them.
///
/// Keys that no command names together are checked apart. Those that one does (MGET, MSET, DEL and EXISTS of several keys, EXEC;
/// FLUSHALL and DBSIZE name them all) are checked as one, on the whole state: that is for histories of a few hundred calls.
#[derive(Clone, Copy, Debug)]
pub struct Redis;

impl Model for Redis {
    type Operation = Command;
    type Reply = Reply;
    type State = BTreeMap<Bytes, Vec<u8>>;

    fn apply(state: &mut Self::State, command: &Command) -> Reply {
        match command {
            Command::One { key, action } => {
                let mut value = state.remove(key);
                let answer = apply(&(), MAX_VALUE_BYTES, &mut value, action);
                if let Some(value) = value {
                    state.insert(key.clone(), value);
                }
                reply(answer)
            }
            Command::MGet(keys) => Reply::Array(keys.iter().map(|key| bulk(state.get(key))).collect()),
            Command::MSet(pairs) => {
                for (key, value) in pairs {
                    state.insert(key.clone(), value.to_vec());
                }
                Reply::Ok
            }
            Command::Del(keys) => count(keys.iter().filter(|key| state.remove(*key).is_some()).count()),
            Command::Exists(keys) => count(keys.iter().filter(|key| state.contains_key(*key)).count()),
            Command::DbSize => count(state.len()),
            Command::FlushAll => {
                state.clear();
                Reply::Ok
            }
            Command::Exec { unchanged, commands } => {
                let holds = |(key, value): &(Bytes, Option<Bytes>)| {
                    state.get(key).map(Vec::as_slice) == value.as_ref().map(Bytes::as_ref)
                };
                if !unchanged.iter().all(holds) {
                    return Reply::Nil;
                }
                Reply::Array(commands.iter().map(|command| Self::apply(state, command)).collect())
            }
        }
    }

    fn scope(command: &Command) -> Scope<'_> {
        match command {
            Command::One { key, .. } => Scope::Keys(vec![key]),
            Command::MGet(keys) | Command::Del(keys) | Command::Exists(keys) => {
                Scope::Keys(keys.iter().map(Bytes::as_ref).collect())
            }
            Command::MSet(pairs) => Scope::Keys(pairs.iter().map(|(key, _)| key.as_ref()).collect()),
            Command::DbSize | Command::FlushAll => Scope::Everything,
            Command::Exec { unchanged, commands } => {
                let mut keys: Vec<_> = unchanged.iter().map(|(key, _)| key.as_ref()).collect();
                for command in commands {
                    match Self::scope(command) {
                        Scope::Keys(more) => keys.extend(more),
                        Scope::Everything => return Scope::Everything,
                    }
                }
                if keys.is_empty() { Scope::Everything } else { Scope::Keys(keys) }
            }
        }
    }

    fn is_read(command: &Command, reply: &Reply) -> bool {
        match command {
            Command::One { action, .. } => is_read(action, reply),
            Command::MGet(_) | Command::Exists(_) | Command::DbSize => true,
            Command::Del(_) => *reply == Reply::Int(0),
            Command::MSet(_) | Command::FlushAll => false,
            Command::Exec { commands, .. } => match reply {
                Reply::Array(replies) => {
                    commands.iter().zip(replies).all(|(command, reply)| Self::is_read(command, reply))
                }
                _ => true,
            },
        }
    }

    fn value<'a>(state: &'a Self::State, key: &[u8]) -> Option<&'a [u8]> {
        state.get(key).map(Vec::as_slice)
    }

    fn search(part: &Part<'_, Self>, budget: &mut Budget<'_>) -> Found {
        let calls = part.calls.iter().map(|call| match call.operation {
            Command::One { action, .. } => {
                let answered = call.reply.map_or(Answered::No, |reply| Answered::With(reply.clone()));
                let is_read = call.reply.is_some_and(|reply| is_read(action, reply));
                Some(TextCall { action: action.clone(), answered, is_read })
            }
            _ => None,
        });
        match calls.collect::<Option<Vec<_>>>() {
            Some(calls) if part.key.is_some() => {
                let texts = Texts { initial: None, max_bytes: MAX_VALUE_BYTES, is_length_told: true };
                search(part, &mut TextSpace::new(&calls, texts), budget)
            }
            _ => search(part, &mut Plain::new(part), budget),
        }
    }
}

/// Whether an action that was answered like this has changed nothing, whatever there was.
fn is_read(action: &Action, reply: &Reply) -> bool {
    match action {
        Action::Get | Action::StrLen | Action::Exists | Action::Type => true,
        Action::Set { condition: Condition::Always, .. } => false,
        Action::Set { condition: Condition::IfAbsent, get: true, .. } => matches!(reply, Reply::Value(_)),
        Action::Set { .. } => *reply == Reply::Nil,
        Action::SetNx(_) | Action::Del => *reply == Reply::Int(0),
        Action::IncrBy(_) | Action::Append(_) => matches!(reply, Reply::Error(_)),
    }
}

fn reply(answer: Answer<Vec<u8>>) -> Reply {
    match answer {
        Answer::Ok => Reply::Ok,
        Answer::Nil => Reply::Nil,
        Answer::Int(number) => Reply::Int(number),
        Answer::Simple(text) => Reply::Simple(Bytes::from_static(text.as_bytes())),
        Answer::Value(value) => Reply::Value(value.into()),
        Answer::Error(text) => Reply::Error(text.into()),
    }
}

fn bulk(value: Option<&Vec<u8>>) -> Reply {
    value.map_or(Reply::Nil, |value| Reply::Value(Bytes::copy_from_slice(value)))
}

fn count(number: usize) -> Reply {
    Reply::Int(i64::try_from(number).expect("fewer keys than bytes of memory"))
}
