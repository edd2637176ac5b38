//! What goes wrong in replicated services, and what only looks wrong.

use bowline_linearizability::course::{Answer, Course, Operation};
use bowline_linearizability::redis::{Command, Redis, Reply};
use bowline_linearizability::{CallId, History, Verdict, Violation, check};
use bytes::Bytes;

type CourseHistory = History<Operation, Answer>;
type RedisHistory = History<Command, Reply>;

fn put(history: &mut CourseHistory, value: &'static str, [from, to]: [u64; 2]) -> CallId {
    let id = history.invoked(1, Operation::put("k", value), from);
    history.returned(id, Answer::Done, to);
    id
}

fn append(history: &mut CourseHistory, value: &'static str, [from, to]: [u64; 2]) -> CallId {
    let id = history.invoked(2, Operation::append("k", value), from);
    history.returned(id, Answer::Done, to);
    id
}

fn get(history: &mut CourseHistory, value: &'static str, [from, to]: [u64; 2]) -> CallId {
    let id = history.invoked(3, Operation::get("k"), from);
    history.returned(id, Answer::value(value), to);
    id
}

fn redis(history: &mut RedisHistory, line: &str, reply: Reply, [from, to]: [u64; 2]) -> CallId {
    let id = history.invoked(1, command(line), from);
    history.returned(id, reply, to);
    id
}

fn command(line: &str) -> Command {
    let words: Vec<_> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    Command::parse(&words).expect("the model knows it")
}

fn value(text: &'static str) -> Reply {
    Reply::Value(Bytes::from_static(text.as_bytes()))
}

#[track_caller]
fn assert_fine(history: &CourseHistory) {
    assert_eq!(check::<Course>(history, &mut || true), Verdict::Linearizable);
}

#[track_caller]
fn assert_redis_fine(history: &RedisHistory) {
    assert_eq!(check::<Redis>(history, &mut || true), Verdict::Linearizable);
}

/// The only violation of a history.
#[track_caller]
fn only(verdict: Verdict) -> Violation {
    match verdict {
        Verdict::NotLinearizable(mut violations) if violations.len() == 1 => violations.remove(0),
        other => panic!("{other:?} instead of one violation"),
    }
}

#[track_caller]
fn assert_blamed(history: &CourseHistory, call: CallId) {
    assert_eq!(only(check::<Course>(history, &mut || true)).unplaced, call);
}

#[track_caller]
fn assert_redis_blamed(history: &RedisHistory, call: CallId) {
    assert_eq!(only(check::<Redis>(history, &mut || true)).unplaced, call);
}

#[test]
fn nothing_is_linearizable() {
    assert_fine(&History::new());
}

#[test]
fn a_missing_key_reads_as_the_empty_string() {
    let mut history = History::new();
    get(&mut history, "", [0, 1]);
    append(&mut history, "a", [2, 3]);
    get(&mut history, "a", [4, 5]);
    assert_fine(&history);
}

#[test]
fn a_stale_read_is_seen() {
    let mut history = History::new();
    put(&mut history, "old", [0, 10]);
    put(&mut history, "new", [20, 30]);
    let stale = get(&mut history, "old", [40, 50]);
    assert_blamed(&history, stale);
}

#[test]
fn a_read_beside_a_write_may_see_either_value() {
    for value in ["old", "new"] {
        let mut history = History::new();
        put(&mut history, "old", [0, 10]);
        put(&mut history, "new", [20, 40]);
        get(&mut history, value, [25, 35]);
        assert_fine(&history);
    }
}

#[test]
fn a_write_that_was_read_does_not_vanish_again() {
    let mut history = History::new();
    put(&mut history, "old", [0, 10]);
    put(&mut history, "new", [20, 90]);
    get(&mut history, "new", [30, 40]);
    let vanished = get(&mut history, "old", [50, 60]);
    let violation = only(check::<Course>(&history, &mut || true));
    assert_eq!(violation.unplaced, vanished);
    assert_eq!(violation.order, [CallId(0), CallId(1), CallId(2)], "the put is needed before it is answered");
}

#[test]
fn a_lost_append_is_seen() {
    let mut history = History::new();
    append(&mut history, "a", [0, 10]);
    append(&mut history, "b", [20, 30]);
    let lost = get(&mut history, "b", [40, 50]);
    assert_blamed(&history, lost);
}

#[test]
fn an_append_that_is_done_twice_is_seen() {
    let mut history = History::new();
    append(&mut history, "a", [0, 10]);
    let twice = get(&mut history, "aa", [20, 30]);
    assert_blamed(&history, twice);
}

#[test]
fn an_append_that_was_sent_twice_may_be_done_twice() {
    let mut history = History::new();
    history.invoked(1, Operation::append("k", "a"), 0);
    append(&mut history, "a", [5, 10]);
    get(&mut history, "aa", [20, 30]);
    assert_fine(&history);
}

#[test]
fn appends_in_the_wrong_order_are_seen() {
    let mut history = History::new();
    append(&mut history, "a", [0, 10]);
    append(&mut history, "b", [20, 30]);
    let wrong = get(&mut history, "ba", [40, 50]);
    assert_blamed(&history, wrong);
}

#[test]
fn two_clients_that_see_two_orders_are_seen() {
    let mut history = History::new();
    append(&mut history, "a", [0, 90]);
    append(&mut history, "b", [0, 90]);
    get(&mut history, "a", [10, 20]);
    let other = get(&mut history, "b", [30, 40]);
    assert_blamed(&history, other);
}

#[test]
fn a_read_of_what_nobody_has_written_yet_is_seen() {
    let mut history = History::new();
    let early = get(&mut history, "new", [0, 10]);
    put(&mut history, "new", [20, 30]);
    assert_blamed(&history, early);
}

#[test]
fn a_call_without_an_answer_takes_effect_late_or_never() {
    for reads in [["", "lost"], ["", ""], ["lost", "lost"]] {
        let mut history = History::new();
        history.invoked(1, Operation::put("k", "lost"), 0);
        get(&mut history, reads[0], [1_000, 2_000]);
        get(&mut history, reads[1], [3_000, 4_000]);
        assert_fine(&history);
    }
}

#[test]
fn a_call_without_an_answer_does_not_take_effect_and_vanish() {
    let mut history = History::new();
    history.invoked(1, Operation::put("k", "lost"), 0);
    get(&mut history, "lost", [10, 20]);
    let vanished = get(&mut history, "", [30, 40]);
    assert_blamed(&history, vanished);
}

#[test]
fn a_call_without_an_answer_takes_effect_once() {
    let mut history = History::new();
    history.invoked(1, Operation::append("k", "lost"), 0);
    let twice = get(&mut history, "lostlost", [10, 20]);
    assert_blamed(&history, twice);
}

#[test]
fn a_call_without_an_answer_does_not_take_effect_before_it_was_made() {
    let mut history = History::new();
    let early = get(&mut history, "lost", [0, 10]);
    history.invoked(1, Operation::put("k", "lost"), 11);
    assert_blamed(&history, early);
}

#[test]
fn calls_that_meet_at_one_moment_are_concurrent() {
    let history = |read: u64| {
        let mut history = History::new();
        put(&mut history, "new", [0, 10]);
        let get = get(&mut history, "", [read, read + 5]);
        (history, get)
    };
    assert_fine(&history(10).0);
    let (late, get) = history(11);
    assert_blamed(&late, get);
}

#[test]
fn a_call_that_was_certainly_not_executed_explains_nothing() {
    let mut history = History::new();
    let refused = history.invoked(1, Operation::put("k", "refused"), 0);
    let read = get(&mut history, "refused", [10, 20]);
    assert_fine(&history);
    history.not_executed(refused);
    assert_blamed(&history, read);
}

#[test]
fn each_key_is_judged_and_blamed_apart() {
    let mut history = History::new();
    let mut wrong = Vec::new();
    for key in ["a", "b", "c"] {
        let id = history.invoked(1, Operation::put(key, "x"), 0);
        history.returned(id, Answer::Done, 1);
        let id = history.invoked(1, Operation::get(key), 2);
        history.returned(id, Answer::value(if key == "b" { "x" } else { "" }), 3);
        wrong.push(id);
    }
    let Verdict::NotLinearizable(violations) = check::<Course>(&history, &mut || true) else {
        panic!("two keys are wrong");
    };
    let blamed: Vec<_> =
        violations.iter().map(|violation| (violation.key.clone(), violation.unplaced)).collect();
    assert_eq!(blamed, [(Some(b"a".to_vec()), wrong[0]), (Some(b"c".to_vec()), wrong[2])]);
}

#[test]
fn an_answer_of_another_kind_is_wrong() {
    let mut history = History::new();
    let put = history.invoked(1, Operation::put("k", "x"), 0);
    history.returned(put, Answer::value("x"), 1);
    assert_blamed(&history, put);
    let mut history = History::new();
    let set = redis(&mut history, "SET k x", Reply::Nil, [0, 1]);
    assert_redis_blamed(&history, set);
}

#[test]
fn a_lock_that_two_hold_is_seen() {
    let mut history = History::new();
    redis(&mut history, "SET lock me NX", Reply::Ok, [0, 50]);
    let second = redis(&mut history, "SET lock you NX", Reply::Ok, [10, 60]);
    assert_redis_blamed(&history, second);
}

#[test]
fn a_lock_may_be_taken_again_when_it_may_have_been_released() {
    let mut history = History::new();
    redis(&mut history, "SETNX lock me", Reply::Int(1), [0, 10]);
    history.invoked(1, command("DEL lock"), 15);
    redis(&mut history, "SETNX lock you", Reply::Int(0), [20, 30]);
    redis(&mut history, "SETNX lock you", Reply::Int(1), [40, 50]);
    assert_redis_fine(&history);
}

#[test]
fn a_counter_that_gives_a_number_twice_is_seen() {
    let mut history = History::new();
    redis(&mut history, "INCR ids", Reply::Int(1), [0, 50]);
    let twice = redis(&mut history, "INCR ids", Reply::Int(1), [10, 60]);
    assert_redis_blamed(&history, twice);
}

#[test]
fn a_counter_may_leave_out_the_numbers_of_lost_calls_and_no_others() {
    let mut history = History::new();
    history.invoked(1, command("INCR ids"), 0);
    history.invoked(2, command("INCR ids"), 0);
    redis(&mut history, "INCR ids", Reply::Int(3), [10, 20]);
    assert_redis_fine(&history);
    let skipped = redis(&mut history, "INCR ids", Reply::Int(5), [30, 40]);
    assert_redis_blamed(&history, skipped);
}

#[test]
fn errors_are_answers_too() {
    let not_a_number = || Reply::Error(Bytes::from_static(b"ERR value is not an integer or out of range"));
    let mut history = History::new();
    redis(&mut history, "SET k x", Reply::Ok, [0, 10]);
    redis(&mut history, "INCR k", not_a_number(), [20, 30]);
    redis(&mut history, "SET k 9223372036854775807", Reply::Ok, [40, 50]);
    let overflow = Reply::Error(Bytes::from_static(b"ERR increment or decrement would overflow"));
    redis(&mut history, "INCR k", overflow, [60, 70]);
    assert_redis_fine(&history);
    let wrong = redis(&mut history, "DECR k", not_a_number(), [80, 90]);
    assert_redis_blamed(&history, wrong);
}

#[test]
fn a_text_is_a_number_up_to_its_longest() {
    let mut history = History::new();
    redis(&mut history, "SET k -922337203685477580", Reply::Ok, [0, 10]);
    redis(&mut history, "APPEND k 7", Reply::Int(20), [20, 30]);
    redis(&mut history, "DECR k", Reply::Int(i64::MIN), [40, 50]);
    redis(&mut history, "APPEND k 0", Reply::Int(21), [60, 70]);
    let not_a_number = Reply::Error(Bytes::from_static(b"ERR value is not an integer or out of range"));
    redis(&mut history, "INCR k", not_a_number, [80, 90]);
    assert_redis_fine(&history);
    let wrong = redis(&mut history, "STRLEN k", Reply::Int(20), [100, 110]);
    assert_redis_blamed(&history, wrong);
}

#[test]
fn no_value_grows_beyond_the_limit() {
    let limit = 16 * 1024 * 1024;
    let text = |len: usize| Bytes::from(vec![b'x'; len]);
    let append =
        |text: Bytes| Command::parse(&[Bytes::from("APPEND"), Bytes::from("k"), text]).expect("well formed");
    let mut history = History::new();
    let id = history.invoked(1, append(text(limit - 1)), 0);
    history.returned(id, Reply::Int(16_777_215), 1);
    let id = history.invoked(1, append(text(2)), 2);
    let error = "ERR string exceeds maximum allowed size (16777216 bytes)";
    history.returned(id, Reply::Error(Bytes::from(error)), 3);
    let id = history.invoked(1, append(text(1)), 4);
    history.returned(id, Reply::Int(16_777_216), 5);
    assert_redis_fine(&history);

    // What is refused makes no key.
    let mut history = History::new();
    let id = history.invoked(1, append(text(limit + 1)), 0);
    history.returned(id, Reply::Error(Bytes::from(error)), 1);
    redis(&mut history, "EXISTS k", Reply::Int(0), [2, 3]);
    assert_redis_fine(&history);
}

#[test]
fn keys_that_are_named_together_are_judged_together() {
    let mut history = History::new();
    redis(&mut history, "MSET x 1 y 1", Reply::Ok, [0, 10]);
    redis(&mut history, "MSET y 2 x 2", Reply::Ok, [20, 50]);
    redis(&mut history, "GET x", value("2"), [25, 30]);
    let torn = redis(&mut history, "GET y", value("1"), [35, 40]);
    redis(&mut history, "SET other 1", Reply::Ok, [0, 10]);
    let violation = only(check::<Redis>(&history, &mut || true));
    assert_eq!((violation.unplaced, violation.key), (torn, None));
    assert_eq!(violation.calls.len(), 4, "the other key has nothing to do with it");
}

#[test]
fn an_exec_behind_a_change_of_what_it_watched_is_seen() {
    let exec = |since: Option<&'static str>| Command::Exec {
        unchanged: vec![(Bytes::from("x"), since.map(Bytes::from))],
        commands: vec![command("SET y seen"), command("GET x")],
    };
    for (since, is_right) in [(Some("1"), false), (None, false), (Some("2"), true)] {
        let mut history = History::new();
        redis(&mut history, "SET x 1", Reply::Ok, [0, 10]);
        redis(&mut history, "SET x 2", Reply::Ok, [20, 30]);
        let id = history.invoked(1, exec(since), 40);
        history.returned(id, Reply::Array(vec![Reply::Ok, value("2")]), 50);
        if is_right {
            assert_redis_fine(&history);
            let torn = redis(&mut history, "GET y", Reply::Nil, [60, 70]);
            assert_redis_blamed(&history, torn);
        } else {
            assert_redis_blamed(&history, id);
        }
    }
}

#[test]
fn the_whole_store_is_one_key() {
    let mut history = History::new();
    redis(&mut history, "SET x 1", Reply::Ok, [0, 10]);
    redis(&mut history, "SET y 1", Reply::Ok, [0, 10]);
    redis(&mut history, "FLUSHALL", Reply::Ok, [20, 30]);
    redis(&mut history, "DBSIZE", Reply::Int(0), [40, 50]);
    assert_redis_fine(&history);
    redis(&mut history, "SET y 2", Reply::Ok, [60, 70]);
    let flush =
        Command::Exec { unchanged: Vec::new(), commands: vec![command("SET x 2"), command("FLUSHALL")] };
    let id = history.invoked(1, flush, 80);
    history.returned(id, Reply::Array(vec![Reply::Ok, Reply::Ok]), 90);
    redis(&mut history, "GET y", Reply::Nil, [100, 110]);
    assert_redis_fine(&history);
    let left = redis(&mut history, "GET y", value("2"), [120, 130]);
    assert_redis_blamed(&history, left);
}

#[test]
#[should_panic(expected = "has an outcome already")]
fn a_call_has_one_outcome() {
    let mut history: CourseHistory = History::new();
    let id = get(&mut history, "", [0, 1]);
    history.not_executed(id);
}

#[test]
#[should_panic(expected = "before 10")]
fn no_call_returns_before_it_was_made() {
    let mut history = History::new();
    get(&mut history, "", [10, 9]);
}
