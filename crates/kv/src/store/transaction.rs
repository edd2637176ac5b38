//! Transactions: the conditions of WATCH, and the commands of MULTI ... EXEC, carried out as one.
//!
//! A key that was there is unchanged if it still is, and the entry that changed it last is not behind the one at
//! which it was looked at. A key that was not there must not be there now, and no key of its slot may have been
//! removed since: so it was not there for a while in between either, as when somebody has taken a lock and given it
//! back. (Where Redis knows that it was another key of the slot, this answers that it may have changed: then
//! the client tries again.) A key that has expired since it was looked at has changed; one that was over already
//! then was not there.

use bowline_raft::Index;

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
            None => !existed && self.slots[self.place(key).slot].deleted <= since,
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
        let mut room = Room::default();
        Reply::Array(
            commands.iter().map(|command| fitting(self.execute(command, index), &mut room)).collect(),
        )
    }

    /// The same for commands that do not write.
    pub(super) fn transact_reads(
        &self,
        conditions: &[Unchanged<'_>],
        commands: &[Command<'_>],
        clock_ms: u64,
    ) -> Reply {
        if !conditions.iter().all(|condition| self.holds(condition)) {
            return Reply::Nil;
        }
        let mut room = Room::default();
        Reply::Array(
            commands.iter().map(|command| fitting(self.read(command, clock_ms), &mut room)).collect(),
        )
    }
}

/// What the replies of a transaction may still take, all together.
struct Room {
    bytes: usize,
    /// Replies in arrays and maps. A short command may name a hash with many fields again and again.
    elements: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: MAX_REPLY_BYTES, elements: MAX_ARGUMENTS }
    }
}

/// The reply, if there is room for it.
fn fitting(reply: Reply, room: &mut Room) -> Reply {
    let bytes = room.bytes.checked_sub(reply.text_bytes());
    let elements = room.elements.checked_sub(reply.elements());
    match (bytes, elements) {
        (Some(bytes), Some(elements)) => {
            *room = Room { bytes, elements };
            reply
        }
        (None, _) => too_large("reply", MAX_REPLY_BYTES),
        (_, None) => Reply::error(format!("ERR reply exceeds maximum of {MAX_ARGUMENTS} elements")),
    }
}

#[cfg(test)]
mod tests;
