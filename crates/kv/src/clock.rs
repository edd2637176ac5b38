//! The time that a leader puts into the log: the median of its members' clocks.
//!
//! Keys expire by the stamps of the entries, so what a leader takes for the time decides for all. Were it the
//! leader's own clock, one clock that is wrong would be enough, and a change of leader could be a jump of hours.
//! So every member tells its wall clock with each answer to an AppendEntries
//! ([`AppendReply::clock_ms`](bowline_raft::AppendReply::clock_ms)), and the leader takes the median, its own
//! among them: a wrong clock, the leader's too, is out-voted by the right ones.
//!
//! - A reading ages by the leader's monotonic clock: what is kept of a member is by how much its clock is ahead
//!   of that one. A member that falls silent goes on with the last that was known of it.
//! - An answer takes its time to arrive, and meanwhile its reading becomes too small. Of the readings of the last
//!   one or two seconds the one that shows the latest time is therefore the truest.
//! - A new leader waits for answers of a majority, its own included, before it stamps anything: one round trip.
//! - Where an even number of clocks is known, as when one of three members is down, there are two in the middle.
//!   The log has a say then: the last stamp, aged, as far as it lies between them. So when there are two clocks and
//!   one of them is wrong, the one goes on being used that was in agreement with the log so far.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_raft::{NodeId, Term};

/// How long a reading may be preferred to later ones that show less.
const PERIOD: Duration = Duration::from_secs(1);

/// What a node knows of its members' clocks. All times are in milliseconds since 1970; what they are compared
/// with is this node's monotonic clock.
#[derive(Debug)]
pub(crate) struct Clocks {
    /// How many members there are, this one included.
    members: usize,
    others: BTreeMap<NodeId, Clock>,
    /// None before the first tick: the monotonic clock begins anywhere.
    now: Option<Duration>,
    /// This node's own wall clock, now.
    own_ms: u64,
    /// The latest stamp that was applied here, and for how long this node has had it.
    log: (u64, Duration),
}

/// Another member's clock.
#[derive(Debug, Default)]
struct Clock {
    /// The latest time among the readings that came since the last tick.
    arrived_ms: Option<u64>,
    /// The largest lead over the monotonic clock in this period and in the one before.
    leads: Option<[i64; 2]>,
    /// When this period began.
    since: Duration,
    /// The term of its last answer.
    term: Term,
}

impl Clocks {
    pub(crate) fn new(members: usize, stamp_ms: u64) -> Self {
        let log = (stamp_ms, Duration::ZERO);
        Self { members, others: BTreeMap::new(), now: None, own_ms: 0, log }
    }

    /// An answer of that term has come from another member, with a reading of its clock; 0 is none.
    pub(crate) fn heard(&mut self, from: NodeId, term: Term, clock_ms: u64) {
        if clock_ms > 0 {
            let clock = self.others.entry(from).or_default();
            clock.arrived_ms = clock.arrived_ms.max(Some(clock_ms));
            clock.term = clock.term.max(term);
        }
    }

    /// It is now `now`, and this node's wall clock shows `own_ms`. What was heard before this counts as heard
    /// now: a process that stood still finds old answers when it goes on, and must not take them for new ones.
    pub(crate) fn tick(&mut self, now: Duration, own_ms: u64) {
        self.log.1 += self.now.map_or(Duration::ZERO, |before| now.saturating_sub(before));
        (self.now, self.own_ms) = (Some(now), own_ms);
        self.others.values_mut().for_each(|clock| clock.tick(now));
    }

    /// An entry with that stamp has been applied.
    pub(crate) fn applied(&mut self, stamp_ms: u64) {
        if stamp_ms > self.log.0 {
            self.log = (stamp_ms, Duration::ZERO);
        }
    }

    /// The time, for whoever leads in `term`. None until a majority has been heard in it.
    pub(crate) fn median(&self, term: Term) -> Option<u64> {
        let heard = self.others.values().filter(|clock| clock.term == term && clock.leads.is_some());
        if heard.count() < self.members / 2 {
            return None;
        }
        let now = self.now?;
        let others = self.others.values().filter_map(|clock| clock.leads);
        let mut readings: Vec<u64> = others.map(|leads| at(leads[0].max(leads[1]), now)).collect();
        readings.push(self.own_ms);
        readings.sort_unstable();
        let (lower, upper) = (readings[(readings.len() - 1) / 2], readings[readings.len() / 2]);
        let (stamp_ms, age) = self.log;
        let of_log = stamp_ms.saturating_add(millis(age));
        Some(of_log.clamp(lower, upper))
    }
}

impl Clock {
    fn tick(&mut self, now: Duration) {
        let Some(arrived_ms) = self.arrived_ms.take() else { return };
        let lead = lead(arrived_ms, now);
        let age = now.saturating_sub(self.since);
        self.leads = match self.leads {
            Some([latest, before]) if age < PERIOD => Some([latest.max(lead), before]),
            known => {
                self.since = now;
                let before = known.filter(|_| age < 2 * PERIOD).map_or(lead, |[latest, _]| latest);
                Some([lead, before])
            }
        };
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// By how much a wall clock that shows `clock_ms` is ahead of the monotonic one.
fn lead(clock_ms: u64, now: Duration) -> i64 {
    let clock_ms = i64::try_from(clock_ms).unwrap_or(i64::MAX);
    clock_ms.saturating_sub_unsigned(millis(now))
}

/// What a wall clock shows that is ahead by that much.
fn at(lead: i64, now: Duration) -> u64 {
    u64::try_from(lead.saturating_add_unsigned(millis(now))).unwrap_or(0)
}

#[cfg(test)]
mod tests;
