//! How long things took: a histogram of fixed size, to which a value is added in a few instructions.
//!
//! Each power of two is divided into sixteen equal parts, so what is read from it is at most a sixteenth too large.

/// log2 of the parts of a power of two.
const PART_BITS: u32 = 4;
const PARTS: usize = 1 << PART_BITS;

/// Longer times count as this one, in microseconds: 18 minutes.
const MOST_US: u64 = (1 << 30) - 1;

/// The place of [`MOST_US`], and one.
const PLACES: usize = (30 - PART_BITS as usize + 1) * PARTS;

/// Times in microseconds.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Box<[u64; PLACES]>,
    total: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: Box::new([0; PLACES]), total: 0 }
    }
}

impl Histogram {
    pub(super) fn add(&mut self, us: u64) {
        self.counts[place(us.min(MOST_US))] += 1;
        self.total += 1;
    }

    /// The longest of that share of the times that is the shortest. `share` is in thousandths.
    pub(super) fn quantile(&self, share: u64) -> u64 {
        let wanted = (self.total * share).div_ceil(1000).max(1);
        let mut seen = 0;
        for (place, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return last_of(place);
            }
        }
        0
    }

    /// Powers of two, and how many of the times were shorter; only those at which there are more than at the one
    /// before.
    pub(super) fn powers(&self) -> Vec<(u64, u64)> {
        let mut powers = Vec::new();
        let (mut place_now, mut seen) = (0, 0);
        for power in 0..=30 {
            let end = if power == 30 { PLACES } else { place(1 << power) };
            let more: u64 = self.counts[place_now..end].iter().sum();
            place_now = end;
            seen += more;
            if more > 0 {
                powers.push((1 << power, seen));
            }
        }
        powers
    }
}

/// Where a time is counted.
fn place(us: u64) -> usize {
    let narrow = |place: u64| usize::try_from(place).expect("a place is below a thousand");
    if us < PARTS as u64 {
        return narrow(us);
    }
    let power = us.ilog2();
    let part = us >> (power - PART_BITS) & (PARTS as u64 - 1);
    narrow(u64::from(power - PART_BITS + 1) << PART_BITS | part)
}

/// The longest time that is counted there.
fn last_of(place: usize) -> u64 {
    if place < PARTS {
        return place as u64;
    }
    let shift = (place >> PART_BITS) - 1;
    let part = (place & (PARTS - 1)) as u64;
    ((PARTS as u64 + part + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_has_a_place_that_is_hardly_longer() {
        let mut last = 0;
        for us in (0..5000).chain((0..30).flat_map(|power| [(1 << power) - 1, 1 << power])).chain([MOST_US]) {
            let end = last_of(place(us));
            assert!(end >= us && end - us <= us / 16, "{us} is counted as {end}");
            assert!(us == 0 || place(us) >= place(us - 1));
            last = last.max(place(us));
        }
        assert_eq!(last, PLACES - 1);
    }

    #[test]
    fn quantiles_are_those_of_the_times() {
        let mut histogram = Histogram::default();
        assert_eq!((histogram.quantile(500), histogram.powers()), (0, vec![]));
        (1..=1000).for_each(|us| histogram.add(us));
        for (share, exact) in [(500, 500), (990, 990), (999, 999), (1000, 1000), (0, 1)] {
            let got = histogram.quantile(share);
            assert!(got >= exact && got - exact <= exact / 16, "{share}: {got}");
        }
        let powers = histogram.powers();
        assert_eq!(powers[..3], [(2, 1), (4, 3), (8, 7)]);
        assert_eq!(powers.last(), Some(&(1024, 1000)));
        histogram.add(u64::MAX);
        assert_eq!(histogram.powers().last(), Some(&(1 << 30, 1001)));
    }
}
