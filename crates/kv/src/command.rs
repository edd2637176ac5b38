//! What a client asks of the store.
//!
//! A [`Command`] borrows its keys and values from wherever they arrived: the buffer of a connection
//! ([`Command::parse`]), a forwarded request or an entry of the log ([`Command::decode`]). What makes it
//! wrong by itself, an unknown name, a missing argument, a key that is too long, is found when it is parsed,
//! with Redis's own words for it, and never reaches the log. What depends on the keys is found when it is
//! executed, and is a reply like any other.
//!
//! Several of Redis's names are one command here: INCR, DECR, INCRBY and DECRBY are
//! [`Command::IncrBy`], GETSET is SET with GET, SETEX is SET with EX; EXPIRE, TTL and their variants differ in unit
//! and in where they count from.
//!
//! A command or an option that Redis has and Bowline does not serve yet is refused by name. It is never
//! taken and ignored: a lock that silently never expires is worse than none.

mod encoding;
mod expiry;
mod parse;
mod parse_expiry;
mod session;
mod table;
mod transaction;
mod unsupported;

#[cfg(test)]
mod tests;

use std::slice;

pub use encoding::MAX_ENCODED_BYTES;
pub use expiry::{ExpireCondition, MAX_AFTER_MS, Moment, SetExpiry};
pub use session::SessionCommand;
pub use table::{CommandSpec, SPECS, lookup};
pub use transaction::{MAX_TRANSACTION_COMMANDS, Unchanged};

/// The longest key: 64 KiB. A constant of the format.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// The longest value: 16 MiB. A constant of the format.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// The most bytes that all arguments of one command have together, its name included: 32 MiB. A constant of
/// the format.
pub const MAX_COMMAND_BYTES: usize = 32 * 1024 * 1024;

/// The most arguments of one command, its name included: Redis's own limit. A constant of the format.
pub const MAX_ARGUMENTS: usize = 1024 * 1024;

/// One command, with its keys and values borrowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// The value of a key.
    Get {
        /// The key.
        key: &'a [u8],
    },
    /// Gives a key a value.
    Set {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
        /// When to do it.
        condition: Condition,
        /// Whether to answer with the old value instead of whether it was done.
        get: bool,
        /// What becomes of its expiry.
        expiry: SetExpiry,
    },
    /// Gives a key a value if it has none; the answer is 1 if it was done, else 0.
    SetNx {
        /// The key.
        key: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// Puts bytes behind the value of a key; the answer is the new length.
    Append {
        /// The key.
        key: &'a [u8],
        /// What comes behind its value.
        value: &'a [u8],
    },
    /// The length of a key's value, in bytes; 0 if it has none.
    StrLen {
        /// The key.
        key: &'a [u8],
    },
    /// Removes keys; the answer is how many there were.
    Del {
        /// The keys.
        keys: Keys<'a>,
    },
    /// How many of the keys there are, one that is named twice counting twice.
    Exists {
        /// The keys.
        keys: Keys<'a>,
    },
    /// Adds to the number that a key holds; a key without a value holds 0.
    IncrBy {
        /// The key.
        key: &'a [u8],
        /// What is added.
        delta: i64,
    },
    /// The values of several keys.
    MGet {
        /// The keys.
        keys: Keys<'a>,
    },
    /// Gives several keys their values, all at once. Of a key that is named twice the last value stays.
    MSet {
        /// Keys and values, at least one pair.
        pairs: Vec<Pair<'a>>,
    },
    /// The type of a key's value.
    Type {
        /// The key.
        key: &'a [u8],
    },
    /// The value of a key, which also gets another expiry. A plain GETEX is [`Command::Get`].
    GetEx {
        /// The key.
        key: &'a [u8],
        /// When it expires from then on. None: never.
        expiry: Option<Moment>,
    },
    /// Says when a key expires; one whose time is over is removed. The answer is 1 if it was done, else 0.
    Expire {
        /// The key.
        key: &'a [u8],
        /// When.
        moment: Moment,
        /// Whether to do it.
        condition: ExpireCondition,
    },
    /// Takes a key's expiry away; the answer is 1 if there was one, else 0.
    Persist {
        /// The key.
        key: &'a [u8],
    },
    /// When a key expires: -1 if never, -2 if there is no such key.
    Ttl {
        /// The key.
        key: &'a [u8],
        /// Whether to say it as a time since 1970, and not from now on.
        is_absolute: bool,
        /// Whether to say it in seconds, rounded, and not in milliseconds.
        in_seconds: bool,
    },
    /// How many keys there are.
    DbSize,
    /// Removes every key.
    FlushAll,
    /// What WATCH has to know of keys: the index of the log, and then for each of them 1 if it is there, else 0.
    Watch {
        /// The keys.
        keys: Keys<'a>,
    },
    /// Executes commands as one; the answer is an array of theirs, or nil if a condition did not hold.
    Exec {
        /// What must be so.
        conditions: Vec<Unchanged<'a>>,
        /// The commands, none of them a transaction, [`Command::Watch`] or [`Command::Session`].
        commands: Vec<Command<'a>>,
    },
    /// About sessions, or a command in one: the replica's to carry out.
    Session(SessionCommand<'a>),
}

/// When SET sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// In any case.
    Always,
    /// NX: only if the key has no value.
    IfAbsent,
    /// XX: only if the key has one.
    IfPresent,
}

/// A key and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// One key or more. One, which is what most commands name, needs no memory of its own.
#[derive(Clone, Debug)]
pub enum Keys<'a> {
    /// One key.
    One(&'a [u8]),
    /// Any number of keys, at least one.
    Many(Vec<&'a [u8]>),
}

impl<'a> Keys<'a> {
    /// The keys in the order in which they were named.
    pub fn as_slice(&self) -> &[&'a [u8]] {
        match self {
            Self::One(key) => slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }
}

impl PartialEq for Keys<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl Eq for Keys<'_> {}

impl<'a> Command<'a> {
    /// Whether it may change the store, so that it has to go through the log.
    pub fn is_write(&self) -> bool {
        match self {
            Self::Set { .. }
            | Self::SetNx { .. }
            | Self::Append { .. }
            | Self::Del { .. }
            | Self::IncrBy { .. }
            | Self::MSet { .. }
            | Self::GetEx { .. }
            | Self::Expire { .. }
            | Self::Persist { .. }
            | Self::FlushAll => true,
            Self::Get { .. }
            | Self::StrLen { .. }
            | Self::Exists { .. }
            | Self::MGet { .. }
            | Self::Type { .. }
            | Self::Ttl { .. }
            | Self::Watch { .. }
            | Self::DbSize => false,
            Self::Session(command) => command.is_write(),
            Self::Exec { commands, .. } => commands.iter().any(Self::is_write),
        }
    }

    /// Whether it is about the whole store, whatever keys it names.
    pub fn is_about_all(&self) -> bool {
        match self {
            Self::DbSize | Self::FlushAll => true,
            Self::Session(SessionCommand::Run { command, .. }) => command.is_about_all(),
            Self::Exec { commands, .. } => commands.iter().any(Self::is_about_all),
            _ => false,
        }
    }

    /// Whether only a plain read can answer it. In the log it would stand among commands of the same
    /// index, by which what is in front of it cannot be told from what is behind.
    pub(crate) fn must_be_plain(&self) -> bool {
        matches!(self, Self::Watch { .. })
    }

    /// Its keys, in the order in which they were named; those of a transaction's conditions first.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let (conditions, commands): (&[Unchanged<'a>], &[Self]) = match self {
            Self::Exec { conditions, commands } => (conditions, commands),
            _ => (&[], &[]),
        };
        let of_commands = commands.iter().flat_map(Self::own_keys);
        self.own_keys().chain(conditions.iter().map(|condition| condition.key)).chain(of_commands)
    }

    fn own_keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let own = match self {
            Self::Session(SessionCommand::Run { command, .. }) => command,
            other => other,
        };
        let (one, many, pairs): (Option<&'a [u8]>, &[&'a [u8]], &[Pair<'a>]) = match own {
            Self::Get { key }
            | Self::Set { key, .. }
            | Self::SetNx { key, .. }
            | Self::Append { key, .. }
            | Self::StrLen { key }
            | Self::IncrBy { key, .. }
            | Self::Type { key }
            | Self::GetEx { key, .. }
            | Self::Expire { key, .. }
            | Self::Persist { key }
            | Self::Ttl { key, .. } => (Some(key), &[], &[]),
            Self::Del { keys } | Self::Exists { keys } | Self::MGet { keys } | Self::Watch { keys } => {
                (None, keys.as_slice(), &[])
            }
            Self::MSet { pairs } => (None, &[], pairs),
            Self::DbSize | Self::FlushAll | Self::Session(_) | Self::Exec { .. } => (None, &[], &[]),
        };
        one.into_iter().chain(many.iter().copied()).chain(pairs.iter().map(|(key, _)| *key))
    }
}
