//! How long a group that could have a leader is without one.
//!
//! The seeds ask for a new leader within five seconds of the old one's failure, as long as a majority can
//! communicate. On a network that loses messages nothing can be promised: there the times are collected.

use std::time::Duration;

use crate::config::Lab;

/// The seeds' limit on a reliable network.
const LONGEST: Duration = Duration::from_secs(5);

/// How often it is looked.
const PERIOD: Duration = Duration::from_millis(10);

/// What was seen.
#[derive(Debug, Default)]
pub(crate) struct Monitor {
    /// Since when a connected majority has no leader.
    since: Option<Duration>,
    /// How long it took, each time.
    times: Vec<Duration>,
}

impl Monitor {
    /// What was waited for on the other kind of network says nothing of this one.
    pub(crate) fn network_changed(&mut self) {
        self.since = None;
    }

    /// How long it took until there was a leader, each time that there was none.
    pub(crate) fn times(&self) -> &[Duration] {
        &self.times
    }
}

/// Looks until the run is over.
pub(crate) async fn look(lab: Lab) {
    loop {
        lab.sleep(PERIOD).await;
        let up: Vec<_> =
            (0..lab.n()).filter(|i| lab.is_connected(*i)).filter_map(|i| lab.state_now(i)).collect();
        let now = lab.now();
        let mut monitor = lab.monitor().borrow_mut();
        if up.len() <= lab.n() / 2 {
            monitor.since = None;
        } else if up.iter().any(|(_, leads)| *leads) {
            if let Some(since) = monitor.since.take() {
                monitor.times.push(now - since);
            }
        } else {
            let since = *monitor.since.get_or_insert(now);
            if lab.is_reliable() && now - since > LONGEST {
                lab.fail_now(format!("no leader for {LONGEST:?}, while a majority is connected"));
            }
        }
    }
}
