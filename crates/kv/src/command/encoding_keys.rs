//! The second part of the encoding: the opcodes from 48 to 61. The table stands in `encoding.rs`.

use super::encoding::{FLAG_GET, key, pairs, put, put_pairs, read_set_expiry, value};
use super::{Aspect, Command, Comparison, Condition, MAX_KEY_BYTES, MAX_PATTERN_BYTES, SetExpiry};
use crate::codec::{self, DecodeError, Reader};
use crate::long_double::MAX_TEXT_BYTES;

/// The first opcode that is written here, and the last.
pub(super) const FIRST_OTHER: u8 = GETRANGE;
pub(super) const LAST_OTHER: u8 = MEMORY_USAGE;

const GETRANGE: u8 = 48;
const SETRANGE: u8 = 49;
const INCRBYFLOAT: u8 = 50;
const MSETNX: u8 = 51;
const GETDEL: u8 = 52;
pub(super) const SET_COMPARING: u8 = 53;
const DELEX: u8 = 54;
const RENAME: u8 = 55;
const COPY: u8 = 56;
const RANDOMKEY: u8 = 57;
const KEYS: u8 = 58;
const SCAN: u8 = 59;
const OBJECT: u8 = 60;
const MEMORY_USAGE: u8 = 61;

const FLAG_EQUAL: u8 = 1;
const FLAG_NOT_EQUAL: u8 = 2;
const FLAG_PATTERN: u8 = 1;
const FLAG_TYPE: u8 = 2;

/// What stands for each aspect is its place here.
const ASPECTS: [Aspect; 3] = [Aspect::Encoding, Aspect::RefCount, Aspect::Frequency];

/// Appends the bytes of one of these commands to `out`.
///
/// # Panics
///
/// On another command.
pub(super) fn encode_other(command: &Command<'_>, out: &mut Vec<u8>) {
    match command {
        Command::GetRange { key, start, end } => {
            put(out, GETRANGE, &[key]);
            out.extend_from_slice(&start.to_le_bytes());
            out.extend_from_slice(&end.to_le_bytes());
        }
        Command::SetRange { key, offset, value } => {
            put(out, SETRANGE, &[key]);
            codec::put_varint(out, *offset);
            codec::put_bytes(out, value);
        }
        Command::IncrByFloat { key, text } => put(out, INCRBYFLOAT, &[key, text]),
        Command::MSetNx { pairs } => {
            out.push(MSETNX);
            put_pairs(out, pairs);
        }
        Command::GetDel { key } => put(out, GETDEL, &[key]),
        Command::DelIf { key, comparison } => {
            put_flagged(out, [DELEX, comparison_flag(*comparison)], &[key, comparison.value()]);
        }
        Command::Rename { key, to, only_new } => put_flagged(out, [RENAME, (*only_new).into()], &[key, to]),
        Command::Copy { key, to, replace } => put_flagged(out, [COPY, (*replace).into()], &[key, to]),
        Command::RandomKey { draw } => {
            out.push(RANDOMKEY);
            out.extend_from_slice(&draw.to_le_bytes());
        }
        Command::Keys { pattern } => put(out, KEYS, &[pattern]),
        Command::Scan { cursor, count, pattern, type_name } => {
            let pattern_flag = if pattern.is_some() { FLAG_PATTERN } else { 0 };
            let type_flag = if type_name.is_some() { FLAG_TYPE } else { 0 };
            out.extend_from_slice(&[SCAN, pattern_flag | type_flag]);
            codec::put_varint(out, *cursor);
            codec::put_varint(out, *count);
            pattern.iter().chain(type_name).for_each(|text| codec::put_bytes(out, text));
        }
        Command::Object { key, aspect } => {
            let place = ASPECTS.iter().position(|known| known == aspect);
            let place = place.and_then(|place| u8::try_from(place).ok()).expect("each aspect has its place");
            put_flagged(out, [OBJECT, place], &[key]);
        }
        Command::MemoryUsage { key } => put(out, MEMORY_USAGE, &[key]),
        other => panic!("it has an opcode elsewhere: {other:?}"),
    }
}

/// The command behind one of these opcodes.
///
/// # Errors
///
/// Anything but what [`encode_other`] makes.
pub(super) fn decode_other<'a>(opcode: u8, reader: &mut Reader<'a>) -> Result<Command<'a>, DecodeError> {
    Ok(match opcode {
        GETRANGE => Command::GetRange { key: key(reader)?, start: reader.i64()?, end: reader.i64()? },
        SETRANGE => Command::SetRange { key: key(reader)?, offset: reader.varint()?, value: value(reader)? },
        INCRBYFLOAT => {
            Command::IncrByFloat { key: key(reader)?, text: reader.bytes("number", MAX_TEXT_BYTES + 1)? }
        }
        MSETNX => Command::MSetNx { pairs: pairs(reader)? },
        GETDEL => Command::GetDel { key: key(reader)? },
        SET_COMPARING => read_set_comparing(reader)?,
        DELEX => {
            let flag = reader.byte()?;
            let key = key(reader)?;
            Command::DelIf { key, comparison: comparison(flag, value(reader)?)? }
        }
        RENAME => {
            let only_new = flag(reader)?;
            Command::Rename { key: key(reader)?, to: key(reader)?, only_new }
        }
        COPY => {
            let replace = flag(reader)?;
            Command::Copy { key: key(reader)?, to: key(reader)?, replace }
        }
        RANDOMKEY => Command::RandomKey { draw: reader.u64()? },
        KEYS => Command::Keys { pattern: pattern(reader)? },
        SCAN => read_scan(reader)?,
        OBJECT => {
            let place = reader.byte()?;
            let aspect = *ASPECTS.get(usize::from(place)).ok_or(DecodeError::UnknownFlags(place))?;
            Command::Object { key: key(reader)?, aspect }
        }
        MEMORY_USAGE => Command::MemoryUsage { key: key(reader)? },
        opcode => return Err(DecodeError::UnknownOpcode(opcode)),
    })
}

fn put_flagged(out: &mut Vec<u8>, [opcode, flag]: [u8; 2], texts: &[&[u8]]) {
    out.extend_from_slice(&[opcode, flag]);
    texts.iter().for_each(|text| codec::put_bytes(out, text));
}

fn flag(reader: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match reader.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::UnknownFlags(other)),
    }
}

pub(super) fn comparison_flag(comparison: Comparison<'_>) -> u8 {
    match comparison {
        Comparison::Equal(_) => FLAG_EQUAL,
        Comparison::NotEqual(_) => FLAG_NOT_EQUAL,
    }
}

fn comparison(flag: u8, value: &[u8]) -> Result<Comparison<'_>, DecodeError> {
    match flag {
        FLAG_EQUAL => Ok(Comparison::Equal(value)),
        FLAG_NOT_EQUAL => Ok(Comparison::NotEqual(value)),
        other => Err(DecodeError::UnknownFlags(other)),
    }
}

fn read_set_comparing<'a>(reader: &mut Reader<'a>) -> Result<Command<'a>, DecodeError> {
    let (flags, expiry) = read_set_expiry(reader)?;
    let (key, content) = (key(reader)?, value(reader)?);
    let condition = Condition::If(comparison(flags & !FLAG_GET, value(reader)?)?);
    let expiry = expiry.unwrap_or(SetExpiry::Never);
    Ok(Command::Set { key, value: content, condition, get: flags & FLAG_GET != 0, expiry })
}

fn pattern<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], DecodeError> {
    reader.bytes("pattern", MAX_PATTERN_BYTES)
}

fn read_scan<'a>(reader: &mut Reader<'a>) -> Result<Command<'a>, DecodeError> {
    let flags = reader.byte()?;
    let (cursor, count) = (reader.varint()?, reader.varint()?);
    if flags & !(FLAG_PATTERN | FLAG_TYPE) != 0 {
        return Err(DecodeError::UnknownFlags(flags));
    }
    if count == 0 {
        return Err(DecodeError::MalformedNumber);
    }
    let pattern = if flags & FLAG_PATTERN != 0 { Some(pattern(reader)?) } else { None };
    let type_name = if flags & FLAG_TYPE != 0 { Some(reader.bytes("type", MAX_KEY_BYTES)?) } else { None };
    Ok(Command::Scan { cursor, count, pattern, type_name })
}
