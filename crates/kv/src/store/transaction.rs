//! Transactions: the conditions of WATCH, and the commands of MULTI ... EXEC, carried out as one.
//!
//! A key that was there is unchanged if it still is, and the entry that changed it last is not behind the one at
//! which it was looked at. A key that was not there must not be there now, and no key of its slot may have been
//! removed since: so it was not there for a while in between either, as when somebody has taken a lock and given it
//! back. (Where Redis knows that it was another key of the slot, this answers that it may have changed: then
//! the client tries again.) A key that has expired since it was looked at has changed; one that was over already
//! then was not there.

use bowline_raft::Index;

use super::Store;
use crate::command::{Command, Keys, Unchanged};
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
        let mut room = MAX_REPLY_BYTES;
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
        let mut room = MAX_REPLY_BYTES;
        Reply::Array(
            commands.iter().map(|command| fitting(self.read(command, clock_ms), &mut room)).collect(),
        )
    }
}

/// The reply, as long as all values together are not too large.
fn fitting(reply: Reply, room: &mut usize) -> Reply {
    let texts = match &reply {
        Reply::Array(replies) => replies.iter().filter_map(Reply::text).map(|(_, text)| text.len()).sum(),
        Reply::Bulk(text) => text.len(),
        _ => 0,
    };
    match room.checked_sub(texts) {
        Some(left) => {
            *room = left;
            reply
        }
        None => Reply::error(format!("ERR reply exceeds maximum allowed size ({MAX_REPLY_BYTES} bytes)")),
    }
}

#[cfg(test)]
mod tests;
