//! What is done to keys, whatever they hold.

use bowline_raft::Index;
use bytes::Bytes;

use super::expiry::EXPIRY_BYTES;
use super::slot_table::{Entry, Value};
use super::{Data, ENTRY_OVERHEAD_BYTES, Field, Store};
use crate::command::Aspect;
use crate::integer;
use crate::reply::Reply;

/// The longest string that Redis keeps in one piece of memory with what it notes about it.
const EMBEDDED_BYTES: usize = 44;
/// The longest name or value of a small hash: Redis's `hash-max-listpack-value`.
const LISTED_BYTES: usize = 64;

impl Store {
    pub(super) fn rename(&mut self, key: &[u8], to: &[u8], only_new: bool, index: Index) -> Reply {
        if self.find(key).is_none() {
            return Reply::error_text("ERR no such key");
        }
        if only_new && self.find(to).is_some() {
            return Reply::Int(0);
        }
        if key != to {
            let Value { data, expires_ms, .. } = self.take_out(key, index).expect("the key is there");
            self.put(to, data, expires_ms, index);
        }
        if only_new { Reply::Int(1) } else { Reply::Ok }
    }

    pub(super) fn copy(&mut self, key: &[u8], to: &[u8], replace: bool, index: Index) -> Reply {
        let Some(value) = self.find(key).filter(|_| replace || self.find(to).is_none()) else {
            return Reply::Int(0);
        };
        let (data, expires_ms) = (value.data.clone(), value.expires_ms);
        self.put(to, data, expires_ms, index);
        Reply::Int(1)
    }

    pub(super) fn describe(&self, key: &[u8], aspect: Aspect) -> Reply {
        let Some(value) = self.look(key) else { return Reply::Nil };
        match aspect {
            Aspect::Encoding => Reply::Bulk(Bytes::from_static(encoding(&value.data).as_bytes())),
            Aspect::RefCount => Reply::Int(1),
            Aspect::Frequency => Reply::error_text(
                "ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
                 switching between policies at runtime LRU and LFU data will take some time to adjust.",
            ),
        }
    }

    pub(super) fn memory_usage(&self, key: &[u8]) -> Reply {
        let Some(value) = self.find(key) else { return Reply::Nil };
        let expiry = if value.expires_ms.is_some() { EXPIRY_BYTES } else { 0 };
        let bytes = key.len() + value.data.memory_bytes() + ENTRY_OVERHEAD_BYTES + expiry;
        Reply::Int(i64::try_from(bytes).expect("it fits into memory"))
    }

    /// One of the keys, which `draw` decides: of those that are held, the one with so many in front of it, in
    /// SCAN's order; if its time is over, the next one.
    pub(super) fn random_key(&self, draw: u64) -> Reply {
        let Some(chosen) = draw.checked_rem(self.keys as u64).filter(|_| !self.is_empty()) else {
            return Reply::Nil;
        };
        let mut left = usize::try_from(chosen).expect("it is below the number of keys");
        let slot = self.slots.iter().position(|slot| match left.checked_sub(slot.len()) {
            Some(behind) => {
                left = behind;
                false
            }
            None => true,
        });
        let slot = slot.expect("each key is in a slot");
        let (rank, _) = self.slots[slot].nth(left).expect("the slot has more keys");
        let key = self.first_live(slot, rank).or_else(|| self.first_live(0, 0));
        key.map_or(Reply::Nil, |key| Reply::Bulk(Bytes::copy_from_slice(key)))
    }

    /// The first key whose time is not over, in SCAN's order, in this slot from this rank on or behind it.
    fn first_live(&self, slot: usize, rank: u64) -> Option<&[u8]> {
        let mut from = rank;
        for slot in self.slots[slot..].iter().filter(|slot| slot.len() > 0) {
            loop {
                // Nearly always the first one will do.
                let (ranked, next) = slot.ranked(from, 100);
                let live = ranked.into_iter().find(|(_, Entry { value, .. })| value.is_live(self.now_ms));
                if let Some((_, entry)) = live {
                    return Some(&entry.key);
                }
                from = next.unwrap_or(0);
                if next.is_none() {
                    break;
                }
            }
        }
        None
    }
}

/// In what form Redis would hold it if it had been set as it is.
fn encoding(data: &Data) -> &'static str {
    match data {
        Data::String(text) if integer::parse(text).is_some() => "int",
        Data::String(text) if text.len() <= EMBEDDED_BYTES => "embstr",
        Data::String(_) => "raw",
        Data::Hash(hash) if hash.is_ordered() || hash.fields().any(is_long) => "hashtable",
        Data::Hash(_) => "listpack",
    }
}

/// Whether Redis would not keep it in a list.
fn is_long(field: &Field) -> bool {
    field.name().len().max(field.value.len()) > LISTED_BYTES
}

#[cfg(test)]
mod tests;
