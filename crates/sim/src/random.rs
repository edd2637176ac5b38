//! Streams of randomness, one for each purpose, all from one seed.
//!
//! Whoever draws has a stream of its own. So one more draw by the network changes nothing of what the
//! nemesis does, and a run stays the same run while one part of the world is changed.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The seed of the stream for `purpose`; `number` tells streams of one purpose apart.
pub fn derive(seed: u64, purpose: &str, number: u64) -> u64 {
    let letters = purpose.bytes().map(u64::from);
    letters.chain([number]).fold(seed, |state, word| scramble(state ^ word))
}

/// The stream for `purpose`.
pub fn stream(seed: u64, purpose: &str, number: u64) -> StdRng {
    StdRng::seed_from_u64(derive(seed, purpose, number))
}

/// A time from zero up to `limit`, to the microsecond.
pub fn up_to(random: &mut StdRng, limit: Duration) -> Duration {
    Duration::from_micros(random.random_range(0..=micros(limit)))
}

/// One of `choices`, each as likely as its weight.
///
/// # Panics
///
/// If all weights are zero.
pub fn weighted<T: Copy>(random: &mut StdRng, choices: &[(u32, T)]) -> T {
    let total = choices.iter().map(|(weight, _)| weight).sum();
    let mut left = random.random_range(0..total);
    for (weight, choice) in choices {
        if left < *weight {
            return *choice;
        }
        left -= weight;
    }
    unreachable!("{left} is below the sum of the weights")
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).expect("a virtual time fits")
}

/// Spreads every bit over all of them: the finalizer of splitmix64 (Steele, Lea, Flood 2014).
fn scramble(word: u64) -> u64 {
    let word = word.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
