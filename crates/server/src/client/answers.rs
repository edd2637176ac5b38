//! What a command is answered, and what becomes of the answers.

use std::time::{Duration, Instant};

use bowline_kv::Reply;

use super::Client;
use super::state::{Form, MAX_OWED_BYTES, Owed, State};
use crate::face::{Action, Connection, KillFilter};
use crate::resp::Value;
use crate::shell::{self, Shell};
use crate::snapshot::Asked;

impl Client {
    /// What an action answers that needs nobody else.
    pub(super) fn value_of(&self, connection: &Connection, action: Action, shell: &Shell) -> Value {
        match action {
            Action::Reply(value) => value,
            Action::Info(sections) => shell.info_text(sections),
            Action::ClientList(filter) => {
                // This client's own line too, though its state is borrowed here.
                let own = filter.keeps(connection).then(|| connection.describe(shell::unix_us()));
                shell.client_list(&filter, self.id, own)
            }
            Action::Kill(filter) => self.kill_others(connection, &filter, shell),
            Action::Pause(mode, time) => {
                shell.pause.begin(mode, time);
                Value::ok()
            }
            Action::Unpause => {
                shell.end_pause();
                Value::ok()
            }
            // In a transaction nothing is waited for, as in Redis.
            Action::Wait(..) => Value::Int(i64::try_from(shell.certain_copies()).unwrap_or(i64::MAX)),
            Action::Role => shell.role(),
            Action::Save => save(shell),
            Action::LastSave => last_save(shell),
            Action::ResetStats => {
                shell.stats.reset(shell.replica.borrow().status().tally);
                Value::ok()
            }
            other => unreachable!("not an answer: {other:?}"),
        }
    }

    /// The replica's answer to one of this client's commands.
    pub(crate) fn answer(&self, token: u64, reply: Reply, now: Instant, shell: &Shell) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.given_up {
            return;
        }
        let at = token.checked_sub(state.first_token).and_then(|at| usize::try_from(at).ok());
        let Some(place) = at.filter(|at| *at < state.owed.len()) else {
            panic!("an answer to command {token} of client {:?}, which owes none", self.id)
        };
        let Owed::Waiting(waiting) = state.owed[place] else {
            panic!("two answers to command {token} of client {:?}", self.id)
        };
        let value = match waiting.form {
            Form::Plain => Value::from(reply),
            Form::Exec => Connection::exec_value(reply),
            Form::Awaited => {
                state.awaits = false;
                // What has arrived already may go on now.
                self.go_on();
                let value_of = |connection: &Connection, action| self.value_of(connection, action, shell);
                state.connection.answered(reply, &shell.info, shell::unix_us(), value_of)
            }
            Form::Wait => {
                state.awaits = false;
                self.go_on();
                reply.into()
            }
        };
        state.closing |= self.closes.take();
        if let (Form::Exec | Form::Awaited, Value::Array(parts)) = (waiting.form, &value) {
            parts.iter().filter_map(Value::error_text).for_each(|text| shell.count_error(text));
        }
        if let Some(command) = waiting.command {
            // How long WAIT takes is what the client wants it to.
            let took = if waiting.form == Form::Wait {
                Duration::ZERO
            } else {
                now.saturating_duration_since(waiting.since)
            };
            let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            state.record(command, took_us, &value, waiting.brief, shell::unix_us, shell);
        }
        let bytes = value.memory_bytes();
        state.owed[place] = Owed::Ready(waiting.protocol, value);
        state.owed_bytes += bytes;
        state.learn(bytes);
        state.settle(&self.outbox, shell);
        if state.owed_bytes > MAX_OWED_BYTES {
            self.give_up(state, shell);
        }
    }

    /// Ends the connection of a client that is owed too much.
    fn give_up(&self, state: &mut State, shell: &Shell) {
        tracing::warn!(
            "client {} is disconnected: replies of {} bytes wait for it, and the limit is {MAX_OWED_BYTES}; it must \
             read before it asks for more",
            self.stream.peer_addr().map_or_else(|_| "that is gone".to_owned(), |addr| addr.to_string()),
            state.owed_bytes
        );
        shell.stats.disconnected.set(shell.stats.disconnected.get() + 1);
        state.drop_all();
        self.outbox.clear();
        self.ring();
    }

    /// After answers: commands that had to wait for room in the queue may be taken.
    pub(crate) fn answered(&self) {
        let mut state = self.state.borrow_mut();
        if std::mem::take(&mut state.full) {
            self.go_on();
        }
    }

    /// Closes those that the filter keeps. This one is closed when it has been answered.
    fn kill_others(&self, connection: &Connection, filter: &KillFilter, shell: &Shell) -> Value {
        let is_itself = filter.keeps(connection, self.id.0);
        if is_itself {
            self.closes.set(true);
        }
        let count = shell.kill_clients(filter, self.id) + i64::from(is_itself);
        match (filter.is_old, count) {
            (false, count) => Value::Int(count),
            (true, 0) => Value::error("ERR No such client"),
            (true, _) => Value::ok(),
        }
    }
}

fn save(shell: &Shell) -> Value {
    match shell.snapshots.ask() {
        Asked::Begins => Value::simple("Background saving started"),
        Asked::UnderWay => Value::error("ERR Background save already in progress"),
    }
}

fn last_save(shell: &Shell) -> Value {
    let seconds = shell.snapshots.figures().last_save_us / 1_000_000;
    Value::Int(i64::try_from(seconds).unwrap_or(i64::MAX))
}
