//! The store as an image sees it: slot by slot, with all that is noted about slots and keys.

use std::ops::Range;
use std::sync::Arc;

use bowline_raft::Index;

use super::data::Data;
use super::slot_table::{Entry, Slot, Value};
use super::{ENTRY_OVERHEAD_BYTES, Store};

/// What is noted about a slot beside its keys.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SlotMark {
    /// The index of the entry that last removed a key from it; 0 if none did.
    pub(crate) deleted: Index,
    /// Raised whenever the slot changes its owner.
    pub(crate) epoch: u64,
}

/// What the log says about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyMark {
    /// The index of the entry that changed it last.
    pub(crate) changed: Index,
    /// When it is no longer there, in the log's time. `None`: never.
    pub(crate) expires_ms: Option<u64>,
}

/// A key with its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kept<'a> {
    pub(crate) key: &'a [u8],
    pub(crate) data: &'a Data,
    pub(crate) mark: KeyMark,
}

impl Store {
    pub(crate) fn mark(&self, slot: usize) -> SlotMark {
        SlotMark { deleted: self.slots[slot].deleted, epoch: self.slots[slot].epoch }
    }

    /// How many keys are held, those whose time is over among them.
    pub(crate) fn held(&self) -> usize {
        self.keys
    }

    /// The log has got to this index and time, by what an image says.
    pub(crate) fn begin_at(&mut self, index: Index, now_ms: u64) {
        (self.index, self.now_ms) = (index, now_ms);
    }

    /// Into how many shards the slot is cut.
    pub(crate) fn shards(&self, slot: usize) -> usize {
        self.slots[slot].shards()
    }

    /// The keys of one shard of the slot. As long as the store is not written, they come in the same order
    /// each time; the order means nothing.
    pub(crate) fn kept(&self, slot: usize, shard: usize) -> impl Iterator<Item = Kept<'_>> {
        self.slots[slot].shard(shard).iter().map(|Entry { key, value }| Kept {
            key,
            data: &value.data,
            mark: KeyMark { changed: value.changed, expires_ms: value.expires_ms },
        })
    }

    /// Lets go of a slot that an image has no more use for: a write to it need not copy its keys then.
    pub(crate) fn release(&mut self, slot: usize) {
        // Most are empty where there are few keys, and all of those would cost an allocation.
        if self.slots[slot].len() > 0 {
            self.slots[slot] = Arc::default();
        }
    }

    /// Notes the same about each of these slots, none of which holds a key.
    pub(crate) fn set_marks(&mut self, slots: Range<usize>, mark: SlotMark) {
        // They begin as one, and part when they are written.
        let slot = Arc::new(Slot::empty(mark.deleted, mark.epoch));
        self.slots[slots].fill(slot);
    }

    /// Puts a key that an image holds into its slot. Says whether it was not there yet.
    pub(crate) fn put_kept(&mut self, slot: usize, key: &[u8], data: Data, mark: KeyMark) -> bool {
        let hash = self.hasher.hash(key);
        let weight = key.len() + data.memory_bytes() + ENTRY_OVERHEAD_BYTES;
        let value = Value { data, changed: mark.changed, expires_ms: mark.expires_ms };
        let slot = Arc::make_mut(&mut self.slots[slot]);
        let is_new = slot.insert(&self.hasher, hash, key, value).is_none();
        if is_new {
            self.keys += 1;
            self.memory_bytes += weight;
            self.note_expiry(key, None, mark.expires_ms);
        }
        is_new
    }

    /// Takes over everything from `other`. What was here before is [freed](Store::collect_garbage) in slices.
    pub(crate) fn replace(&mut self, other: Self) {
        let old = std::mem::replace(self, other);
        self.counters = old.counters;
        self.index_expiries();
        let filled = old.slots.into_iter().filter(|slot| slot.len() > 0);
        self.garbage.add(filled, old.expiries);
        self.garbage.append(old.garbage);
    }
}
