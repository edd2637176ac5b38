//! Keys that expire, and clocks that are wrong.
//!
//! Less than half of the nodes have a clock that jumps, stands still or runs ten times too fast; so the right time
//! is always that of the median. Each client has a key that it gives a value for some time, for as long as it had
//! still, or for ever. Of that key:
//!
//! - no read shows it gone before its time, by the right clock, but for what the leader's view of it may lag;
//! - no read shows it long after its time;
//! - what was once read as gone is not seen again, unless it was written again.

use std::collections::BTreeSet;

use bowline_kv::Reply;
use rand::RngExt;

use crate::cluster::{Cluster, MS};
use crate::history::{Action, Fate, Operation, number};
use crate::tally::Tally;

/// By how much a key may be seen gone too early, in microseconds: as much as the leader's time was behind when it was
/// given its own. (It may be more when one clock of three is wrong by less than ten seconds and another node is silent
/// besides. Here the wrong ones are wrong by more.)
const EARLY: u64 = 300 * MS;

/// By how much it may be seen too late.
const LATE: u64 = 500 * MS;

/// What a right clock shows at the beginning, in milliseconds.
const BEGINNING_MS: u64 = 1_000_000_000_000;

/// A wall clock.
pub(crate) struct WallClock {
    /// It showed that, in milliseconds, at that time, in microseconds.
    set_to_ms: u64,
    set_at: u64,
    /// How many milliseconds it counts in ten.
    rate: u64,
}

impl WallClock {
    pub(crate) fn right() -> Self {
        Self { set_to_ms: BEGINNING_MS, set_at: 0, rate: 10 }
    }

    pub(crate) fn reads_ms(&self, now: u64) -> u64 {
        self.set_to_ms + (now - self.set_at) / MS * self.rate / 10
    }
}

impl Cluster {
    /// One of those clocks goes wrong, or in another way.
    pub(crate) fn spoil_clock(&mut self) {
        let liars = (self.plan.size - 1) / 2;
        let liar = self.rng.random_range(1..=liars);
        let off_by = self.rng.random_range(-100_000_000..100_000_000);
        let rate = [0, 10, 10, 100][self.rng.random_range(0..4)];
        let now = self.now;
        let clock = &mut self.member(liar).clock;
        let set_to_ms = (BEGINNING_MS + now / MS).saturating_add_signed(off_by);
        *clock = WallClock { set_to_ms, set_at: now, rate };
        self.tally.clocks_spoiled += 1;
        self.tell(|| format!("the clock of node {liar} is off by {off_by} ms and counts {rate} for 10"));
    }
}

/// The last write that is sure to have been there.
struct Write {
    n: u64,
    /// When its key got its time. None: it has none.
    time: Option<Lasting>,
    /// Whether another value had that time before.
    is_kept: bool,
}

/// How long a key is there.
struct Lasting {
    lasts: u64,
    submitted: u64,
    answered: u64,
}

impl Lasting {
    /// Whether it is sure to be there for all of a command, or not to be there for all of it; none if it is not sure.
    fn is_there(&self, submitted: u64, answered: u64) -> Option<bool> {
        let is_over = submitted > self.answered + self.lasts + LATE;
        (is_over || answered + EARLY < self.submitted + self.lasts).then_some(!is_over)
    }
}

/// What a connection has seen of its own key.
#[derive(Default)]
struct Key {
    /// None if it is not sure which it was.
    last: Option<Write>,
    /// Values behind it that may have been there.
    possible: BTreeSet<u64>,
}

/// What a connection saw of its own key that expires.
pub(crate) fn check_timed(operations: &[Operation], log_may_fill: bool, tally: &mut Tally) {
    let mut key = Key::default();
    for operation in operations {
        let (submitted, answered) = (operation.submitted, operation.answered.unwrap_or(u64::MAX));
        match (&operation.action, operation.fate()) {
            (Action::SetFor(n, ms), Fate::Done) => {
                key.write(*n, Some(Lasting { lasts: ms * MS, submitted, answered }));
            }
            (Action::SetLasting(n), Fate::Done) => key.write(*n, None),
            (Action::SetKeeping(n), Fate::Done) => key.write_keeping(*n, submitted, answered, log_may_fill),
            (Action::SetFor(n, _) | Action::SetKeeping(n) | Action::SetLasting(n), Fate::Uncertain) => {
                key.possible.insert(*n);
            }
            (Action::GetTimed, Fate::Done) => {
                let reply = operation.reply.as_ref().expect("it is done");
                key.read(reply, submitted, answered, log_may_fill, tally);
            }
            _ => {}
        }
    }
}

impl Key {
    fn write(&mut self, n: u64, time: Option<Lasting>) {
        self.last = Some(Write { n, time, is_kept: false });
        self.possible.clear();
    }

    /// A key that is there keeps its time, and one whose time is over gets none.
    fn write_keeping(&mut self, n: u64, submitted: u64, answered: u64, log_may_fill: bool) {
        let last = self.last.take().filter(|_| self.possible.is_empty());
        self.possible.clear();
        self.last = last.and_then(|Write { time, .. }| {
            let Some(time) = time else { return Some(Write { n, time: None, is_kept: false }) };
            match time.is_there(submitted, answered) {
                Some(true) => Some(Write { n, time: Some(time), is_kept: true }),
                // The time of a full log stands still.
                Some(false) if !log_may_fill => Some(Write { n, time: None, is_kept: false }),
                _ => None,
            }
        });
        if self.last.is_none() {
            self.possible.insert(n);
        }
    }

    fn read(&mut self, reply: &Reply, submitted: u64, answered: u64, log_may_fill: bool, tally: &mut Tally) {
        if *reply == Reply::Nil {
            if let Some(Write { n, time, is_kept }) = self.last.take().filter(|_| self.possible.is_empty()) {
                let Some(time) = time else { panic!("{n} is gone, and should be there for ever") };
                let ends = time.submitted + time.lasts;
                assert!(answered + EARLY >= ends, "{n} is gone {} us too early", ends - answered);
                tally.seen_gone += 1;
                tally.seen_gone_in_its_place += u64::from(is_kept);
            }
            return;
        }
        let shown = number(reply);
        if let Some(write) = self.last.as_ref().filter(|write| write.n == shown) {
            match &write.time {
                Some(time) => {
                    let ends = time.answered + time.lasts;
                    // The time of a full log stands still.
                    let is_in_time = log_may_fill || submitted <= ends + LATE;
                    assert!(is_in_time, "{shown} is seen {} us too late", submitted - ends);
                    tally.seen_in_time += 1;
                }
                None => tally.seen_lasting += 1,
            }
            return;
        }
        assert!(
            self.possible.contains(&shown),
            "{shown} is seen again, or was never written; possible is {:?}",
            self.possible
        );
        self.possible = self.possible.split_off(&shown);
        self.last = None;
    }
}
