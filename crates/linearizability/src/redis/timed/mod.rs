//! The same with keys whose time ends: SET with EX, PX and KEEPTTL, SETEX, PSETEX, GETEX, EXPIRE, PEXPIRE, PERSIST, and all
//! that [`Redis`] knows beside them. TTL and times since 1970 are not among them.
//!
//! Nobody knows the moment from which a key's time was counted, only that it lies between the invocation of the command
//! and its answer. So a key that was given `d` milliseconds by a call that was under way from `a` to `b` ends once,
//! at some moment from `a + d - early` to `b + d + late`, if nothing else has happened to it by then. The tolerances
//! are for services whose clock is not that of whoever writes the history. If nobody knows what became of
//! the call, the key may end at any time from `a + d - early` on, or never.
//!
//! [`history`] puts that into the history itself: for each such call there is one more, [`Operation::End`], that begins and
//! is over at these two moments, and takes the key away if it still has the time that the call gave it. Then it is
//! a history as any other.
//!
//! ```
//! use bowline_linearizability::redis::Reply;
//! use bowline_linearizability::redis::timed::{self, Command, TimedRedis, Tolerance};
//! use bowline_linearizability::{History, Verdict, check};
//!
//! let command = |line: &'static str| {
//!     let words: Vec<_> = line.split(' ').map(|word| word.as_bytes().into()).collect();
//!     Command::parse(&words).expect("well formed")
//! };
//! let ms = 1_000_000;
//! let mut history = History::new();
//! let set = history.invoked(1, command("SET k v PX 100"), 0);
//! history.returned(set, Reply::Ok, 2 * ms);
//! let get = history.invoked(1, command("GET k"), 60 * ms);
//! history.returned(get, Reply::Nil, 61 * ms);
//!
//! let judge = |early_ns| {
//!     let tolerance = Tolerance { early_ns, late_ns: 0 };
//!     check::<TimedRedis>(&timed::history(&history, tolerance), &mut || true)
//! };
//! assert_eq!(judge(50 * ms), Verdict::Linearizable);
//! assert!(matches!(judge(10 * ms), Verdict::NotLinearizable(_)), "it is gone too early");
//! ```

mod command;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display, Formatter};

use bytes::Bytes;

pub use command::{Command, ExpireCondition, SetExpiry};

use super::{Action, Condition, Redis, Reply};
use crate::history::{CallId, History, Outcome};
use crate::model::{Model, Scope};
use crate::show::Bare;

/// How far a service's clock may be from that of whoever writes the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tolerance {
    /// How much too early a key may end, in nanoseconds.
    pub early_ns: u64,
    /// How much too late, in nanoseconds.
    pub late_ns: u64,
}

/// What the model does: what clients ask, and what time does by itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// A client's command.
    Command {
        /// The command.
        command: Command,
        /// Which call it is, if it gives a key a time.
        call: Option<usize>,
    },
    /// The time that this call gave a key is over.
    End {
        /// The key.
        key: Bytes,
        /// The call.
        call: usize,
    },
}

/// Keys, values and times. Parts in which a key is given a time are searched with whole states: they should have
/// a few hundred calls at most.
#[derive(Clone, Copy, Debug)]
pub struct TimedRedis;

/// What the service remembers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    values: BTreeMap<Bytes, Vec<u8>>,
    /// Of the keys that have a time: the call that gave it.
    times: BTreeMap<Bytes, usize>,
    /// The calls which have given a key a time, or have tried to, that is not over.
    running: BTreeSet<usize>,
}

/// A history of clients' commands, with the ends of all times that they gave to keys. The calls of the clients keep their
/// numbers.
pub fn history(calls: &History<Command, Reply>, tolerance: Tolerance) -> History<Operation, Reply> {
    let mut timed = History::new();
    for (number, call) in calls.calls().iter().enumerate() {
        let lasts_ms = call.operation.time_ms();
        let of = lasts_ms.map(|_| number);
        let command = Operation::Command { command: call.operation.clone(), call: of };
        let id = timed.invoked(call.client, command, call.invoked_ns);
        match &call.outcome {
            Outcome::Unknown => {}
            Outcome::NotExecuted => timed.not_executed(id),
            Outcome::Returned { at_ns, reply } => timed.returned(id, reply.clone(), *at_ns),
        }
    }
    for (number, call) in calls.calls().iter().enumerate() {
        let Some((key, lasts_ms)) = call.operation.timed_key().zip(call.operation.time_ms()) else {
            continue;
        };
        let lasts_ns = lasts_ms.saturating_mul(1_000_000);
        let earliest = call.invoked_ns.saturating_add(lasts_ns).saturating_sub(tolerance.early_ns);
        let end = Operation::End { key: key.clone(), call: number };
        match &call.outcome {
            Outcome::NotExecuted => {}
            Outcome::Unknown => {
                timed.invoked(call.client, end, earliest.max(call.invoked_ns));
            }
            Outcome::Returned { at_ns, .. } => {
                let latest = at_ns.saturating_add(lasts_ns).saturating_add(tolerance.late_ns);
                let end: CallId = timed.invoked(call.client, end, earliest.max(call.invoked_ns));
                timed.returned(end, Reply::Ok, latest);
            }
        }
    }
    timed
}

impl State {
    fn untimed(&mut self, command: &super::Command) -> Reply {
        use super::Command::{Exec, MSet, One};
        if let Exec { unchanged, commands } = command {
            let condition = Exec { unchanged: unchanged.clone(), commands: Vec::new() };
            if Redis::apply(&mut self.values, &condition) == Reply::Nil {
                return Reply::Nil;
            }
            return Reply::Array(commands.iter().map(|command| self.untimed(command)).collect());
        }
        let reply = Redis::apply(&mut self.values, command);
        match command {
            // With NX it is not done to a key that has a time.
            One { key, action: Action::Set { condition, .. } } if *condition != Condition::IfAbsent => {
                self.times.remove(key);
            }
            MSet(pairs) => {
                for (key, _) in pairs {
                    self.times.remove(key);
                }
            }
            _ => {}
        }
        self.forget_missing();
        reply
    }

    fn forget_missing(&mut self) {
        let Self { values, times, .. } = self;
        times.retain(|key, _| values.contains_key(key));
    }

    fn command(&mut self, command: &Command, call: Option<usize>) -> Reply {
        self.running.extend(call);
        match command {
            Command::Untimed(command) => self.untimed(command),
            Command::Set { key, value, condition, get, expiry } => {
                let is_done = match condition {
                    Condition::Always => true,
                    Condition::IfAbsent => !self.values.contains_key(key),
                    Condition::IfPresent => self.values.contains_key(key),
                };
                let action = Action::Set { value: value.clone(), condition: *condition, get: *get };
                let set = super::Command::One { key: key.clone(), action };
                let reply = Redis::apply(&mut self.values, &set);
                if is_done && matches!(expiry, SetExpiry::AfterMs(_)) {
                    self.give(key, call);
                }
                reply
            }
            Command::GetEx { key, lasts_ms } => {
                let Some(value) = self.values.get(key) else { return Reply::Nil };
                let reply = Reply::Value(Bytes::copy_from_slice(value));
                if lasts_ms.is_some() {
                    self.give(key, call);
                } else {
                    self.times.remove(key);
                }
                reply
            }
            Command::Expire { key, lasts_ms, condition } => {
                let is_done = self.values.contains_key(key)
                    && match condition {
                        ExpireCondition::Always => true,
                        ExpireCondition::IfNone => !self.times.contains_key(key),
                        ExpireCondition::IfAny => self.times.contains_key(key),
                    };
                if is_done && *lasts_ms > 0 {
                    self.give(key, call);
                } else if is_done {
                    self.values.remove(key);
                    self.forget_missing();
                }
                Reply::Int(is_done.into())
            }
            Command::Persist { key } => Reply::Int(self.times.remove(key).is_some().into()),
        }
    }

    fn give(&mut self, key: &Bytes, call: Option<usize>) {
        self.times.insert(key.clone(), call.expect("a call that gives a time has a number"));
    }

    /// Nothing ends before it has begun: that is told by the answer.
    fn end(&mut self, key: &Bytes, call: usize) -> Reply {
        if !self.running.remove(&call) {
            return Reply::Nil;
        }
        if self.times.get(key) == Some(&call) {
            self.values.remove(key);
            self.times.remove(key);
        }
        Reply::Ok
    }
}

impl Model for TimedRedis {
    type Operation = Operation;
    type Reply = Reply;
    type State = State;

    fn apply(state: &mut State, operation: &Operation) -> Reply {
        match operation {
            Operation::Command { command, call } => state.command(command, *call),
            Operation::End { key, call } => state.end(key, *call),
        }
    }

    fn scope(operation: &Operation) -> Scope<'_> {
        match operation {
            Operation::Command { command: Command::Untimed(command), .. } => Redis::scope(command),
            Operation::Command {
                command:
                    Command::Set { key, .. }
                    | Command::GetEx { key, .. }
                    | Command::Expire { key, .. }
                    | Command::Persist { key },
                ..
            }
            | Operation::End { key, .. } => Scope::Keys(vec![key]),
        }
    }

    fn is_read(operation: &Operation, reply: &Reply) -> bool {
        match operation {
            Operation::Command { command: Command::Untimed(command), .. } => Redis::is_read(command, reply),
            Operation::Command { command: Command::Persist { .. }, .. } => *reply == Reply::Int(0),
            // That it was done without effect is an effect too: its time has begun.
            Operation::Command { .. } | Operation::End { .. } => false,
        }
    }

    fn value<'a>(state: &'a State, key: &[u8]) -> Option<&'a [u8]> {
        state.values.get(key).map(Vec::as_slice)
    }
}

impl Display for Operation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command { command, .. } => write!(f, "{command}"),
            Self::End { key, call } => write!(f, "the time of {} from call {call} ends", Bare(key)),
        }
    }
}
