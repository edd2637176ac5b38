//! The keys and values, and what each command does to them.
//!
//! The store is an array of slots, each behind an `Arc`. To [clone](Store::clone) it is to copy 16384
//! pointers: that is a snapshot. A slot that is written while a snapshot still holds it is copied first, so
//! the snapshot stays as it was; a slot that nobody else holds is written in place. A command that turns out
//! to change nothing copies nothing.
//!
//! A stored value holds no memory but its own: it is copied out of the command, whose bytes belong to a
//! larger buffer. A reply shares the stored bytes. APPEND grows a value in place while no reply and no
//! snapshot shares it, with room to spare, so that many small appends cost what they weigh.
//!
//! A key holds a string or a hash, whose fields a snapshot shares leaf by leaf: see `hash`.
//!
//! FLUSHALL puts new slots into the place of the old, and sets the old ones aside: freeing millions of keys
//! takes long, and is done in slices, by [`Store::collect_garbage`]. The same goes for a hash with many fields.
//!
//! Some keys are held only up to a time: `expiry` says how they go.
//!
//! What a command does depends on the store and the command alone, never on the seed of its hash tables.

mod contents;
mod data;
mod expiry;
mod garbage;
mod hash;
mod hashes;
mod hashes_read;
mod key;
mod keys;
mod rank;
mod scan;
mod slot_table;
mod strings;
mod tally;
mod transaction;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bowline_raft::Index;
use bytes::{Bytes, BytesMut};

use crate::command::{Command, Condition, MAX_VALUE_BYTES, SetExpiry};
use crate::digest::Digest;
use crate::integer;
use crate::reply::{MAX_REPLY_BYTES, Reply};
use crate::slot::{self, SLOT_COUNT};
pub(crate) use contents::{Kept, KeyMark, SlotMark};
pub(crate) use data::Data;
use expiry::{EXPIRY_BYTES, Expiries};
use garbage::Garbage;
pub(crate) use hash::{Field, Hash, MAX_LISTED_FIELDS};
use scan::{ELEMENT_STEPS, Filter, MAX_STEPS, SLOT_STEPS};
use slot_table::{Entry, KeyHasher, Slot, Value};
use tally::Counters;
pub use tally::Tally;

/// About what a key costs beside its own bytes and its value's, in memory. A constant of the format, since MEMORY
/// USAGE shows it, whose reply may be recorded.
const ENTRY_OVERHEAD_BYTES: usize = 128;

const _: () = assert!(size_of::<Entry>() + 48 <= ENTRY_OVERHEAD_BYTES);

/// All keys and values.
pub struct Store {
    /// [`SLOT_COUNT`] of them.
    slots: Vec<Arc<Slot>>,
    hasher: KeyHasher,
    /// The log's time, in milliseconds since 1970.
    now_ms: u64,
    /// The index of the last entry that began.
    index: Index,
    /// How many steps its transactions may still take, all together.
    steps_left: u64,
    /// How many keys are held in all slots.
    keys: usize,
    expiries: Expiries,
    /// See [`Store::memory_bytes`].
    memory_bytes: usize,
    /// What is gone and still holds memory.
    garbage: Garbage,
    counters: Counters,
}

/// Where a key is looked for.
#[derive(Clone, Copy)]
struct Place {
    slot: usize,
    hash: u64,
}

impl Clone for Store {
    /// The same keys and values, from now on apart from these. What is to be freed stays with the original, and so
    /// do the index of expiries and what was counted.
    fn clone(&self) -> Self {
        Self {
            slots: self.slots.clone(),
            hasher: self.hasher.clone(),
            now_ms: self.now_ms,
            index: self.index,
            steps_left: self.steps_left,
            keys: self.keys,
            expiries: self.expiries.counted(),
            memory_bytes: self.memory_bytes,
            garbage: Garbage::default(),
            counters: Counters::default(),
        }
    }
}

impl Store {
    /// A store without keys. `seed` should be random where clients choose the keys: it keeps them from
    /// choosing keys that collide. No result depends on it.
    pub fn new(seed: u64) -> Self {
        // They begin as one, and part when they are written.
        let empty = Arc::new(Slot::default());
        Self {
            slots: vec![empty; SLOT_COUNT],
            hasher: KeyHasher::new(seed),
            now_ms: 0,
            index: 0,
            steps_left: MAX_STEPS,
            keys: 0,
            expiries: Expiries::default(),
            memory_bytes: 0,
            garbage: Garbage::default(),
            counters: Counters::default(),
        }
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.keys - self.over()
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how many bytes keys and values take. What [`Store::collect_garbage`] has still to free is not
    /// counted, nor the room that APPEND has made ahead.
    pub fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// What was counted since the store was made: a [clone](Store::clone) begins at nothing.
    pub fn tally(&self) -> Tally {
        self.counters.tally()
    }

    /// Executes a command, of either kind, as the entry at `index` of the log.
    ///
    /// # Panics
    ///
    /// On a command [about sessions](Command::Session).
    pub fn execute(&mut self, command: &Command<'_>, index: Index) -> Reply {
        match command {
            Command::Set { key, value, condition, get, expiry } => {
                self.set(key, value, *condition, *get, *expiry, index)
            }
            Command::SetNx { key, value } => {
                let absent = self.find(key).is_none();
                if absent {
                    self.put(key, Bytes::copy_from_slice(value), None, index);
                }
                Reply::Int(absent.into())
            }
            Command::Append { key, value } => settled(self.append(key, value, index)),
            Command::Del { keys } => {
                Reply::Int(keys.as_slice().iter().map(|key| i64::from(self.remove(key, index))).sum())
            }
            Command::IncrBy { key, delta } => settled(self.increment(key, *delta, index)),
            Command::MSet { pairs } => {
                for (key, value) in pairs {
                    self.put(key, Bytes::copy_from_slice(value), None, index);
                }
                Reply::Ok
            }
            Command::MSetNx { pairs } => self.set_new(pairs, index),
            Command::SetRange { key, offset, value } => settled(self.set_range(key, *offset, value, index)),
            Command::IncrByFloat { key, text } => settled(self.increment_by_float(key, text, index)),
            Command::GetDel { key } => self.get_del(key, index),
            Command::DelIf { key, comparison } => self.del_if(key, *comparison, index),
            Command::Rename { key, to, only_new } => self.rename(key, to, *only_new, index),
            Command::Copy { key, to, replace } => self.copy(key, to, *replace, index),
            Command::GetEx { key, expiry } => self.get_ex(key, *expiry, index),
            Command::Expire { key, moment, condition } => self.expire(key, *moment, *condition, index),
            Command::Persist { key } => self.persist(key, index),
            Command::Exec { conditions, commands } => self.transact(conditions, commands, index),
            Command::Hash { key, command } => settled(self.execute_hash(key, command, index)),
            Command::FlushAll => self.flush(index),
            Command::Get { .. }
            | Command::StrLen { .. }
            | Command::Exists { .. }
            | Command::MGet { .. }
            | Command::Type { .. }
            | Command::Ttl { .. }
            | Command::Watch { .. }
            | Command::GetRange { .. }
            | Command::RandomKey { .. }
            | Command::Keys { .. }
            | Command::Scan { .. }
            | Command::Object { .. }
            | Command::MemoryUsage { .. }
            | Command::DbSize => self.read(command, self.now_ms),
            Command::Session(_) => panic!("not the store's: {command:?}"),
        }
    }

    /// Answers a command that does not write. What TTL says is counted from `clock_ms`, which may be later than
    /// the log's time: that stands still while nobody writes.
    ///
    /// # Panics
    ///
    /// On a command that [writes](Command::is_write).
    pub fn read(&self, command: &Command<'_>, clock_ms: u64) -> Reply {
        self.read_counted(command, clock_ms, &mut 0)
    }

    /// The same. What it has cost, where that may be much, is added to `steps`: what is looked at one by one, and
    /// what is in the reply.
    pub(crate) fn read_counted(&self, command: &Command<'_>, clock_ms: u64, steps: &mut u64) -> Reply {
        let reply = self.look_up(command, clock_ms, steps);
        *steps += ELEMENT_STEPS * reply.elements() as u64;
        reply
    }

    fn look_up(&self, command: &Command<'_>, clock_ms: u64, steps: &mut u64) -> Reply {
        match command {
            Command::Get { key } => bulk(self.look(key)),
            Command::StrLen { key } => match self.look(key).map(|value| value.data.string()) {
                None => Reply::Int(0),
                Some(text) => settled(text.map(|text| Reply::Int(length(text)))),
            },
            Command::Exists { keys } => {
                Reply::Int(keys.as_slice().iter().map(|key| i64::from(self.look(key).is_some())).sum())
            }
            Command::MGet { keys } => self.get_many(keys.as_slice()),
            Command::Type { key } => {
                let name = self.look(key).map_or("none", |value| value.data.type_name());
                Reply::Simple(Bytes::from_static(name.as_bytes()))
            }
            Command::Ttl { key, is_absolute, in_seconds } => {
                self.time_of(key, *is_absolute, *in_seconds, clock_ms)
            }
            Command::Watch { keys } => self.look_at(keys),
            Command::Exec { conditions, commands } => {
                self.transact_reads(conditions, commands, clock_ms, steps)
            }
            Command::Hash { key, command } => settled(self.read_hash(key, command, steps)),
            Command::GetRange { key, start, end } => settled(self.get_range(key, *start, *end)),
            Command::RandomKey { draw } => {
                *steps += SLOT_STEPS;
                self.random_key(*draw)
            }
            Command::Keys { pattern } => self.keys_like(pattern, MAX_STEPS, steps),
            Command::Scan { cursor, count, pattern, type_name } => {
                self.scan(*cursor, *count, &Filter { pattern: *pattern, type_name: *type_name }, steps)
            }
            Command::Object { key, aspect } => self.describe(key, *aspect),
            Command::MemoryUsage { key } => self.memory_usage(key),
            Command::DbSize => {
                Reply::Int(i64::try_from(self.len()).expect("fewer keys than bytes of memory"))
            }
            write => panic!("not a read: {write:?}"),
        }
    }

    /// Frees what has been set aside, about `budget` keys or fields of it (a few thousand more at most). Returns
    /// whether something is left.
    pub fn collect_garbage(&mut self, budget: usize) -> bool {
        self.garbage.collect(budget)
    }

    /// A digest of everything that the log decides: keys, values, and what is noted about them. Equal stores
    /// have equal digests, whatever their seeds; unequal ones practically never. It reads every byte.
    pub fn digest(&self) -> u64 {
        // Of most slots of a small store there is nothing to be said.
        let slots = self.slots.iter().enumerate().filter(|(_, slot)| !slot.is_blank());
        slots.fold(0, |sum: u64, (number, slot)| {
            let head = Digest::new(0).word(number as u64).word(slot.deleted).word(slot.epoch).finish();
            // A sum, since it is the same in every order of the keys.
            let keys = slot.iter().fold(head, |sum, Entry { key, value }| {
                let expiry = value.expires_ms.map_or([0, 0], |at| [1, at]);
                let key = value.data.digest(key).word(value.changed);
                sum.wrapping_add(key.word(expiry[0]).word(expiry[1]).finish())
            });
            sum.wrapping_add(keys)
        })
    }

    fn set(
        &mut self,
        key: &[u8],
        value: &[u8],
        condition: Condition<'_>,
        get: bool,
        expiry: SetExpiry,
        index: Index,
    ) -> Reply {
        let wanted = match condition {
            Condition::Always => true,
            Condition::IfAbsent => self.find(key).is_none(),
            Condition::IfPresent => self.find(key).is_some(),
            Condition::If(comparison) => match self.compares(key, comparison) {
                Ok(compares) => compares,
                Err(error) => return error,
            },
        };
        let shown = if get { bulk(self.find(key)) } else { Reply::Nil };
        if !wanted || matches!(shown, Reply::Error(_)) {
            return shown;
        }
        let at = match expiry {
            SetExpiry::Never => None,
            SetExpiry::Keep => self.find(key).and_then(|value| value.expires_ms),
            SetExpiry::To(moment) => Some(moment.resolve(self.now_ms)),
        };
        if at.is_some_and(|at| at <= self.now_ms) {
            // It comes and goes at once. Who watches a key that was not there must see that too.
            self.take_out(key, index);
            let slot = self.place(key).slot;
            Arc::make_mut(&mut self.slots[slot]).deleted = index;
        } else {
            self.put(key, Bytes::copy_from_slice(value), at, index);
        }
        if get { shown } else { Reply::Ok }
    }

    fn append(&mut self, key: &[u8], suffix: &[u8], index: Index) -> Result<Reply, Reply> {
        let place = self.place(key);
        let Some(old) = self.find(key) else {
            self.put(key, Bytes::copy_from_slice(suffix), None, index);
            return Ok(Reply::Int(length(suffix)));
        };
        if old.data.string()?.len() + suffix.len() > MAX_VALUE_BYTES {
            return Err(too_large("string", MAX_VALUE_BYTES));
        }
        let value = Arc::make_mut(&mut self.slots[place.slot]).get_mut(place.hash, key);
        let Some(Value { data: Data::String(text), changed, .. }) = value else {
            panic!("it was there a moment ago");
        };
        *text = appended(std::mem::take(text), suffix);
        *changed = index;
        self.memory_bytes += suffix.len();
        Ok(Reply::Int(length(text)))
    }

    fn increment(&mut self, key: &[u8], delta: i64, index: Index) -> Result<Reply, Reply> {
        let held = self.find(key);
        let old =
            held.map_or(Ok(0), |value| integer::parse(value.data.string()?).ok_or(Reply::NOT_AN_INTEGER))?;
        let expires_ms = held.and_then(|value| value.expires_ms);
        let new = old.checked_add(delta);
        let new = new.ok_or(Reply::error_text("ERR increment or decrement would overflow"))?;
        let text = Bytes::copy_from_slice(itoa::Buffer::new().format(new).as_bytes());
        self.put(key, text, expires_ms, index);
        Ok(Reply::Int(new))
    }

    fn get_many(&self, keys: &[&[u8]]) -> Reply {
        let mut replies = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for key in keys {
            // What is no string is nothing here, as it is to Redis.
            let text = self.look(key).and_then(|value| value.data.string().ok());
            bytes += text.map_or(0, Bytes::len);
            if bytes > MAX_REPLY_BYTES {
                return too_large("reply", MAX_REPLY_BYTES);
            }
            replies.push(text.map_or(Reply::Nil, |text| Reply::Bulk(text.clone())));
        }
        Reply::Array(replies)
    }

    fn flush(&mut self, index: Index) -> Reply {
        // From a slot without a key none is removed. Slots of one epoch begin as one.
        let mut fresh = Arc::new(Slot::empty(index, 0));
        let filled = self.slots.iter_mut().filter(|slot| slot.len() > 0).map(|slot| {
            if fresh.epoch != slot.epoch {
                fresh = Arc::new(Slot::empty(index, slot.epoch));
            }
            std::mem::replace(slot, Arc::clone(&fresh))
        });
        self.garbage.add(filled, std::mem::take(&mut self.expiries));
        (self.keys, self.memory_bytes) = (0, 0);
        Reply::Ok
    }

    fn place(&self, key: &[u8]) -> Place {
        Place { slot: slot::slot_of(key).into(), hash: self.hasher.hash(key) }
    }

    /// The key's value, unless its time is over.
    fn find(&self, key: &[u8]) -> Option<&Value> {
        let place = self.place(key);
        self.slots[place.slot].get(place.hash, key).filter(|value| value.is_live(self.now_ms))
    }

    /// The same for a command that only reads, and counts it.
    fn look(&self, key: &[u8]) -> Option<&Value> {
        let found = self.find(key);
        self.counters.looked(found.is_some());
        found
    }

    /// The value of a key that is held, to be changed.
    fn value_mut(&mut self, key: &[u8]) -> Option<&mut Value> {
        let place = self.place(key);
        Arc::make_mut(&mut self.slots[place.slot]).get_mut(place.hash, key)
    }

    /// Gives a key a value; returns the old one, unless its time was over.
    fn put(
        &mut self,
        key: &[u8],
        data: impl Into<Data>,
        expires_ms: Option<u64>,
        index: Index,
    ) -> Option<Value> {
        let place = self.place(key);
        let data = data.into();
        let weight = data.memory_bytes();
        let value = Value { data, changed: index, expires_ms };
        let slot = Arc::make_mut(&mut self.slots[place.slot]);
        let old = slot.insert(&self.hasher, place.hash, key, value);
        match &old {
            Some(old) => {
                self.memory_bytes -= old.data.memory_bytes();
                self.garbage.spare(&old.data);
            }
            None => {
                self.keys += 1;
                self.memory_bytes += key.len() + ENTRY_OVERHEAD_BYTES;
            }
        }
        self.memory_bytes += weight;
        self.note_expiry(key, old.as_ref().and_then(|old| old.expires_ms), expires_ms);
        old.filter(|old| old.is_live(self.now_ms))
    }

    fn remove(&mut self, key: &[u8], index: Index) -> bool {
        self.find(key).is_some() && self.take_out(key, index).is_some()
    }

    /// Removes a key, if it is held; returns its value, unless its time was over.
    fn take_out(&mut self, key: &[u8], index: Index) -> Option<Value> {
        let place = self.place(key);
        self.slots[place.slot].get(place.hash, key)?;
        let old = Arc::make_mut(&mut self.slots[place.slot]).remove(place.hash, key, index)?;
        self.keys -= 1;
        self.memory_bytes -= key.len() + old.data.memory_bytes() + ENTRY_OVERHEAD_BYTES;
        self.garbage.spare(&old.data);
        self.note_expiry(key, old.expires_ms, None);
        Some(old).filter(|old| old.is_live(self.now_ms))
    }

    fn note_expiry(&mut self, key: &[u8], old: Option<u64>, new: Option<u64>) {
        self.memory_bytes += usize::from(new.is_some()) * EXPIRY_BYTES;
        self.memory_bytes -= usize::from(old.is_some()) * EXPIRY_BYTES;
        self.expiries.change(key, old, new, self.now_ms);
    }
}

/// `data` with `suffix` behind it: in the same memory, grown ahead, if nobody else holds it.
fn appended(data: Bytes, suffix: &[u8]) -> Bytes {
    let mut grown = data.try_into_mut().unwrap_or_else(|shared| {
        let mut copy = BytesMut::with_capacity(shared.len() + suffix.len());
        copy.extend_from_slice(&shared);
        copy
    });
    grown.extend_from_slice(suffix);
    grown.freeze()
}

/// The reply to a read of a string.
fn bulk(value: Option<&Value>) -> Reply {
    match value.map(|value| &value.data) {
        None => Reply::Nil,
        Some(Data::String(text)) => Reply::Bulk(text.clone()),
        Some(Data::Hash(_)) => Reply::WRONG_TYPE,
    }
}

/// The reply, whichever it is.
fn settled(done: Result<Reply, Reply>) -> Reply {
    done.unwrap_or_else(|error| error)
}

fn too_large(what: &str, limit: usize) -> Reply {
    Reply::error(format!("ERR {what} exceeds maximum allowed size ({limit} bytes)"))
}

fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).expect("a value is far below 2^63 bytes")
}
