//! One slot's keys and values.
//!
//! Most slots hold few keys, in one hash table. One that grows is cut into *shards*, each with a table
//! behind an `Arc` of its own, so that the copy that a write makes while a snapshot holds the old one stays a few
//! thousand keys. The cut is linear hashing: whenever there are [`KEYS_PER_SHARD`] keys to a shard, one more
//! shard is made out of the keys of one older shard, each in its turn, so that growing never touches more
//! than one shard at a time either.

use std::sync::Arc;

use bowline_raft::Index;
use bytes::Bytes;
use foldhash::SharedSeed;
use hashbrown::HashTable;

use super::key::Key;

/// How many keys there are to a shard, on average, before one more shard is made. The shards whose turn has not
/// come yet hold up to twice as many.
pub(super) const KEYS_PER_SHARD: usize = 2048;

/// A key's hash, which places it in its slot. The seed keeps a client from choosing keys that collide.
#[derive(Clone)]
pub(super) struct KeyHasher(SharedSeed);

impl KeyHasher {
    pub(super) fn new(seed: u64) -> Self {
        Self(SharedSeed::from_u64(seed))
    }

    pub(super) fn hash(&self, key: &[u8]) -> u64 {
        use std::hash::Hasher;
        let mut hasher = foldhash::quality::FoldHasher::with_seed(0, &self.0);
        hasher.write(key);
        hasher.finish()
    }
}

/// A value, and what the log says about it.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// The bytes. They are part of no larger buffer.
    pub(super) data: Bytes,
    /// The index of the entry that changed it last.
    pub(super) changed: Index,
    /// When it is no longer there, in the log's time. `None`: never.
    pub(super) expires_ms: Option<u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) key: Key,
    pub(super) value: Value,
}

pub(super) type Shard = HashTable<Entry>;

/// The keys of one slot.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// Shard 0, here itself: a slot that was never cut, as nearly all are, is found in one step less.
    first: Shard,
    /// The shards from 1 on.
    others: Vec<Arc<Shard>>,
    /// How many keys there are in all shards.
    keys: usize,
    /// The index of the entry that last removed a key from here; 0 if none did.
    pub(super) deleted: Index,
    /// Raised whenever the slot changes its owner. Always 0 while slots cannot move.
    pub(super) epoch: u64,
}

impl Slot {
    /// A slot without keys.
    pub(super) fn empty(deleted: Index, epoch: u64) -> Self {
        Self { deleted, epoch, ..Self::default() }
    }

    /// How many keys it holds.
    pub(super) fn len(&self) -> usize {
        self.keys
    }

    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<&Value> {
        let shard = self.shard(self.shard_of(hash));
        shard.find(hash, |entry| *entry.key == *key).map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Value> {
        let number = self.shard_of(hash);
        self.shard_mut(number).find_mut(hash, |entry| *entry.key == *key).map(|entry| &mut entry.value)
    }

    /// Gives `key` a value; returns the old one.
    pub(super) fn insert(
        &mut self,
        hasher: &KeyHasher,
        hash: u64,
        key: &[u8],
        value: Value,
    ) -> Option<Value> {
        let number = self.shard_of(hash);
        let shard = self.shard_mut(number);
        if let Some(entry) = shard.find_mut(hash, |entry| *entry.key == *key) {
            return Some(std::mem::replace(&mut entry.value, value));
        }
        shard.insert_unique(hash, Entry { key: key.into(), value }, |entry| hasher.hash(&entry.key));
        self.keys += 1;
        if self.keys > KEYS_PER_SHARD * self.shards() {
            self.add_shard(hasher);
        }
        None
    }

    /// Takes out `key`, which the entry at `index` removes; returns its value.
    pub(super) fn remove(&mut self, hash: u64, key: &[u8], index: Index) -> Option<Value> {
        let number = self.shard_of(hash);
        let found = self.shard_mut(number).find_entry(hash, |entry| *entry.key == *key).ok()?;
        let (entry, _) = found.remove();
        self.keys -= 1;
        self.deleted = index;
        if self.keys == 0 {
            // What the slot once grew to is no measure of what it will need.
            *self = Self::empty(self.deleted, self.epoch);
        }
        Some(entry.value)
    }

    /// Every key with its value. The order means nothing and differs between replicas: a caller must come to
    /// the same result in every order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.first.iter().chain(self.others.iter().flat_map(|shard| shard.iter()))
    }

    /// Gives up one shard, unless it is the only one; returns how many keys it held. The slot is no longer
    /// good for anything but being freed.
    pub(super) fn discard_shard(&mut self) -> Option<usize> {
        let shard = self.others.pop()?;
        self.keys -= shard.len();
        Some(shard.len())
    }

    /// Into how many shards it is cut.
    pub(super) fn shards(&self) -> usize {
        1 + self.others.len()
    }

    fn shard_of(&self, hash: u64) -> usize {
        shard_of(hash, self.shards())
    }

    /// One of them, below [`Slot::shards`].
    pub(super) fn shard(&self, number: usize) -> &Shard {
        match number {
            0 => &self.first,
            number => &self.others[number - 1],
        }
    }

    fn shard_mut(&mut self, number: usize) -> &mut Shard {
        match number {
            0 => &mut self.first,
            number => Arc::make_mut(&mut self.others[number - 1]),
        }
    }

    /// Makes one more shard out of the keys that belong there, all of which are in one older shard.
    fn add_shard(&mut self, hasher: &KeyHasher) {
        let new = self.shards();
        let old = new - (1 << new.ilog2());
        let hash_of = |entry: &Entry| hasher.hash(&entry.key);
        let mut shard = Shard::new();
        let source = self.shard_mut(old);
        for entry in source.extract_if(|entry| shard_of(hash_of(entry), new + 1) == new) {
            shard.insert_unique(hash_of(&entry), entry, hash_of);
        }
        source.shrink_to_fit(hash_of);
        self.others.push(Arc::new(shard));
    }
}

/// Which of `shards` a hash belongs to: with 2^n of them, n bits say it; between two powers, the shards that
/// have not been cut in this round go by one bit less. The bits are others than those by which the table
/// inside places the key, which would otherwise crowd together there.
fn shard_of(hash: u64, shards: usize) -> usize {
    let [_, _, _, a, b, c, d, _] = hash.to_le_bytes();
    let bits = u32::from_le_bytes([a, b, c, d]) as usize;
    let mask = shards.next_power_of_two() - 1;
    let number = bits & mask;
    if number < shards { number } else { bits & (mask >> 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(index: Index) -> Value {
        Value { data: Bytes::new(), changed: index, expires_ms: None }
    }

    fn filled(hasher: &KeyHasher, count: u64) -> Slot {
        let mut slot = Slot::default();
        for number in 0..count {
            let key = number.to_le_bytes();
            assert!(slot.insert(hasher, hasher.hash(&key), &key, value(number)).is_none());
        }
        slot
    }

    fn largest_shard(slot: &Slot) -> usize {
        slot.others.iter().map(|shard| shard.len()).fold(slot.first.len(), usize::max)
    }

    #[test]
    fn a_large_slot_is_cut_and_loses_no_key() {
        let hasher = KeyHasher::new(1);
        for count in [2048, 2049, 4097, 30_000, 100_000] {
            let slot = filled(&hasher, count);
            assert_eq!(slot.len() as u64, count);
            assert_eq!(slot.shards() as u64, count.div_ceil(KEYS_PER_SHARD as u64));
            assert!(largest_shard(&slot) <= KEYS_PER_SHARD * 5 / 2, "{}", largest_shard(&slot));
            for number in 0..count {
                let key = number.to_le_bytes();
                assert_eq!(slot.get(hasher.hash(&key), &key).unwrap().changed, number);
            }
            let mut seen: Vec<_> = slot.iter().map(|entry| entry.value.changed).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..count));
        }
    }

    #[test]
    fn a_write_copies_one_shard_only() {
        let hasher = KeyHasher::new(2);
        let snapshot = filled(&hasher, 50_000);
        let mut slot = snapshot.clone();
        let key = (0..).map(|number: u64| number.to_le_bytes()).find(|key| {
            let number = slot.shard_of(hasher.hash(key));
            number > 0
        });
        let key = key.unwrap();
        slot.get_mut(hasher.hash(&key), &key).unwrap().changed = u64::MAX;
        let shared = slot.others.iter().zip(&snapshot.others).filter(|(new, old)| Arc::ptr_eq(new, old));
        assert_eq!(shared.count(), slot.others.len() - 1);
        assert_ne!(snapshot.get(hasher.hash(&key), &key).unwrap().changed, u64::MAX);
    }

    #[test]
    fn an_emptied_slot_holds_no_memory() {
        let hasher = KeyHasher::new(3);
        let mut slot = filled(&hasher, 10_000);
        for number in 0..10_000u64 {
            let key = number.to_le_bytes();
            assert_eq!(slot.remove(hasher.hash(&key), &key, 7 + number).unwrap().changed, number);
            assert!(slot.remove(hasher.hash(&key), &key, 0).is_none());
        }
        assert_eq!((slot.len(), slot.first.capacity(), slot.others.len()), (0, 0, 0));
        assert_eq!(slot.deleted, 10_006);
    }

    #[test]
    fn the_seed_decides_the_hash() {
        assert_eq!(KeyHasher::new(1).hash(b"key"), KeyHasher::new(1).hash(b"key"));
        assert_ne!(KeyHasher::new(1).hash(b"key"), KeyHasher::new(2).hash(b"key"));
    }
}
