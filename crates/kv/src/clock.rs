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
//! - As long as it has not heard all, those that it knows may have more wrong ones among them than right ones, as when
//!   the first two of five that answer are wrong. Less than half of all are wrong; so the time lies between two of
//!   the clocks that are known, and there the log has a say: the last stamp, aged, as far as it lies between them. It
//!   also decides between the two in the middle of an even number.
//! - The log's time can be too early, since a node does not know for how long it was down; it is not too late. So while
//!   some clock is not known, one that is far behind the log is wrong, and is left out.
//!
//! # What holds
//!
//! As long as less than half of the members' clocks are wrong at a time:
//!
//! - The time never runs ahead of the right clocks, whoever is silent, is started again, or leads. So no key ends earlier
//!   than by the right time, unless the time was behind when the key was given its own.
//! - It is behind by as long as answers take to arrive, once the leader has heard all members since it was started.
//!
//! What does not hold: a leader that was started again, has not heard all members since, and has a wrong clock
//! among those that it knows, may be behind until it hears the others. By as much as that clock is behind, but at most
//! by [`DOUBT`] and by as long as nothing was applied; without that limit only when the log holds no stamp yet that
//! tells the clock to be wrong. What is given a time meanwhile ends too early by as much.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_raft::{NodeId, Term};

/// How long a reading may be preferred to later ones that show less.
const PERIOD: Duration = Duration::from_secs(1);

/// How far a clock may be behind the log's time without being taken for wrong. Far above what right clocks differ by,
/// and what answers take to arrive.
const DOUBT: Duration = Duration::from_secs(10);

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
        let (stamp_ms, age) = self.log;
        let of_log = stamp_ms.saturating_add(millis(age));
        let most_wrong = (self.members - 1) / 2;
        let behind = readings.partition_point(|ms| ms.saturating_add(millis(DOUBT)) < of_log);
        // Of more than that it is the log that is wrong.
        let known_wrong = if readings.len() < self.members && behind <= most_wrong { behind } else { 0 };
        let (readings, most_wrong) = (&readings[known_wrong..], most_wrong - known_wrong);
        // On either side of each of these two is a right clock, or it is one itself.
        let (a, b) = (readings[most_wrong], readings[readings.len() - 1 - most_wrong]);
        Some(of_log.clamp(a.min(b), a.max(b)))
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
