//! Keys that expire, and clocks that are wrong.
//!
//! Less than half of the nodes have a clock that jumps, stands still or runs ten times too fast; so the right time
//! is always that of the median. Each client has a key that it gives a value for some time. Of that key:
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

/// By how much a key may be seen gone too early, in microseconds. That happens when one clock is wrong and another
/// node is silent besides: between two clocks the log's own time decides, and behind a restart that lags by as long
/// as nothing was applied.
const EARLY: u64 = 2500 * MS;

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
    lasts: u64,
    submitted: u64,
    answered: u64,
}

/// What a connection saw of its own key that expires.
pub(crate) fn check_timed(operations: &[Operation], log_may_fill: bool, tally: &mut Tally) {
    let mut last: Option<Write> = None;
    let mut possible: BTreeSet<u64> = BTreeSet::new();
    for operation in operations {
        let submitted = operation.submitted;
        match (&operation.action, operation.fate()) {
            (Action::SetFor(n, ms), Fate::Done) => {
                let answered = operation.answered.expect("it is done");
                last = Some(Write { n: *n, lasts: ms * MS, submitted, answered });
                possible.clear();
            }
            (Action::SetFor(n, _), Fate::Uncertain) => {
                possible.insert(*n);
            }
            (Action::GetTimed, Fate::Done) => {
                let answered = operation.answered.expect("it is done");
                let reply = operation.reply.as_ref().expect("it is done");
                check_read(reply, (submitted, answered), log_may_fill, &mut last, &mut possible, tally);
            }
            _ => {}
        }
    }
}

fn check_read(
    reply: &Reply,
    (submitted, answered): (u64, u64),
    log_may_fill: bool,
    last: &mut Option<Write>,
    possible: &mut BTreeSet<u64>,
    tally: &mut Tally,
) {
    if *reply == Reply::Nil {
        if let Some(write) = last.take_if(|_| possible.is_empty()) {
            let ends = write.submitted + write.lasts;
            assert!(answered + EARLY >= ends, "{} is gone {} us too early", write.n, ends - answered);
            tally.seen_gone += 1;
        }
        *last = None;
        return;
    }
    let shown = number(reply);
    if let Some(write) = last.as_ref().filter(|write| write.n == shown) {
        let ends = write.answered + write.lasts;
        // The time of a full log stands still.
        assert!(log_may_fill || submitted <= ends + LATE, "{shown} is seen {} us too late", submitted - ends);
        tally.seen_in_time += 1;
        return;
    }
    assert!(
        possible.contains(&shown),
        "{shown} is seen again, or was never written; possible is {possible:?}"
    );
    *possible = possible.split_off(&shown);
    *last = None;
}
