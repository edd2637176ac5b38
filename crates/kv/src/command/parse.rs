//! From the arguments of a request to a command, or to the error that Redis would answer.

use super::{
    Command, CommandSpec, Comparison, Condition, Keys, MAX_ARGUMENTS, MAX_COMMAND_BYTES, MAX_KEY_BYTES,
    MAX_VALUE_BYTES, Pair, SetExpiry,
};
use super::{table, unsupported};
use crate::integer;
use crate::long_double::MAX_TEXT_BYTES;
use crate::reply::Reply;

pub(super) type Parsed<'a> = Result<Command<'a>, Reply>;

impl<'a> Command<'a> {
    /// The command that `args` spell: the name, in any case, and what follows it.
    ///
    /// # Errors
    ///
    /// The reply to send instead: Redis 7's text for an unknown name, a wrong number of arguments, wrong
    /// syntax and what is no integer; a text of Bowline's own for what Redis has and Bowline does not serve
    /// yet, and for what is above a limit of this module.
    pub fn parse(args: &[&'a [u8]]) -> Result<Self, Reply> {
        let (name, rest) = args.split_first().map_or((&b""[..], &[][..]), |(name, rest)| (*name, rest));
        match table::lookup(name) {
            Some(spec) => Self::parse_as(spec, args),
            None => Err(unsupported::refusal(name, rest)),
        }
    }

    /// The same for who has found the command by its name already: `spec` is that of the name in front of `args`.
    ///
    /// # Errors
    ///
    /// As [`Command::parse`] says.
    pub fn parse_as(spec: &CommandSpec, args: &[&'a [u8]]) -> Result<Self, Reply> {
        if !spec.takes(args.len()) {
            return Err(wrong_arity(spec.name));
        }
        if args.len() > MAX_ARGUMENTS {
            return Err(Reply::error(format!("ERR command exceeds maximum of {MAX_ARGUMENTS} arguments")));
        }
        within("command", args.iter().map(|arg| arg.len()).sum(), MAX_COMMAND_BYTES)?;
        (spec.parse)(&args[1..])
    }
}

/// `ERR wrong number of arguments for 'get' command`, with the name of the command in lower case.
pub(super) fn wrong_arity(name: &str) -> Reply {
    Reply::error(format!("ERR wrong number of arguments for '{name}' command"))
}

pub(super) fn within(what: &str, size: usize, limit: usize) -> Result<(), Reply> {
    if size <= limit {
        return Ok(());
    }
    Err(Reply::error(format!("ERR {what} exceeds maximum allowed size ({limit} bytes)")))
}

pub(super) fn key(bytes: &[u8]) -> Result<&[u8], Reply> {
    within("key", bytes.len(), MAX_KEY_BYTES)?;
    Ok(bytes)
}

pub(super) fn value(bytes: &[u8]) -> Result<&[u8], Reply> {
    within("string", bytes.len(), MAX_VALUE_BYTES)?;
    Ok(bytes)
}

fn keys<'a>(args: &[&'a [u8]]) -> Result<Keys<'a>, Reply> {
    for arg in args {
        key(arg)?;
    }
    Ok(Keys::of(args))
}

pub(super) fn number(text: &[u8]) -> Result<i64, Reply> {
    integer::parse(text).ok_or(Reply::NOT_AN_INTEGER)
}

pub(super) fn get<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Get { key: key(args[0])? })
}

pub(super) fn setnx<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::SetNx { key: key(args[0])?, value: value(args[1])? })
}

pub(super) fn getset<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let (key, value) = (key(args[0])?, value(args[1])?);
    let (condition, expiry) = (Condition::Always, SetExpiry::Never);
    Ok(Command::Set { key, value, condition, get: true, expiry })
}

pub(super) fn append<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Append { key: key(args[0])?, value: value(args[1])? })
}

pub(super) fn strlen<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::StrLen { key: key(args[0])? })
}

pub(super) fn del<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Del { keys: keys(args)? })
}

pub(super) fn exists<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Exists { keys: keys(args)? })
}

pub(super) fn incr<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::IncrBy { key: key(args[0])?, delta: 1 })
}

pub(super) fn decr<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::IncrBy { key: key(args[0])?, delta: -1 })
}

pub(super) fn incrby<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::IncrBy { key: key(args[0])?, delta: number(args[1])? })
}

pub(super) fn decrby<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    // The smallest number has no opposite. Redis refuses it whatever the key holds.
    let delta = number(args[1])?.checked_neg();
    let delta = delta.ok_or(Reply::error_text("ERR decrement would overflow"))?;
    Ok(Command::IncrBy { key: key(args[0])?, delta })
}

pub(super) fn mget<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::MGet { keys: keys(args)? })
}

pub(super) fn mset<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::MSet { pairs: pairs("mset", args)? })
}

pub(super) fn msetnx<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::MSetNx { pairs: pairs("msetnx", args)? })
}

fn pairs<'a>(command: &str, args: &[&'a [u8]]) -> Result<Vec<Pair<'a>>, Reply> {
    let (pairs, left_over) = args.as_chunks::<2>();
    if !left_over.is_empty() {
        return Err(wrong_arity(command));
    }
    pairs.iter().map(|&[name, content]| Ok((key(name)?, value(content)?))).collect()
}

pub(super) fn getrange<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::GetRange { key: key(args[0])?, start: number(args[1])?, end: number(args[2])? })
}

pub(super) fn setrange<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let offset = u64::try_from(number(args[1])?);
    let offset = offset.map_err(|_| Reply::error_text("ERR offset is out of range"))?;
    Ok(Command::SetRange { key: key(args[0])?, offset, value: value(args[2])? })
}

pub(super) fn incrbyfloat<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    // What is longer is no number either way.
    let text = &args[1][..args[1].len().min(MAX_TEXT_BYTES + 1)];
    Ok(Command::IncrByFloat { key: key(args[0])?, text })
}

pub(super) fn getdel<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::GetDel { key: key(args[0])? })
}

pub(super) fn delex<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    match args {
        [name] => Ok(Command::Del { keys: Keys::One(key(name)?) }),
        [_, option, _] if !names_comparison(option) => {
            Err(Reply::error_text("ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"))
        }
        [name, option, compared] => {
            Ok(Command::DelIf { key: key(name)?, comparison: comparison(option, compared)? })
        }
        _ => Err(wrong_arity("delex")),
    }
}

/// Whether an option is one of those that Redis 8.4 compares the old value by.
pub(super) fn names_comparison(option: &[u8]) -> bool {
    ["IFEQ", "IFNE", "IFDEQ", "IFDNE"].iter().any(|name| option.eq_ignore_ascii_case(name.as_bytes()))
}

/// What that option and the argument behind it say. Digests are not served.
pub(super) fn comparison<'a>(option: &[u8], compared: &'a [u8]) -> Result<Comparison<'a>, Reply> {
    let name = option.to_ascii_uppercase();
    match name.as_slice() {
        b"IFEQ" => Ok(Comparison::Equal(value(compared)?)),
        b"IFNE" => Ok(Comparison::NotEqual(value(compared)?)),
        _ => {
            let name = String::from_utf8_lossy(&name);
            Err(Reply::error(format!("ERR option '{name}' is not supported by this version of Bowline")))
        }
    }
}

pub(super) fn kind<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Type { key: key(args[0])? })
}

pub(super) fn dbsize<'a>(_: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::DbSize)
}

pub(super) fn flushall<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    match args {
        [] => Ok(Command::FlushAll),
        // The keys are gone at once either way; the memory is freed in slices either way.
        [mode] if mode.eq_ignore_ascii_case(b"SYNC") || mode.eq_ignore_ascii_case(b"ASYNC") => {
            Ok(Command::FlushAll)
        }
        _ => Err(Reply::SYNTAX_ERROR),
    }
}
