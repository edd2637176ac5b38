//! What is asked: reads or writes, of which keys.

use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::args::Distribution;

/// A key is `key:` and so many digits, as redis-benchmark writes it.
const DIGITS: usize = 12;

/// The exponent of the zipfian distribution: that of YCSB.
const EXPONENT: f64 = 0.99;

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// Requests as they are sent, with zeros for the number of the key.
pub(super) struct Frames {
    read: Vec<u8>,
    write: Vec<u8>,
    /// Where the digits stand in both.
    digits_at: usize,
}

impl Frames {
    /// For values of that length.
    pub(super) fn new(value_bytes: usize) -> Self {
        let head = |count: u32, name: &str| format!("*{count}\r\n$3\r\n{name}\r\n$16\r\nkey:");
        let digits_at = head(2, "GET").len();
        let zeros = "0".repeat(DIGITS);
        let read = format!("{}{zeros}\r\n", head(2, "GET")).into_bytes();
        let mut write = format!("{}{zeros}\r\n${value_bytes}\r\n", head(3, "SET")).into_bytes();
        let mut rng = StdRng::seed_from_u64(0);
        write.extend((0..value_bytes).map(|_| rng.random_range(b'a'..=b'z')));
        write.extend_from_slice(b"\r\n");
        Self { read, write, digits_at }
    }

    /// How long the longest is.
    pub(super) fn longest(&self) -> usize {
        self.read.len().max(self.write.len())
    }

    fn append(&self, kind: Kind, key: u64, out: &mut Vec<u8>) {
        let frame = match kind {
            Kind::Read => &self.read,
            Kind::Write => &self.write,
        };
        let digits_at = out.len() + self.digits_at;
        out.extend_from_slice(frame);
        let mut rest = key;
        for digit in out[digits_at..digits_at + DIGITS].iter_mut().rev() {
            *digit = b'0' + u8::try_from(rest % 10).expect("a digit");
            rest /= 10;
        }
    }
}

/// The requests of one client, from a seed of its own.
pub(super) struct Workload {
    rng: StdRng,
    reads_percent: u32,
    keys: Keys,
    frames: Arc<Frames>,
}

impl Workload {
    pub(super) fn new(seed: u64, reads_percent: u32, keys: Keys, frames: Arc<Frames>) -> Self {
        Self { rng: StdRng::seed_from_u64(seed), reads_percent, keys, frames }
    }

    /// Appends the next request to `out`.
    pub(super) fn append(&mut self, out: &mut Vec<u8>) -> Kind {
        let is_read = self.rng.random_range(0..100) < self.reads_percent;
        let kind = if is_read { Kind::Read } else { Kind::Write };
        let key = self.keys.draw(&mut self.rng);
        self.frames.append(kind, key, out);
        kind
    }
}

/// Which keys are taken, of those from 0 up to a number.
#[derive(Clone, Copy)]
pub(super) enum Keys {
    Uniform(u64),
    Zipfian(Zipf),
}

impl Keys {
    pub(super) fn new(distribution: Distribution, count: u64) -> Self {
        match distribution {
            Distribution::Uniform => Self::Uniform(count),
            Distribution::Zipfian => Self::Zipfian(Zipf::new(count)),
        }
    }

    fn draw(&self, rng: &mut StdRng) -> u64 {
        match self {
            Self::Uniform(count) => rng.random_range(0..*count),
            Self::Zipfian(zipf) => zipf.draw(rng),
        }
    }
}

/// The zipfian distribution over 0..count: `k` comes (k + 1)^-0.99 times as often as 0.
///
/// By rejection-inversion (Hoermann and Derflinger, 1996): draws from the continuous density x^-0.99, rounds, and
/// rejects what the rounding has favoured. No table, so any number of keys costs the same.
#[derive(Clone, Copy)]
pub(super) struct Zipf {
    count: f64,
    /// The integral at both ends of what is drawn.
    low: f64,
    high: f64,
    /// Up to so far below the rounded value nothing needs to be rejected.
    sure: f64,
}

impl Zipf {
    fn new(count: u64) -> Self {
        Self {
            count: count as f64,
            low: integral(1.5) - 1.0,
            high: integral(count as f64 + 0.5),
            sure: 2.0 - inverse(integral(2.5) - density(2.0)),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "between 1 and the count")]
    fn draw(&self, rng: &mut StdRng) -> u64 {
        loop {
            let u = self.high + rng.random::<f64>() * (self.low - self.high);
            let x = inverse(u);
            let k = x.round().clamp(1.0, self.count);
            if k - x <= self.sure || u >= integral(k + 0.5) - density(k) {
                return k as u64 - 1;
            }
        }
    }
}

fn density(x: f64) -> f64 {
    x.powf(-EXPONENT)
}

/// The integral of the density, from 1.
fn integral(x: f64) -> f64 {
    (x.powf(1.0 - EXPONENT) - 1.0) / (1.0 - EXPONENT)
}

fn inverse(y: f64) -> f64 {
    (1.0 + y * (1.0 - EXPONENT)).powf(1.0 / (1.0 - EXPONENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_whole_commands() {
        let frames = Frames::new(5);
        let mut out = Vec::new();
        frames.append(Kind::Read, 42, &mut out);
        assert_eq!(out, b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000042\r\n");
        out.clear();
        frames.append(Kind::Write, 999_999_999_999, &mut out);
        let value = out.strip_prefix(b"*3\r\n$3\r\nSET\r\n$16\r\nkey:999999999999\r\n$5\r\n").expect("a SET");
        assert_eq!(value.len(), 7);
        assert!(value[..5].iter().all(u8::is_ascii_lowercase) && value.ends_with(b"\r\n"));
        assert_eq!(frames.longest(), out.len());
    }

    #[test]
    fn as_many_of_a_hundred_read_as_was_said() {
        for (percent, expected) in [(0, 0..=0), (100, 10_000..=10_000), (30, 2_800..=3_200)] {
            let mut workload = Workload::new(7, percent, Keys::Uniform(10), Arc::new(Frames::new(0)));
            let mut out = Vec::new();
            let reads = (0..10_000).filter(|_| workload.append(&mut out) == Kind::Read).count();
            assert!(expected.contains(&reads), "{reads} reads at {percent} %");
        }
    }

    /// How often each of `count` keys comes in so many draws.
    fn drawn(keys: &Keys, count: usize, draws: usize) -> Vec<usize> {
        let mut rng = StdRng::seed_from_u64(1);
        let mut times = vec![0; count];
        for _ in 0..draws {
            times[usize::try_from(keys.draw(&mut rng)).expect("a key of few")] += 1;
        }
        times
    }

    #[test]
    fn keys_come_as_often_as_their_distribution_says() {
        const DRAWS: usize = 1_000_000;
        for count in [1, 2, 3, 10, 1000] {
            let weights: Vec<f64> = (1..=count).map(|k| (k as f64).powf(-0.99)).collect();
            let all: f64 = weights.iter().sum();
            let zipfian = weights.iter().map(|weight| weight / all).collect();
            let uniform = vec![1.0 / count as f64; count];
            for (distribution, shares) in [(Distribution::Zipfian, zipfian), (Distribution::Uniform, uniform)]
            {
                let times = drawn(&Keys::new(distribution, count as u64), count, DRAWS);
                for (key, share) in shares.into_iter().enumerate() {
                    let expected = DRAWS as f64 * share;
                    // Six standard deviations.
                    let margin = 6.0 * (expected * (1.0 - share)).sqrt();
                    let off = (times[key] as f64 - expected).abs();
                    assert!(
                        off <= margin,
                        "{distribution:?}: {key} of {count}: {} instead of {expected}",
                        times[key]
                    );
                }
            }
        }
    }

    #[test]
    fn the_most_keys_there_may_be_are_all_in_range() {
        let count = 1_000_000_000_000;
        let mut rng = StdRng::seed_from_u64(1);
        for distribution in [Distribution::Uniform, Distribution::Zipfian] {
            let keys = Keys::new(distribution, count);
            let largest = (0..100_000).map(|_| keys.draw(&mut rng)).max().expect("draws");
            assert!(largest < count && largest > count / 2, "{distribution:?}: {largest}");
        }
    }
}
