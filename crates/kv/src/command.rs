//! What a client asks of the store.
//!
//! A [`Command`] borrows its keys and values from wherever they arrived: the buffer of a connection
//! ([`Command::parse`]), a forwarded request or an entry of the log ([`Command::decode`]). What makes it
//! wrong by itself, an unknown name, a missing argument, a key that is too long, is found when it is parsed,
//! with Redis's own words for it, and never reaches the log. What depends on the keys is found when it is
//! executed, and is a reply like any other.
//!
//! Several of Redis's names are one command here: INCR, DECR, INCRBY and DECRBY are
//! [`Command::IncrBy`], and GETSET is SET with GET.
//!
//! A command or an option that Redis has and Bowline does not serve yet is refused by name. It is never
//! taken and ignored: a lock that silently never expires is worse than none.

mod encoding;
mod parse;
mod session;
mod table;
mod unsupported;

#[cfg(test)]
mod tests;

use std::slice;

pub use encoding::MAX_ENCODED_BYTES;
pub use session::SessionCommand;
pub use table::{CommandSpec, SPECS, lookup};

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
    /// How many keys there are.
    DbSize,
    /// Removes every key.
    FlushAll,
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
            | Self::FlushAll => true,
            Self::Get { .. }
            | Self::StrLen { .. }
            | Self::Exists { .. }
            | Self::MGet { .. }
            | Self::Type { .. }
            | Self::DbSize => false,
            Self::Session(command) => command.is_write(),
        }
    }

    /// Its keys, in the order in which they were named. None for a command about the whole store.
    pub fn keys(&self) -> impl Iterator<Item = &'a [u8]> + use<'a, '_> {
        let store_command = match self {
            Self::Session(SessionCommand::Run { command, .. }) => command,
            other => other,
        };
        let (one, many, pairs): (Option<&'a [u8]>, &[&'a [u8]], &[Pair<'a>]) = match store_command {
            Self::Get { key }
            | Self::Set { key, .. }
            | Self::SetNx { key, .. }
            | Self::Append { key, .. }
            | Self::StrLen { key }
            | Self::IncrBy { key, .. }
            | Self::Type { key } => (Some(key), &[], &[]),
            Self::Del { keys } | Self::Exists { keys } | Self::MGet { keys } => (None, keys.as_slice(), &[]),
            Self::MSet { pairs } => (None, &[], pairs),
            Self::DbSize | Self::FlushAll | Self::Session(_) => (None, &[], &[]),
        };
        one.into_iter().chain(many.iter().copied()).chain(pairs.iter().map(|(key, _)| *key))
    }
}
