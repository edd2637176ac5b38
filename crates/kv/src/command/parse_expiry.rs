//! The commands and options about expiry: Redis 7's `parseExtendedStringArgumentsOrReply`,
//! `getExpireMillisecondsOrReply` and `expireGenericCommand`, with their words.
//!
//! One thing is earlier here than there: a time that is none is refused also when GETEX would find no key.

use super::parse::{Parsed, comparison, key, names_comparison, number, value};
use super::unsupported::echoed;
use super::{Command, Condition, ExpireCondition, MAX_AFTER_MS, Moment, SetExpiry};
use crate::reply::Reply;

/// How a time is written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Form {
    in_seconds: bool,
    is_absolute: bool,
}

const EX: Form = Form { in_seconds: true, is_absolute: false };
const PX: Form = Form { in_seconds: false, is_absolute: false };
const EXAT: Form = Form { in_seconds: true, is_absolute: true };
const PXAT: Form = Form { in_seconds: false, is_absolute: true };

const FORMS: [(&str, Form); 4] = [("EX", EX), ("PX", PX), ("EXAT", EXAT), ("PXAT", PXAT)];

fn invalid_time(command: &str) -> Reply {
    Reply::error(format!("ERR invalid expire time in '{command}' command"))
}

/// The time that `text` spells; it may be over.
fn moment(command: &str, text: &[u8], form: Form) -> Result<Moment, Reply> {
    let given = number(text)?;
    let ms = if form.in_seconds { given.checked_mul(1000) } else { Some(given) };
    let ms = ms.ok_or_else(|| invalid_time(command))?;
    if form.is_absolute {
        return Ok(Moment::At(ms));
    }
    if ms > MAX_AFTER_MS { Err(invalid_time(command)) } else { Ok(Moment::After(ms)) }
}

/// The same, and it is after 1970, or after now.
fn positive_moment(command: &str, text: &[u8], form: Form) -> Result<Moment, Reply> {
    match moment(command, text, form)? {
        Moment::After(..=0) | Moment::At(..=0) => Err(invalid_time(command)),
        moment => Ok(moment),
    }
}

/// What stands behind the key and value of SET, or behind the key of GETEX.
struct Options<'a> {
    condition: Condition<'a>,
    get: bool,
    keep: bool,
    persist: bool,
    time: Option<(Form, &'a [u8])>,
}

fn options<'a>(args: &[&'a [u8]], is_set: bool) -> Result<Options<'a>, Reply> {
    let mut found =
        Options { condition: Condition::Always, get: false, keep: false, persist: false, time: None };
    let mut rest = args.iter();
    while let Some(option) = rest.next() {
        let is = |name: &str| option.eq_ignore_ascii_case(name.as_bytes());
        let is_timeless = found.time.is_none();
        if is_set && is("NX") && may_be(found.condition, Condition::IfAbsent) {
            found.condition = Condition::IfAbsent;
        } else if is_set && is("XX") && may_be(found.condition, Condition::IfPresent) {
            found.condition = Condition::IfPresent;
        } else if is_set && names_comparison(option) {
            let value = rest.next().filter(|_| found.condition == Condition::Always);
            found.condition = Condition::If(comparison(option, value.ok_or(Reply::SYNTAX_ERROR)?)?);
        } else if is_set && is("GET") {
            found.get = true;
        } else if is_set && is("KEEPTTL") && is_timeless {
            found.keep = true;
        } else if !is_set && is("PERSIST") && is_timeless {
            found.persist = true;
        } else if let Some((_, form)) = FORMS.iter().find(|(name, _)| is(name)) {
            // The same one twice is fine, and the last counts; two different ones are not.
            let fits =
                !found.keep && !found.persist && found.time.is_none_or(|(earlier, _)| earlier == *form);
            let text = rest.next().filter(|_| fits).ok_or(Reply::SYNTAX_ERROR)?;
            found.time = Some((*form, text));
        } else {
            return Err(Reply::SYNTAX_ERROR);
        }
    }
    Ok(found)
}

/// Whether an option can follow what stood there before: nothing about when to set, or the same.
fn may_be(earlier: Condition<'_>, later: Condition<'_>) -> bool {
    earlier == Condition::Always || earlier == later
}

pub(super) fn set<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let Options { condition, get, keep, time, .. } = options(&args[2..], true)?;
    let expiry = match time {
        None if keep => SetExpiry::Keep,
        None => SetExpiry::Never,
        Some((form, text)) => SetExpiry::To(positive_moment("set", text, form)?),
    };
    Ok(Command::Set { key: key(args[0])?, value: value(args[1])?, condition, get, expiry })
}

pub(super) fn getex<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    let Options { persist, time, .. } = options(&args[1..], false)?;
    let key = key(args[0])?;
    match time {
        None if persist => Ok(Command::GetEx { key, expiry: None }),
        None => Ok(Command::Get { key }),
        Some((form, text)) => Ok(Command::GetEx { key, expiry: Some(positive_moment("getex", text, form)?) }),
    }
}

pub(super) fn setex<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    set_for(args, positive_moment("setex", args[1], EX)?)
}

pub(super) fn psetex<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    set_for(args, positive_moment("psetex", args[1], PX)?)
}

fn set_for<'a>(args: &[&'a [u8]], moment: Moment) -> Parsed<'a> {
    let (condition, expiry) = (Condition::Always, SetExpiry::To(moment));
    Ok(Command::Set { key: key(args[0])?, value: value(args[2])?, condition, get: false, expiry })
}

pub(super) fn expire<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    expire_in(args, "expire", EX)
}

pub(super) fn pexpire<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    expire_in(args, "pexpire", PX)
}

pub(super) fn expireat<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    expire_in(args, "expireat", EXAT)
}

pub(super) fn pexpireat<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    expire_in(args, "pexpireat", PXAT)
}

fn expire_in<'a>(args: &[&'a [u8]], command: &str, form: Form) -> Parsed<'a> {
    let condition = expire_condition(&args[2..])?;
    let moment = moment(command, args[1], form)?;
    Ok(Command::Expire { key: key(args[0])?, moment, condition })
}

fn expire_condition(options: &[&[u8]]) -> Result<ExpireCondition, Reply> {
    let (mut nx, mut xx, mut gt, mut lt) = (false, false, false, false);
    for option in options {
        let flag = match option.to_ascii_lowercase().as_slice() {
            b"nx" => &mut nx,
            b"xx" => &mut xx,
            b"gt" => &mut gt,
            b"lt" => &mut lt,
            _ => return Err(unsupported(option)),
        };
        *flag = true;
    }
    match (nx, xx, gt, lt) {
        (true, true, ..) | (true, _, true, _) | (true, _, _, true) => {
            Err(Reply::error_text("ERR NX and XX, GT or LT options at the same time are not compatible"))
        }
        (_, _, true, true) => {
            Err(Reply::error_text("ERR GT and LT options at the same time are not compatible"))
        }
        (true, ..) => Ok(ExpireCondition::IfNone),
        (_, _, true, _) => Ok(ExpireCondition::IfLater),
        (_, true, _, true) => Ok(ExpireCondition::IfEarlierThanAny),
        (_, _, _, true) => Ok(ExpireCondition::IfEarlier),
        (_, true, ..) => Ok(ExpireCondition::IfAny),
        (false, false, false, false) => Ok(ExpireCondition::Always),
    }
}

/// The option comes back as far as Redis's text has room for it: 127 bytes.
fn unsupported(option: &[u8]) -> Reply {
    let mut text = b"ERR Unsupported option ".to_vec();
    text.extend(echoed(option, 127));
    Reply::Error(text.into())
}

pub(super) fn persist<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    Ok(Command::Persist { key: key(args[0])? })
}

pub(super) fn ttl<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    time_of(args, EX)
}

pub(super) fn pttl<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    time_of(args, PX)
}

pub(super) fn expiretime<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    time_of(args, EXAT)
}

pub(super) fn pexpiretime<'a>(args: &[&'a [u8]]) -> Parsed<'a> {
    time_of(args, PXAT)
}

fn time_of<'a>(args: &[&'a [u8]], form: Form) -> Parsed<'a> {
    let Form { in_seconds, is_absolute } = form;
    Ok(Command::Ttl { key: key(args[0])?, is_absolute, in_seconds })
}

#[cfg(test)]
mod tests;
