//! How long the checker takes, on histories of a service that is simulated.
//!
//! `cargo run --release -p bowline-linearizability --example measure`, with a part of a line's name to measure only that.
//!
//! Every client always has a call out. A call takes effect at a moment between its invocation and its answer, so the history
//! is linearizable, unless a lie is told on purpose.

#[path = "../tests/large/crowd.rs"]
mod crowd;

use std::time::{Duration, Instant};

use bowline_linearizability::course::{Course, Operation};
use bowline_linearizability::redis::{Command, Redis};
use bowline_linearizability::{History, Model, Verdict, check};
use bytes::Bytes;
use crowd::{Load, simulate, with_a_lie};
use rand::RngExt;
use rand::rngs::StdRng;

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    println!("| history | calls | verdict | time | memory at most |");
    println!("|---|---|---|---|---|");
    of_course().iter().filter(|load| load.name.contains(&wanted)).for_each(measure::<Course>);
    of_redis().iter().filter(|load| load.name.contains(&wanted)).for_each(measure::<Redis>);
}

fn of_course() -> [Load<Course>; 7] {
    [
        Load { name: "1,000 keys, 50 clients", clients: 50, calls: 1_000_000, lost: 0, operation: many_keys },
        Load {
            name: "one key, appends and gets",
            clients: 20,
            calls: 100_000,
            lost: 0,
            operation: short_values,
        },
        Load {
            name: "one key, one get in 500, never put",
            clients: 20,
            calls: 100_000,
            lost: 0,
            operation: long_value,
        },
        Load { name: "one key, a put in 3", clients: 20, calls: 100_000, lost: 0, operation: puts },
        Load {
            name: "one key, a put in 3 of 10 values",
            clients: 20,
            calls: 100_000,
            lost: 0,
            operation: few_values,
        },
        Load {
            name: "one key, 500 lost calls",
            clients: 20,
            calls: 100_000,
            lost: 200,
            operation: short_values,
        },
        Load { name: "one key, 500 lost puts", clients: 20, calls: 100_000, lost: 200, operation: puts },
    ]
}

fn of_redis() -> [Load<Redis>; 5] {
    [
        Load {
            name: "redis, one key, APPEND and GET",
            clients: 20,
            calls: 100_000,
            lost: 0,
            operation: redis_appends,
        },
        Load { name: "redis, one counter", clients: 20, calls: 100_000, lost: 0, operation: redis_counter },
        Load {
            name: "redis, one counter, 500 lost calls",
            clients: 20,
            calls: 100_000,
            lost: 200,
            operation: redis_counter,
        },
        Load {
            name: "redis, one key, 500 lost APPENDs",
            clients: 20,
            calls: 100_000,
            lost: 200,
            operation: redis_appends,
        },
        Load {
            name: "redis, one key, everything",
            clients: 20,
            calls: 100_000,
            lost: 0,
            operation: redis_all,
        },
    ]
}

fn measure<M: Model>(load: &Load<M>) {
    let history = simulate(load);
    report::<M>(load.name, &history);
    let (history, _) = with_a_lie::<M>(&history);
    report::<M>(&format!("{}, a stale answer", load.name), &history);
}

fn report<M: Model>(name: &str, history: &History<M::Operation, M::Reply>) {
    let begin = Instant::now();
    let verdict = check::<M>(history, &mut || begin.elapsed() < Duration::from_secs(60));
    let took = begin.elapsed();
    let verdict = match verdict {
        Verdict::Linearizable => "linearizable".to_owned(),
        Verdict::NotLinearizable(violations) => {
            let certain = if violations[0].is_exact { "" } else { " or an earlier one" };
            format!("not, call {}{certain}", violations[0].unplaced.0)
        }
        Verdict::Unknown => "unknown".to_owned(),
    };
    println!(
        "| {name} | {} | {verdict} | {:.2} s | {} MiB |",
        history.calls().len(),
        took.as_secs_f64(),
        peak_memory_mib()
    );
}

fn peak_memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn many_keys(random: &mut StdRng, number: usize) -> Operation {
    let key = format!("key{}", random.random_range(0..1000));
    match random.random_range(0..10) {
        0..4 => Operation::get(key),
        4 => Operation::put(key, format!("p{number};")),
        _ => Operation::append(key, format!("a{number};")),
    }
}

fn short_values(random: &mut StdRng, number: usize) -> Operation {
    match random.random_range(0..10) {
        0..4 => Operation::get("k"),
        4 => Operation::put("k", format!("p{number};")),
        _ => Operation::append("k", format!("a{number};")),
    }
}

fn long_value(random: &mut StdRng, number: usize) -> Operation {
    match random.random_range(0..500) {
        0 => Operation::get("k"),
        _ => Operation::append("k", format!("a{number};")),
    }
}

fn puts(random: &mut StdRng, number: usize) -> Operation {
    match random.random_range(0..3) {
        0 => Operation::put("k", format!("p{number};")),
        _ => Operation::get("k"),
    }
}

fn few_values(random: &mut StdRng, number: usize) -> Operation {
    match random.random_range(0..3) {
        0 => Operation::put("k", format!("p{};", number % 10)),
        _ => Operation::get("k"),
    }
}

fn redis(line: &str) -> Command {
    let words: Vec<_> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    Command::parse(&words).expect("the model knows it")
}

fn redis_appends(random: &mut StdRng, number: usize) -> Command {
    match random.random_range(0..500) {
        0 => redis("GET k"),
        _ => redis(&format!("APPEND k a{number};")),
    }
}

fn redis_counter(random: &mut StdRng, _: usize) -> Command {
    redis(if random.random_ratio(1, 3) { "GET k" } else { "INCR k" })
}

fn redis_all(random: &mut StdRng, number: usize) -> Command {
    match random.random_range(0..16) {
        0..6 => redis("GET k"),
        6 => redis(&format!("SET k p{number};")),
        7 => redis(&format!("SETNX k n{number};")),
        8 => redis(&format!("GETSET k g{number};")),
        9 => redis("DEL k"),
        10 => redis("INCR k"),
        11 => redis("STRLEN k"),
        12 => redis("EXISTS k"),
        _ => redis(&format!("APPEND k a{number};")),
    }
}
