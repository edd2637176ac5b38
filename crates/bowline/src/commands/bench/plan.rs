//! What is to be done, and when.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::workload::{Frames, Keys};
use crate::args::BenchArgs;

const NANOS: u128 = 1_000_000_000;

/// How long after the end of an open loop requests are still sent that became due before it: long enough for those
/// that only wait for the answer to the one before, and not for a backlog that a cluster has built up.
const GRACE: Duration = Duration::from_secs(1);

/// What all clients have in common.
pub(super) struct Plan {
    /// Where client `n` connects to: the n-th, and from the beginning again.
    pub(super) nodes: Vec<Node>,
    /// What each connection says first.
    pub(super) password: Option<Vec<u8>>,
    pub(super) clients: usize,
    pub(super) pipeline: usize,
    pub(super) reads_percent: u32,
    pub(super) keys: Keys,
    pub(super) frames: Arc<Frames>,
    pub(super) warm_up: Duration,
    pub(super) span: Span,
    /// An open loop.
    pub(super) schedule: Option<Schedule>,
    /// How many requests of a closed loop are left to be made, if they are counted.
    left: AtomicU64,
}

/// A server.
#[derive(Clone)]
pub(super) struct Node {
    /// As it was given.
    pub(super) name: String,
    pub(super) addr: SocketAddr,
}

/// How long to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Span {
    For(Duration),
    Requests(u64),
}

impl Plan {
    /// What the command line says, at these nodes.
    pub(super) fn new(nodes: Vec<Node>, password: Option<Vec<u8>>, args: &BenchArgs, frames: Frames) -> Self {
        let span = args.requests.map_or(Span::For(args.duration), Span::Requests);
        Self {
            nodes,
            password,
            clients: args.clients as usize,
            pipeline: args.pipeline as usize,
            reads_percent: args.reads,
            keys: Keys::new(args.distribution, args.keys),
            frames: Arc::new(frames),
            warm_up: args.warm_up,
            span,
            schedule: args.rate.map(|rate| Schedule::new(rate, args.warm_up, span)),
            left: AtomicU64::new(args.requests.unwrap_or(0)),
        }
    }

    /// When what begins at `origin` is measured.
    pub(super) fn timing(&self, origin: Instant) -> Timing {
        let start = origin + self.schedule.map_or(self.warm_up, |schedule| schedule.due(schedule.warm_up));
        let end = match self.span {
            Span::For(duration) if self.schedule.is_some() => Some(start + duration + GRACE),
            Span::For(duration) => Some(start + duration),
            Span::Requests(_) => None,
        };
        Timing { origin, start, end }
    }

    /// How many requests a client of a closed loop sends at `now`: none when it is over. Those before the start are
    /// not counted.
    pub(super) fn claim(&self, now: Instant, timing: &Timing) -> usize {
        if timing.end.is_some_and(|end| now >= end) {
            return 0;
        }
        if now < timing.start || timing.end.is_some() {
            return self.pipeline;
        }
        let pipeline = self.pipeline as u64;
        let claim = |left: u64| Some(left.saturating_sub(pipeline));
        let left = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, claim).unwrap_or(0);
        usize::try_from(left.min(pipeline)).expect("no more than the pipeline")
    }
}

/// When what is measured begins and ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// The first request of all is sent then.
    pub(super) origin: Instant,
    /// What is sent or due from here on counts.
    pub(super) start: Instant,
    /// Nothing is sent any more; `None` if requests are counted.
    pub(super) end: Option<Instant>,
}

/// An open loop: when each request is due, of all clients together, numbered from 0. Client `c` of `n` makes
/// the requests c, c + n, c + 2n and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Requests a second.
    rate: u64,
    /// So many come first and do not count.
    pub(super) warm_up: u64,
    /// Those of the warm-up included.
    pub(super) total: u64,
}

impl Schedule {
    fn new(rate: u64, warm_up: Duration, span: Span) -> Self {
        let within = |time: Duration| {
            u64::try_from(time.as_nanos() * u128::from(rate) / NANOS).expect("10^7 a second for a day fit")
        };
        let warm_up = within(warm_up);
        let counted = match span {
            Span::For(duration) => within(duration).max(1),
            Span::Requests(requests) => requests,
        };
        Self { rate, warm_up, total: warm_up.saturating_add(counted) }
    }

    /// How long after the origin that request is due.
    pub(super) fn due(&self, request: u64) -> Duration {
        let nanos = u128::from(request) * NANOS / u128::from(self.rate);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many requests that count have been due when so much time has gone by since the origin.
    pub(super) fn counted_by(&self, elapsed: Duration) -> u64 {
        let due = elapsed.as_nanos() * u128::from(self.rate) / NANOS + 1;
        u64::try_from(due).unwrap_or(u64::MAX).min(self.total).saturating_sub(self.warm_up)
    }

    /// The requests a second.
    pub(super) fn rate(&self) -> u64 {
        self.rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_due_evenly_and_none_is_lost() {
        let schedule = Schedule::new(3, Duration::from_secs(1), Span::For(Duration::from_secs(2)));
        assert_eq!((schedule.warm_up, schedule.total), (3, 9));
        let due: Vec<_> = (0..4).map(|request| schedule.due(request).as_micros()).collect();
        assert_eq!(due, [0, 333_333, 666_666, 1_000_000]);
        assert_eq!(schedule.due(9), Duration::from_secs(3));
    }

    #[test]
    fn a_rate_that_is_slower_than_the_time_still_makes_one_request() {
        let schedule = Schedule::new(1, Duration::ZERO, Span::For(Duration::from_millis(100)));
        assert_eq!((schedule.warm_up, schedule.total), (0, 1));
    }

    #[test]
    fn what_was_due_is_counted_without_the_warm_up() {
        let schedule = Schedule::new(1000, Duration::from_secs(1), Span::Requests(50));
        for (ms, counted) in [(0, 0), (999, 0), (1000, 1), (1010, 11), (1049, 50), (5000, 50)] {
            assert_eq!(schedule.counted_by(Duration::from_millis(ms)), counted, "{ms} ms");
        }
    }
}
