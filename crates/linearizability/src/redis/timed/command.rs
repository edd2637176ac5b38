//! Commands that are about the time of a key, and the others.

use std::fmt::{self, Display, Formatter};

use bytes::Bytes;

use super::super::{Action, Condition, number};
use crate::show::Bare;

/// A command.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// One that gives no key a time. Plain SET, GETSET and MSET take it away.
    Untimed(crate::redis::Command),
    /// SET with EX, PX or KEEPTTL; SETEX and PSETEX.
    Set {
        /// The key.
        key: Bytes,
        /// The new value.
        value: Bytes,
        /// When to set it.
        condition: Condition,
        /// Whether the old value is the answer.
        get: bool,
        /// What becomes of its time.
        expiry: SetExpiry,
    },
    /// GETEX with EX, PX or PERSIST.
    GetEx {
        /// The key.
        key: Bytes,
        /// How long it lasts from then on, in milliseconds, more than 0. None: PERSIST.
        lasts_ms: Option<u64>,
    },
    /// EXPIRE and PEXPIRE.
    Expire {
        /// The key.
        key: Bytes,
        /// How long it lasts from then on, in milliseconds; it ends at once if that is not more than 0.
        lasts_ms: i64,
        /// When to do it.
        condition: ExpireCondition,
    },
    /// PERSIST.
    Persist {
        /// The key.
        key: Bytes,
    },
}

/// What becomes of a key's time when SET gives it a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SetExpiry {
    /// KEEPTTL: it stays as it was.
    Keep,
    /// From then on it is so many milliseconds, more than 0.
    AfterMs(u64),
}

/// When EXPIRE takes effect. (GT and LT compare times that nobody knows exactly.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExpireCondition {
    /// In any case.
    Always,
    /// NX: if the key has no time.
    IfNone,
    /// XX: if it has one.
    IfAny,
}

impl Command {
    /// The command that a client sends as these arguments, its name first. None if the model does not know it, or it is not
    /// well formed.
    pub fn parse(arguments: &[Bytes]) -> Option<Self> {
        let name = arguments.first()?.to_ascii_uppercase();
        match (name.as_slice(), &arguments[1..]) {
            (b"SET", [key, value, options @ ..]) => set(key, value, options).or_else(|| untimed(arguments)),
            (b"SETEX", [key, seconds, value]) => set(key, value, &["EX".into(), seconds.clone()]),
            (b"PSETEX", [key, ms, value]) => set(key, value, &["PX".into(), ms.clone()]),
            (b"GETEX", [key]) => untimed(&["GET".into(), key.clone()]),
            (b"GETEX", [key, option]) if option.eq_ignore_ascii_case(b"PERSIST") => {
                Some(Self::GetEx { key: key.clone(), lasts_ms: None })
            }
            (b"GETEX", [key, unit, time]) => {
                Some(Self::GetEx { key: key.clone(), lasts_ms: Some(positive_ms(unit, time)?) })
            }
            (b"EXPIRE", [key, time, condition @ ..]) => {
                expire(key, number(time)?.checked_mul(1000)?, condition)
            }
            (b"PEXPIRE", [key, time, condition @ ..]) => expire(key, number(time)?, condition),
            (b"PERSIST", [key]) => Some(Self::Persist { key: key.clone() }),
            _ => untimed(arguments),
        }
    }

    /// The time that it gives to its key, in milliseconds.
    pub(super) fn time_ms(&self) -> Option<u64> {
        match self {
            Self::Set { expiry: SetExpiry::AfterMs(ms), .. } => Some(*ms),
            Self::GetEx { lasts_ms, .. } => *lasts_ms,
            Self::Expire { lasts_ms, .. } => u64::try_from(*lasts_ms).ok().filter(|ms| *ms > 0),
            Self::Set { .. } | Self::Untimed(_) | Self::Persist { .. } => None,
        }
    }

    /// The key that it may give a time to.
    pub(super) fn timed_key(&self) -> Option<&Bytes> {
        match self {
            Self::Set { key, .. } | Self::GetEx { key, .. } | Self::Expire { key, .. } => Some(key),
            Self::Untimed(_) | Self::Persist { .. } => None,
        }
    }
}

fn untimed(arguments: &[Bytes]) -> Option<Command> {
    crate::redis::Command::parse(arguments).map(Command::Untimed)
}

/// SET with a word about time; none without.
fn set(key: &Bytes, value: &Bytes, options: &[Bytes]) -> Option<Command> {
    let (mut condition, mut get, mut expiry) = (Condition::Always, false, None);
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        match option.to_ascii_uppercase().as_slice() {
            b"NX" if condition != Condition::IfPresent => condition = Condition::IfAbsent,
            b"XX" if condition != Condition::IfAbsent => condition = Condition::IfPresent,
            b"GET" => get = true,
            b"KEEPTTL" if expiry.is_none() => expiry = Some(SetExpiry::Keep),
            _ if expiry.is_none() => expiry = Some(SetExpiry::AfterMs(positive_ms(option, rest.next()?)?)),
            _ => return None,
        }
    }
    Some(Command::Set { key: key.clone(), value: value.clone(), condition, get, expiry: expiry? })
}

fn positive_ms(unit: &[u8], time: &[u8]) -> Option<u64> {
    let ms = match unit.to_ascii_uppercase().as_slice() {
        b"EX" => number(time)?.checked_mul(1000)?,
        b"PX" => number(time)?,
        _ => return None,
    };
    u64::try_from(ms).ok().filter(|ms| *ms > 0)
}

fn expire(key: &Bytes, lasts_ms: i64, condition: &[Bytes]) -> Option<Command> {
    let condition = match condition {
        [] => ExpireCondition::Always,
        [word] if word.eq_ignore_ascii_case(b"NX") => ExpireCondition::IfNone,
        [word] if word.eq_ignore_ascii_case(b"XX") => ExpireCondition::IfAny,
        _ => return None,
    };
    Some(Command::Expire { key: key.clone(), lasts_ms, condition })
}

impl Display for Command {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Untimed(command) => write!(f, "{command}"),
            Self::Set { key, value, condition, get, expiry } => {
                let action = Action::Set { value: value.clone(), condition: *condition, get: *get };
                write!(f, "{}", crate::redis::Command::One { key: key.clone(), action })?;
                match expiry {
                    SetExpiry::Keep => write!(f, " KEEPTTL"),
                    SetExpiry::AfterMs(ms) => write!(f, " PX {ms}"),
                }
            }
            Self::GetEx { key, lasts_ms: Some(ms) } => write!(f, "GETEX {} PX {ms}", Bare(key)),
            Self::GetEx { key, lasts_ms: None } => write!(f, "GETEX {} PERSIST", Bare(key)),
            Self::Expire { key, lasts_ms, condition } => {
                let condition = match condition {
                    ExpireCondition::Always => "",
                    ExpireCondition::IfNone => " NX",
                    ExpireCondition::IfAny => " XX",
                };
                write!(f, "PEXPIRE {} {lasts_ms}{condition}", Bare(key))
            }
            Self::Persist { key } => write!(f, "PERSIST {}", Bare(key)),
        }
    }
}
