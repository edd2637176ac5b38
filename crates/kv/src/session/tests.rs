use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn origin(node: u64, life: u64) -> Origin {
    Origin { node, life }
}

/// A session with `numbers` done by node 1 in its life 5, each answered with its own number.
fn done(numbers: &[u64]) -> Sessions {
    let mut sessions = Sessions::new();
    sessions.begin(origin(1, 5), 1);
    for number in numbers {
        sessions.complete(origin(1, 5), *number, reply(*number), Slots::One(0));
    }
    sessions
}

fn reply(number: u64) -> Reply {
    Reply::Int(number.cast_signed())
}

#[test]
fn a_request_that_was_done_is_answered_as_before() {
    let sessions = done(&[1, 2, 4]);
    assert_eq!(sessions.check(origin(1, 5), 2), Verdict::Done(&reply(2)));
    assert_eq!(sessions.check(origin(1, 5), 3), Verdict::Fresh);
    assert_eq!(sessions.check(origin(1, 5), 5), Verdict::Fresh);
    assert_eq!(sessions.check(origin(2, 5), 2), Verdict::Fresh);
}

#[test]
fn requests_may_be_done_in_any_order() {
    let mut sessions = done(&[5, 2, 9, 1, 7]);
    for number in 1..10 {
        let expected = [1, 2, 5, 7, 9].contains(&number);
        assert_eq!(sessions.check(origin(1, 5), number) != Verdict::Fresh, expected, "{number}");
    }
    sessions.begin(origin(1, 5), 6);
    assert_eq!(sessions.records(), 2);
}

#[test]
fn below_the_floor_everything_is_forgotten_and_refused() {
    let mut sessions = done(&[1, 2, 4]);
    sessions.begin(origin(1, 5), 4);
    assert_eq!(sessions.records(), 1);
    for number in 1..4 {
        assert_eq!(sessions.check(origin(1, 5), number), Verdict::Refused);
    }
    assert_eq!(sessions.check(origin(1, 5), 4), Verdict::Done(&reply(4)));
    assert_eq!(sessions.check(origin(1, 5), 5), Verdict::Fresh);
}

#[test]
fn a_floor_never_sinks() {
    let mut sessions = done(&[4]);
    sessions.begin(origin(1, 5), 4);
    sessions.begin(origin(1, 5), 2);
    assert_eq!(sessions.check(origin(1, 5), 3), Verdict::Refused);
}

#[test]
fn a_new_life_closes_the_earlier_ones_and_counts_anew() {
    let mut sessions = done(&[1, 2]);
    sessions.begin(origin(2, 1), 1);
    sessions.complete(origin(2, 1), 1, Reply::Ok, Slots::All);
    sessions.begin(origin(1, 6), 1);
    assert_eq!(sessions.records(), 1);
    // The same number, another request.
    assert_eq!(sessions.check(origin(1, 6), 1), Verdict::Fresh);
    assert_eq!(sessions.check(origin(1, 5), 1), Verdict::Refused);
    assert_eq!(sessions.check(origin(1, 5), 3), Verdict::Refused);
    assert_eq!(sessions.check(origin(2, 1), 1), Verdict::Done(&Reply::Ok));
}

#[test]
fn a_closed_life_moves_nothing() {
    let mut sessions = done(&[1]);
    sessions.begin(origin(1, 4), 100);
    assert_eq!(sessions.check(origin(1, 5), 1), Verdict::Done(&reply(1)));
    assert_eq!(sessions.check(origin(1, 4), 100), Verdict::Refused);
    assert_eq!(sessions.records(), 1);
}

#[test]
fn a_new_life_has_not_the_old_floor() {
    let mut sessions = done(&[]);
    sessions.begin(origin(1, 5), 1000);
    sessions.begin(origin(1, 6), 1);
    assert_eq!(sessions.check(origin(1, 6), 1), Verdict::Fresh);
}

#[test]
#[should_panic(expected = "completes 1 twice")]
fn to_complete_twice_is_a_defect() {
    done(&[1, 2, 1]);
}

#[test]
#[should_panic(expected = "without having begun")]
fn to_complete_in_a_closed_life_is_a_defect() {
    let mut sessions = done(&[]);
    sessions.begin(origin(1, 6), 1);
    sessions.complete(origin(1, 5), 1, Reply::Ok, Slots::All);
}

#[test]
#[should_panic(expected = "below its floor 3")]
fn to_complete_below_the_floor_is_a_defect() {
    let mut sessions = done(&[]);
    sessions.begin(origin(1, 5), 3);
    sessions.complete(origin(1, 5), 2, Reply::Ok, Slots::All);
}

#[test]
fn memory_follows_the_records() {
    let mut sessions = done(&[]);
    assert_eq!(sessions.memory_bytes(), 0);
    sessions.complete(origin(1, 5), 1, Reply::Bulk(vec![0; 5000].into()), Slots::All);
    assert!((5000..6000).contains(&sessions.memory_bytes()));
    sessions.complete(origin(1, 5), 2, Reply::Ok, Slots::Many(vec![0; 5000].into()));
    assert!((15_000..16_000).contains(&sessions.memory_bytes()));
    sessions.begin(origin(1, 5), 2);
    assert!((10_000..11_000).contains(&sessions.memory_bytes()));
    sessions.begin(origin(1, 6), 1);
    assert_eq!(sessions.memory_bytes(), 0);
}

#[test]
fn an_origin_has_room_for_so_many_bytes() {
    let mut sessions = done(&[]);
    let large = Reply::Bulk(vec![0; 16 << 20].into());
    for number in 1..=64 {
        assert_eq!(sessions.check(origin(1, 5), number), Verdict::Fresh);
        sessions.complete(origin(1, 5), number, large.clone(), Slots::One(0));
    }
    assert_eq!(sessions.check(origin(1, 5), 65), Verdict::Crowded);
    assert_eq!(sessions.check(origin(1, 5), 64), Verdict::Done(&large));
    assert_eq!(sessions.check(origin(2, 5), 65), Verdict::Fresh, "another node has its own");
    // That it was not executed stays so when it comes again.
    sessions.complete(origin(1, 5), 65, Reply::Nil, Slots::All);
    sessions.begin(origin(1, 5), 2);
    assert_eq!(sessions.check(origin(1, 5), 65), Verdict::Done(&Reply::Nil));
    assert_eq!(sessions.check(origin(1, 5), 66), Verdict::Fresh);
    // Elements that show nothing take memory, too.
    sessions.complete(origin(1, 5), 66, Reply::Array(vec![Reply::Nil; 1 << 20]), Slots::All);
    assert_eq!(sessions.check(origin(1, 5), 67), Verdict::Crowded);
}

#[test]
fn the_digest_sees_every_difference() {
    let one = |number, reply, slots| {
        let mut sessions = done(&[]);
        sessions.complete(origin(1, 5), number, reply, slots);
        sessions
    };
    let raised = |floor| {
        let mut sessions = done(&[]);
        sessions.begin(origin(1, 5), floor);
        sessions
    };
    let lived = |life| {
        let mut sessions = done(&[]);
        sessions.begin(origin(1, life), 1);
        sessions
    };
    let states = [
        Sessions::new(),
        done(&[]),
        lived(6),
        raised(2),
        one(1, Reply::Ok, Slots::All),
        one(2, Reply::Ok, Slots::All),
        one(1, Reply::Nil, Slots::All),
        one(1, Reply::Int(0), Slots::All),
        one(1, Reply::Ok, Slots::One(0)),
        one(1, Reply::Ok, Slots::One(1)),
        one(1, Reply::Ok, Slots::Many([0, 1].into())),
        done(&[1, 2]),
    ];
    let mut digests: Vec<_> = states.iter().map(Sessions::digest).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), states.len());
    assert_eq!(done(&[1, 2]).digest(), done(&[2, 1]).digest());
}

proptest! {
    #![proptest_config(crate::fixed_cases())]

    /// Entries of a few requests, sent again and again, early and late, over several lives: none takes effect
    /// twice, and none that the origin still waits for is refused.
    #[test]
    fn every_request_takes_effect_at_most_once(
        entries in vec((1u64..3, 1u64..4, 1u64..12, 0u64..12), 1..200)
    ) {
        let mut sessions = Sessions::new();
        let (mut effects, mut lives) = (BTreeMap::new(), BTreeMap::new());
        for (node, life, number, behind) in entries {
            // A floor is at or below the number that it comes with.
            let (who, floor) = (origin(node, life), number.saturating_sub(behind).max(1));
            sessions.begin(who, floor);
            let (latest, known) = lives.entry(node).or_insert((life, floor));
            if life > *latest {
                (*latest, *known) = (life, floor);
            } else if life == *latest {
                *known = floor.max(*known);
            }
            let closed = life < *latest || number < *known;
            let seen = effects.get(&(who, number)).copied();
            let verdict = sessions.check(who, number);
            let answer = effects.len() as u64;
            match seen {
                _ if closed => prop_assert_eq!(verdict, Verdict::Refused),
                Some(first) => prop_assert_eq!(verdict, Verdict::Done(&reply(first))),
                None => {
                    prop_assert_eq!(verdict, Verdict::Fresh);
                    sessions.complete(who, number, reply(answer), Slots::One(1));
                    effects.insert((who, number), answer);
                }
            }
            let kept = effects.keys().filter(|(who, number)| {
                let (life, floor) = lives[&who.node];
                who.life == life && *number >= floor
            });
            prop_assert_eq!(sessions.records(), kept.count());
        }
    }
}
