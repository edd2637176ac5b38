//! One slot's keys and values.
//!
//! Most slots hold few keys, in one hash table. One that grows is cut into *shards*, each with a table
//! behind an `Arc` of its own, so that the copy that a write makes while a snapshot holds the old one stays a few
//! thousand keys. The cut is linear hashing: whenever there are [`KEYS_PER_SHARD`] keys to a shard, one more
//! shard is made out of the keys of one older shard, each in its turn, so that growing never touches more
//! than one shard at a time either. Which shard a key is in goes by its [rank](super::rank): each holds a range of
//! ranks, and SCAN finds what comes next in one of them.

use std::sync::Arc;

use bowline_raft::Index;
use foldhash::SharedSeed;
use hashbrown::HashTable;

use super::data::Data;
use super::key::Key;
use super::rank::{self, RANK_BITS};

/// How many keys there are to a shard, on average, before one more shard is made. The shards whose turn has not
/// come yet hold up to twice as many.
pub(super) const KEYS_PER_SHARD: usize = 2048;

/// A key's hash, which places it in its table. The seed keeps a client from choosing keys that collide.
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
    /// What the key holds.
    pub(super) data: Data,
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

    /// Whether it holds nothing, and nothing is noted about it: as a slot begins.
    pub(super) fn is_blank(&self) -> bool {
        (self.keys, self.deleted, self.epoch) == (0, 0, 0)
    }

    pub(super) fn get(&self, hash: u64, key: &[u8]) -> Option<&Value> {
        let shard = self.shard(self.shard_of(key));
        shard.find(hash, |entry| *entry.key == *key).map(|entry| &entry.value)
    }

    pub(super) fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<&mut Value> {
        let number = self.shard_of(key);
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
        let number = self.shard_of(key);
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
        let number = self.shard_of(key);
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

    /// Gives up one shard with keys, if there is one; it is empty if a snapshot holds it too. The slot is no
    /// longer good for anything but being freed.
    pub(super) fn take_shard(&mut self) -> Option<Shard> {
        if let Some(shard) = self.others.pop() {
            self.keys -= shard.len();
            return Some(Arc::try_unwrap(shard).unwrap_or_default());
        }
        self.keys -= self.first.len();
        Some(std::mem::take(&mut self.first)).filter(|shard| !shard.is_empty())
    }

    /// Into how many shards it is cut.
    pub(super) fn shards(&self) -> usize {
        1 + self.others.len()
    }

    fn shard_of(&self, key: &[u8]) -> usize {
        // What nearly every slot is spared.
        if self.others.is_empty() { 0 } else { shard_of(rank::spread(key), self.shards()) }
    }

    /// The first `most` keys whose rank is not below `from`, in the order of ranks, and those that share the last
    /// one's; and the rank of the next one, if there is one.
    pub(super) fn ranked(&self, from: u64, most: usize) -> (Vec<(u64, &Entry)>, Option<u64>) {
        let mut ranked: Vec<(u64, &Entry)> = Vec::new();
        let mut start = Some(from);
        while let Some(from) = start {
            let (shard, next) = self.shard_at(from);
            let first = ranked.len();
            let entries = shard.iter().map(|entry| (rank::rank_of(&entry.key), entry));
            ranked.extend(entries.filter(|(rank, _)| *rank >= from));
            if ranked.len() > most {
                return cut(ranked, first, most);
            }
            sort(&mut ranked[first..]);
            start = next;
        }
        (ranked, None)
    }

    /// The key with that many keys in front of it, in the order of ranks, and its rank.
    pub(super) fn nth(&self, place: usize) -> Option<(u64, &Entry)> {
        let (mut left, mut start) = (place, Some(0));
        while let Some(from) = start {
            let (shard, next) = self.shard_at(from);
            if left < shard.len() {
                let mut ranked: Vec<_> =
                    shard.iter().map(|entry| (rank::rank_of(&entry.key), entry)).collect();
                let (_, wanted, _) = ranked.select_nth_unstable_by_key(left, order);
                return Some(*wanted);
            }
            (left, start) = (left - shard.len(), next);
        }
        None
    }

    /// The shard that holds keys of that rank, and the first rank of the one behind it.
    fn shard_at(&self, rank: u64) -> (&Shard, Option<u64>) {
        let spread = rank << (u64::BITS - RANK_BITS);
        let shards = self.shards();
        let number = shard_of(spread, shards);
        // By how many bits it is told from the others: one more if it has been cut in this round, or made.
        let (round, half) = (shards.next_power_of_two().ilog2(), shards.next_power_of_two() / 2);
        let is_cut = number >= half || number + half < shards;
        let bits = if is_cut { round } else { round.saturating_sub(1) };
        let last = rank | ((1 << (RANK_BITS - bits)) - 1);
        (self.shard(number), Some(last + 1).filter(|next| next >> RANK_BITS == 0))
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
        for entry in source.extract_if(|entry| shard_of(rank::spread(&entry.key), new + 1) == new) {
            shard.insert_unique(hash_of(&entry), entry, hash_of);
        }
        source.shrink_to_fit(hash_of);
        self.others.push(Arc::new(shard));
    }
}

/// Which of `shards` a key belongs to: with 2^n of them, the highest n bits of its spread say it, read from the
/// highest one on; between two powers, the shards that have not been cut in this round go by one bit less. So each
/// has a range of ranks.
fn shard_of(spread: u64, shards: usize) -> usize {
    let bits = usize::try_from(spread.reverse_bits() & u64::from(u32::MAX)).expect("it has 32 bits");
    let mask = shards.next_power_of_two() - 1;
    let number = bits & mask;
    if number < shards { number } else { bits & (mask >> 1) }
}

/// By rank, and where that is the same by the bytes.
fn order<'a>((rank, entry): &(u64, &'a Entry)) -> (u64, &'a Key) {
    (*rank, &entry.key)
}

fn sort(ranked: &mut [(u64, &Entry)]) {
    ranked.sort_unstable_by(|a, b| order(a).cmp(&order(b)));
}

/// The first `most` of them, of which those up to `sorted` are in order and in front of the others already; those
/// that share the last one's rank; and the rank behind.
fn cut(mut ranked: Vec<(u64, &Entry)>, sorted: usize, most: usize) -> (Vec<(u64, &Entry)>, Option<u64>) {
    let Some(last) = most.checked_sub(1).filter(|last| *last >= sorted) else {
        let next = ranked[sorted..].iter().map(|(rank, _)| *rank).min();
        ranked.truncate(sorted);
        return (ranked, next);
    };
    let tail = &mut ranked[sorted..];
    let (_, (rank, _), _) = tail.select_nth_unstable_by(last - sorted, |a, b| order(a).cmp(&order(b)));
    let rank = *rank;
    let (mut within, behind): (Vec<_>, Vec<_>) = ranked.into_iter().partition(|(other, _)| *other <= rank);
    sort(&mut within[sorted..]);
    (within, behind.iter().map(|(rank, _)| *rank).min())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn value(index: Index) -> Value {
        Value { data: Bytes::new().into(), changed: index, expires_ms: None }
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
        let key = (0..).map(|number: u64| number.to_le_bytes()).find(|key| slot.shard_of(key) > 0);
        let key = key.unwrap();
        slot.get_mut(hasher.hash(&key), &key).unwrap().changed = u64::MAX;
        let shared = slot.others.iter().zip(&snapshot.others).filter(|(new, old)| Arc::ptr_eq(new, old));
        assert_eq!(shared.count(), slot.others.len() - 1);
        assert_ne!(snapshot.get(hasher.hash(&key), &key).unwrap().changed, u64::MAX);
    }

    /// What every replica must come to, however its tables are cut and seeded.
    fn in_order(slot: &Slot) -> Vec<(u64, Vec<u8>)> {
        let mut keys: Vec<_> =
            slot.iter().map(|entry| (rank::rank_of(&entry.key), entry.key.to_vec())).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn keys_come_in_the_order_of_their_ranks() {
        let hasher = KeyHasher::new(4);
        for count in [0, 1, 100, 2049, 5000, 8192, 8193, 20_000] {
            let slot = filled(&hasher, count);
            let all = in_order(&slot);
            for most in [0, 1, 7, 1000, 3000, 30_000] {
                let (mut seen, mut from, mut calls) = (Vec::new(), 0, 0);
                loop {
                    let (page, next) = slot.ranked(from, most.max(1));
                    assert!(next.is_none() || page.len() >= most, "of {count} only {}", page.len());
                    assert!(page.len() <= most.max(1) + 1);
                    seen.extend(page.into_iter().map(|(rank, entry)| (rank, entry.key.to_vec())));
                    calls += 1;
                    let Some(next) = next else { break };
                    assert_eq!(next, all[seen.len()].0);
                    from = next;
                    if calls == 200 {
                        break;
                    }
                }
                assert!(calls == 200 || seen.len() == all.len());
                assert_eq!(seen, all[..seen.len()], "{count} keys, {most} at a time");
            }
            for place in [0, 1, count / 3, count.saturating_sub(1), count] {
                let place = usize::try_from(place).unwrap();
                let found = slot.nth(place).map(|(rank, entry)| (rank, entry.key.to_vec()));
                assert_eq!(found, all.get(place).cloned());
            }
        }
    }

    /// The keys of one rank cannot be told apart by a cursor.
    #[test]
    fn keys_of_one_rank_come_together() {
        let slot = filled(&KeyHasher::new(5), 3);
        let entries: Vec<_> = slot.iter().collect();
        let ranked = vec![(5, entries[0]), (7, entries[1]), (7, entries[2]), (9, entries[0])];
        for (most, taken, next) in [(0, 0, 5), (1, 1, 7), (2, 3, 9), (3, 3, 9)] {
            let (within, behind) = cut(ranked.clone(), 0, most);
            assert_eq!((within.len(), behind), (taken, Some(next)), "{most}");
        }
        let (within, behind) = cut(ranked, 1, 1);
        assert_eq!((within.len(), behind), (1, Some(7)));
    }

    #[test]
    fn each_shard_holds_a_range_of_ranks() {
        let hasher = KeyHasher::new(6);
        for shards in [1, 2, 3, 5, 8, 11] {
            let slot = filled(&hasher, (KEYS_PER_SHARD * shards) as u64);
            assert_eq!(slot.shards(), shards);
            let (mut start, mut seen, mut keys) = (Some(0), 0, 0);
            while let Some(from) = start {
                let (shard, next) = slot.shard_at(from);
                let range = from..next.unwrap_or(1 << RANK_BITS);
                assert!(shard.iter().all(|entry| range.contains(&rank::rank_of(&entry.key))));
                assert!(std::ptr::eq(slot.shard_at(range.end - 1).0, shard));
                (start, seen, keys) = (next, seen + 1, keys + shard.len());
            }
            assert_eq!((seen, keys), (shards, slot.len()));
        }
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
