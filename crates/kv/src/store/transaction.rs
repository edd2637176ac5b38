//! Transactions: the conditions of WATCH, and the commands of MULTI ... EXEC, carried out as one.
//!
//! A key that was there is unchanged if it still is, and the entry that changed it last is not behind the one at
//! which it was looked at. A key that was not there must not be there now, and no key of its slot may have been
//! removed since, and if it is held though its time is over it must not have come since: so it was not there for a
//! while in between either, as when somebody has taken a lock and given it back. (Where Redis knows that it was another key of the slot, this answers that it may have changed: then
//! the client tries again.) A key that has expired since it was looked at has changed; one that was over already
//! then was not there.

use bowline_raft::Index;

use super::data::Data;
use super::scan::{BYTES_PER_STEP, MAX_STEPS};
use super::{Store, too_large};
use crate::command::{Command, Keys, MAX_ARGUMENTS, Unchanged};
use crate::reply::{MAX_REPLY_BYTES, Reply};

impl Store {
    /// What WATCH has to know: the index of the log, and for each key whether it is there.
    pub(super) fn look_at(&self, keys: &Keys<'_>) -> Reply {
        let index = Reply::Int(i64::try_from(self.index).expect("an index of the log is below 2^62"));
        let is_there = keys.as_slice().iter().map(|key| Reply::Int(self.find(key).is_some().into()));
        Reply::Array([index].into_iter().chain(is_there).collect())
    }

    fn holds(&self, condition: &Unchanged<'_>) -> bool {
        let Unchanged { key, existed, since } = *condition;
        match self.find(key) {
            Some(value) => existed && value.changed <= since,
            None => {
                let place = self.place(key);
                let slot = &self.slots[place.slot];
                // What is over may be held: it came behind `since` if it was changed there.
                let held = slot.get(place.hash, key);
                !existed && slot.deleted <= since && held.is_none_or(|held| held.changed <= since)
            }
        }
    }

    /// Executes the commands, if the conditions hold. A command that fails stops nothing.
    pub(super) fn transact(
        &mut self,
        conditions: &[Unchanged<'_>],
        commands: &[Command<'_>],
        index: Index,
    ) -> Reply {
        if !conditions.iter().all(|condition| self.holds(condition)) {
            return Reply::Nil;
        }
        let mut room = Room::new(self.steps_left);
        let replies = room.fill(commands, |command, steps| {
            if command.is_write() {
                *steps += self.copied_bytes(command) / BYTES_PER_STEP;
                self.execute(command, index)
            } else {
                self.read_counted(command, self.now_ms, steps)
            }
        });
        self.steps_left = room.steps;
        replies
    }

    /// How many bytes are copied for a short command that writes: what COPY shares is copied as soon as one of the two is
    /// written, and SETRANGE fills with zeros.
    fn copied_bytes(&self, command: &Command<'_>) -> u64 {
        let length = |key: &[u8]| match self.find(key).map(|value| &value.data) {
            Some(Data::String(text)) => text.len() as u64,
            // A write copies a small part of it.
            Some(Data::Hash(hash)) => hash.len() as u64,
            None => 0,
        };
        match command {
            Command::Copy { key, .. } => length(key),
            Command::SetRange { key, offset, .. } => offset.saturating_sub(length(key)),
            _ => 0,
        }
    }

    /// The same for commands that do not write.
    pub(super) fn transact_reads(
        &self,
        conditions: &[Unchanged<'_>],
        commands: &[Command<'_>],
        clock_ms: u64,
        steps: &mut u64,
    ) -> Reply {
        if !conditions.iter().all(|condition| self.holds(condition)) {
            return Reply::Nil;
        }
        let mut room = Room::new(MAX_STEPS);
        let replies = room.fill(commands, |command, steps| self.read_counted(command, clock_ms, steps));
        *steps += MAX_STEPS - room.steps;
        replies
    }
}

/// What the commands of a transaction may still take, all together.
struct Room {
    /// In replies.
    bytes: usize,
    /// Replies in arrays and maps. A short command may name a hash with many fields again and again.
    elements: usize,
    /// What they may cost. A short command may ask for all keys, and find none, or copy a large value.
    steps: u64,
    /// The answer to all further reads, if a reply did not fit: none of them is made in vain.
    refusal: Option<Reply>,
}

impl Room {
    fn new(steps: u64) -> Self {
        Self { bytes: MAX_REPLY_BYTES, elements: MAX_ARGUMENTS, steps, refusal: None }
    }

    /// The replies to the commands, each of which `run` carries out, and says what it has cost.
    fn fill(
        &mut self,
        commands: &[Command<'_>],
        mut run: impl FnMut(&Command<'_>, &mut u64) -> Reply,
    ) -> Reply {
        let replies = commands.iter().map(|command| {
            if let Some(refusal) = self.refusal(command) {
                return refusal;
            }
            let mut steps = 0;
            let reply = run(command, &mut steps);
            self.steps = self.steps.saturating_sub(steps);
            self.fitting(reply)
        });
        Reply::Array(replies.collect())
    }

    /// The answer to a command that is not carried out. What writes is, unless it may take long.
    fn refusal(&self, command: &Command<'_>) -> Option<Reply> {
        let is_long = command.copies_much()
            || matches!(command, Command::RandomKey { .. } | Command::Copy { .. } | Command::SetRange { .. });
        if is_long && self.steps == 0 {
            return Some(TOO_LONG);
        }
        self.refusal.clone().filter(|_| !command.is_write())
    }

    /// The reply, if there is room for it.
    fn fitting(&mut self, reply: Reply) -> Reply {
        let bytes = self.bytes.checked_sub(reply.text_bytes());
        let elements = self.elements.checked_sub(reply.elements());
        let error = match (bytes, elements) {
            (Some(bytes), Some(elements)) => {
                (self.bytes, self.elements) = (bytes, elements);
                return reply;
            }
            (None, _) => too_large("reply", MAX_REPLY_BYTES),
            (_, None) => Reply::error(format!("ERR reply exceeds maximum of {MAX_ARGUMENTS} elements")),
        };
        self.refusal = Some(error.clone());
        error
    }
}

/// The answer to a command for which the transactions of the entry have left no steps.
const TOO_LONG: Reply =
    Reply::error_text("ERR transaction looks at too many keys or fields, or copies too much");

#[cfg(test)]
mod tests;
