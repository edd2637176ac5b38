use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn table(most: u64, idle_ms: u64) -> OnceTable {
    let mut table = OnceTable::default();
    table.set_limits(Limits { most, idle_ms });
    table
}

fn done(table: &mut OnceTable, id: u64, number: u64) {
    table.complete(id, number, Reply::Int(number.cast_signed()), Slots::One(0));
}

#[test]
fn the_last_request_is_answered_again_and_what_is_older_refused() {
    let mut table = table(10, 1000);
    let id = table.open(0);
    assert_eq!(table.judge(id, 1), Judgement::Fresh);
    done(&mut table, id, 3);
    assert_eq!(table.judge(id, 2), Judgement::Stale(3));
    assert_eq!(table.judge(id, 3), Judgement::Done(&Reply::Int(3)));
    assert_eq!(table.judge(id, 4), Judgement::Fresh, "numbers may skip");
    done(&mut table, id, 10);
    assert_eq!(table.judge(id, 3), Judgement::Stale(10));
    assert_eq!((table.records(), table.len()), (1, 1));
}

#[test]
fn an_error_is_a_reply_like_any_other() {
    let mut table = table(10, 1000);
    let id = table.open(0);
    table.complete(id, 1, Reply::error_text("ERR no"), Slots::All);
    assert_eq!(table.judge(id, 1), Judgement::Done(&Reply::error_text("ERR no")));
}

#[test]
fn a_session_that_ended_never_comes_back() {
    let mut table = table(10, 1000);
    let (first, second) = (table.open(0), table.open(0));
    done(&mut table, first, 1);
    assert!(table.close(first));
    assert!(!table.close(first));
    assert_eq!(table.judge(first, 1), Judgement::NoSession);
    assert_eq!(table.judge(first, 2), Judgement::NoSession);
    assert!(table.close(second));
    assert_eq!(table.open(0), 3, "though nobody has an id any more");
    assert_eq!(table.judge(99, 1), Judgement::NoSession);
    assert!(table.close(3));
    assert_eq!(table.memory_bytes(), 0);
}

#[test]
fn a_session_expires_when_it_was_unused_for_so_long() {
    let mut table = table(10, 1000);
    let (first, second) = (table.open(5000), table.open(5100));
    assert_eq!(table.earliest_expiry_ms(), Some(6000));
    table.touch(first, 5500);
    assert_eq!(table.earliest_expiry_ms(), Some(6100));
    table.expire(6099);
    assert_eq!(table.len(), 2);
    table.expire(6100);
    assert_eq!((table.judge(second, 1), table.judge(first, 1)), (Judgement::NoSession, Judgement::Fresh));
    table.expire(7000);
    assert_eq!((table.len(), table.earliest_expiry_ms()), (0, None));
}

/// Else a million of them would end on all nodes at once, in one entry.
#[test]
fn an_entry_takes_out_so_many_and_finds_none_that_is_over() {
    let mut table = table(10_000, 1000);
    let ids: Vec<_> = (0..2500).map(|_| table.open(5000)).collect();
    let lives = table.open(5500);
    done(&mut table, ids[2499], 1);
    table.expire(6000);
    assert_eq!((table.len(), table.earliest_expiry_ms()), (1501, Some(6000)));
    for id in &ids {
        assert_eq!(table.judge(*id, 1), Judgement::NoSession);
    }
    assert!(!table.close(ids[2499]));
    assert_eq!(table.judge(lives, 1), Judgement::Fresh);
    table.expire(6000);
    assert_eq!(table.len(), 501);
    // More time for those that are there does not bring back one that is not.
    table.set_limits(Limits { most: 10_000, idle_ms: 5000 });
    assert_eq!((table.len(), table.judge(ids[2499], 1)), (1, Judgement::NoSession));
}

#[test]
fn of_too_many_the_one_that_was_unused_longest_goes() {
    let mut table = table(2, 1000);
    let (first, second) = (table.open(0), table.open(0));
    table.touch(first, 0);
    let third = table.open(0);
    assert_eq!(table.judge(second, 1), Judgement::NoSession);
    assert_eq!((table.judge(first, 1), table.judge(third, 1)), (Judgement::Fresh, Judgement::Fresh));
    table.set_limits(Limits { most: 1, idle_ms: 1000 });
    assert_eq!((table.len(), table.judge(third, 1)), (1, Judgement::Fresh));
}

#[test]
fn of_sessions_with_large_records_those_that_were_unused_longest_go() {
    let mut table = table(100, 1000);
    let large = Reply::Bulk(vec![0; 60 << 20].into());
    let ids: Vec<_> = (0..6).map(|_| table.open(0)).collect();
    // The last one first: it is the oldest use that counts.
    ids.iter().rev().for_each(|id| table.touch(*id, 0));
    for id in ids.iter().rev() {
        table.complete(*id, 1, large.clone(), Slots::All);
    }
    let left: Vec<_> = ids.iter().map(|id| table.judge(*id, 1) == Judgement::Done(&large)).collect();
    assert_eq!(left, [true, true, true, true, false, false]);
    assert_eq!(table.judge(ids[5], 2), Judgement::NoSession, "it will not run again");
    assert_eq!((table.len(), table.records()), (4, 4));
    table.close(ids[0]);
    assert_eq!(table.records(), 3);
}

#[derive(Clone, Debug)]
enum Step {
    Open,
    Close(u64),
    Run(u64, u64),
    Pass(u64),
    Limits(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Open),
        (1u64..8).prop_map(Step::Close),
        (1u64..8, 1u64..6).prop_map(|(id, number)| Step::Run(id, number)),
        (1u64..8, 1u64..6).prop_map(|(id, number)| Step::Run(id, number)),
        (1u64..40).prop_map(Step::Pass),
        (1u64..5, 1u64..100).prop_map(|(most, idle_ms)| Step::Limits(most, idle_ms)),
    ]
}

/// A session as a person would write it down: its last number, and when and as which of all uses it was used.
type Plain = (u64, u64, usize);

proptest! {
    #![proptest_config(crate::fixed_cases())]

    /// Against a list that is searched from end to end, and: no request has an effect twice, no id comes twice.
    #[test]
    fn it_does_what_a_plain_list_does(steps in vec(step(), 0..60)) {
        let mut once = table(3, 50);
        let (mut most, mut idle_ms, mut now) = (3usize, 50, 0);
        let mut plain: BTreeMap<u64, Plain> = BTreeMap::new();
        let (mut ids, mut effects) = (BTreeSet::new(), BTreeSet::new());
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Open => {
                    let id = once.open(now);
                    prop_assert!(ids.insert(id));
                    plain.insert(id, (0, now, at));
                }
                Step::Close(id) => prop_assert_eq!(once.close(id), plain.remove(&id).is_some()),
                Step::Run(id, number) => {
                    let expected = plain.get(&id).map(|(last, ..)| number.cmp(last));
                    let fresh = matches!(once.judge(id, number), Judgement::Fresh);
                    prop_assert_eq!(fresh, expected == Some(std::cmp::Ordering::Greater));
                    if fresh {
                        prop_assert!(effects.insert((id, number)), "{} of {} has an effect twice", number, id);
                        once.touch(id, now);
                        done(&mut once, id, number);
                        plain.insert(id, (number, now, at));
                    }
                }
                Step::Pass(time) => {
                    now += time;
                    once.expire(now);
                    plain.retain(|_, (_, used, _)| *used + idle_ms > now);
                }
                Step::Limits(new_most, new_idle_ms) => {
                    (most, idle_ms) = (usize::try_from(new_most).unwrap(), new_idle_ms);
                    once.set_limits(Limits { most: new_most, idle_ms });
                    once.expire(now);
                    plain.retain(|_, (_, used, _)| *used + idle_ms > now);
                }
            }
            while plain.len() > most {
                let (&oldest, _) = plain.iter().min_by_key(|(_, (.., at))| *at).unwrap();
                plain.remove(&oldest);
            }
            prop_assert_eq!(once.sessions.keys().collect::<Vec<_>>(), plain.keys().collect::<Vec<_>>());
            prop_assert_eq!(once.by_use.len(), plain.len());
            let first = plain.values().map(|(_, used, _)| used + idle_ms).min();
            prop_assert_eq!(once.earliest_expiry_ms(), first);
        }
    }
}
