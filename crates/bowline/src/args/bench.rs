//! What can be written behind `bowline bench`.

use std::path::PathBuf;
use std::time::Duration;

use bowline_client::MAX_VALUE_BYTES;
use clap::{Args, ValueEnum};

use super::{PasswordArgs, address, size};

const EXAMPLES: &str = "\
Examples:
  bowline bench                                   the cluster of `bowline dev`, 50 clients, 10 s
  bowline bench --reads 0 --clients 200 --leader  writes alone, all at the leader
  bowline bench --rate 5000 --duration 1min       as fast as this and no faster: how long does a request take?
  bowline bench --requests 1000000 --pipeline 16 --json
  bowline bench --probe --data /var/lib/bowline --nodes 10.0.0.2:7379,10.0.0.3:7379

Exit codes: 0 measured, or good enough; 1 not one request was answered, nobody there, or not good enough;
2 wrong usage.";

/// Measure a cluster under load, or whether a disk and a network are good enough for one
///
/// A closed loop by default: each client sends its next requests when the last ones were answered, so this
/// shows how much the cluster can do. With --rate an open loop: requests are due at fixed times whatever the
/// cluster does, and each one's latency counts from the time at which it was due, so a pause of the cluster shows
/// as long as it was. This writes keys key:000000000000 and up: do not aim it at data that you need. Ctrl-C
/// ends it early and prints what was measured so far. Any server that speaks the Redis protocol can be measured.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BenchArgs {
    /// The nodes, HOST:PORT[,HOST:PORT...]: the clients are spread over them evenly [default: those of `bowline dev`]
    #[arg(long, alias = "at", value_name = "HOST:PORT,...", value_delimiter = ',', value_parser = address)]
    pub(crate) nodes: Vec<String>,
    /// Connect every client to the one of --nodes that leads now, instead of spreading them
    #[arg(long, conflicts_with = "probe")]
    pub(crate) leader: bool,
    /// How many clients, each with a connection of its own
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    #[arg(conflicts_with = "probe")]
    pub(crate) clients: u32,
    /// How many requests a client has under way: a closed loop sends so many at once and waits for all answers;
    /// an open loop lets a request wait while so many are unanswered
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    #[arg(conflicts_with = "probe")]
    pub(crate) pipeline: u32,
    /// Open loop: so many requests a second, of all clients together [default: closed loop]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    #[arg(conflicts_with = "probe")]
    pub(crate) rate: Option<u64>,
    /// How many of a hundred requests read (GET); the others write (SET)
    #[arg(long, value_name = "PERCENT", default_value_t = 50, value_parser = clap::value_parser!(u32).range(..=100))]
    #[arg(conflicts_with = "probe")]
    pub(crate) reads: u32,
    /// How long the values are that are written, in bytes or as in 4KiB
    #[arg(long, value_name = "SIZE", default_value = "64", value_parser = value_size, conflicts_with = "probe")]
    pub(crate) size: usize,
    /// How many different keys
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000), conflicts_with = "probe")]
    pub(crate) keys: u64,
    /// Which keys are taken: all alike, or few of them mostly (the k-th most frequent 1/k^0.99 times as often as
    /// the first, as in YCSB)
    #[arg(long, value_enum, value_name = "KIND", default_value_t = Distribution::Uniform)]
    #[arg(conflicts_with = "probe")]
    pub(crate) distribution: Distribution,
    /// How long to measure, as in 500ms, 10s or 2min
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    #[arg(conflicts_with_all = ["requests", "probe"])]
    pub(crate) duration: Duration,
    /// How many requests to measure, instead of a time
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), conflicts_with = "probe")]
    pub(crate) requests: Option<u64>,
    /// How long requests are sent before those that count; 0s for not at all
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = pause, conflicts_with = "probe")]
    pub(crate) warm_up: Duration,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub(crate) json: bool,
    /// Instead of load: is the disk of --data, and is the network to --nodes, good enough for a cluster?
    #[arg(long)]
    pub(crate) probe: bool,
    /// The directory whose disk is probed; 8 MiB are written there, and removed
    #[arg(long, value_name = "DIR", requires = "probe")]
    pub(crate) data: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) password: PasswordArgs,
}

/// How often which key is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Distribution {
    /// Every key as often as any other
    Uniform,
    /// Few keys mostly
    Zipfian,
}

impl Distribution {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipfian => "zipfian",
        }
    }
}

/// The length of a value, 0 included.
fn value_size(text: &str) -> Result<usize, String> {
    let bytes = if text == "0" { 0 } else { size(text)? };
    let bytes = usize::try_from(bytes).ok().filter(|bytes| *bytes <= MAX_VALUE_BYTES);
    bytes.ok_or_else(|| format!("too long: a value may have {}MiB", MAX_VALUE_BYTES >> 20))
}

/// A length of time that is not nothing.
fn duration(text: &str) -> Result<Duration, String> {
    pause(text).and_then(|time| if time.is_zero() { Err("no time at all".to_owned()) } else { Ok(time) })
}

/// A length of time, at most a day.
fn pause(text: &str) -> Result<Duration, String> {
    let usage = "not a time: write a number with ms, s, min or h, such as 500ms, 10s or 2min";
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit_ms: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1000,
        "min" => 60_000,
        "h" => 3_600_000,
        _ => return Err(usage.to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| usage)?;
    let longest = Duration::from_hours(24);
    let time = number.checked_mul(unit_ms).map(Duration::from_millis).filter(|time| *time <= longest);
    time.ok_or_else(|| "too long: a day is the most".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_with_a_unit() {
        for (text, ms) in [("500ms", 500), ("10s", 10_000), ("2min", 120_000), ("1 h", 3_600_000)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)));
        }
        assert_eq!(pause("0s"), Ok(Duration::ZERO));
        for wrong in ["", "0s", "10", "s", "1.5s", "-1s", "10m", "25h", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn values_may_be_empty_and_not_longer_than_a_server_takes() {
        assert_eq!(value_size("0"), Ok(0));
        assert_eq!(value_size("16MiB"), Ok(16 << 20));
        for wrong in ["16777217", "1GiB", "-1", "x"] {
            assert!(value_size(wrong).is_err(), "{wrong}");
        }
    }
}
