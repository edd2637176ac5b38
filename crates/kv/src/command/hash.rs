//! What a client asks about a hash, with Redis 7's names, arguments and words.
//!
//! As bytes, behind the opcode:
//!
//! | opcode | command | behind it |
//! |---|---|---|
//! | 32 | HSET | key, count, fields and values in turn |
//! | 33 | HMSET | the same |
//! | 34 | HSETNX | key, field, value |
//! | 35 | HGET | key, field |
//! | 36 | HMGET | key, count, fields |
//! | 37 | HDEL | key, count, fields |
//! | 38 | HLEN | key |
//! | 39 | HSTRLEN | key, field |
//! | 40 | HEXISTS | key, field |
//! | 41 | HGETALL | key |
//! | 42 | HKEYS | key |
//! | 43 | HVALS | key |
//! | 44 | HINCRBY | key, field, what is added (8 bytes, two's complement, the lowest first) |
//! | 45 | HINCRBYFLOAT | key, field, what is added, as a text |
//! | 46 | HRANDFIELD | key, the draw (8 bytes, the lowest first), flags (a byte): 1 = with a count, 2 = WITHVALUES; the count (as in 44) |
//! | 47 | HSCAN | key, cursor, count, pattern |
//!
//! The count of an HRANDFIELD is there only if the flags say so. The pattern of an HSCAN without MATCH is `*`.

use super::encoding::{self, pairs, put};
use super::parse::{self, Parsed, number, value, within, wrong_arity};
use super::parse_keys::{ScanOptions, cursor, scan_options};
use super::{Command, Keys, MAX_FIELD_BYTES, MAX_PATTERN_BYTES, Pair};
use crate::codec::{self, DecodeError, Reader};
use crate::long_double::{LongDouble, MAX_TEXT_BYTES};
use crate::reply::Reply;

pub(super) const HSET: u8 = 32;
const HMSET: u8 = 33;
const HSETNX: u8 = 34;
const HGET: u8 = 35;
const HMGET: u8 = 36;
const HDEL: u8 = 37;
const HLEN: u8 = 38;
const HSTRLEN: u8 = 39;
const HEXISTS: u8 = 40;
const HGETALL: u8 = 41;
const HKEYS: u8 = 42;
const HVALS: u8 = 43;
const HINCRBY: u8 = 44;
const HINCRBYFLOAT: u8 = 45;
const HRANDFIELD: u8 = 46;
pub(super) const HSCAN: u8 = 47;

const FLAG_COUNT: u8 = 1;
const FLAG_VALUES: u8 = 2;

/// The pattern of every name.
pub(crate) const ANY: &[u8] = b"*";

/// What is to be done with the hash of a key. A key that is not there is a hash without fields, and a hash without
/// fields is no key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashCommand<'a> {
    /// Gives fields their values, all at once. Of a field that is named twice the last value stays.
    Set {
        /// Fields and values, at least one pair.
        pairs: Vec<Pair<'a>>,
        /// Whether to answer how many fields are new, as HSET does, and not with OK, as HMSET does.
        counts: bool,
    },
    /// Gives a field a value if it has none; the answer is 1 if it was done, else 0.
    SetNx {
        /// The field.
        field: &'a [u8],
        /// Its new value.
        value: &'a [u8],
    },
    /// The value of a field.
    Get {
        /// The field.
        field: &'a [u8],
    },
    /// The values of several fields.
    GetMany {
        /// The fields.
        fields: Keys<'a>,
    },
    /// Removes fields; the answer is how many there were.
    Del {
        /// The fields.
        fields: Keys<'a>,
    },
    /// How many fields there are.
    Len,
    /// The length of a field's value, in bytes; 0 if it has none.
    StrLen {
        /// The field.
        field: &'a [u8],
    },
    /// Whether a field has a value: 1, else 0.
    Exists {
        /// The field.
        field: &'a [u8],
    },
    /// All fields with their values.
    GetAll,
    /// All fields.
    Fields,
    /// All values.
    Values,
    /// Adds to the number that a field holds; a field without a value holds 0.
    IncrBy {
        /// The field.
        field: &'a [u8],
        /// What is added.
        delta: i64,
    },
    /// The same for a number with a fraction. The answer is the new one.
    IncrByFloat {
        /// The field.
        field: &'a [u8],
        /// What is added, as the client spelled it.
        text: &'a [u8],
    },
    /// Some of the fields, each as likely as any other.
    Random {
        /// What decides which, drawn before the command is carried out: they must be the same on every replica.
        draw: u64,
        /// How many; none for one field that is answered by itself.
        sample: Option<Sample>,
    },
    /// Some of the fields with their values, and where to go on.
    Scan {
        /// Where to begin: 0, or what the last one answered.
        cursor: u64,
        /// How many fields to look at, at least 1. It may be more.
        count: u64,
        /// Only fields whose names are of this form, see [`glob`](crate::glob).
        pattern: &'a [u8],
    },
}

/// What HRANDFIELD with a count asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Positive: so many different fields, or all. Negative: so many, any of which may come again.
    pub count: i64,
    /// Whether to answer with the values, too.
    pub with_values: bool,
}

impl<'a> HashCommand<'a> {
    pub(super) fn is_write(&self) -> bool {
        match self {
            Self::Set { .. }
            | Self::SetNx { .. }
            | Self::Del { .. }
            | Self::IncrBy { .. }
            | Self::IncrByFloat { .. } => true,
            Self::Get { .. }
            | Self::GetMany { .. }
            | Self::Len
            | Self::StrLen { .. }
            | Self::Exists { .. }
            | Self::GetAll
            | Self::Fields
            | Self::Values
            | Self::Random { .. }
            | Self::Scan { .. } => false,
        }
    }

    /// See [`Command::copies_much`].
    pub(super) fn copies_much(&self) -> bool {
        matches!(
            self,
            Self::GetAll
                | Self::Fields
                | Self::Values
                | Self::Random { sample: Some(_), .. }
                | Self::Scan { .. }
        )
    }

    pub(super) fn encode(&self, key: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Set { pairs, counts } => {
                put(out, if *counts { HSET } else { HMSET }, &[key]);
                encoding::put_pairs(out, pairs);
            }
            Self::SetNx { field, value } => put(out, HSETNX, &[key, field, value]),
            Self::Get { field } => put(out, HGET, &[key, field]),
            Self::GetMany { fields } => {
                put(out, HMGET, &[key]);
                encoding::put_list(out, fields);
            }
            Self::Del { fields } => {
                put(out, HDEL, &[key]);
                encoding::put_list(out, fields);
            }
            Self::Len => put(out, HLEN, &[key]),
            Self::StrLen { field } => put(out, HSTRLEN, &[key, field]),
            Self::Exists { field } => put(out, HEXISTS, &[key, field]),
            Self::GetAll => put(out, HGETALL, &[key]),
            Self::Fields => put(out, HKEYS, &[key]),
            Self::Values => put(out, HVALS, &[key]),
            Self::IncrBy { field, delta } => {
                put(out, HINCRBY, &[key, field]);
                out.extend_from_slice(&delta.to_le_bytes());
            }
            Self::IncrByFloat { field, text } => put(out, HINCRBYFLOAT, &[key, field, text]),
            Self::Random { draw, sample } => {
                put(out, HRANDFIELD, &[key]);
                out.extend_from_slice(&draw.to_le_bytes());
                match sample {
                    None => out.push(0),
                    Some(Sample { count, with_values }) => {
                        out.push(if *with_values { FLAG_COUNT | FLAG_VALUES } else { FLAG_COUNT });
                        out.extend_from_slice(&count.to_le_bytes());
                    }
                }
            }
            Self::Scan { cursor, count, pattern } => {
                put(out, HSCAN, &[key]);
                codec::put_varint(out, *cursor);
                codec::put_varint(out, *count);
                codec::put_bytes(out, pattern);
            }
        }
    }

    /// What stands behind an opcode from [`HSET`] to [`HSCAN`].
    pub(super) fn decode(opcode: u8, reader: &mut Reader<'a>) -> Result<Command<'a>, DecodeError> {
        let key = encoding::key(reader)?;
        let command = match opcode {
            HSET | HMSET => Self::Set { pairs: pairs(reader)?, counts: opcode == HSET },
            HSETNX => Self::SetNx { field: read_field(reader)?, value: encoding::value(reader)? },
            HGET => Self::Get { field: read_field(reader)? },
            HMGET => Self::GetMany { fields: encoding::keys(reader)? },
            HDEL => Self::Del { fields: encoding::keys(reader)? },
            HLEN => Self::Len,
            HSTRLEN => Self::StrLen { field: read_field(reader)? },
            HEXISTS => Self::Exists { field: read_field(reader)? },
            HGETALL => Self::GetAll,
            HKEYS => Self::Fields,
            HVALS => Self::Values,
            HINCRBY => Self::IncrBy { field: read_field(reader)?, delta: reader.i64()? },
            HINCRBYFLOAT => Self::IncrByFloat {
                field: read_field(reader)?,
                text: reader.bytes("number", MAX_TEXT_BYTES)?,
            },
            HRANDFIELD => Self::Random { draw: reader.u64()?, sample: read_sample(reader)? },
            HSCAN => {
                let (cursor, count) = (reader.varint()?, reader.varint()?);
                if count == 0 {
                    return Err(DecodeError::MalformedNumber);
                }
                Self::Scan { cursor, count, pattern: reader.bytes("pattern", MAX_PATTERN_BYTES)? }
            }
            opcode => return Err(DecodeError::UnknownOpcode(opcode)),
        };
        Ok(Command::Hash { key, command })
    }
}

fn read_field<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.bytes("field", MAX_FIELD_BYTES)
}

fn read_sample(reader: &mut Reader<'_>) -> Result<Option<Sample>, DecodeError> {
    let with_values = match reader.byte()? {
        0 => return Ok(None),
        FLAG_COUNT => false,
        flags if flags == FLAG_COUNT | FLAG_VALUES => true,
        flags => return Err(DecodeError::UnknownFlags(flags)),
    };
    Ok(Some(Sample { count: reader.i64()?, with_values }))
}

fn field(bytes: &[u8]) -> Result<&[u8], Reply> {
    within("field", bytes.len(), MAX_FIELD_BYTES)?;
    Ok(bytes)
}

fn fields<'a>(args: &[&'a [u8]]) -> Result<Keys<'a>, Reply> {
    for arg in args {
        field(arg)?;
    }
    Ok(Keys::of(args))
}

/// The command about the key in front of the arguments.
fn about<'a>(args: &[&'a [u8]], command: HashCommand<'a>) -> Parsed<'a> {
    Ok(Command::Hash { key: parse::key(args[0])?, command })
}

pub(super) fn hset<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    set(args, "hset", true)
}

pub(super) fn hmset<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    set(args, "hmset", false)
}

fn set<'a>(args: &[&'a [u8]], name: &str, counts: bool) -> Parsed<'a> {
    let (pairs, left_over) = args[1..].as_chunks::<2>();
    if !left_over.is_empty() {
        return Err(wrong_arity(name));
    }
    let pairs = pairs.iter().map(|&[name, content]| Ok((field(name)?, value(content)?)));
    about(args, HashCommand::Set { pairs: pairs.collect::<Result<_, Reply>>()?, counts })
}

pub(super) fn hsetnx<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::SetNx { field: field(args[1])?, value: value(args[2])? })
}

pub(super) fn hget<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::Get { field: field(args[1])? })
}

pub(super) fn hmget<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::GetMany { fields: fields(&args[1..])? })
}

pub(super) fn hdel<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::Del { fields: fields(&args[1..])? })
}

pub(super) fn hlen<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::Len)
}

pub(super) fn hstrlen<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::StrLen { field: field(args[1])? })
}

pub(super) fn hexists<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::Exists { field: field(args[1])? })
}

pub(super) fn hgetall<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::GetAll)
}

pub(super) fn hkeys<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::Fields)
}

pub(super) fn hvals<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::Values)
}

pub(super) fn hincrby<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    about(args, HashCommand::IncrBy { field: field(args[1])?, delta: number(args[2])? })
}

pub(super) fn hincrbyfloat<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let text = args[2];
    match LongDouble::parse(text) {
        None => Err(Reply::error_text("ERR value is not a valid float")),
        Some(LongDouble::Infinite) => Err(Reply::error_text("ERR value is NaN or Infinity")),
        Some(LongDouble::Finite(_)) => about(args, HashCommand::IncrByFloat { field: field(args[1])?, text }),
    }
}

pub(super) fn hrandfield<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let sample = match &args[1..] {
        [] => None,
        [count, options @ ..] => {
            let count = number(count)?;
            let least = -i64::MAX;
            if count < least {
                let most = i64::MAX;
                return Err(Reply::error(format!(
                    "ERR value is out of range, value must between {least} and {most}"
                )));
            }
            let with_values = match options {
                [] => false,
                [option] if option.eq_ignore_ascii_case(b"WITHVALUES") => true,
                _ => return Err(Reply::SYNTAX_ERROR),
            };
            if with_values && count.unsigned_abs() > i64::MAX.unsigned_abs() / 2 {
                return Err(Reply::error_text("ERR value is out of range"));
            }
            Some(Sample { count, with_values })
        }
    };
    about(args, HashCommand::Random { draw: 0, sample })
}

pub(super) fn hscan<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let cursor = cursor(args[1])?;
    let ScanOptions { count, pattern, type_name: None } = scan_options(&args[2..])? else {
        return Err(Reply::SYNTAX_ERROR);
    };
    about(args, HashCommand::Scan { cursor, count, pattern: pattern.unwrap_or(ANY) })
}

#[cfg(test)]
mod tests;
