//! A command as bytes: what an entry of the log and a forwarded request carry.
//!
//! The first byte, the opcode, says which command and which version of its form. The numbers below are in
//! files: none is ever changed or used again, a new form takes a new number. 0 and 0x80 to 0xff are kept, for a
//! form that is longer than one byte. Numbers and strings are those of the crate's codec: a varint, and a
//! varint length with the bytes behind it.
//!
//! | opcode | command | behind it |
//! |---|---|---|
//! | 1 | GET | key |
//! | 2 | SET | flags (a byte), key, value; flags: 1 = NX, 2 = XX, 4 = GET |
//! | 3 | SETNX | key, value |
//! | 4 | APPEND | key, value |
//! | 5 | STRLEN | key |
//! | 6 | DEL | count, keys |
//! | 7 | EXISTS | count, keys |
//! | 8 | INCRBY | key, what is added (8 bytes, two's complement, the lowest first) |
//! | 9 | MGET | count, keys |
//! | 10 | MSET | count, keys and values in turn |
//! | 11 | TYPE | key |
//! | 12 | DBSIZE | |
//! | 13 | FLUSHALL | |
//! | 14 | SET with an expiry | flags (a byte), time, key, value; flags: as in 2, and 8 = KEEPTTL, or 16 = from now on, or 32 = since 1970 |
//! | 15 | GETEX | flags (a byte), time, key; flags: 0 = PERSIST, 16 or 32 |
//! | 16 | EXPIRE | flags (a byte), time, key; flags: 16 or 32, and 0 to 5 for the condition |
//! | 17 | PERSIST | key |
//! | 18 | TTL | flags (a byte), key; flags: 1 = since 1970, 2 = in seconds |
//! | 19 | WATCH | count, keys |
//! | 20 | EXEC | count, conditions (key, a byte: 0 = was not there, 1 = was there, index), count, commands (length, bytes) |
//! | 32 to 47 | HSET and its like | see `hash.rs` |
//! | 48 | GETRANGE | key, start, end (8 bytes each, two's complement, the lowest first) |
//! | 49 | SETRANGE | key, offset, value |
//! | 50 | INCRBYFLOAT | key, what is added, as a text |
//! | 51 | MSETNX | count, keys and values in turn |
//! | 52 | GETDEL | key |
//! | 53 | SET with a comparison | flags (a byte), time, key, value, value to compare with; flags: 1 = IFEQ or 2 = IFNE, and 4, 8, 16, 32 as in 14 |
//! | 54 | DELEX | a byte: 1 = IFEQ, 2 = IFNE; key, value to compare with |
//! | 55 | RENAME | a byte: 1 = NX; key, key |
//! | 56 | COPY | a byte: 1 = REPLACE; key, key |
//! | 57 | RANDOMKEY | what decides (8 bytes, the lowest first) |
//! | 58 | KEYS | pattern |
//! | 59 | SCAN | flags (a byte), cursor, count, pattern if 1, type if 2 |
//! | 60 | OBJECT | a byte: 0 = ENCODING, 1 = REFCOUNT, 2 = FREQ; key |
//! | 61 | MEMORY USAGE | key |
//! | 64 to 67 | ONCE | see `session.rs` |
//!
//! A time is there only if the flags have 16 or 32: milliseconds, 8 bytes, two's complement, the lowest first.

use super::encoding_keys::{
    FIRST_OTHER, LAST_OTHER, SET_COMPARING, comparison_flag, decode_other, encode_other,
};
use super::hash::{HSCAN, HSET};
use super::{
    Command, Condition, ExpireCondition, HashCommand, Keys, MAX_AFTER_MS, MAX_ARGUMENTS, MAX_COMMAND_BYTES,
    MAX_CONDITIONS, MAX_KEY_BYTES, MAX_TRANSACTION_COMMANDS, MAX_VALUE_BYTES, Moment, Pair, SessionCommand,
    SetExpiry, Unchanged, session,
};
use crate::codec::{self, DecodeError, Reader};

/// No command that was parsed encodes to more bytes: at most 4 for the length of each argument, and 16 for the
/// rest. Nor does a transaction whose watched keys and encoded commands have [`MAX_COMMAND_BYTES`] together, as a
/// request of a session too: a condition takes at most 14 more than its key, of [`MAX_CONDITIONS`]; a command at
/// most 4 more than its own bytes, of [`MAX_TRANSACTION_COMMANDS`]; and the session, its number and the two counts
/// at most 27. Those are 1.2 MB, far below the 4 MiB for the lengths of arguments.
pub const MAX_ENCODED_BYTES: usize = MAX_COMMAND_BYTES + 4 * MAX_ARGUMENTS + 16;

const GET: u8 = 1;
const SET: u8 = 2;
const SETNX: u8 = 3;
const APPEND: u8 = 4;
const STRLEN: u8 = 5;
const DEL: u8 = 6;
const EXISTS: u8 = 7;
const INCRBY: u8 = 8;
const MGET: u8 = 9;
const MSET: u8 = 10;
const TYPE: u8 = 11;
const DBSIZE: u8 = 12;
const FLUSHALL: u8 = 13;
const SET_EXPIRING: u8 = 14;
const GETEX: u8 = 15;
const EXPIRE: u8 = 16;
const PERSIST: u8 = 17;
const TTL: u8 = 18;
const WATCH: u8 = 19;
const EXEC: u8 = 20;

const FLAG_NX: u8 = 1;
const FLAG_XX: u8 = 2;
pub(super) const FLAG_GET: u8 = 4;
const FLAG_KEEPTTL: u8 = 8;
const FLAG_AFTER: u8 = 16;
const FLAG_AT: u8 = 32;
const FLAG_ABSOLUTE: u8 = 1;
const FLAG_SECONDS: u8 = 2;

/// What stands for each condition of EXPIRE is its place here.
const EXPIRE_CONDITIONS: [ExpireCondition; 6] = [
    ExpireCondition::Always,
    ExpireCondition::IfNone,
    ExpireCondition::IfAny,
    ExpireCondition::IfLater,
    ExpireCondition::IfEarlier,
    ExpireCondition::IfEarlierThanAny,
];

impl<'a> Command<'a> {
    /// Appends the command's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Get { key } => put(out, GET, &[key]),
            Self::Set { key, value, condition, get, expiry } => {
                put_set(out, *condition, *get, *expiry);
                codec::put_bytes(out, key);
                codec::put_bytes(out, value);
                if let Condition::If(comparison) = condition {
                    codec::put_bytes(out, comparison.value());
                }
            }
            Self::SetNx { key, value } => put(out, SETNX, &[key, value]),
            Self::Append { key, value } => put(out, APPEND, &[key, value]),
            Self::StrLen { key } => put(out, STRLEN, &[key]),
            Self::Del { keys } => put_keys(out, DEL, keys),
            Self::Exists { keys } => put_keys(out, EXISTS, keys),
            Self::IncrBy { key, delta } => {
                put(out, INCRBY, &[key]);
                out.extend_from_slice(&delta.to_le_bytes());
            }
            Self::MGet { keys } => put_keys(out, MGET, keys),
            Self::MSet { pairs } => {
                out.push(MSET);
                put_pairs(out, pairs);
            }
            Self::Type { key } => put(out, TYPE, &[key]),
            Self::GetEx { key, expiry } => {
                out.push(GETEX);
                put_moment(out, 0, *expiry);
                codec::put_bytes(out, key);
            }
            Self::Expire { key, moment, condition } => {
                out.push(EXPIRE);
                put_moment(out, condition_flag(*condition), Some(*moment));
                codec::put_bytes(out, key);
            }
            Self::Persist { key } => put(out, PERSIST, &[key]),
            Self::Ttl { key, is_absolute, in_seconds } => {
                let absolute = if *is_absolute { FLAG_ABSOLUTE } else { 0 };
                let seconds = if *in_seconds { FLAG_SECONDS } else { 0 };
                out.extend_from_slice(&[TTL, absolute | seconds]);
                codec::put_bytes(out, key);
            }
            Self::Watch { keys } => put_keys(out, WATCH, keys),
            Self::Exec { conditions, commands } => put_transaction(out, conditions, commands),
            Self::DbSize => out.push(DBSIZE),
            Self::FlushAll => out.push(FLUSHALL),
            Self::Hash { key, command } => command.encode(key, out),
            Self::Session(command) => command.encode(out),
            Self::GetRange { .. }
            | Self::SetRange { .. }
            | Self::IncrByFloat { .. }
            | Self::MSetNx { .. }
            | Self::GetDel { .. }
            | Self::DelIf { .. }
            | Self::Rename { .. }
            | Self::Copy { .. }
            | Self::RandomKey { .. }
            | Self::Keys { .. }
            | Self::Scan { .. }
            | Self::Object { .. }
            | Self::MemoryUsage { .. } => encode_other(self, out),
        }
    }

    /// The command that `bytes`, all of them, encode. It borrows from them.
    ///
    /// # Errors
    ///
    /// Anything but what [`Command::encode`] makes of a command within this module's limits. The memory that
    /// is asked for on the way is bounded by the number of bytes and by [`MAX_ARGUMENTS`].
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        if bytes.len() > MAX_ENCODED_BYTES {
            let (size, limit) = (bytes.len() as u64, MAX_ENCODED_BYTES);
            return Err(DecodeError::TooLarge { what: "command", size, limit });
        }
        let mut reader = Reader::new(bytes);
        let command = match reader.byte()? {
            GET => Self::Get { key: key(&mut reader)? },
            SET => {
                let (condition, get) = read_set_flags(reader.byte()?)?;
                let expiry = SetExpiry::Never;
                Self::Set { key: key(&mut reader)?, value: value(&mut reader)?, condition, get, expiry }
            }
            SETNX => Self::SetNx { key: key(&mut reader)?, value: value(&mut reader)? },
            APPEND => Self::Append { key: key(&mut reader)?, value: value(&mut reader)? },
            STRLEN => Self::StrLen { key: key(&mut reader)? },
            DEL => Self::Del { keys: keys(&mut reader)? },
            EXISTS => Self::Exists { keys: keys(&mut reader)? },
            INCRBY => Self::IncrBy { key: key(&mut reader)?, delta: reader.i64()? },
            MGET => Self::MGet { keys: keys(&mut reader)? },
            MSET => Self::MSet { pairs: pairs(&mut reader)? },
            TYPE => Self::Type { key: key(&mut reader)? },
            SET_EXPIRING => {
                let (flags, expiry) = read_set_expiry(&mut reader)?;
                let expiry = expiry.ok_or(DecodeError::UnknownFlags(flags))?;
                let (condition, get) = read_set_flags(flags)?;
                Self::Set { key: key(&mut reader)?, value: value(&mut reader)?, condition, get, expiry }
            }
            GETEX => match read_moment(&mut reader)? {
                (0, expiry) => Self::GetEx { key: key(&mut reader)?, expiry },
                (flags, _) => return Err(DecodeError::UnknownFlags(flags)),
            },
            EXPIRE => {
                let (flags, moment) = read_moment(&mut reader)?;
                let condition = EXPIRE_CONDITIONS.get(usize::from(flags));
                let known = condition.copied().zip(moment);
                let (condition, moment) = known.ok_or(DecodeError::UnknownFlags(flags))?;
                Self::Expire { key: key(&mut reader)?, moment, condition }
            }
            PERSIST => Self::Persist { key: key(&mut reader)? },
            TTL => {
                let flags = reader.byte()?;
                if flags & !(FLAG_ABSOLUTE | FLAG_SECONDS) != 0 {
                    return Err(DecodeError::UnknownFlags(flags));
                }
                let (is_absolute, in_seconds) = (flags & FLAG_ABSOLUTE != 0, flags & FLAG_SECONDS != 0);
                Self::Ttl { key: key(&mut reader)?, is_absolute, in_seconds }
            }
            WATCH => Self::Watch { keys: keys(&mut reader)? },
            EXEC => read_transaction(&mut reader)?,
            DBSIZE => Self::DbSize,
            FLUSHALL => Self::FlushAll,
            opcode @ HSET..=HSCAN => HashCommand::decode(opcode, &mut reader)?,
            opcode @ FIRST_OTHER..=LAST_OTHER => decode_other(opcode, &mut reader)?,
            opcode => Self::Session(SessionCommand::decode(opcode, &mut reader)?),
        };
        reader.finish()?;
        Ok(command)
    }
}

pub(super) fn put(out: &mut Vec<u8>, opcode: u8, fields: &[&[u8]]) {
    out.push(opcode);
    for field in fields {
        codec::put_bytes(out, field);
    }
}

fn put_keys(out: &mut Vec<u8>, opcode: u8, keys: &Keys<'_>) {
    out.push(opcode);
    put_list(out, keys);
}

pub(super) fn put_list(out: &mut Vec<u8>, keys: &Keys<'_>) {
    codec::put_varint(out, keys.as_slice().len() as u64);
    for key in keys.as_slice() {
        codec::put_bytes(out, key);
    }
}

pub(super) fn put_pairs(out: &mut Vec<u8>, pairs: &[Pair<'_>]) {
    codec::put_varint(out, pairs.len() as u64);
    for (name, value) in pairs {
        codec::put_bytes(out, name);
        codec::put_bytes(out, value);
    }
}

fn put_transaction(out: &mut Vec<u8>, conditions: &[Unchanged<'_>], commands: &[Command<'_>]) {
    out.push(EXEC);
    codec::put_varint(out, conditions.len() as u64);
    for Unchanged { key, existed, since } in conditions {
        codec::put_bytes(out, key);
        out.push((*existed).into());
        codec::put_varint(out, *since);
    }
    codec::put_varint(out, commands.len() as u64);
    let mut encoded = Vec::new();
    for command in commands {
        encoded.clear();
        command.encode(&mut encoded);
        codec::put_bytes(out, &encoded);
    }
}

fn read_transaction<'a>(reader: &mut Reader<'a>) -> Result<Command<'a>, DecodeError> {
    let count = reader.count("conditions", MAX_CONDITIONS, 3)?;
    let mut conditions = Vec::with_capacity(count);
    for _ in 0..count {
        let key = key(reader)?;
        let existed = match reader.byte()? {
            0 => false,
            1 => true,
            other => return Err(DecodeError::UnknownFlags(other)),
        };
        conditions.push(Unchanged { key, existed, since: reader.varint()? });
    }
    let count = reader.count("commands", MAX_TRANSACTION_COMMANDS, 2)?;
    let mut commands = Vec::with_capacity(count);
    for _ in 0..count {
        commands.push(data_command(reader.bytes("command", MAX_ENCODED_BYTES)?)?);
    }
    Ok(Command::Exec { conditions, commands })
}

/// A command of a session: about keys, or a transaction. What it is is looked at first, since hostile bytes may hold
/// any number of them, one inside the other.
pub(super) fn session_command(encoded: &[u8]) -> Result<Command<'_>, DecodeError> {
    match encoded.first() {
        Some(&opcode @ (WATCH | session::OPEN..=session::LIMITS)) => Err(DecodeError::UnknownOpcode(opcode)),
        _ => Command::decode(encoded),
    }
}

/// A command of a transaction: about keys, with none in itself.
fn data_command(encoded: &[u8]) -> Result<Command<'_>, DecodeError> {
    match encoded.first() {
        Some(&EXEC) => Err(DecodeError::UnknownOpcode(EXEC)),
        _ => session_command(encoded),
    }
}

/// Puts all of a SET that stands in front of key and value.
fn put_set(out: &mut Vec<u8>, condition: Condition<'_>, get: bool, expiry: SetExpiry) {
    let flags = set_flags(condition, get);
    out.push(match (condition, expiry) {
        (Condition::If(_), _) => SET_COMPARING,
        (_, SetExpiry::Never) => SET,
        _ => SET_EXPIRING,
    });
    match expiry {
        SetExpiry::Never => out.push(flags),
        SetExpiry::Keep => out.push(flags | FLAG_KEEPTTL),
        SetExpiry::To(moment) => put_moment(out, flags, Some(moment)),
    }
}

/// Puts the flags, with those that say what time it is, and the time.
fn put_moment(out: &mut Vec<u8>, flags: u8, moment: Option<Moment>) {
    let (kind, ms) = match moment {
        None => return out.push(flags),
        Some(Moment::After(ms)) => (FLAG_AFTER, ms),
        Some(Moment::At(ms)) => (FLAG_AT, ms),
    };
    out.push(flags | kind);
    out.extend_from_slice(&ms.to_le_bytes());
}

/// The flags that are left, and the time.
fn read_moment(reader: &mut Reader<'_>) -> Result<(u8, Option<Moment>), DecodeError> {
    let flags = reader.byte()?;
    let moment = match flags & (FLAG_AFTER | FLAG_AT) {
        0 => None,
        FLAG_AFTER => match reader.i64()? {
            ms @ ..=MAX_AFTER_MS => Some(Moment::After(ms)),
            _ => return Err(DecodeError::MalformedNumber),
        },
        FLAG_AT => Some(Moment::At(reader.i64()?)),
        _ => return Err(DecodeError::UnknownFlags(flags)),
    };
    Ok((flags & !(FLAG_AFTER | FLAG_AT), moment))
}

/// The flags of a SET that are left, and what becomes of the expiry, unless they say nothing about that.
pub(super) fn read_set_expiry(reader: &mut Reader<'_>) -> Result<(u8, Option<SetExpiry>), DecodeError> {
    let (flags, moment) = read_moment(reader)?;
    match (flags & FLAG_KEEPTTL, moment) {
        (0, moment) => Ok((flags, moment.map(SetExpiry::To))),
        (_, None) => Ok((flags & !FLAG_KEEPTTL, Some(SetExpiry::Keep))),
        (_, Some(_)) => Err(DecodeError::UnknownFlags(flags)),
    }
}

fn condition_flag(condition: ExpireCondition) -> u8 {
    let place = EXPIRE_CONDITIONS.iter().position(|known| *known == condition);
    place.and_then(|place| u8::try_from(place).ok()).expect("each condition has its place")
}

fn set_flags(condition: Condition<'_>, get: bool) -> u8 {
    let condition = match condition {
        Condition::Always => 0,
        Condition::IfAbsent => FLAG_NX,
        Condition::IfPresent => FLAG_XX,
        Condition::If(comparison) => comparison_flag(comparison),
    };
    if get { condition | FLAG_GET } else { condition }
}

fn read_set_flags(flags: u8) -> Result<(Condition<'static>, bool), DecodeError> {
    let condition = match flags & !FLAG_GET {
        0 => Condition::Always,
        FLAG_NX => Condition::IfAbsent,
        FLAG_XX => Condition::IfPresent,
        _ => return Err(DecodeError::UnknownFlags(flags)),
    };
    Ok((condition, flags & FLAG_GET != 0))
}

pub(super) fn key<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.bytes("key", MAX_KEY_BYTES)
}

pub(super) fn value<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.bytes("value", MAX_VALUE_BYTES)
}

pub(super) fn keys<'a>(reader: &mut Reader<'a>) -> Result<Keys<'a>, DecodeError> {
    match reader.count("keys", MAX_ARGUMENTS, 1)? {
        0 => Err(DecodeError::EmptyList),
        1 => Ok(Keys::One(key(reader)?)),
        count => {
            let mut keys = Vec::with_capacity(count);
            for _ in 0..count {
                keys.push(key(reader)?);
            }
            Ok(Keys::Many(keys))
        }
    }
}

pub(super) fn pairs<'a>(reader: &mut Reader<'a>) -> Result<Vec<Pair<'a>>, DecodeError> {
    let count = reader.count("pairs", MAX_ARGUMENTS / 2, 2)?;
    if count == 0 {
        return Err(DecodeError::EmptyList);
    }
    let mut pairs = Vec::with_capacity(count);
    for _ in 0..count {
        pairs.push((key(reader)?, value(reader)?));
    }
    Ok(pairs)
}
