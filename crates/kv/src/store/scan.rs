//! KEYS and SCAN.
//!
//! SCAN goes through the slots one after the other, and in each through the keys in the order of their
//! [ranks](super::rank). A cursor is the slot and the rank to go on with, so it means the same on every node and
//! after a restart. A key that is there all along is met exactly once, and an iteration ends: cursors only grow.
//!
//! One call looks at as many keys as COUNT says, whether they fit or not, up to [`MAX_COUNT`]; it also ends when
//! it has found [`PAGE_BYTES`] of names, or has taken [`PAGE_STEPS`] to compare them. To find them it sorts out the keys of
//! the slot, or of the shards of a large slot that they are in, some thousand keys each. Slots without keys
//! are passed over.

use bytes::Bytes;

use super::Store;
use super::rank::RANK_BITS;
use super::slot_table::Entry;
use crate::command::MAX_ARGUMENTS;
use crate::glob::{Case, Glob};
use crate::reply::{MAX_REPLY_BYTES, Reply};
use crate::slot::SLOT_COUNT;

/// The most keys that one call of SCAN looks at.
const MAX_COUNT: u64 = 1 << 16;
/// A call of SCAN that has found so many bytes of names looks at no further key.
const PAGE_BYTES: usize = 1 << 20;
/// Nor does one that has taken so many steps to compare them with the pattern.
pub(super) const PAGE_STEPS: u64 = 1 << 22;
/// The most steps that one KEYS may take, and all transactions of one entry: about a tenth of a second,
/// well below the time after which followers elect another leader. A step is what it takes to compare a byte with a
/// pattern, some three nanoseconds.
pub(super) const MAX_STEPS: u64 = 1 << 25;
/// To look at one key costs as much as so many steps.
const KEY_STEPS: u64 = 8;
/// So does one element of a reply, which is a copy.
pub(super) const ELEMENT_STEPS: u64 = 24;
/// So does it to draw one of many fields, which is in no cache.
pub(super) const DRAW_STEPS: u64 = 64;
/// And so does it to look for the slot with a certain key, and for that key in the slot.
pub(super) const SLOT_STEPS: u64 = 1 << 15;
/// So many bytes of a large value are copied in one step.
pub(super) const BYTES_PER_STEP: u64 = 16;

/// The answer to a KEYS above any of its limits.
const TOO_MANY_KEYS: Reply = Reply::error_text("ERR KEYS finds too many keys, or takes too long; use SCAN");

/// What SCAN looks for.
pub(super) struct Filter<'a> {
    pub(super) pattern: Option<&'a [u8]>,
    pub(super) type_name: Option<&'a [u8]>,
}

impl Store {
    /// Every key of the form of `pattern`, slot by slot, and in each by their bytes. An error exactly if they, their
    /// bytes or the steps to find them are too many: the order of the table, another one on each replica, decides
    /// only how soon that is seen.
    pub(super) fn keys_like(&self, pattern: &[u8], most_steps: u64, steps: &mut u64) -> Reply {
        let glob = Glob::new(pattern, Case::Sensitive);
        let (mut found, mut bytes, mut taken) = (Vec::new(), 0, KEY_STEPS * self.keys as u64);
        for slot in self.slots.iter().filter(|slot| slot.len() > 0) {
            let first = found.len();
            for Entry { key, .. } in slot.iter().filter(|entry| entry.value.is_live(self.now_ms)) {
                if glob.matches_in(key, &mut taken) {
                    bytes += key.len();
                    found.push(Reply::Bulk(Bytes::copy_from_slice(key)));
                }
                if taken > most_steps || bytes > MAX_REPLY_BYTES || found.len() > MAX_ARGUMENTS {
                    // How many it has taken by now is up to the order.
                    *steps += most_steps;
                    return TOO_MANY_KEYS;
                }
            }
            found[first..]
                .sort_unstable_by(|a, b| a.text().map(|text| text.1).cmp(&b.text().map(|text| text.1)));
        }
        *steps += taken;
        Reply::Array(found)
    }

    /// Where to go on, 0 if this was all; and what was found.
    pub(super) fn scan(&self, cursor: u64, count: u64, filter: &Filter<'_>, steps: &mut u64) -> Reply {
        let mut place = Place::from_cursor(cursor);
        let count = count.min(MAX_COUNT);
        let mut page = Page { left: count, ..Page::default() };
        loop {
            place = place.and_then(|place| self.next_filled(place));
            let Some(at) = place.filter(|_| !page.is_full()) else { break };
            place = self.look_at_slot(at, filter, &mut page);
        }
        *steps += SLOT_STEPS + KEY_STEPS * (count - page.left) + page.steps;
        let cursor = place.map_or(0, Place::cursor);
        let cursor = Bytes::copy_from_slice(itoa::Buffer::new().format(cursor).as_bytes());
        Reply::Array(vec![Reply::Bulk(cursor), Reply::Array(page.found)])
    }

    /// The place itself, or the beginning of the next slot with keys.
    fn next_filled(&self, place: Place) -> Option<Place> {
        if place.rank > 0 {
            return Some(place);
        }
        let slot = (place.slot..SLOT_COUNT).find(|slot| self.slots[*slot].len() > 0)?;
        Some(Place { slot, rank: 0 })
    }

    /// Puts what fits of the slot's keys, from there on, onto the page; returns where to go on.
    fn look_at_slot(&self, at: Place, filter: &Filter<'_>, page: &mut Page) -> Option<Place> {
        let most = usize::try_from(page.left).expect("it is at most the largest COUNT");
        let (ranked, next) = self.slots[at.slot].ranked(at.rank, most);
        let mut last = None;
        for (rank, entry) in ranked {
            // No cursor comes between two keys of the same rank.
            if page.is_full() && last != Some(rank) {
                return Some(Place { slot: at.slot, rank });
            }
            last = Some(rank);
            page.left = page.left.saturating_sub(1);
            if entry.value.is_live(self.now_ms) && page.fits(entry, filter) {
                page.bytes += entry.key.len();
                page.found.push(Reply::Bulk(Bytes::copy_from_slice(&entry.key)));
            }
        }
        match next {
            Some(rank) => Some(Place { slot: at.slot, rank }),
            None => Place::beginning_of(at.slot + 1),
        }
    }
}

/// Where SCAN is.
#[derive(Clone, Copy)]
struct Place {
    slot: usize,
    rank: u64,
}

impl Place {
    /// None if it is behind every key: whoever made that cursor up has come to the end.
    fn from_cursor(cursor: u64) -> Option<Self> {
        let place = Self::beginning_of(usize::try_from(cursor >> RANK_BITS).ok()?)?;
        Some(Self { rank: cursor & ((1 << RANK_BITS) - 1), ..place })
    }

    fn beginning_of(slot: usize) -> Option<Self> {
        (slot < SLOT_COUNT).then_some(Self { slot, rank: 0 })
    }

    fn cursor(self) -> u64 {
        (self.slot as u64) << RANK_BITS | self.rank
    }
}

/// What one call answers.
#[derive(Default)]
struct Page {
    /// How many keys it may still look at.
    left: u64,
    found: Vec<Reply>,
    bytes: usize,
    steps: u64,
}

impl Page {
    fn is_full(&self) -> bool {
        self.left == 0 || self.bytes >= PAGE_BYTES || self.steps >= PAGE_STEPS
    }

    fn fits(&mut self, Entry { key, value }: &Entry, filter: &Filter<'_>) -> bool {
        let is_of_type = |name: &[u8]| value.data.type_name().as_bytes().eq_ignore_ascii_case(name);
        filter.type_name.is_none_or(is_of_type)
            && filter
                .pattern
                .is_none_or(|pattern| Glob::new(pattern, Case::Sensitive).matches_in(key, &mut self.steps))
    }
}

#[cfg(test)]
mod tests;
