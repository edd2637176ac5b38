//! What a leader knows of a follower stays in order, whatever the follower says and when.

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
    /// An acceptance of one of the last so many rounds, with this share of the log matched.
    Accept(u64, u64),
    /// A refusal of one of the last so many rounds.
    Refuse(u64, u64),
    Wait(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => Just(Op::Grow),
        4 => (0u64..4).prop_map(Op::Send),
        2 => Just(Op::Heartbeat),
        4 => (0u64..4, any::<u64>()).prop_map(|(back, matched)| Op::Accept(back, matched)),
        2 => (0u64..4, any::<u64>()).prop_map(|(back, hint)| Op::Refuse(back, hint >> 1)),
        2 => (0u64..60).prop_map(Op::Wait),
    ]
}

struct World {
    last: Index,
    round: u64,
    now: Duration,
}

impl World {
    fn send(&mut self, peer: &mut Progress, prev: Index, last: Index) -> Sent {
        self.round += 1;
        let sent = Sent { round: self.round, prev, last, matched: peer.matched, at: self.now };
        peer.latest = Some(sent);
        sent
    }

    /// As the leader does it.
    fn carry_out(&mut self, op: &Op, peer: &mut Progress) {
        match *op {
            Op::Grow => self.last += 1,
            Op::Send(count) => {
                if peer.in_flight.is_none() {
                    let (prev, last) = (peer.next - 1, (peer.next - 1 + count).min(self.last));
                    let sent = self.send(peer, prev, last);
                    peer.in_flight = Some(sent);
                    if peer.state == State::Replicate {
                        peer.next = last + 1;
                    }
                }
            }
            Op::Heartbeat => {
                let prev = peer.heartbeat_prev();
                self.send(peer, prev, prev);
            }
            Op::Accept(back, matched) => {
                if let Some(round) = self.round.checked_sub(back) {
                    peer.accepted(round, matched % (self.last + 1));
                }
            }
            Op::Refuse(back, hint) => {
                let sent = self.round.checked_sub(back).and_then(|round| peer.sent_in(round));
                if let Some(sent) = sent.filter(|s| s.prev > s.matched) {
                    peer.refused(sent, hint);
                }
            }
            Op::Wait(ms) => {
                self.now += Duration::from_millis(ms);
                peer.give_up_unanswered(self.now, Duration::from_millis(50));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matched_held_and_next_stay_in_order(last in 0u64..6, ops in proptest::collection::vec(op(), 0..80)) {
        let mut world = World { last, round: 0, now: Duration::ZERO };
        let mut peer = Progress::new(last, Duration::ZERO);
        let mut matched = 0;
        for op in ops {
            world.carry_out(&op, &mut peer);
            prop_assert!(peer.matched <= peer.held, "{peer:?}");
            prop_assert!(peer.held < peer.next, "{peer:?}");
            prop_assert!(peer.next <= world.last + 1, "{peer:?}, and the log ends at {}", world.last);
            prop_assert!(peer.matched >= matched, "what is matched goes back: {peer:?}");
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
        let mut world = World { last, round: 0, now: Duration::ZERO };
        let mut peer = Progress::new(last, Duration::ZERO);
        for op in ops {
            world.carry_out(&op, &mut peer);
        }
        // It has on disk what it is believed to have, and no more.
        let mut has = peer.matched;
        for _ in 0..2 * world.last + 8 {
            world.carry_out(&Op::Wait(50), &mut peer);
            if peer.in_flight.is_none() && (peer.state == State::Probe || peer.next <= world.last) {
                world.carry_out(&Op::Send(3), &mut peer);
            } else {
                world.carry_out(&Op::Heartbeat, &mut peer);
            }
            let sent = peer.latest.expect("just sent");
            if sent.prev <= has {
                has = has.max(sent.last);
                peer.accepted(sent.round, has);
            } else {
                prop_assert!(sent.prev > sent.matched, "taken for a loss of data: {sent:?}");
                peer.refused(sent, has + 1);
            }
        }
        prop_assert_eq!(peer.matched, world.last, "{:?}", peer);
        prop_assert!(peer.in_flight.is_none(), "{:?}", peer);
    }
}
