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
//! and in where they count from; UNLINK is DEL, since the memory of what is large is freed in slices either way, and
//! TOUCH is EXISTS, since no use of a key is noted.
//!
//! A command or an option that Redis has and Bowline does not serve yet is refused by name. It is never
//! taken and ignored: a lock that silently never expires is worse than none.

mod conditions;
mod encoding;
mod encoding_keys;
mod expiry;
mod hash;
mod keys;
mod parse;
mod parse_expiry;
mod parse_keys;
mod session;
mod table;
mod transaction;
mod unsupported;

#[cfg(test)]
mod tests;

use std::slice;

use crate::digest::Digest;
use crate::reply::MAX_REPLY_BYTES;

pub use conditions::{Aspect, Comparison, Condition};
pub use encoding::MAX_ENCODED_BYTES;
pub use expiry::{ExpireCondition, MAX_AFTER_MS, Moment, SetExpiry};
pub(crate) use hash::ANY;
pub use hash::{HashCommand, Sample};
pub use parse_keys::own_database;
pub use session::{SessionCommand, once_exec};
pub use table::{CommandSpec, SPECS, lookup};
pub use transaction::{MAX_CONDITIONS, MAX_TRANSACTION_COMMANDS, TransactionSize, Unchanged};
pub use unsupported::REDIS_7_COMMANDS;

/// The longest key: 64 KiB. A constant of the format.
pub const MAX_KEY_BYTES: usize = 64 * 1024;

/// The longest value: 16 MiB. A constant of the format.
pub const MAX_VALUE_BYTES: usize = 16 * 1024 * 1024;

/// The longest name of a field of a hash: that of a key, since lists of both are read alike. A constant of the format.
pub const MAX_FIELD_BYTES: usize = MAX_KEY_BYTES;

/// The most fields of one hash: what one reply can show with their values. A constant of the format.
pub const MAX_HASH_FIELDS: usize = MAX_ARGUMENTS / 2;

/// The most bytes that the names and values of one hash have together: 64 MiB, what one reply can show. A
/// constant of the format.
pub const MAX_HASH_BYTES: usize = MAX_REPLY_BYTES;

/// The longest pattern of KEYS and SCAN: 1 KiB. What a pattern costs grows with its length, at each key.
pub const MAX_PATTERN_BYTES: usize = 1024;

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
        condition: Condition<'a>,
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
    /// Gives several keys their values, all at once, if none of them has one; the answer is 1 if it was done, else 0.
    MSetNx {
        /// Keys and values, at least one pair.
        pairs: Vec<Pair<'a>>,
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
    /// A part of a key's value.
    GetRange {
        /// The key.
        key: &'a [u8],
        /// Its first byte; negative: counted from the end, which is -1.
        start: i64,
        /// Its last byte, counted the same way.
        end: i64,
    },
    /// Puts bytes over those of a key's value, behind zero bytes if it is too short; the answer is the new length.
    SetRange {
        /// The key.
        key: &'a [u8],
        /// Where the first of them goes.
        offset: u64,
        /// The bytes.
        value: &'a [u8],
    },
    /// The value of a key, which is removed.
    GetDel {
        /// The key.
        key: &'a [u8],
    },
    /// Removes a key if it has, or has not, a certain value; the answer is 1 if it was done, else 0.
    DelIf {
        /// The key.
        key: &'a [u8],
        /// Whether to do it.
        comparison: Comparison<'a>,
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
    /// Adds to the number with a fraction that a key holds; a key without a value holds 0. The answer is the new
    /// one.
    IncrByFloat {
        /// The key.
        key: &'a [u8],
        /// What is added, as it was written: Redis looks at the key first, and so whether this is a number is
        /// found out when it is executed.
        text: &'a [u8],
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
    /// About the fields of a hash.
    Hash {
        /// The hash's key.
        key: &'a [u8],
        /// What is to be done.
        command: HashCommand<'a>,
    },
    /// Gives what a key holds, and its expiry, to another key.
    Rename {
        /// The key, which is gone then.
        key: &'a [u8],
        /// Its new name.
        to: &'a [u8],
        /// RENAMENX: only if there is no key of that name; the answer is 1 if it was done, else 0.
        only_new: bool,
    },
    /// Gives what a key holds, and its expiry, to another key as well; the answer is 1 if it was done, else 0.
    Copy {
        /// The key.
        key: &'a [u8],
        /// The other one.
        to: &'a [u8],
        /// Whether to do it if there is such a key already.
        replace: bool,
    },
    /// One of the keys, each as likely as any other.
    RandomKey {
        /// What decides which, drawn before the command is carried out: it must be the same key on every replica.
        draw: u64,
    },
    /// The keys whose names are of a form.
    Keys {
        /// The form, see [`glob`](crate::glob).
        pattern: &'a [u8],
    },
    /// Some of the keys, and where to go on.
    Scan {
        /// Where to begin: 0, or what the last one answered.
        cursor: u64,
        /// How many keys to look at, at least 1. It may be fewer.
        count: u64,
        /// MATCH: only keys whose names are of this form.
        pattern: Option<&'a [u8]>,
        /// TYPE: only keys of the type that is called so, in whatever case.
        type_name: Option<&'a [u8]>,
    },
    /// OBJECT: how a key is kept.
    Object {
        /// The key.
        key: &'a [u8],
        /// What of it.
        aspect: Aspect,
    },
    /// About how many bytes of memory a key takes with its value.
    MemoryUsage {
        /// The key.
        key: &'a [u8],
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

/// A key and its value.
pub type Pair<'a> = (&'a [u8], &'a [u8]);

/// One key or more, or fields of a hash. One, which is what most commands name, needs no memory of its own.
#[derive(Clone, Debug)]
pub enum Keys<'a> {
    /// One of them.
    One(&'a [u8]),
    /// Any number of them, at least one.
    Many(Vec<&'a [u8]>),
}

impl<'a> Keys<'a> {
    /// These, of which there is at least one.
    fn of(keys: &[&'a [u8]]) -> Self {
        match keys {
            [one] => Self::One(one),
            many => Self::Many(many.to_vec()),
        }
    }

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
            | Self::MSetNx { .. }
            | Self::SetRange { .. }
            | Self::IncrByFloat { .. }
            | Self::GetDel { .. }
            | Self::DelIf { .. }
            | Self::Rename { .. }
            | Self::Copy { .. }
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
            | Self::GetRange { .. }
            | Self::RandomKey { .. }
            | Self::Keys { .. }
            | Self::Scan { .. }
            | Self::Object { .. }
            | Self::MemoryUsage { .. }
            | Self::DbSize => false,
            Self::Hash { command, .. } => command.is_write(),
            Self::Session(command) => command.is_write(),
            Self::Exec { commands, .. } => commands.iter().any(Self::is_write),
        }
    }

    /// Whether it is about the whole store, whatever keys it names.
    pub fn is_about_all(&self) -> bool {
        match self {
            Self::DbSize
            | Self::FlushAll
            | Self::RandomKey { .. }
            | Self::Keys { .. }
            | Self::Scan { .. } => true,
            Self::Session(SessionCommand::Run { command, .. }) => command.is_about_all(),
            Self::Exec { commands, .. } => commands.iter().any(Self::is_about_all),
            _ => false,
        }
    }

    /// Whether only a plain read can answer it: WATCH, since in the log it would stand among commands of the same
    /// index, by which what is in front of it cannot be told from what is behind; and what has a [large
    /// reply](Self::copies_much), since that would be made, and recorded, on every replica.
    pub(crate) fn must_be_plain(&self) -> bool {
        match self {
            Self::Watch { .. } => true,
            Self::Session(SessionCommand::Run { command, .. }) => command.must_be_plain(),
            Self::Exec { commands, .. } => !self.is_write() && commands.iter().any(Self::copies_much),
            command => command.copies_much(),
        }
    }

    /// Whether it is a read whose work, or reply, grows with what is held and not with the command, and whose reply
    /// is a copy.
    pub(crate) fn copies_much(&self) -> bool {
        match self {
            Self::Keys { .. } | Self::Scan { .. } => true,
            Self::Hash { command, .. } => command.copies_much(),
            _ => false,
        }
    }

    /// Makes the draws of what is left to chance in it, each another one made of `chance`. Whoever takes a
    /// command from a client does that before anybody carries it out.
    pub(crate) fn draw(&mut self, chance: u64) {
        match self {
            Self::RandomKey { draw } | Self::Hash { command: HashCommand::Random { draw, .. }, .. } => {
                *draw = Digest::new(6).word(chance).finish();
            }
            Self::Session(SessionCommand::Run { command, .. }) => command.draw(chance),
            Self::Exec { commands, .. } => {
                for (place, command) in (0..).zip(commands) {
                    command.draw(Digest::new(6).word(chance).word(place).finish());
                }
            }
            _ => {}
        }
    }

    /// Whether something in it is left to chance.
    pub(crate) fn has_draw(&self) -> bool {
        match self {
            Self::RandomKey { .. } | Self::Hash { command: HashCommand::Random { .. }, .. } => true,
            Self::Session(SessionCommand::Run { command, .. }) => command.has_draw(),
            Self::Exec { commands, .. } => commands.iter().any(Self::has_draw),
            _ => false,
        }
    }
}
