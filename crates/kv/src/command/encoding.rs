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
//! | 64 to 67 | ONCE | see `session.rs` |

use super::{
    Command, Condition, Keys, MAX_ARGUMENTS, MAX_COMMAND_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES, Pair,
    SessionCommand,
};
use crate::codec::{self, DecodeError, Reader};

/// No command that was parsed encodes to more bytes: at most 4 for the length of each argument, and 16 for the
/// rest.
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

const FLAG_NX: u8 = 1;
const FLAG_XX: u8 = 2;
const FLAG_GET: u8 = 4;

impl<'a> Command<'a> {
    /// Appends the command's bytes to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Get { key } => put(out, GET, &[key]),
            Self::Set { key, value, condition, get } => {
                out.extend_from_slice(&[SET, set_flags(*condition, *get)]);
                codec::put_bytes(out, key);
                codec::put_bytes(out, value);
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
                codec::put_varint(out, pairs.len() as u64);
                for (key, value) in pairs {
                    codec::put_bytes(out, key);
                    codec::put_bytes(out, value);
                }
            }
            Self::Type { key } => put(out, TYPE, &[key]),
            Self::DbSize => out.push(DBSIZE),
            Self::FlushAll => out.push(FLUSHALL),
            Self::Session(command) => command.encode(out),
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
                Self::Set { key: key(&mut reader)?, value: value(&mut reader)?, condition, get }
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
            DBSIZE => Self::DbSize,
            FLUSHALL => Self::FlushAll,
            opcode => Self::Session(SessionCommand::decode(opcode, &mut reader)?),
        };
        reader.finish()?;
        Ok(command)
    }
}

fn put(out: &mut Vec<u8>, opcode: u8, fields: &[&[u8]]) {
    out.push(opcode);
    for field in fields {
        codec::put_bytes(out, field);
    }
}

fn put_keys(out: &mut Vec<u8>, opcode: u8, keys: &Keys<'_>) {
    out.push(opcode);
    codec::put_varint(out, keys.as_slice().len() as u64);
    for key in keys.as_slice() {
        codec::put_bytes(out, key);
    }
}

fn set_flags(condition: Condition, get: bool) -> u8 {
    let condition = match condition {
        Condition::Always => 0,
        Condition::IfAbsent => FLAG_NX,
        Condition::IfPresent => FLAG_XX,
    };
    if get { condition | FLAG_GET } else { condition }
}

fn read_set_flags(flags: u8) -> Result<(Condition, bool), DecodeError> {
    let condition = match flags & !FLAG_GET {
        0 => Condition::Always,
        FLAG_NX => Condition::IfAbsent,
        FLAG_XX => Condition::IfPresent,
        _ => return Err(DecodeError::UnknownFlags(flags)),
    };
    Ok((condition, flags & FLAG_GET != 0))
}

fn key<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.bytes("key", MAX_KEY_BYTES)
}

fn value<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.bytes("value", MAX_VALUE_BYTES)
}

fn keys<'a>(reader: &mut Reader<'a>) -> Result<Keys<'a>, DecodeError> {
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

fn pairs<'a>(reader: &mut Reader<'a>) -> Result<Vec<Pair<'a>>, DecodeError> {
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
