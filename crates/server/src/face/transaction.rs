//! MULTI, EXEC, DISCARD, WATCH, UNWATCH: what a connection has queued, and what it watches.
//!
//! A command that is queued is parsed at once. One that Redis refuses at once, an unknown name or a wrong number
//! of arguments, breaks the transaction: EXEC refuses it whole. One that Redis refuses when it is executed, such as
//! EXPIRE with a time that is no number, is queued as its error, and the others are executed all the same.
//!
//! EXEC gives the store *one* command that holds the others, and what must not have changed since WATCH: it is one
//! entry of the log. Commands about the connection itself, such as PING or CLIENT SETNAME, are carried out here
//! when that has been done, and their answers are put between the others. Until then, and until WATCH is answered,
//! the connection takes nothing more: what is behind may depend on it.
//!
//! `ONCE <session> <number> EXEC` ends a transaction too, as a request of a session. When it comes again, on whatever
//! connection, the session's record answers, before anybody looks at what was watched. A record holds what the store has
//! answered: so there must be nothing else in such a transaction.

use bowline_kv::command::{self, Keys, MAX_CONDITIONS, SessionCommand, TransactionSize, Unchanged};
use bowline_kv::{Command, Reply};

use super::connection::Action;
use crate::resp::Value;

/// What a connection has queued, and what it watches.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Between MULTI and EXEC.
    queue: Option<Queue>,
    watched: Vec<Watched>,
    /// What the watched keys have together.
    watched_bytes: usize,
    /// A WATCH was refused or answered by an error: nobody knows what has changed since.
    is_blind: bool,
    awaited: Option<Awaited>,
}

#[derive(Debug, Default)]
struct Queue {
    commands: Vec<Queued>,
    size: TransactionSize,
    is_broken: bool,
}

#[derive(Debug)]
pub(super) enum Queued {
    /// For the store, encoded.
    Data(Vec<u8>),
    /// About the connection: its arguments.
    Own(Vec<Vec<u8>>),
    /// It can only fail.
    Failed(Value),
}

#[derive(Debug)]
struct Watched {
    key: Vec<u8>,
    existed: bool,
    since: u64,
}

/// What is to be made of the store's answer that the connection waits for.
#[derive(Debug)]
enum Awaited {
    /// WATCH of these keys.
    Watch(Vec<Vec<u8>>),
    /// EXEC of these commands.
    Exec(Vec<Queued>),
}

/// A part of EXEC's answer.
pub(super) enum Part {
    /// It is here.
    Done(Value),
    /// That of a command about the connection, to be carried out now.
    Own(Vec<Vec<u8>>),
}

const QUEUED: Value = Value::simple("QUEUED");

impl Transaction {
    /// Whether commands are queued now.
    pub(super) fn is_open(&self) -> bool {
        self.queue.is_some()
    }

    /// How many are, for `CLIENT LIST`; -1 outside a transaction.
    pub(super) fn queued(&self) -> i64 {
        self.queue.as_ref().map_or(-1, |queue| i64::try_from(queue.commands.len()).unwrap_or(i64::MAX))
    }

    /// A command in it was refused, so that EXEC will refuse all. Outside a transaction nothing happens.
    pub(super) fn break_off(&mut self) {
        if let Some(queue) = &mut self.queue {
            queue.is_broken = true;
        }
    }

    pub(super) fn multi(&mut self) -> Value {
        if self.is_open() {
            return Value::error("ERR MULTI calls can not be nested");
        }
        let size = TransactionSize::beside(self.watched_bytes).expect("WATCH has looked at that");
        self.queue = Some(Queue { size, ..Queue::default() });
        Value::ok()
    }

    pub(super) fn discard(&mut self) -> Value {
        if !self.is_open() {
            return Value::error("ERR DISCARD without MULTI");
        }
        *self = Self::default();
        Value::ok()
    }

    pub(super) fn unwatch(&mut self) -> Value {
        self.watched.clear();
        self.watched_bytes = 0;
        self.is_blind = false;
        Value::ok()
    }

    /// An EXEC with a wrong number of arguments ends the transaction, as Redis says it also where there is none.
    pub(super) fn refuse_exec(&mut self) -> Value {
        *self = Self::default();
        Value::error(
            "EXECABORT Transaction discarded because of: wrong number of arguments for 'exec' command",
        )
    }

    pub(super) fn watch(&mut self, keys: &[&[u8]]) -> Action {
        if self.is_open() {
            return Value::error("ERR WATCH inside MULTI is not allowed").into();
        }
        if let Some(key) = keys.iter().find(|key| key.len() > command::MAX_KEY_BYTES) {
            let limit = command::MAX_KEY_BYTES;
            let error =
                format!("ERR key of {} bytes exceeds maximum allowed size ({limit} bytes)", key.len());
            self.is_blind = true;
            return Value::error(error).into();
        }
        let new: usize = keys.iter().map(|key| key.len()).sum();
        if self.watched.len() + keys.len() > MAX_CONDITIONS {
            self.is_blind = true;
            return Value::error(format!("ERR transaction exceeds maximum of {MAX_CONDITIONS} watched keys"))
                .into();
        }
        if let Err(error) = TransactionSize::beside(self.watched_bytes + new) {
            self.is_blind = true;
            return Value::from(error).into();
        }
        self.awaited = Some(Awaited::Watch(keys.iter().map(|key| key.to_vec()).collect()));
        Action::Await(encoded(&Command::Watch { keys: Keys::Many(keys.to_vec()) }))
    }

    /// Queues a command for the store.
    pub(super) fn queue_data(&mut self, args: &[&[u8]]) -> Value {
        let queue = self.queue.as_mut().expect("it is open");
        match Command::parse(args) {
            Ok(Command::Session(_)) => {
                queue.is_broken = true;
                not_allowed()
            }
            Ok(command) => {
                let bytes = encoded(&command);
                queue.push(bytes.len(), args.len(), Queued::Data(bytes))
            }
            Err(error) if is_refused_at_once(args) => {
                queue.is_broken = true;
                error.into()
            }
            Err(error) => queue.push(0, 0, Queued::Failed(error.into())),
        }
    }

    /// Queues a command about the connection.
    pub(super) fn queue_own(&mut self, args: &[&[u8]]) -> Value {
        let queue = self.queue.as_mut().expect("it is open");
        let bytes = args.iter().map(|arg| arg.len()).sum();
        queue.push(bytes, args.len(), Queued::Own(args.iter().map(|arg| arg.to_vec()).collect()))
    }

    pub(super) fn exec(&mut self) -> Action {
        let (queue, watched) = match self.close() {
            Ok(closed) => closed,
            Err(error) => return error.into(),
        };
        if queue.commands.is_empty() && watched.is_empty() {
            return Value::Array(Vec::new()).into();
        }
        let bytes = encoded(&command_of(&queue, &watched));
        if queue.is_for_the_store() {
            return Action::Exec(bytes);
        }
        self.awaited = Some(Awaited::Exec(queue.commands));
        Action::Await(bytes)
    }

    /// EXEC as a request of a session, whose record answers it when it comes again. So all that it does must be in
    /// the record.
    pub(super) fn exec_once(&mut self, session: u64, number: u64) -> Action {
        let (queue, watched) = match self.close() {
            Ok(closed) => closed,
            Err(error) => return error.into(),
        };
        if !queue.is_for_the_store() {
            return Value::error(
                "EXECABORT Transaction discarded because of: within ONCE there are only well-formed commands about keys",
            )
            .into();
        }
        let command = Box::new(command_of(&queue, &watched));
        Action::Exec(encoded(&Command::Session(SessionCommand::Run { session, number, command })))
    }

    /// Ends the transaction: what is to be executed, unless nothing is.
    fn close(&mut self) -> Result<(Queue, Vec<Watched>), Value> {
        let queue = self.queue.take().ok_or(Value::error("ERR EXEC without MULTI"))?;
        let Self { watched, is_blind, .. } = std::mem::take(self);
        if queue.is_broken || is_blind {
            return Err(Value::error("EXECABORT Transaction discarded because of previous errors."));
        }
        Ok((queue, watched))
    }

    /// The store has answered what was awaited. Hands back the parts of EXEC's answer, or the whole of what
    /// has none.
    pub(super) fn answered(&mut self, reply: Reply) -> Result<Vec<Part>, Value> {
        match (self.awaited.take().expect("an answer is awaited"), reply) {
            (Awaited::Watch(keys), Reply::Array(seen)) => {
                self.note_watched(keys, &seen);
                Err(Value::ok())
            }
            (Awaited::Exec(commands), Reply::Array(replies)) => {
                let mut replies = replies.into_iter();
                let part = |queued| match queued {
                    Queued::Data(_) => Part::Done(replies.next().expect("an answer to each").into()),
                    Queued::Own(args) => Part::Own(args),
                    Queued::Failed(error) => Part::Done(error),
                };
                Ok(commands.into_iter().map(part).collect())
            }
            (Awaited::Exec(_), reply) => Err(exec_value(reply)),
            (Awaited::Watch(_), error) => {
                self.is_blind = true;
                Err(error.into())
            }
        }
    }

    fn note_watched(&mut self, keys: Vec<Vec<u8>>, seen: &[Reply]) {
        let numbers: Vec<i64> =
            seen.iter().map(|reply| if let Reply::Int(number) = reply { *number } else { 0 }).collect();
        let (since, existed) = numbers.split_first().expect("the index comes first");
        let since = since.unsigned_abs();
        self.watched_bytes += keys.iter().map(Vec::len).sum::<usize>();
        let watched = keys.into_iter().zip(existed);
        self.watched.extend(watched.map(|(key, existed)| Watched { key, existed: *existed == 1, since }));
    }
}

impl Queue {
    /// Whether the store executes all of it.
    fn is_for_the_store(&self) -> bool {
        self.commands.iter().all(|queued| matches!(queued, Queued::Data(_)))
    }

    fn push(&mut self, bytes: usize, arguments: usize, queued: Queued) -> Value {
        if let Err(error) = self.size.add(bytes, arguments) {
            self.is_broken = true;
            return error.into();
        }
        self.commands.push(queued);
        QUEUED
    }
}

/// The queued commands for the store as one, on condition that nothing that is watched has changed.
fn command_of<'a>(queue: &'a Queue, watched: &'a [Watched]) -> Command<'a> {
    let data = queue.commands.iter().filter_map(|queued| match queued {
        Queued::Data(bytes) => Some(Command::decode(bytes).expect("it was encoded here")),
        Queued::Own(_) | Queued::Failed(_) => None,
    });
    let conditions = watched.iter().map(|Watched { key, existed, since }| Unchanged {
        key,
        existed: *existed,
        since: *since,
    });
    Command::Exec { conditions: conditions.collect(), commands: data.collect() }
}

/// EXEC's answer, if nothing but the store has a part in it.
pub(super) fn exec_value(reply: Reply) -> Value {
    match reply {
        Reply::Nil => Value::NilArray,
        reply => reply.into(),
    }
}

/// Whether Redis too refuses it before it is executed.
pub(super) fn is_refused_at_once(args: &[&[u8]]) -> bool {
    command::lookup(args[0]).is_none_or(|spec| !spec.takes(args.len()))
}

/// The answer to a command that cannot stand between MULTI and EXEC.
pub(super) fn not_allowed() -> Value {
    Value::error("ERR Command not allowed inside a transaction")
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests;
