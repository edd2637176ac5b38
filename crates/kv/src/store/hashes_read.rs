//! HRANDFIELD and HSCAN.
//!
//! A small hash is scanned at once, as Redis does it. Of a large one a call looks at as many fields as COUNT says,
//! whether they fit or not, in the order of their places: a cursor is the place to go on with. So a field that is
//! there all along is met exactly once, an iteration ends, and a cursor means the same on every node and after a
//! restart. A call also ends when it has taken [`PAGE_STEPS`] to compare names.
//!
//! Chance is a number that comes with the command, so that each replica comes to the same fields.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::hash::{Field, Hash};
use super::hashes::{bulk, name_of};
use super::scan::{MAX_STEPS, PAGE_STEPS};
use super::too_large;
use crate::command::{ANY, MAX_ARGUMENTS, Sample};
use crate::digest::Digest;
use crate::glob::{Case, Glob};
use crate::reply::{MAX_REPLY_BYTES, Reply};

/// Numbers by chance, one after the other.
struct Draws {
    seed: u64,
    drawn: u64,
}

impl Draws {
    fn new(seed: u64) -> Self {
        Self { seed, drawn: 0 }
    }

    /// One below `limit`, which is not 0.
    fn below(&mut self, limit: usize) -> usize {
        self.drawn += 1;
        let draw = Digest::new(8).word(self.seed).word(self.drawn).finish();
        usize::try_from(draw % limit as u64).expect("it is below a number of fields")
    }

    /// So many different ones below `limit`, each set of them as likely as any other. (Floyd's algorithm F2.)
    fn different(&mut self, count: usize, limit: usize) -> BTreeSet<usize> {
        let mut chosen = BTreeSet::new();
        for last in limit - count..limit {
            let draw = self.below(last + 1);
            if !chosen.insert(draw) {
                chosen.insert(last);
            }
        }
        chosen
    }
}

/// One field.
pub(super) fn one_of(hash: Option<&Hash>, draw: u64) -> Reply {
    let Some(hash) = hash else { return Reply::Nil };
    hash.nth(Draws::new(draw).below(hash.len())).map_or(Reply::Nil, name_of)
}

/// Several.
pub(super) fn some_of(hash: Option<&Hash>, draw: u64, sample: Sample) -> Result<Reply, Reply> {
    let Sample { count, with_values } = sample;
    let mut answer = Answer { replies: Vec::new(), bytes: 0, with_values };
    let mut draws = Draws::new(draw);
    let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
    match hash {
        Some(hash) if count < 0 => {
            if wanted > MAX_ARGUMENTS / (1 + usize::from(with_values)) {
                return Err(Reply::error(format!("ERR reply exceeds maximum of {MAX_ARGUMENTS} elements")));
            }
            let fields: Vec<&Field> = hash.fields().collect();
            for _ in 0..wanted {
                answer.put(fields[draws.below(fields.len())])?;
            }
        }
        Some(hash) if wanted < hash.len() => {
            let chosen = draws.different(wanted, hash.len());
            for (_, field) in hash.fields().enumerate().filter(|(at, _)| chosen.contains(at)) {
                answer.put(field)?;
            }
        }
        Some(hash) => hash.fields().try_for_each(|field| answer.put(field))?,
        None => {}
    }
    Ok(if with_values { Reply::Pairs(answer.replies) } else { Reply::Array(answer.replies) })
}

/// Where to go on, 0 if this was all; and what was found.
pub(super) fn scan(
    hash: Option<&Hash>,
    cursor: u64,
    count: u64,
    pattern: &[u8],
    taken: &mut u64,
) -> Result<Reply, Reply> {
    let glob = Glob::new(pattern, Case::Sensitive);
    let mut answer = Answer { replies: Vec::new(), bytes: 0, with_values: true };
    let (mut left, mut steps, mut next) = (count, 0, 0);
    let fits = |field: &Field, steps: &mut u64| pattern == ANY || glob.matches_in(field.name(), steps);
    if let Some(placed) = hash.and_then(|hash| hash.placed_from(cursor)) {
        let mut last = None;
        for (place, field) in placed {
            // No cursor comes between two fields of the same place.
            if (left == 0 || steps >= PAGE_STEPS) && last != Some(place) {
                next = place;
                break;
            }
            (left, last) = (left.saturating_sub(1), Some(place));
            if fits(field, &mut steps) {
                answer.put(field)?;
            }
        }
    } else {
        for field in hash.into_iter().flat_map(Hash::fields) {
            if steps > MAX_STEPS {
                *taken += steps;
                return Err(Reply::error_text("ERR pattern takes too long for so long fields"));
            }
            if fits(field, &mut steps) {
                answer.put(field)?;
            }
        }
    }
    *taken += steps;
    let cursor = Bytes::copy_from_slice(itoa::Buffer::new().format(next).as_bytes());
    Ok(Reply::Array(vec![Reply::Bulk(cursor), Reply::Array(answer.replies)]))
}

/// Fields that are answered with.
struct Answer {
    replies: Vec<Reply>,
    bytes: usize,
    with_values: bool,
}

impl Answer {
    fn put(&mut self, field: &Field) -> Result<(), Reply> {
        let value = Some(&field.value).filter(|_| self.with_values);
        self.bytes += field.name().len() + value.map_or(0, Bytes::len);
        if self.bytes > MAX_REPLY_BYTES {
            return Err(too_large("reply", MAX_REPLY_BYTES));
        }
        self.replies.push(name_of(field));
        self.replies.extend(value.map(|value| bulk(Some(value))));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
