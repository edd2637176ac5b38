//! What was measured.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::reply::Reply;
use super::workload::Kind;

/// The longest latency that is told from longer ones, in nanoseconds: an hour.
const LONGEST_NS: u64 = 3_600_000_000_000;

/// So many kinds of errors are told apart; a server might invent more.
const MOST_KINDS: usize = 30;

/// Latencies in nanoseconds, each to three digits.
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("the bounds are in order")
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1)
}

/// The requests that came to an end, of the clients of one thread or of all.
#[derive(Clone)]
pub(super) struct Record {
    pub(super) reads: Histogram<u64>,
    pub(super) writes: Histogram<u64>,
    /// How many of the reads found nothing.
    pub(super) misses: u64,
    pub(super) errors: BTreeMap<Cow<'static, str>, u64>,
    /// When the last request came to an end.
    pub(super) last: Option<Instant>,
    /// The latencies since somebody took them for the live line; none if nobody will.
    pub(super) recent: Option<Histogram<u64>>,
}

impl Record {
    pub(super) fn new(is_live: bool) -> Self {
        Self {
            reads: histogram(),
            writes: histogram(),
            misses: 0,
            errors: BTreeMap::new(),
            last: None,
            recent: is_live.then(histogram),
        }
    }

    /// Counts a reply. An error, or a reply that does not fit the request, is no latency: it may have been quick.
    pub(super) fn reply(&mut self, kind: Kind, reply: Reply, latency: Duration, now: Instant) {
        let histogram = match (kind, reply) {
            (_, Reply::Error(word)) => return self.failed(word, 1, now),
            (Kind::Read, Reply::Value) => &mut self.reads,
            (Kind::Read, Reply::Nothing) => {
                self.misses += 1;
                &mut self.reads
            }
            (Kind::Write, Reply::Status) => &mut self.writes,
            _ => return self.failed(Cow::Borrowed("a reply that does not fit the request"), 1, now),
        };
        let latency_ns = nanos(latency);
        histogram.saturating_record(latency_ns);
        if let Some(recent) = &mut self.recent {
            recent.saturating_record(latency_ns);
        }
        self.last = Some(now);
    }

    /// Counts so many requests that failed in that way.
    pub(super) fn failed(&mut self, kind: Cow<'static, str>, count: u64, now: Instant) {
        if count == 0 {
            return;
        }
        let is_known = self.errors.contains_key(&kind) || self.errors.len() < MOST_KINDS;
        *self.errors.entry(if is_known { kind } else { Cow::Borrowed("other errors") }).or_default() += count;
        self.last = Some(now);
    }

    pub(super) fn add(&mut self, other: &Self) {
        let is_same = "all histograms have the same bounds";
        self.reads.add(&other.reads).expect(is_same);
        self.writes.add(&other.writes).expect(is_same);
        self.misses += other.misses;
        for (kind, count) in &other.errors {
            *self.errors.entry(kind.clone()).or_default() += count;
        }
        self.last = self.last.max(other.last);
    }

    pub(super) fn answered(&self) -> u64 {
        self.reads.len() + self.writes.len()
    }

    pub(super) fn failures(&self) -> u64 {
        self.errors.values().sum()
    }

    /// All that came to an end.
    pub(super) fn requests(&self) -> u64 {
        self.answered() + self.failures()
    }

    /// The latencies of reads and writes.
    pub(super) fn all(&self) -> Histogram<u64> {
        let mut all = self.reads.clone();
        all.add(&self.writes).expect("both have the same bounds");
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_counted_once() {
        let (now, latency) = (Instant::now(), Duration::from_micros(250));
        let mut record = Record::new(true);
        record.reply(Kind::Read, Reply::Value, latency, now);
        record.reply(Kind::Read, Reply::Nothing, latency, now);
        record.reply(Kind::Write, Reply::Status, latency, now);
        record.reply(Kind::Write, Reply::Value, latency, now);
        record.reply(Kind::Read, Reply::Status, latency, now);
        record.reply(Kind::Write, Reply::Error(Cow::Borrowed("LOGFULL")), latency, now);
        record.failed(Cow::Borrowed("connection lost"), 3, now);
        record.failed(Cow::Borrowed("nothing"), 0, now);
        assert_eq!((record.reads.len(), record.writes.len(), record.misses), (2, 1, 1));
        assert_eq!(record.recent.as_ref().map(Histogram::len), Some(3));
        let mut sum = Record::new(false);
        sum.add(&record);
        sum.add(&record);
        assert_eq!((sum.answered(), sum.failures(), sum.requests(), sum.all().len()), (6, 12, 18, 6));
        let errors: Vec<_> = sum.errors.iter().map(|(kind, count)| (kind.as_ref(), *count)).collect();
        assert_eq!(
            errors,
            [("LOGFULL", 2), ("a reply that does not fit the request", 4), ("connection lost", 6)]
        );
    }

    #[test]
    fn a_server_that_invents_errors_does_not_fill_the_memory() {
        let mut record = Record::new(false);
        for kind in 0..1000 {
            record.failed(Cow::Owned(format!("E{kind}")), 1, Instant::now());
        }
        assert_eq!(record.errors.len(), MOST_KINDS + 1);
        assert_eq!(record.failures(), 1000);
    }
}
