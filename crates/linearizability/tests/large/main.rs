//! Histories of many clients on one key, and what is said when the time runs out.

mod crowd;

use bowline_linearizability::course::{Answer, Course, Operation};
use bowline_linearizability::redis::{Command, Redis};
use bowline_linearizability::{History, Model, Verdict, Violation, check};
use bytes::Bytes;
use crowd::{Load, simulate, with_a_lie};
use rand::RngExt;
use rand::rngs::StdRng;

/// Four thousand calls of twenty clients are linearizable; with one answer that is a few hundred calls old they are not, and
/// that answer is the one that is blamed.
fn judge<M: Model>(load: &Load<M>) {
    let history = simulate(load);
    assert_eq!(check::<M>(&history, &mut || true), Verdict::Linearizable, "{}", load.name);
    let (history, liar) = with_a_lie::<M>(&history);
    let violation = only(check::<M>(&history, &mut || true));
    assert_eq!(violation.unplaced, liar, "{}", load.name);
    assert!(violation.is_exact, "{}", load.name);
}

fn only(verdict: Verdict) -> Violation {
    match verdict {
        Verdict::NotLinearizable(mut violations) if violations.len() == 1 => violations.remove(0),
        other => panic!("{other:?} instead of one violation"),
    }
}

fn appends(random: &mut StdRng, number: usize) -> Operation {
    match random.random_range(0..10) {
        0..4 => Operation::get("k"),
        4 => Operation::put("k", format!("p{number};")),
        _ => Operation::append("k", format!("a{number};")),
    }
}

fn rare_reads(random: &mut StdRng, number: usize) -> Operation {
    if random.random_ratio(1, 40) {
        Operation::get("k")
    } else {
        Operation::append("k", format!("a{number};"))
    }
}

fn redis(line: &str) -> Command {
    let words: Vec<_> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    Command::parse(&words).expect("the model knows it")
}

fn redis_mix(random: &mut StdRng, number: usize) -> Command {
    match random.random_range(0..8) {
        0..4 => redis("GET k"),
        4 => redis(&format!("SET k p{number};")),
        5 => redis(&format!("GETSET k g{number};")),
        _ => redis(&format!("APPEND k a{number};")),
    }
}

fn counter(random: &mut StdRng, _: usize) -> Command {
    redis(if random.random_ratio(1, 3) { "GET k" } else { "INCR k" })
}

#[test]
fn twenty_clients_append_and_read() {
    judge::<Course>(&Load { name: "appends", clients: 20, calls: 4000, lost: 0, operation: appends });
    judge::<Course>(&Load { name: "rare reads", clients: 20, calls: 4000, lost: 0, operation: rare_reads });
}

#[test]
fn a_hundred_calls_were_never_answered() {
    judge::<Course>(&Load { name: "lost appends", clients: 20, calls: 4000, lost: 40, operation: appends });
    judge::<Redis>(&Load { name: "a lossy counter", clients: 20, calls: 4000, lost: 40, operation: counter });
}

#[test]
fn twenty_clients_of_redis() {
    judge::<Redis>(&Load { name: "redis", clients: 20, calls: 4000, lost: 0, operation: redis_mix });
}

#[test]
fn running_out_of_time_is_no_pass() {
    let history =
        simulate(&Load::<Course> { name: "", clients: 20, calls: 4000, lost: 0, operation: appends });
    let mut asked = 0;
    let verdict = check::<Course>(&history, &mut || {
        asked += 1;
        false
    });
    assert_eq!((verdict, asked), (Verdict::Unknown, 1), "after a no it is not asked again");
}

#[test]
fn what_is_wrong_with_one_key_is_said_though_the_time_ran_out_on_another() {
    let mut history =
        simulate(&Load::<Course> { name: "", clients: 20, calls: 4000, lost: 0, operation: appends });
    let id = history.invoked(1, Operation::get("other"), 0);
    history.returned(id, Answer::value("never put"), 1);
    assert_eq!(only(check::<Course>(&history, &mut || false)).unplaced, id);
}

/// A check that is given so many thousand steps.
fn check_for(history: &History<Operation, Answer>, mut questions: u32) -> Verdict {
    check::<Course>(history, &mut || {
        questions = questions.saturating_sub(1);
        questions > 0
    })
}

#[test]
fn a_violation_is_not_called_exact_when_the_time_ran_out_on_the_way() {
    let history =
        simulate(&Load::<Course> { name: "", clients: 20, calls: 1000, lost: 0, operation: appends });
    let (history, liar) = with_a_lie::<Course>(&history);
    let mut asked = 0;
    let _ = check::<Course>(&history, &mut || {
        asked += 1;
        true
    });
    // From none to one more than are asked.
    let verdicts: Vec<_> = (0..=40).map(|part| check_for(&history, (asked + 2) * part / 40)).collect();
    let is_known = |verdict: &Verdict| *verdict != Verdict::Unknown;
    let first = verdicts.iter().position(is_known).expect("some are given time enough");
    assert!(first > 0, "some are not");
    let violations: Vec<_> = verdicts[first..].iter().cloned().map(only).collect();
    let end = |call: usize| history.calls()[call].returned().map(|(at_ns, _)| at_ns);
    let (exact, vague): (Vec<_>, Vec<_>) = violations.iter().partition(|violation| violation.is_exact);
    assert!(exact.iter().all(|violation| violation.unplaced == liar));
    assert!(
        vague.iter().all(|violation| end(violation.unplaced.0) >= end(liar.0)),
        "it is that one or an earlier one"
    );
    assert!(!exact.is_empty() && !vague.is_empty(), "{} and {}", exact.len(), vague.len());
}
