//! `ONCE`: what a client asks of the sessions, and of the store within one. Bowline's own; Redis has no such
//! command.
//!
//! | request | does |
//! |---|---|
//! | `ONCE OPEN` | opens a session, and answers its id |
//! | `ONCE <session> <number> <command ...>` | runs the command, unless the session's number shows that it ran |
//! | `ONCE <session> <number> EXEC` | the same, of the commands behind MULTI |
//! | `ONCE CLOSE <session>` | ends a session |
//! | `ONCE LIMITS <sessions> <idle-milliseconds>` | how many sessions there may be, and how long unused |
//!
//! As bytes, behind the opcode:
//!
//! | opcode | command | behind it |
//! |---|---|---|
//! | 64 | OPEN | |
//! | 65 | CLOSE | session |
//! | 66 | a command in a session | session, number, the command's own bytes up to the end |
//! | 67 | LIMITS | sessions, milliseconds |

use super::{Command, encoding, table};
use crate::codec::{self, DecodeError, Reader};
use crate::integer;
use crate::reply::Reply;
use crate::session::once::Limits;

pub(super) const OPEN: u8 = 64;
const CLOSE: u8 = 65;
const RUN: u8 = 66;
pub(super) const LIMITS: u8 = 67;

/// About sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionCommand<'a> {
    /// Opens a session.
    Open,
    /// Ends one.
    Close {
        /// Which.
        session: u64,
    },
    /// Runs a command as a session's request.
    Run {
        /// The session's id.
        session: u64,
        /// The request's number in it, from 1: the same over all its sendings, and above those of all
        /// requests in front of it.
        number: u64,
        /// What is to be done: about keys, or a transaction, and not about sessions itself.
        command: Box<Command<'a>>,
    },
    /// Sets the limits of all sessions.
    SetLimits(Limits),
}

impl<'a> SessionCommand<'a> {
    pub(super) fn is_write(&self) -> bool {
        match self {
            Self::Open | Self::Close { .. } | Self::SetLimits(_) => true,
            Self::Run { command, .. } => command.is_write(),
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let (opcode, numbers): (u8, &[u64]) = match self {
            Self::Open => (OPEN, &[]),
            Self::Close { session } => (CLOSE, &[*session]),
            Self::Run { session, number, .. } => (RUN, &[*session, *number]),
            Self::SetLimits(Limits { most, idle_ms }) => (LIMITS, &[*most, *idle_ms]),
        };
        out.push(opcode);
        numbers.iter().for_each(|&number| codec::put_varint(out, number));
        if let Self::Run { command, .. } = self {
            command.encode(out);
        }
    }

    /// What stands behind an opcode that is none of the store's. It takes all that the reader has.
    pub(super) fn decode(opcode: u8, reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(match opcode {
            OPEN => Self::Open,
            CLOSE => Self::Close { session: positive(reader)? },
            RUN => {
                let (session, number) = (positive(reader)?, positive(reader)?);
                let command = encoding::session_command(reader.rest())?;
                Self::Run { session, number, command: Box::new(command) }
            }
            LIMITS => Self::SetLimits(Limits { most: positive(reader)?, idle_ms: positive(reader)? }),
            opcode => return Err(DecodeError::UnknownOpcode(opcode)),
        })
    }
}

/// A number from 1 up to the largest that a client can write.
fn positive(reader: &mut Reader<'_>) -> Result<u64, DecodeError> {
    match reader.varint()? {
        number @ 1..=MAX_NUMBER => Ok(number),
        _ => Err(DecodeError::MalformedNumber),
    }
}

const MAX_NUMBER: u64 = i64::MAX.cast_unsigned();

pub(super) fn once<'a>(args: &[&'a [u8]]) -> Result<Command<'a>, Reply> {
    let is = |name: &str| args[0].eq_ignore_ascii_case(name.as_bytes());
    let command = match args {
        [_] if is("OPEN") => SessionCommand::Open,
        [_, session] if is("CLOSE") => SessionCommand::Close { session: written("session", session)? },
        [_, most, idle_ms] if is("LIMITS") => SessionCommand::SetLimits(Limits {
            most: written("number of sessions", most)?,
            idle_ms: written("number of milliseconds", idle_ms)?,
        }),
        [session, number, command @ ..] if !command.is_empty() && !is("CLOSE") && !is("LIMITS") => {
            SessionCommand::Run {
                session: written("session", session)?,
                number: written("number", number)?,
                command: Box::new(inner(command)?),
            }
        }
        _ => {
            return Err(Reply::error_text(
                "ERR ONCE takes OPEN, or CLOSE <session>, or LIMITS <sessions> <idle-milliseconds>, or <session> \
                 <number> <command ...>",
            ));
        }
    };
    Ok(Command::Session(command))
}

/// Whether these are the words of `ONCE <session> <number> EXEC`, which is the connection's to understand: session
/// and number.
///
/// # Errors
///
/// The reply to send instead, if one of the two is wrong.
pub fn once_exec(args: &[&[u8]]) -> Option<Result<(u64, u64), Reply>> {
    let [once, session, number, exec] = args else { return None };
    if !once.eq_ignore_ascii_case(b"ONCE") || !exec.eq_ignore_ascii_case(b"EXEC") {
        return None;
    }
    let session = written("session", session);
    Some(session.and_then(|session| Ok((session, written("number", number)?))))
}

/// The command in a session: one of the store's.
fn inner<'a>(args: &[&'a [u8]]) -> Result<Command<'a>, Reply> {
    match table::lookup(args[0]) {
        Some(spec) if spec.name == "once" => {
            Err(Reply::error_text("ERR ONCE takes one command of the store, not another ONCE"))
        }
        Some(spec) => Command::parse_as(spec, args),
        None => Command::parse(args),
    }
}

fn written(what: &str, text: &[u8]) -> Result<u64, Reply> {
    let number =
        integer::parse(text).and_then(|number| u64::try_from(number).ok()).filter(|number| *number > 0);
    number.ok_or_else(|| Reply::error(format!("ERR ONCE: the {what} is not a positive integer")))
}
