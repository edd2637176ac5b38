//! What was removed and takes long to free: it is set aside, and freed in slices.

use std::sync::Arc;

use super::data::Data;
use super::expiry::Expiries;
use super::hash::Hash;
use super::slot_table::{Entry, Slot};

/// A hash with more fields than this is set aside. Redis's UNLINK has the same limit.
const FREED_AT_ONCE: usize = 64;

/// All of it.
#[derive(Default)]
pub(super) struct Garbage {
    /// What FLUSHALL has replaced.
    pub(super) slots: Vec<Arc<Slot>>,
    /// The indices of expiries that went with them.
    expiries: Vec<Expiries>,
    /// Of keys that are gone.
    hashes: Vec<Arc<Hash>>,
}

impl Garbage {
    /// Takes what a store held that is replaced.
    pub(super) fn add(&mut self, slots: impl Iterator<Item = Arc<Slot>>, expiries: Expiries) {
        self.slots.extend(slots);
        self.expiries.push(expiries);
    }

    /// Takes another one's.
    pub(super) fn append(&mut self, mut other: Self) {
        self.slots.append(&mut other.slots);
        self.expiries.append(&mut other.expiries);
        self.hashes.append(&mut other.hashes);
    }

    /// Sees to it that a value whose key is gone can be dropped at once: what would take long is set aside.
    pub(super) fn spare(&mut self, data: &Data) {
        match data {
            Data::Hash(hash) if hash.len() > FREED_AT_ONCE => self.hashes.push(Arc::clone(hash)),
            Data::Hash(_) | Data::String(_) => {}
        }
    }

    /// Frees about `budget` keys or fields; says whether something is left.
    pub(super) fn collect(&mut self, budget: usize) -> bool {
        let mut freed = 0;
        while freed < budget
            && let Some(hash) = self.hashes.last_mut()
        {
            // What a snapshot holds too is the snapshot's to free.
            let leaf = Arc::get_mut(hash).and_then(Hash::discard_leaf);
            freed += leaf.unwrap_or_else(|| {
                let last = self.hashes.pop().expect("there is a last one");
                // Its leaves are gone, and have been counted.
                if last.is_ordered() { 1 } else { last.len() }
            });
        }
        while freed < budget
            && let Some(mut slot) = self.slots.pop()
        {
            let own = Arc::get_mut(&mut slot);
            let shard = own.and_then(Slot::take_shard).unwrap_or_default();
            freed += shard.len().max(1);
            shard.iter().for_each(|Entry { value, .. }| self.spare(&value.data));
            let is_left = Arc::get_mut(&mut slot).is_some_and(|own| own.len() > 0);
            if is_left {
                self.slots.push(slot);
            }
        }
        while freed < budget
            && let Some(expiries) = self.expiries.last_mut()
        {
            freed += 1;
            if !expiries.discard() {
                self.expiries.pop();
            }
        }
        !self.slots.is_empty() || !self.expiries.is_empty() || !self.hashes.is_empty()
    }
}
