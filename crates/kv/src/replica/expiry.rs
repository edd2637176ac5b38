//! The log's time goes on, though nobody writes.
//!
//! Keys, and the sessions that clients have opened, end by the stamps in the log. While commands go into it that is
//! all there is to it. In a cluster that only reads, or does nothing, the leader proposes an entry that carries
//! only the time, when by its clocks the time of a key or of a session is over: at most every [`PACE`] for what
//! nobody asks for; at once for a read that meets such a key, which waits for it; and at once when one entry has
//! not taken out all. So what a read shows is always what the log says: a key that was once read as gone is gone
//! on every replica, whoever leads next.

use std::time::Duration;

use super::Replica;
use crate::command::Command;
use crate::forward::{Outcome, Path};

/// A pass that has taken so many steps for its reads answers no further one: some twenty-five milliseconds. The leader
/// must get round to its heartbeats.
const READ_STEPS_PER_PASS: u64 = 1 << 23;

/// How often keys and sessions that nobody asks for are taken out of an idle cluster.
const PACE: Duration = Duration::from_millis(100);

impl Replica {
    /// Whether this node, which leads, should propose an entry with this time for its time alone.
    pub(super) fn wants_time(&self, stamp_ms: u64) -> bool {
        let ends = [self.store.next_expiry_ms(), self.sessions.earliest_expiry_ms()];
        let next_ms = ends.into_iter().flatten().min();
        let Some(next_ms) = next_ms.filter(|at| *at <= stamp_ms) else { return false };
        let is_left_over = next_ms <= self.applied_stamp_ms;
        let is_paced = self.now.saturating_sub(self.time_proposed) >= PACE;
        // What is on its way has a time too.
        let is_idle = self.serving.last_proposed() <= self.applied.index;
        let is_urgent = is_left_over || self.serving.has_servable();
        is_idle && (is_paced || (is_urgent && !self.serving.log_is_full()))
    }

    /// Whether it should do so at once.
    pub(super) fn time_is_wanted(&self) -> bool {
        self.serving.leads() && self.stamp_ms().is_some_and(|stamp_ms| self.wants_time(stamp_ms))
    }

    /// Answers the reads for which the state is new enough, in their order, up to the first that meets a key whose
    /// time is over by the clock and not by the log. When the log is full its time stands still, and reads go on.
    /// A leader that does not know the time yet, one that is new, answers none. Says whether some are left only
    /// because they would take long.
    pub(super) fn serve_reads(&mut self) -> bool {
        let Some(now_ms) = self.stamp_ms() else { return false };
        self.serving.grant_up_to(self.node.last_applied(), now_ms);
        let mut steps = 0;
        while let Some((clock_ms, read)) = self.serving.first_servable() {
            if steps >= READ_STEPS_PER_PASS {
                return true;
            }
            let command = Command::decode(&read.command).expect("a command was checked before it was taken");
            if !self.serving.log_is_full() && self.store.is_behind(&command, clock_ms) {
                break;
            }
            let reply = self.look_up(&command, now_ms, &mut steps);
            let (origin, number) = (read.origin, read.number);
            self.serving.served();
            self.answer(origin, Path::Read, number, Outcome::Done(reply));
        }
        false
    }
}
