//! The checker beside one that tries every order, on tens of thousands of small histories: right ones, wrong ones, and such
//! with calls that nobody knows the outcome of. The answer that it blames is checked too.

mod generate;
mod oracle;
mod timed;

use bowline_linearizability::course::{Answer, Course, Operation};
use bowline_linearizability::redis::{Command, Redis, Reply};
use bowline_linearizability::{CallId, History, Model, Verdict, Violation, check};
use bytes::Bytes;
use generate::{Shape, history};
use oracle::{is_linearizable, known_after};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How many histories of each shape.
const HISTORIES: u64 = 20_000;

/// Compares the two on histories of a shape. Enough of them are of either kind.
fn compare<M: Model>(shape: &Shape<M>) {
    let mut wrong = 0;
    for seed in 0..HISTORIES {
        let history = history(&mut StdRng::seed_from_u64(seed), shape);
        let verdict = check::<M>(&history, &mut || true);
        if is_linearizable::<M>(&history) {
            assert_eq!(verdict, Verdict::Linearizable, "seed {seed}: {history:#?}");
            continue;
        }
        wrong += 1;
        let Verdict::NotLinearizable(violations) = verdict else {
            panic!("seed {seed}: {verdict:?} of {history:#?}");
        };
        for violation in violations {
            check_blame::<M>(seed, &history, &violation);
        }
    }
    println!("{wrong} of {HISTORIES} are not linearizable");
    assert!((HISTORIES / 10..HISTORIES * 9 / 10).contains(&wrong), "{wrong} of {HISTORIES} are wrong");
}

/// With the answers of the part before the one that is blamed the part is linearizable, in the order that is given; with that
/// one it is not.
fn check_blame<M: Model>(seed: u64, history: &History<M::Operation, M::Reply>, violation: &Violation) {
    let end = |id: &CallId| history.calls()[id.0].returned().map(|(at_ns, _)| at_ns);
    let last = end(&violation.unplaced).expect("what is blamed was answered");
    let mut answers: Vec<_> =
        violation.calls.iter().copied().filter(|id| end(id).is_some_and(|at| at < last)).collect();
    assert!(
        is_linearizable::<M>(&known_after::<M>(history, &answers)),
        "seed {seed}: {violation:?} {history:#?}"
    );
    assert!(answers.iter().all(|id| violation.order.contains(id)), "seed {seed}: {violation:?} {history:#?}");
    // Those that were answered at the same time may come before it or behind it.
    answers.extend(violation.calls.iter().filter(|id| end(id) == Some(last)));
    assert!(
        !is_linearizable::<M>(&known_after::<M>(history, &answers)),
        "seed {seed}: {violation:?} {history:#?}"
    );
    assert!(violation.is_exact, "the time did not run out");
}

fn one_of<T: Clone>(random: &mut StdRng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())].clone()
}

fn text(random: &mut StdRng, choices: &[&'static str]) -> Bytes {
    Bytes::from_static(one_of(random, choices).as_bytes())
}

fn redis(random: &mut StdRng, lines: &[&'static str]) -> Command {
    let words: Vec<_> =
        one_of(random, lines).split(' ').map(|word| Bytes::from_static(word.as_bytes())).collect();
    Command::parse(&words).expect("the model knows it")
}

/// Compares the two on histories of these commands, answered with one of these values or something that is none.
fn compare_lines(lines: &'static [&'static str], values: &'static [&'static str], calls: usize) {
    compare::<Redis>(&Shape::new(|random| redis(random, lines), |random| reply(random, values), calls));
}

/// EXEC of a few of these commands, behind a WATCH or not.
fn exec(random: &mut StdRng, lines: &[&'static str], watched: &[(&'static str, &'static str)]) -> Command {
    let commands = (0..random.random_range(0..=2)).map(|_| redis(random, lines)).collect();
    let unchanged = (0..random.random_range(0..=2)).map(|_| {
        let (key, value) = one_of(random, watched);
        let value = Some(value).filter(|value| !value.is_empty());
        (Bytes::from_static(key.as_bytes()), value.map(|value| Bytes::from_static(value.as_bytes())))
    });
    Command::Exec { unchanged: unchanged.collect(), commands }
}

fn reply(random: &mut StdRng, values: &[&'static str]) -> Reply {
    match random.random_range(0..6) {
        0 => Reply::Ok,
        1 => Reply::Nil,
        2 => Reply::Int(random.random_range(-1..4)),
        3 => Reply::Simple(Bytes::from_static(b"string")),
        4 => Reply::Error(Bytes::from_static(b"ERR value is not an integer or out of range")),
        _ => Reply::Value(text(random, values)),
    }
}

#[test]
fn puts_and_gets_of_few_values() {
    compare::<Course>(&Shape::new(
        |random| match random.random_range(0..5) {
            0..3 => Operation::get("k"),
            _ => Operation::put("k", text(random, &["", "a", "b"])),
        },
        |random| Answer::value(text(random, &["", "a", "b"])),
        8,
    ));
}

#[test]
fn appends_whose_bytes_tell_them_apart() {
    compare::<Course>(&Shape::new(
        |random| match random.random_range(0..6) {
            0..3 => Operation::get("k"),
            3 => Operation::put("k", text(random, &["p1.", "p2.", "p3."])),
            _ => Operation::append("k", text(random, &["a1.", "a2.", "a3.", "a4.", "a5.", "a6.", "a7."])),
        },
        |random| Answer::value(text(random, &["", "p1.", "p1.a1.", "a1.", "a1.a2.", "a2.a1."])),
        8,
    ));
}

#[test]
fn appends_that_begin_like_others() {
    compare::<Course>(&Shape::new(
        |random| match random.random_range(0..6) {
            0..3 => Operation::get("k"),
            3 => Operation::put("k", text(random, &["", "a", "ab", "b"])),
            _ => Operation::append("k", text(random, &["a", "b", "ab", "ba", "bb", "", "c"])),
        },
        |random| Answer::value(text(random, &["", "a", "ab", "aba", "abab", "b", "abc"])),
        8,
    ));
}

#[test]
fn several_keys() {
    compare::<Course>(&Shape::new(
        |random| {
            let key = text(random, &["x", "y"]);
            match random.random_range(0..4) {
                0..2 => Operation::get(key),
                2 => Operation::put(key, text(random, &["1", "2"])),
                _ => Operation::append(key, text(random, &["3", "4"])),
            }
        },
        |random| Answer::value(text(random, &["", "1", "2", "3", "13"])),
        8,
    ));
}

#[test]
fn redis_sets_and_gets() {
    compare_lines(
        &[
            "GET k",
            "GET k",
            "GET k",
            "SET k a",
            "SET k b",
            "SET k c NX",
            "SET k d XX",
            "SET k e GET",
            "SETNX k f",
            "GETSET k g",
            "SET k h NX GET",
            "EXISTS k",
            "TYPE k",
        ],
        &["a", "b", "c", "d", "e"],
        7,
    );
}

#[test]
fn redis_appends_and_lengths() {
    compare_lines(
        &[
            "GET k",
            "GET k",
            "SET k a",
            "APPEND k b",
            "APPEND k ab",
            "APPEND k c",
            "STRLEN k",
            "DEL k",
            "SET k ab GET",
            "SETNX k a",
            "EXISTS k",
        ],
        &["a", "b", "ab", "abab", "abc"],
        7,
    );
}

#[test]
fn redis_numbers() {
    compare_lines(
        &[
            "GET k",
            "GET k",
            "INCR k",
            "INCR k",
            "DECR k",
            "INCRBY k 9",
            "DECRBY k -2",
            "APPEND k 1",
            "SET k 1",
            "SET k x",
            "DEL k",
            "STRLEN k",
            "SET k 9223372036854775807",
        ],
        &["1", "11", "2", "-1", "x"],
        7,
    );
}

#[test]
fn redis_deletes() {
    compare_lines(
        &["GET k", "SET k a", "SET k b", "DEL k", "EXISTS k", "SETNX k c", "TYPE k"],
        &["a", "b", "c"],
        8,
    );
}

#[test]
fn redis_several_keys_at_once() {
    compare::<Redis>(&Shape::new(
        |random| {
            redis(
                random,
                &[
                    "MGET x y",
                    "MGET x x",
                    "MSET x 1 y 2",
                    "MSET x 3 y 4",
                    "MSET x 5 x 6",
                    "DEL x y",
                    "DEL y y",
                    "EXISTS x y x",
                    "GET x",
                    "GET y",
                    "SET x 7",
                    "APPEND y 8",
                    "INCR z",
                ],
            )
        },
        |random| match random.random_range(0..3) {
            0 => Reply::Array(vec![reply(random, &["1", "3"]), reply(random, &["2", "4"])]),
            _ => reply(random, &["1", "2", "7"]),
        },
        7,
    ));
}

#[test]
fn redis_the_whole_store() {
    compare_lines(
        &["DBSIZE", "FLUSHALL", "SET x 1", "SET y 2", "GET x", "GET y", "DEL x y", "INCR z"],
        &["1", "2"],
        7,
    );
}

#[test]
fn redis_transactions() {
    const LINES: &[&str] =
        &["SET x 1", "SET x 2", "GET x", "DEL x", "SET y 3", "GET y", "APPEND y 4", "INCR x"];
    compare::<Redis>(&Shape::new(
        |random| {
            if random.random() {
                exec(random, LINES, &[("x", "1"), ("x", "2"), ("x", ""), ("y", "3"), ("y", "")])
            } else {
                redis(random, LINES)
            }
        },
        |random| match random.random_range(0..4) {
            0 => Reply::Array(vec![reply(random, &["1", "2", "3"])]),
            1 => Reply::Array(vec![reply(random, &["1", "3"]), reply(random, &["2", "4"])]),
            2 => Reply::Nil,
            _ => reply(random, &["1", "2", "3"]),
        },
        7,
    ));
}
