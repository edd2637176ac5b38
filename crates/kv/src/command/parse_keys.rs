//! The commands about keys, whatever these hold: Redis 7's `renameCommand`, `copyCommand`, `scanGenericCommand`,
//! `objectCommand` and `memoryCommand`, with their words.

use super::parse::{Parsed, key, number, within, wrong_arity};
use super::unsupported::{ECHO_BYTES, echoed};
use super::{Aspect, Command, MAX_PATTERN_BYTES};
use crate::reply::Reply;

/// How many keys SCAN looks at, or fields HSCAN, if it is not told.
const DEFAULT_COUNT: u64 = 10;

pub(super) fn rename<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Rename { key: key(args[0])?, to: key(args[1])?, only_new: false })
}

pub(super) fn renamenx<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Rename { key: key(args[0])?, to: key(args[1])?, only_new: true })
}

pub(super) fn copy<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let (key, to) = (key(args[0])?, key(args[1])?);
    let mut replace = false;
    let mut options = &args[2..];
    loop {
        options = match options {
            [] => break,
            [option, rest @ ..] if option.eq_ignore_ascii_case(b"REPLACE") => {
                replace = true;
                rest
            }
            [option, database, rest @ ..] if option.eq_ignore_ascii_case(b"DB") => {
                own_database(database)?;
                rest
            }
            _ => return Err(Reply::SYNTAX_ERROR),
        };
    }
    if key == to {
        return Err(Reply::error_text("ERR source and destination objects are the same"));
    }
    Ok(Command::Copy { key, to, replace })
}

/// Whether `text` names database 0: there is no other.
///
/// # Errors
///
/// The reply to send instead, in Redis's words.
pub fn own_database(text: &[u8]) -> Result<(), Reply> {
    match number(text)? {
        0 => Ok(()),
        given if i32::try_from(given).is_err() => Err(Reply::error(format!(
            "ERR value is out of range, value must between {} and {}",
            i32::MIN,
            i32::MAX
        ))),
        _ => Err(Reply::error_text("ERR DB index is out of range")),
    }
}

pub(super) fn randomkey<'a>(_: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::RandomKey { draw: 0 })
}

pub(super) fn keys<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Keys { pattern: pattern(args[0])? })
}

fn pattern(text: &[u8]) -> Result<&[u8], Reply> {
    within("pattern", text.len(), MAX_PATTERN_BYTES)?;
    Ok(text)
}

pub(super) fn scan<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let cursor = cursor(args[0])?;
    let ScanOptions { count, pattern, type_name } = scan_options(&args[1..])?;
    Ok(Command::Scan { cursor, count, pattern, type_name })
}

/// What stands behind the cursor.
pub(super) struct ScanOptions<'a> {
    pub(super) count: u64,
    pub(super) pattern: Option<&'a [u8]>,
    pub(super) type_name: Option<&'a [u8]>,
}

pub(super) fn scan_options<'a>(args: &[&'a [u8]]) -> Result<ScanOptions<'a>, Reply> {
    let mut found = ScanOptions { count: DEFAULT_COUNT, pattern: None, type_name: None };
    let (options, left_over) = args.as_chunks::<2>();
    for [option, given] in options {
        match option.to_ascii_lowercase().as_slice() {
            b"count" => {
                found.count = u64::try_from(number(given)?)
                    .ok()
                    .filter(|count| *count > 0)
                    .ok_or(Reply::SYNTAX_ERROR)?;
            }
            b"match" => found.pattern = Some(pattern(given)?),
            b"type" => found.type_name = Some(key(given)?),
            _ => return Err(Reply::SYNTAX_ERROR),
        }
    }
    if left_over.is_empty() { Ok(found) } else { Err(Reply::SYNTAX_ERROR) }
}

/// A cursor as C's `strtoul` reads it, which Redis does: 64 bits, with leading zeros or a sign, and none at all is 0.
/// It ends at a zero byte.
pub(super) fn cursor(text: &[u8]) -> Result<u64, Reply> {
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let (is_negative, digits) = match text {
        [] => return Ok(0),
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let read = |sum: u64, digit: &u8| {
        let digit = char::from(*digit).to_digit(10)?;
        sum.checked_mul(10)?.checked_add(digit.into())
    };
    let number = digits.iter().try_fold(0, read).filter(|_| !digits.is_empty());
    let number = number.ok_or(Reply::error_text("ERR invalid cursor"))?;
    Ok(if is_negative { number.wrapping_neg() } else { number })
}

pub(super) fn object<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let name = args[0].to_ascii_lowercase();
    let aspect = match name.as_slice() {
        b"encoding" => Aspect::Encoding,
        b"refcount" => Aspect::RefCount,
        b"freq" => Aspect::Frequency,
        b"idletime" => return Err(Reply::error_text("ERR OBJECT IDLETIME is not supported")),
        _ => return Err(unknown_subcommand("OBJECT", args[0])),
    };
    match args {
        [_, name] => Ok(Command::Object { key: key(name)?, aspect }),
        _ => Err(wrong_arity(&format!("object|{}", String::from_utf8_lossy(&name)))),
    }
}

pub(super) fn memory<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    if !args[0].eq_ignore_ascii_case(b"usage") {
        return Err(unknown_subcommand("MEMORY", args[0]));
    }
    let [_, name, options @ ..] = args else { return Err(wrong_arity("memory|usage")) };
    let (options, left_over) = options.as_chunks::<2>();
    for [option, samples] in options {
        // How much of a value to look at. Here its size is known.
        if !option.eq_ignore_ascii_case(b"SAMPLES") || number(samples)? < 0 {
            return Err(Reply::SYNTAX_ERROR);
        }
    }
    if !left_over.is_empty() {
        return Err(Reply::SYNTAX_ERROR);
    }
    Ok(Command::MemoryUsage { key: key(name)? })
}

fn unknown_subcommand(container: &str, given: &[u8]) -> Reply {
    let mut text = b"ERR unknown subcommand '".to_vec();
    text.extend(echoed(given, ECHO_BYTES));
    text.extend_from_slice(format!("'. Try {container} HELP.").as_bytes());
    Reply::Error(text.into())
}

#[cfg(test)]
mod tests;
