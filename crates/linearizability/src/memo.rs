//! Where a search has been.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

/// How things stood: how many answers belong to placed calls, which calls under way are placed, and the state.
///
/// The sets stand in one long list, so that a set takes no allocation of its own.
pub(crate) struct Memo<S> {
    places: HashTable<usize>,
    known: Vec<(usize, S)>,
    sets: Vec<u64>,
    words: usize,
    hasher: FixedState,
}

impl<S: Clone + Eq + Hash> Memo<S> {
    /// For sets of so many words.
    pub(crate) fn new(words: usize) -> Self {
        Self {
            places: HashTable::new(),
            known: Vec::new(),
            sets: Vec::new(),
            words,
            hasher: FixedState::default(),
        }
    }

    /// Whether this is new. From now on it is not.
    pub(crate) fn insert(&mut self, answers: usize, set: &[u64], state: &S) -> bool {
        let hash = self.hasher.hash_one((answers, set, state));
        let is_same = |&place: &usize| {
            let known = &self.known[place];
            known.0 == answers && self.set(place) == set && known.1 == *state
        };
        if self.places.find(hash, is_same).is_some() {
            return false;
        }
        let place = self.known.len();
        self.known.push((answers, state.clone()));
        self.sets.extend_from_slice(set);
        let (known, sets, words, hasher) = (&self.known, &self.sets, self.words, &self.hasher);
        self.places.insert_unique(hash, place, |&place| {
            let set = &sets[place * words..(place + 1) * words];
            hasher.hash_one((known[place].0, set, &known[place].1))
        });
        true
    }

    fn set(&self, place: usize) -> &[u64] {
        &self.sets[place * self.words..(place + 1) * self.words]
    }
}
