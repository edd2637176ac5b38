//! Commands and replies, as a client sends and sees them.

use std::fmt::{self, Display, Formatter};

use bytes::Bytes;

use super::action::{Action, Condition};
use crate::show::{Bare, Shown};

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// One that is about one key.
    One {
        /// The key.
        key: Bytes,
        /// What to do with it.
        action: Action,
    },
    /// MGET: its keys.
    MGet(Vec<Bytes>),
    /// MSET: keys and values.
    MSet(Vec<(Bytes, Bytes)>),
    /// DEL of several keys.
    Del(Vec<Bytes>),
    /// EXISTS of several keys, one that is named twice counting twice.
    Exists(Vec<Bytes>),
    /// DBSIZE.
    DbSize,
    /// FLUSHALL.
    FlushAll,
    /// MULTI ... EXEC: commands that are carried out as one; nil if a key of the WATCH in front of it has changed.
    ///
    /// The model knows values and no changes. So give every write a value of its own: then a key that holds what it
    /// held has not changed. (One that was missing may have come and gone again.) A service that says nil more often
    /// than it must has certainly not executed the commands: [`not_executed`](crate::History::not_executed).
    Exec {
        /// The keys that were watched, and what a read behind the WATCH has shown of them; none: nothing.
        unchanged: Vec<(Bytes, Option<Bytes>)>,
        /// The commands, none of them EXEC.
        commands: Vec<Command>,
    },
}

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// `+OK`.
    Ok,
    /// Nothing: a missing key, or a condition that did not hold.
    Nil,
    /// A number.
    Int(i64),
    /// A short text that is neither OK nor a value.
    Simple(Bytes),
    /// A value.
    Value(Bytes),
    /// Several replies.
    Array(Vec<Reply>),
    /// Why it was not done: what stands behind the minus sign.
    Error(Bytes),
}

impl Command {
    /// The command that a client sends as these arguments, its name first. None if the model does not know it, or it is not
    /// well formed.
    pub fn parse(arguments: &[Bytes]) -> Option<Self> {
        let (name, arguments) = arguments.split_first()?;
        let name = name.to_ascii_uppercase();
        match (name.as_slice(), arguments) {
            (b"DBSIZE", []) => Some(Self::DbSize),
            (b"FLUSHALL", []) => Some(Self::FlushAll),
            (b"MGET", [_, ..]) => Some(Self::MGet(arguments.to_vec())),
            (b"DEL", [_, _, ..]) => Some(Self::Del(arguments.to_vec())),
            (b"EXISTS", [_, _, ..]) => Some(Self::Exists(arguments.to_vec())),
            (b"MSET", [_, ..]) => {
                let (pairs, left_over) = arguments.as_chunks::<2>();
                let pairs = pairs.iter().map(|[key, value]| (key.clone(), value.clone()));
                left_over.is_empty().then(|| Self::MSet(pairs.collect()))
            }
            (_, [key, rest @ ..]) => {
                let action = action(&name, rest)?;
                Some(Self::One { key: key.clone(), action })
            }
            _ => None,
        }
    }
}

fn action(name: &[u8], arguments: &[Bytes]) -> Option<Action> {
    match (name, arguments) {
        (b"GET", []) => Some(Action::Get),
        (b"SET", [value, options @ ..]) => set(value, options),
        (b"GETSET", [value]) => {
            Some(Action::Set { value: value.clone(), condition: Condition::Always, get: true })
        }
        (b"SETNX", [value]) => Some(Action::SetNx(value.clone())),
        (b"APPEND", [value]) => Some(Action::Append(value.clone())),
        (b"STRLEN", []) => Some(Action::StrLen),
        (b"INCR", []) => Some(Action::IncrBy(1)),
        (b"DECR", []) => Some(Action::IncrBy(-1)),
        (b"INCRBY", [delta]) => Some(Action::IncrBy(super::number(delta)?)),
        (b"DECRBY", [delta]) => Some(Action::IncrBy(super::number(delta)?.checked_neg()?)),
        (b"DEL", []) => Some(Action::Del),
        (b"EXISTS", []) => Some(Action::Exists),
        (b"TYPE", []) => Some(Action::Type),
        _ => None,
    }
}

fn set(value: &Bytes, options: &[Bytes]) -> Option<Action> {
    let (mut condition, mut get) = (Condition::Always, false);
    for option in options {
        match option.to_ascii_uppercase().as_slice() {
            b"NX" if condition != Condition::IfPresent => condition = Condition::IfAbsent,
            b"XX" if condition != Condition::IfAbsent => condition = Condition::IfPresent,
            b"GET" => get = true,
            _ => return None,
        }
    }
    Some(Action::Set { value: value.clone(), condition, get })
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::One { key, action } => one(f, key, action),
            Self::MGet(keys) => many(f, "MGET", keys),
            Self::Del(keys) => many(f, "DEL", keys),
            Self::Exists(keys) => many(f, "EXISTS", keys),
            Self::MSet(pairs) => {
                write!(f, "MSET")?;
                pairs.iter().try_for_each(|(key, value)| write!(f, " {} {}", Bare(key), Shown(value)))
            }
            Self::DbSize => write!(f, "DBSIZE"),
            Self::FlushAll => write!(f, "FLUSHALL"),
            Self::Exec { unchanged, commands } => exec(f, unchanged, commands),
        }
    }
}

fn exec(f: &mut Formatter<'_>, unchanged: &[(Bytes, Option<Bytes>)], commands: &[Command]) -> fmt::Result {
    let commands: Vec<_> = commands.iter().map(Command::to_string).collect();
    write!(f, "EXEC {}", commands.join("; "))?;
    for (at, (key, value)) in unchanged.iter().enumerate() {
        let word = if at == 0 { " if" } else { " and" };
        match value {
            Some(value) => write!(f, "{word} {} is {}", Bare(key), Shown(value))?,
            None => write!(f, "{word} {} is missing", Bare(key))?,
        }
    }
    Ok(())
}

fn many(f: &mut Formatter<'_>, name: &str, keys: &[Bytes]) -> fmt::Result {
    write!(f, "{name}")?;
    keys.iter().try_for_each(|key| write!(f, " {}", Bare(key)))
}

fn one(f: &mut Formatter<'_>, key: &[u8], action: &Action) -> fmt::Result {
    let key = Bare(key);
    match action {
        Action::Get => write!(f, "GET {key}"),
        Action::Set { value, condition, get } => {
            let condition = match condition {
                Condition::Always => "",
                Condition::IfAbsent => " NX",
                Condition::IfPresent => " XX",
            };
            let get = if *get { " GET" } else { "" };
            write!(f, "SET {key} {}{condition}{get}", Shown(value))
        }
        Action::SetNx(value) => write!(f, "SETNX {key} {}", Shown(value)),
        Action::Append(value) => write!(f, "APPEND {key} {}", Shown(value)),
        Action::StrLen => write!(f, "STRLEN {key}"),
        Action::IncrBy(1) => write!(f, "INCR {key}"),
        Action::IncrBy(-1) => write!(f, "DECR {key}"),
        Action::IncrBy(delta) => write!(f, "INCRBY {key} {delta}"),
        Action::Del => write!(f, "DEL {key}"),
        Action::Exists => write!(f, "EXISTS {key}"),
        Action::Type => write!(f, "TYPE {key}"),
    }
}

impl Display for Reply {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ok => write!(f, "OK"),
            Self::Nil => write!(f, "nil"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Simple(text) => write!(f, "{}", Bare(text)),
            Self::Value(value) => write!(f, "{}", Shown(value)),
            Self::Array(replies) => {
                let shown: Vec<_> = replies.iter().map(Self::to_string).collect();
                write!(f, "[{}]", shown.join(", "))
            }
            Self::Error(text) => write!(f, "-{}", Bare(text)),
        }
    }
}
