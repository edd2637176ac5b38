use super::*;

const TERM: Term = 3;
/// A time of day.
const NOON: u64 = 1_700_000_000_000;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A leader at second 100, whose own clock and those of the others show so much more than [`NOON`].
fn clocks(own: i64, others: &[i64]) -> Clocks {
    let mut clocks = Clocks::new(others.len() + 1, 0);
    for (node, ahead) in (2..).zip(others) {
        clocks.heard(NodeId(node), TERM, NOON.saturating_add_signed(*ahead));
    }
    clocks.tick(secs(100.0), NOON.saturating_add_signed(own));
    clocks
}

fn median(clocks: &Clocks) -> Option<i64> {
    clocks.median(TERM).map(|ms| ms.cast_signed() - NOON.cast_signed())
}

const HOUR: i64 = 3_600_000;

#[test]
fn one_wrong_clock_changes_nothing() {
    for wrong in [HOUR, -HOUR, 1000 * HOUR, -400_000 * HOUR] {
        assert_eq!(median(&clocks(wrong, &[0, 5])), Some(if wrong > 0 { 5 } else { 0 }), "the leader's own");
        assert_eq!(median(&clocks(0, &[wrong, 5])), Some(if wrong > 0 { 5 } else { 0 }), "a follower's");
        let five = median(&clocks(wrong, &[1, 2, wrong, 3])).unwrap();
        assert!((1..=3).contains(&five), "two of five are wrong: {five}");
    }
}

#[test]
fn a_leader_stamps_nothing_before_it_has_heard_a_majority() {
    let mut clocks = Clocks::new(5, 0);
    clocks.tick(secs(1.0), NOON);
    assert_eq!(median(&clocks), None);
    clocks.heard(NodeId(2), TERM, NOON);
    clocks.heard(NodeId(3), TERM, 0);
    clocks.tick(secs(1.0), NOON);
    assert_eq!(median(&clocks), None, "a member without a clock tells nothing");
    clocks.heard(NodeId(4), TERM - 1, NOON);
    clocks.tick(secs(1.0), NOON);
    assert_eq!(median(&clocks), None, "an answer of an earlier term");
    clocks.heard(NodeId(4), TERM, NOON);
    clocks.tick(secs(1.0), NOON);
    assert_eq!(median(&clocks), Some(0));
    let mut alone = Clocks::new(1, 0);
    alone.tick(secs(1.0), NOON);
    assert_eq!(median(&alone), Some(0));
}

#[test]
fn a_member_that_is_silent_goes_on_with_what_was_known() {
    let mut clocks = clocks(HOUR, &[0, 10]);
    clocks.tick(secs(100.0 + 7200.0), NOON + 3 * HOUR.unsigned_abs());
    assert_eq!(median(&clocks), Some(2 * HOUR + 10));
}

#[test]
fn late_answers_do_not_hold_the_time_back() {
    let mut clocks = clocks(-HOUR, &[0, -HOUR]);
    let truth = |ms: u64| NOON + ms;
    clocks.heard(NodeId(3), TERM, truth(0));
    clocks.tick(secs(100.0), 0);
    for step in 1..100u64 {
        // Node 2 answers at once now and then; all else is up to 800 ms under way.
        let late = if step % 10 == 0 { 0 } else { step * 37 % 800 };
        clocks.heard(NodeId(2), TERM, truth(step * 100).saturating_sub(late));
        clocks.heard(NodeId(3), TERM, truth(step * 100).saturating_sub(late));
        clocks.tick(secs(100.0 + step as f64 / 10.0), 0);
        assert_eq!(clocks.median(TERM), Some(truth(step * 100)), "at step {step}");
    }
}

#[test]
fn a_clock_that_is_set_back_is_believed_within_two_seconds() {
    let mut clocks = clocks(-HOUR, &[0, 0]);
    for step in 1..=30u64 {
        let now = secs(100.0 + step as f64 / 10.0);
        for node in [2, 3] {
            clocks.heard(NodeId(node), TERM, NOON + step * 100 - 5000);
        }
        clocks.tick(now, 0);
    }
    assert_eq!(clocks.median(TERM), Some(NOON + 3000 - 5000));
}

#[test]
fn answers_that_waited_while_the_leader_stood_still_are_not_taken_for_new() {
    let mut clocks = clocks(0, &[0, 0]);
    // It stands still for ten seconds, and then finds what was told at their beginning.
    clocks.heard(NodeId(2), TERM, NOON + 10);
    clocks.heard(NodeId(3), TERM, NOON + 10);
    clocks.tick(secs(110.0), NOON + 10_000);
    assert!(median(&clocks).unwrap() <= 10_000, "{:?}", median(&clocks));
}

#[test]
fn between_two_clocks_the_log_decides() {
    let two = |own: i64, other: i64, log: u64| {
        let mut clocks = Clocks::new(3, 0);
        clocks.tick(secs(40.0), 0);
        clocks.applied(log);
        clocks.heard(NodeId(2), TERM, NOON.saturating_add_signed(other));
        clocks.tick(secs(100.0), NOON.saturating_add_signed(own));
        median(&clocks).unwrap()
    };
    // The last stamp was a minute ago.
    assert_eq!(two(HOUR, 0, NOON - 60_000), 0);
    assert_eq!(two(0, -HOUR, NOON - 60_000), 0);
    assert_eq!(two(20, 0, NOON - 59_990), 10);
    assert_eq!(two(HOUR, 0, NOON - 90_000), 0, "the log's time is too early");
    assert_eq!(two(HOUR, 0, 5), 0, "nothing is known: the earlier one, by which no key expires too soon");
    assert_eq!(two(0, HOUR, 0), 0);
}

#[test]
fn what_the_log_says_at_the_start_ages_from_then_on_wherever_the_monotonic_clock_begins() {
    for begins in [0.0, 40.0, 1e6] {
        let mut clocks = Clocks::new(3, NOON - 5000);
        clocks.tick(secs(begins), 0);
        clocks.heard(NodeId(2), TERM, NOON);
        clocks.tick(secs(begins + 5.0), NOON + HOUR.unsigned_abs());
        assert_eq!(median(&clocks), Some(0), "begins at {begins} s, and the leader's clock is wrong");
        clocks.tick(secs(begins + 6.0), NOON + HOUR.unsigned_abs());
        assert_eq!(median(&clocks), Some(1000));
    }
}

#[test]
fn no_reading_overflows() {
    for reading in [1, u64::MAX, i64::MAX.unsigned_abs()] {
        let mut clocks = Clocks::new(3, u64::MAX);
        clocks.heard(NodeId(2), TERM, reading);
        clocks.tick(Duration::MAX, u64::MAX);
        assert!(clocks.median(TERM).is_some());
        clocks.applied(u64::MAX);
    }
}

/// A leader of `members` whose log was stamped so many milliseconds before noon, and that knows these clocks, its own first.
fn known(members: usize, readings: &[i64], log_behind: i64) -> i64 {
    let mut clocks = Clocks::new(members, 0);
    clocks.tick(secs(100.0), 0);
    clocks.applied(NOON.saturating_add_signed(-log_behind));
    for (node, ahead) in (2..).zip(&readings[1..]) {
        clocks.heard(NodeId(node), TERM, NOON.saturating_add_signed(*ahead));
    }
    clocks.tick(secs(100.0), NOON.saturating_add_signed(readings[0]));
    median(&clocks).unwrap()
}

#[test]
fn wrong_clocks_that_answer_first_do_not_decide() {
    for (wrong, other) in [(HOUR, 2 * HOUR), (-HOUR, -2 * HOUR), (HOUR, -HOUR)] {
        for readings in [[wrong, other, 0], [wrong, 0, other], [0, wrong, other]] {
            assert_eq!(known(5, &readings, 0), 0, "{readings:?}");
        }
        let time = known(5, &[wrong, other, 0, 3], 0);
        assert!((0..=3).contains(&time), "four of five are known: {time}");
        assert_eq!(known(5, &[wrong, other, 0, 3, 3], 500), if wrong < 0 { 0 } else { 3 }, "all are known");
    }
}

#[test]
fn a_clock_behind_the_log_is_not_believed_while_others_are_silent() {
    // The node was down for five seconds, which it does not know.
    assert_eq!(known(3, &[0, -HOUR], 5000), 0);
    assert_eq!(known(3, &[-HOUR, 0], 5000), 0);
    assert_eq!(known(3, &[HOUR, 0], 5000), 0, "nor one that is ahead of it");
    assert_eq!(known(5, &[-HOUR, 0, -2 * HOUR], 5000), 0);
    assert_eq!(known(5, &[-HOUR, 0, 2 * HOUR], 5000), 0);
    // What does not hold: such a clock cannot be told from a right one.
    assert_eq!(known(3, &[0, -4000], 5000), -4000);
}

#[test]
fn a_log_that_more_than_half_of_the_clocks_contradict_is_not_believed() {
    assert_eq!(known(3, &[0, 2], -HOUR), 2);
    assert_eq!(known(3, &[0, 2, 4], -HOUR), 2);
    assert_eq!(known(5, &[0, 2, 4], -HOUR), 4);
}
