//! The clock of an open loop. The runtime's own timers are a millisecond coarse, more than many a request takes, and
//! that would be counted as latency; so a thread of its own sleeps on a timer that is as fine as the system has it.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::sync::{Notify, watch};

use super::load::Phase;
use super::plan::{Schedule, Timing};

/// Starts the thread. It rings for each request when that is due, the bell of the client that makes it, of which
/// there is one for each. It ends with the schedule, or soon after the run was stopped, and nobody waits for it.
pub(super) fn start(
    schedule: Schedule,
    timing: Timing,
    bells: Vec<Arc<Notify>>,
    phase: watch::Receiver<Phase>,
) -> anyhow::Result<()> {
    let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC);
    let timer = timer.context("cannot make a timer")?;
    thread::spawn(move || {
        for (request, bell) in (0..schedule.total).zip(bells.iter().cycle()) {
            let due = timing.origin + schedule.due(request);
            let wait = due.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                sleep(&timer, wait).expect("a timer that was made can be set and read");
                if matches!(*phase.borrow(), Phase::Stopped) {
                    return;
                }
            }
            bell.notify_one();
        }
    });
    Ok(())
}

fn sleep(timer: &OwnedFd, time: Duration) -> anyhow::Result<()> {
    let never = Timespec { tv_sec: 0, tv_nsec: 0 };
    let once = Itimerspec { it_interval: never, it_value: Timespec::try_from(time)? };
    timerfd_settime(timer, TimerfdTimerFlags::empty(), &once)?;
    // Returns when it rings.
    rustix::io::retry_on_intr(|| rustix::io::read(timer, &mut [0; 8]))?;
    Ok(())
}
