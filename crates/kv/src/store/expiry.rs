//! Keys whose time is over.
//!
//! The store knows the log's time, which only entries move on ([`Store::advance`]). A key whose time is not later
//! than that is *over*: from then on no command finds it, on any replica, at the same index. It is also taken out
//! then, as any key that is removed, the earliest first and [`SWEPT_PER_ENTRY`] at most with each entry, or more
//! with one that may bring more: what is left when a million keys end at the same moment is taken out by the entries
//! behind, and is found by nobody meanwhile.
//!
//! For that there is an index of all expiries in the order of time. A [clone](Store::clone) of the store, which
//! is made to be written down, goes without it; the store that is made of an image builds it up key by key.

use std::collections::BTreeSet;

use bowline_raft::Index;

use super::key::Key;
use super::scan::MAX_STEPS;
use super::slot_table::{Entry, Value};
use super::{Store, bulk};
use crate::command::{Command, ExpireCondition, Moment};
use crate::reply::Reply;

/// How many keys that are over one entry takes out, at most, if it is a short one. A constant of the format.
const SWEPT_PER_ENTRY: usize = 1000;

/// A longer one takes out one for so many of its bytes, at most. No key with an expiry comes with fewer, so not more
/// come than go. A constant of the format.
const BYTES_PER_SWEPT: usize = 8;

/// What an expiry costs in the index beside the bytes of a key that is too long to lie in it. A constant of the
/// format, since MEMORY USAGE shows it.
pub(super) const EXPIRY_BYTES: usize = 48;

const _: () = assert!(size_of::<(u64, Key)>() + 16 <= EXPIRY_BYTES);

/// The expiries of a store's keys.
#[derive(Default)]
pub(super) struct Expiries {
    by_time: BTreeSet<(u64, Key)>,
    /// How many keys have one.
    pub(super) count: usize,
    /// How many of those are over.
    over: usize,
}

impl Expiries {
    /// A key has this expiry from now on, if any, and not the old one.
    pub(super) fn change(&mut self, key: &[u8], old: Option<u64>, new: Option<u64>, now_ms: u64) {
        if old == new {
            return;
        }
        if let Some(at) = old {
            self.count -= 1;
            self.over -= usize::from(at <= now_ms);
            self.by_time.remove(&(at, key.into()));
        }
        if let Some(at) = new {
            self.count += 1;
            self.over += usize::from(at <= now_ms);
            self.by_time.insert((at, key.into()));
        }
    }

    /// The numbers alone: what a clone takes along.
    pub(super) fn counted(&self) -> Self {
        Self { by_time: BTreeSet::new(), ..*self }
    }

    /// How many expiries are in the index.
    pub(super) fn len(&self) -> usize {
        self.by_time.len()
    }

    /// Gives up one, whichever; returns whether there was one.
    pub(super) fn discard(&mut self) -> bool {
        self.by_time.pop_last().is_some()
    }

    fn first_behind(&self, ms: u64) -> Option<u64> {
        let from = (ms.checked_add(1)?, Key::from(&b""[..]));
        self.by_time.range(from..).next().map(|(at, _)| *at)
    }

    /// The time goes on from `before_ms` to `now_ms`: those that end meanwhile are over. Returns how many.
    fn end_until(&mut self, before_ms: u64, now_ms: u64) -> usize {
        let Some(first_ms) = before_ms.checked_add(1).filter(|first_ms| *first_ms <= now_ms) else {
            return 0;
        };
        let from = (first_ms, Key::from(&b""[..]));
        let ended = self.by_time.range(from..).take_while(|(at, _)| *at <= now_ms).count();
        self.over += ended;
        ended
    }
}

impl Value {
    /// Whether it is still there, in the log's time.
    pub(super) fn is_live(&self, now_ms: u64) -> bool {
        self.expires_ms.is_none_or(|at| at > now_ms)
    }
}

impl Store {
    /// The log's time, in milliseconds since 1970.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// The index of the last entry that began.
    pub fn index(&self) -> Index {
        self.index
    }

    /// The entry at `index` begins, a short one, and with it the log's time is `now_ms`, if that is later than before.
    ///
    /// # Panics
    ///
    /// On a clone, unless its index of expiries was made.
    pub fn advance(&mut self, now_ms: u64, index: Index) {
        self.begin_entry(now_ms, index, 0);
    }

    /// The same for an entry of so many bytes.
    pub(crate) fn begin_entry(&mut self, now_ms: u64, index: Index, bytes: usize) {
        assert_eq!(self.expiries.len(), self.expiries.count, "a store without its index of expiries");
        self.counters.ended(self.expiries.end_until(self.now_ms, now_ms));
        (self.now_ms, self.index, self.steps_left) = (self.now_ms.max(now_ms), index, MAX_STEPS);
        for _ in 0..SWEPT_PER_ENTRY.max(bytes / BYTES_PER_SWEPT) {
            let first = self.expiries.by_time.first().filter(|(at, _)| *at <= self.now_ms);
            let Some((_, key)) = first.cloned() else { break };
            self.take_out(&key, index);
        }
    }

    /// The earliest time at which a key is over, of those that are still held.
    pub(crate) fn next_expiry_ms(&self) -> Option<u64> {
        self.expiries.by_time.first().map(|(at, _)| *at)
    }

    /// Whether the command would be answered otherwise if the log's time were `clock_ms`, for the keys that end
    /// until then.
    pub(crate) fn is_behind(&self, command: &Command<'_>, clock_ms: u64) -> bool {
        let ends = |at: u64| at > self.now_ms && at <= clock_ms;
        if !self.expiries.first_behind(self.now_ms).is_some_and(ends) {
            return false;
        }
        let ends_key = |key| self.find(key).and_then(|value| value.expires_ms).is_some_and(ends);
        command.is_about_all() || command.keys().any(ends_key)
    }

    /// How many keys that are not over have an expiry.
    pub fn expiring(&self) -> usize {
        self.expiries.count - self.expiries.over
    }

    /// How many keys are over, and still held.
    pub(super) fn over(&self) -> usize {
        self.expiries.over
    }

    /// Makes the index of expiries anew, if this is a clone, which has none.
    pub(crate) fn index_expiries(&mut self) {
        if self.expiries.len() == self.expiries.count {
            return;
        }
        let Self { slots, expiries, .. } = self;
        let entries = slots.iter().flat_map(|slot| slot.iter());
        let timed = entries.filter_map(|Entry { key, value }| Some((value.expires_ms?, key.clone())));
        expiries.by_time = timed.collect();
    }

    /// Lets a key that is there expire at `at`, which removes it if that is over. That is a change of the key.
    fn set_expiry(&mut self, key: &[u8], at: Option<u64>, index: Index) {
        if at.is_some_and(|at| at <= self.now_ms) {
            self.take_out(key, index);
            return;
        }
        let value = self.value_mut(key).expect("the key is there");
        let old = std::mem::replace(&mut value.expires_ms, at);
        value.changed = index;
        self.note_expiry(key, old, at);
    }

    pub(super) fn get_ex(&mut self, key: &[u8], expiry: Option<Moment>, index: Index) -> Reply {
        let Some(value) = self.find(key) else { return Reply::Nil };
        let reply = bulk(Some(value));
        match expiry {
            _ if matches!(reply, Reply::Error(_)) => {}
            Some(moment) => self.set_expiry(key, Some(moment.resolve(self.now_ms)), index),
            None if value.expires_ms.is_some() => self.set_expiry(key, None, index),
            None => {}
        }
        reply
    }

    pub(super) fn expire(
        &mut self,
        key: &[u8],
        moment: Moment,
        condition: ExpireCondition,
        index: Index,
    ) -> Reply {
        let at = moment.resolve(self.now_ms);
        let is_done = self.find(key).is_some_and(|value| condition.holds(value.expires_ms, at));
        if is_done {
            self.set_expiry(key, Some(at), index);
        }
        Reply::Int(is_done.into())
    }

    pub(super) fn persist(&mut self, key: &[u8], index: Index) -> Reply {
        let has_expiry = self.find(key).is_some_and(|value| value.expires_ms.is_some());
        if has_expiry {
            self.set_expiry(key, None, index);
        }
        Reply::Int(has_expiry.into())
    }

    /// What TTL and its variants answer when it is `clock_ms`.
    pub(super) fn time_of(&self, key: &[u8], is_absolute: bool, in_seconds: bool, clock_ms: u64) -> Reply {
        let Some(value) = self.look(key) else { return Reply::Int(-2) };
        let Some(at) = value.expires_ms else { return Reply::Int(-1) };
        let ms = if is_absolute { at } else { at.saturating_sub(clock_ms) };
        let shown = if in_seconds { ms.saturating_add(500) / 1000 } else { ms };
        Reply::Int(i64::try_from(shown).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests;
