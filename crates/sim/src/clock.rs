//! The clocks of simulated servers: where they begin, how they go wrong, and what they take for the time of day.

use std::time::Duration;

use bowline_kv::Time;
use rand::RngExt;

use crate::random::{stream, up_to};

/// How far a clock goes wrong at most: millionths of the time that passes.
const WORST_RATE_PPM: i64 = 10_000;

/// How far a clock's time of day is off at most.
const WORST_DAYTIME: Duration = Duration::from_secs(10);

/// When every virtual world begins, in milliseconds since 1970.
const BEGINNING_MS: u64 = 1_700_000_000_000;

/// What a server takes for the time of day, when a script says so.
#[derive(Clone, Copy, Debug)]
pub struct Daytime {
    since: Duration,
    shows_ms: u64,
    percent: u64,
}

impl Daytime {
    /// From the virtual time `since` on it is off by `off_by_ms` milliseconds, and counts `percent` in the time in which a
    /// right one counts 100.
    pub fn off_by(since: Duration, off_by_ms: i64, percent: u64) -> Self {
        let right_ms = BEGINNING_MS + millis(since);
        Self { since, shows_ms: right_ms.saturating_add_signed(off_by_ms), percent }
    }

    /// The right one, always.
    pub fn right() -> Self {
        Self::off_by(Duration::ZERO, 0, 100)
    }

    fn reads_ms(self, now: Duration) -> u64 {
        self.shows_ms + millis(now.saturating_sub(self.since)) * self.percent / 100
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).expect("a virtual time fits")
}

/// A clock that began somewhere and goes a little wrong.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    offset: Duration,
    rate_ppm: i64,
    daytime_offset: Duration,
    daytime: Option<Daytime>,
}

impl Clock {
    /// The clock of that server: the same one in all its lives.
    pub(crate) fn of(seed: u64, me: usize) -> Self {
        let mut random = stream(seed, "clock", me as u64);
        Self {
            offset: up_to(&mut random, Duration::from_secs(3600)),
            rate_ppm: random.random_range(-WORST_RATE_PPM..=WORST_RATE_PPM),
            daytime_offset: up_to(&mut random, WORST_DAYTIME),
            daytime: None,
        }
    }

    /// The same clock, which takes this for the time of day.
    pub(crate) fn with(self, daytime: Daytime) -> Self {
        Self { daytime: Some(daytime), ..self }
    }

    pub(crate) fn at(self, now: Duration) -> Time {
        let passed = i64::try_from(now.as_micros()).expect("a virtual time fits");
        let shown = passed + passed * self.rate_ppm / 1_000_000;
        let shown = Duration::from_micros(u64::try_from(shown).expect("a rate is near 1"));
        let own_ms = BEGINNING_MS + millis(self.daytime_offset + shown);
        let unix_ms = self.daytime.map_or(own_ms, |daytime| daytime.reads_ms(now));
        Time { monotonic: self.offset + shown, unix_ms }
    }
}
