//! What a leader knows of a follower stays in order, whatever the follower says and when.

use std::collections::VecDeque;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

#[derive(Clone, Debug)]
enum Op {
    /// The leader's log grows.
    Grow,
    /// Entries, as many of them as are there, at most so many; only if none are in flight.
    Send(u64),
    Heartbeat,
    /// The log's start moves so far towards its end.
    Compact(u64),
    /// The snapshot that is on its way is heard not to have arrived.
    Fail,
    /// An acceptance of one of the last so many rounds, with this share of the log matched.
    Accept(u64, u64),
    /// A refusal of one of the last so many rounds.
    Refuse(u64, u64),
    Wait(u64),
}

/// Mostly one of the last messages, now and then one from long ago.
fn back() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0u64..4, 1 => 0u64..100]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Grow),
        4 => (0u64..4).prop_map(Op::Send),
        2 => Just(Op::Heartbeat),
        1 => (1u64..4).prop_map(Op::Compact),
        1 => Just(Op::Fail),
        4 => (back(), any::<u64>()).prop_map(|(back, matched)| Op::Accept(back, matched)),
        2 => (back(), any::<u64>()).prop_map(|(back, hint)| Op::Refuse(back, hint >> 1)),
        2 => (0u64..60).prop_map(Op::Wait),
    ]
}

struct World {
    start: Index,
    last: Index,
    round: u64,
    now: Duration,
}

impl World {
    fn new(last: Index) -> (Self, Progress) {
        let world = Self { start: 0, last, round: 0, now: Duration::ZERO };
        (world, Progress::new(0, last, Duration::ZERO))
    }

    /// What the leader sends at its next opportunity: what the follower needs, if nothing is in flight.
    fn send_something(&mut self, peer: &mut Progress, count: u64) -> Sent {
        let has_work = match peer.state {
            State::Probe => true,
            State::Replicate => peer.next <= self.last,
            State::Snapshot(_) => false,
        };
        if peer.lacks_start() {
            self.round += 1;
            peer.send_snapshot(self.round, LogId::new(1, self.start), self.now);
        } else if peer.in_flight.is_none() && has_work {
            self.carry_out(&Op::Send(count), peer);
        } else {
            self.carry_out(&Op::Heartbeat, peer);
        }
        *peer.latest().expect("just sent")
    }

    fn send(&mut self, peer: &mut Progress, prev: Index, last: Index) -> Sent {
        self.round += 1;
        peer.send(self.round, LogId::new(1, prev), last, self.now)
    }

    /// As the leader does it.
    fn carry_out(&mut self, op: &Op, peer: &mut Progress) {
        match *op {
            Op::Grow => self.last += 1,
            Op::Send(count) => {
                if peer.in_flight.is_none()
                    && !peer.lacks_start()
                    && !matches!(peer.state, State::Snapshot(_))
                {
                    let (prev, last) = (peer.next - 1, (peer.next - 1 + count).min(self.last));
                    let sent = self.send(peer, prev, last);
                    peer.in_flight = Some(sent);
                    if peer.state == State::Replicate {
                        peer.next = last + 1;
                    }
                }
            }
            Op::Heartbeat if peer.lacks_start() => {
                self.send_something(peer, 0);
            }
            Op::Heartbeat => {
                let prev = peer.heartbeat_prev();
                assert!(prev == 0 || prev >= self.start, "{prev} is not in the log any more");
                self.send(peer, prev, prev);
            }
            Op::Compact(by) => {
                self.start = (self.start + by).min(self.last);
                peer.log_starts_at(self.start);
            }
            Op::Fail => peer.give_up_snapshot(),
            Op::Accept(back, matched) => {
                if let Some(round) = self.round.checked_sub(back) {
                    peer.accepted(round, matched % (self.last + 1));
                }
            }
            Op::Refuse(back, hint) => {
                let Some(round) = self.round.checked_sub(back) else { return };
                if let Some(sent) = peer.sent_in(round).filter(|s| s.prev.index > s.matched) {
                    peer.refused(round, sent, hint);
                }
            }
            Op::Wait(ms) => {
                self.now += Duration::from_millis(ms);
                peer.give_up_unanswered(self.now, Duration::from_millis(50), Duration::from_millis(200));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matched_held_and_next_stay_in_order(last in 0u64..6, ops in proptest::collection::vec(op(), 0..80)) {
        let (mut world, mut peer) = World::new(last);
        let mut matched = 0;
        for op in ops {
            world.carry_out(&op, &mut peer);
            prop_assert!(peer.matched <= peer.held, "{peer:?}");
            prop_assert!(peer.held < peer.next, "{peer:?}");
            prop_assert!(peer.next <= world.last + 1, "{peer:?}, and the log ends at {}", world.last);
            prop_assert!(peer.matched >= matched, "what is matched goes back: {peer:?}");
            let can_be_sent = match peer.state {
                State::Probe => peer.lacks_start() || peer.next > world.start,
                State::Replicate => peer.next > world.start,
                State::Snapshot(sent) => sent.last <= world.start && peer.in_flight.is_none(),
            };
            prop_assert!(can_be_sent, "{peer:?}, and the log starts at {}", world.start);
            matched = peer.matched;
        }
    }

    /// A correct follower that is there, however the leader has got confused about it, is soon
    /// replicated to again.
    #[test]
    fn a_follower_that_answers_catches_up(
        last in 0u64..6,
        ops in proptest::collection::vec(op(), 0..60),
    ) {
        let (mut world, mut peer) = World::new(last);
        for op in ops {
            world.carry_out(&op, &mut peer);
        }
        // It has on disk what it is believed to have, and no more.
        let mut has = peer.matched;
        for _ in 0..2 * world.last + 8 {
            world.carry_out(&Op::Wait(50), &mut peer);
            let sent = world.send_something(&mut peer, 3);
            let is_snapshot = matches!(peer.state, State::Snapshot(snapshot) if snapshot.round == sent.round);
            if is_snapshot || sent.prev.index <= has {
                has = has.max(sent.last);
                peer.accepted(sent.round, has);
            } else {
                prop_assert!(sent.prev.index > sent.matched, "taken for a loss of data: {sent:?}");
                peer.refused(sent.round, sent, has + 1);
            }
        }
        prop_assert_eq!(peer.matched, world.last, "{:?}", peer);
        prop_assert!(peer.in_flight.is_none(), "{:?}", peer);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(8), failure_persistence: None, ..ProptestConfig::default() })]

    /// Only what was said later, or points further back, changes what is believed of the follower's
    /// memory; and what is remembered for that stays small.
    #[test]
    fn what_was_contradicted_is_no_longer_believed(last in 0u64..6, ops in proptest::collection::vec(op(), 0..400)) {
        let (mut world, mut peer) = World::new(last);
        let (mut last_accepted, mut last_refused) = (0, 0);
        for op in ops {
            let (held, next, state) = (peer.held, peer.next, peer.state);
            let round = match op {
                Op::Accept(back, _) | Op::Refuse(back, _) => world.round.checked_sub(back),
                _ => None,
            };
            let could_refuse = round.and_then(|round| peer.sent_in(round)).is_some_and(|s| s.prev.index > s.matched);
            world.carry_out(&op, &mut peer);
            match (&op, round) {
                (Op::Accept(..), Some(round)) => {
                    if round <= last_refused {
                        prop_assert_eq!(peer.held, held.max(peer.matched), "{:?}", peer);
                        // But what is on its disk is as good as the snapshot.
                        let installed = matches!(state, State::Snapshot(sent) if sent.last <= peer.matched);
                        prop_assert!(peer.state == state || installed, "{peer:?}");
                    }
                    prop_assert!(peer.held >= held && peer.next >= peer.held, "{peer:?}");
                    last_accepted = last_accepted.max(round);
                }
                (Op::Refuse(..), Some(round)) if could_refuse => {
                    if round < last_accepted || matches!(state, State::Snapshot(_)) {
                        prop_assert_eq!((peer.held, peer.next, peer.state), (held, next, state), "{:?}", peer);
                    }
                    if state == State::Probe {
                        prop_assert!(peer.next <= next, "it is probed forwards: {peer:?}, from {next}");
                    }
                    last_refused = last_refused.max(round);
                }
                _ => {}
            }
            prop_assert!(peer.sent.len() <= MAX_REMEMBERED, "{} are remembered", peer.sent.len());
            prop_assert!(
                peer.sent.iter().zip(peer.sent.iter().skip(1)).all(|(a, b)| a.round < b.first_round),
                "{peer:?}"
            );
        }
    }

    /// A round trip may take many heartbeat intervals, and the follower lose in it what was not yet
    /// on its disk: each step costs a round trip, and no more.
    #[test]
    fn a_follower_that_answers_late_catches_up(
        last in 0u64..60,
        agrees in 0u64..60,
        step in 1u64..10,
        delay in (0u64..=20).prop_flat_map(|delay| (0..=delay).prop_map(move |there| (there, delay - there))),
        sync in 0u64..3,
        power_loss in proptest::option::of(0u64..200),
        ops in proptest::collection::vec(op(), 0..40),
    ) {
        let (mut world, mut peer) = World::new(last);
        for op in ops {
            world.carry_out(&op, &mut peer);
        }
        let has = peer.matched.max(agrees.min(last));
        let mut far = Far { has, durable: has, step, delay, sync, ..Far::default() };
        let round_trip = delay.0 + delay.1 + sync + 1;
        // Back to where the logs agree, forwards by three entries at a time, and once more what the
        // power loss took.
        let round_trips = world.last / step + 2 * (world.last / 3) + 10;
        let limit = round_trips * round_trip + power_loss.map_or(0, |at| at + round_trip);
        let mut snapshots = 0;
        for interval in 0..=limit {
            if power_loss == Some(interval) {
                far.lose_power();
            }
            world.carry_out(&Op::Wait(50), &mut peer);
            let sent_before = world.round;
            let sent = world.send_something(&mut peer, 3);
            prop_assert_eq!(world.round, sent_before + 1);
            let is_snapshot = matches!(peer.state, State::Snapshot(snapshot) if snapshot.round == sent.round);
            snapshots += u64::from(is_snapshot);
            far.pass(interval, is_snapshot, sent);
            while let Some(answer) = far.arrived(interval) {
                answer.take(&mut peer)?;
            }
        }
        prop_assert_eq!(peer.matched, world.last, "{:?}", peer);
        prop_assert!(peer.in_flight.is_none() && peer.state == State::Replicate, "{:?}", peer);
        // One, and another if the power loss took it, or if one was under way to nobody.
        prop_assert!(snapshots <= 1 + u64::from(power_loss.is_some()), "{} snapshots", snapshots);
    }
}

/// A correct follower at the other end of a slow network.
#[derive(Default)]
struct Far {
    /// Up to here its log is the leader's.
    has: Index,
    durable: Index,
    /// The highest round that it accepted.
    round: u64,
    /// How far its refusals go back.
    step: u64,
    /// Of a message and of an answer, in heartbeat intervals.
    delay: (u64, u64),
    /// How long its disk takes, in heartbeat intervals.
    sync: u64,
    messages: VecDeque<(u64, (bool, Sent))>,
    writes: VecDeque<(u64, Index)>,
    answers: VecDeque<(u64, Answer)>,
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Accepted { round: u64, matched: Index },
    Refused { round: u64, hint: Index },
}

impl Answer {
    /// As the leader does it.
    fn take(self, peer: &mut Progress) -> Result<(), TestCaseError> {
        match self {
            Self::Accepted { round, matched } => peer.accepted(round, matched),
            Self::Refused { round, hint } => {
                if let Some(sent) = peer.sent_in(round) {
                    prop_assert!(sent.prev.index > sent.matched, "taken for a loss of data: {sent:?}");
                    peer.refused(round, sent, hint);
                }
            }
        }
        Ok(())
    }
}

impl Far {
    /// One heartbeat interval, at whose begin a message leaves for here.
    fn pass(&mut self, interval: u64, is_snapshot: bool, sent: Sent) {
        self.messages.push_back((interval + self.delay.0, (is_snapshot, sent)));
        while let Some((_, (is_snapshot, sent))) = self.messages.pop_front_if(|(at, _)| *at <= interval) {
            self.receive(interval, is_snapshot, sent);
        }
        while let Some((_, written)) = self.writes.pop_front_if(|(at, _)| *at <= interval) {
            self.durable = written;
            self.answer(interval, Answer::Accepted { round: self.round, matched: self.durable });
        }
    }

    fn receive(&mut self, interval: u64, is_snapshot: bool, sent: Sent) {
        if sent.prev.index > self.has && !is_snapshot {
            let hint = (self.has + 1).max((sent.prev.index + 1).saturating_sub(self.step));
            return self.answer(interval, Answer::Refused { round: sent.round, hint });
        }
        self.round = self.round.max(sent.round);
        self.answer(interval, Answer::Accepted { round: sent.round, matched: self.durable });
        if sent.last > self.has {
            self.has = sent.last;
            self.writes.push_back((interval + self.sync, self.has));
        }
    }

    fn lose_power(&mut self) {
        self.has = self.durable;
        self.round = 0;
        self.writes.clear();
    }

    fn answer(&mut self, interval: u64, answer: Answer) {
        self.answers.push_back((interval + self.delay.1, answer));
    }

    fn arrived(&mut self, interval: u64) -> Option<Answer> {
        self.answers.pop_front_if(|(at, _)| *at <= interval).map(|(_, answer)| answer)
    }
}

#[test]
fn messages_that_say_the_same_are_remembered_as_one() {
    let mut peer = Progress::new(0, 9, Duration::ZERO);
    for round in 1..=1000 {
        peer.send(round, LogId::new(1, 9), 9, Duration::from_millis(round));
    }
    assert_eq!(peer.sent.len(), 1, "{peer:?}");
    for round in 1..=1000 {
        assert_eq!(peer.sent_in(round).map(|sent| sent.prev.index), Some(9), "round {round}");
    }
    assert!(peer.sent_in(0).is_none() && peer.sent_in(1001).is_none(), "{peer:?}");
    assert_eq!(peer.latest().map(|sent| sent.at), Some(Duration::from_secs(1)), "the last of them counts");
    // What carries entries may be lost alone, and what was matched decides what a refusal means.
    peer.send(1001, LogId::new(1, 9), 10, Duration::from_secs(1));
    peer.send(1002, LogId::new(1, 9), 10, Duration::from_secs(1));
    peer.send(1003, LogId::new(1, 9), 9, Duration::from_secs(1));
    peer.matched = 9;
    peer.send(1004, LogId::new(1, 9), 9, Duration::from_secs(1));
    assert_eq!(peer.sent.len(), 5, "{peer:?}");
    assert_eq!(peer.sent_in(1003).map(|sent| sent.matched), Some(0));
    assert_eq!(peer.sent_in(1004).map(|sent| sent.matched), Some(9));
}

#[test]
fn the_oldest_of_too_many_messages_is_forgotten() {
    let mut peer = Progress::new(0, 9, Duration::ZERO);
    let rounds = MAX_REMEMBERED as u64 + 1;
    for round in 1..=rounds {
        peer.send(round, LogId::new(1, 9), 9 + round, Duration::ZERO);
    }
    assert!(peer.sent_in(1).is_none() && peer.sent_in(2).is_some(), "{peer:?}");
    // What is on its disk counts, whichever message brought it.
    peer.accepted(1, 7);
    assert_eq!((peer.matched, peer.held, peer.state), (7, 7, State::Probe), "{peer:?}");
}
