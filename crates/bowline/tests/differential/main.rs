//! The same commands to Bowline and to a real redis-server: byte by byte the same replies, over RESP2 and RESP3,
//! error texts included.
//!
//! | file | what |
//! |---|---|
//! | `rows.rs` | the commands, what may stand behind them, how their replies are compared |
//! | `grammar.rs` | random sequences of them, on three connections |
//! | `run.rs`, `wire.rs` | both servers answer them |
//! | `compare.rs` | whether they said the same |
//! | `shrink.rs` | the shortest sequence that shows a difference |
//! | `differences.rs` | what is otherwise on purpose |
//! | `counts.rs` | what INFO counts of keys that were looked for |
//! | `documentation.rs` | what `COMMAND DOCS` says of arguments |
//!
//! `BOWLINE_SEED=7` runs that seed alone; `BOWLINE_SEEDS=1000` runs so many. Where there is no redis-server of the
//! version that Bowline is measured by, the tests say so and compare nothing.

use bowline_harness as harness;

mod compare;
mod counts;
mod differences;
mod documentation;
mod grammar;
mod rows;
mod run;
mod shrink;
mod wire;

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::Range;
use std::sync::Mutex;
use std::thread;

use differences::DIFFERENCES;
use documentation::hint;
use grammar::{Grammar, Step};
use harness::{Cluster, Redis};
use rows::{ITERATIONS, ROWS, TRANSACTIONS};
use run::{Difference, Pair, Tally, WATCH_FAILED, run};
use shrink::shrink;
use wire::{Connection, Reply};

/// What the replies are compared with.
const REDIS: &str = "7.0.";

const SEEDS: u64 = 20;
/// How many steps a seed has. To wait for the end of a key is one that is no command.
const STEPS: usize = 1010;

/// How many pairs of servers are asked at the same time.
const PAIRS: u64 = 4;

/// How often a failing sequence is run again to make it shorter.
const ATTEMPTS: usize = 400;

/// After so many failed seeds there is enough to look at.
const MAX_FAILED: usize = 5;

/// The two servers, or none if there is no redis-server to compare with.
fn start(name: &str) -> Option<(Cluster, Redis, Pair)> {
    let version = Redis::version();
    if !version.as_ref().is_some_and(|version| version.starts_with(REDIS)) {
        let found = version.unwrap_or_else(|| "none".to_owned());
        // Past the test's own capture, so that it is seen.
        let text = format!("SKIPPED: {name} needs redis-server {REDIS}x, and found {found}\n");
        std::io::stderr().write_all(text.as_bytes()).expect("the standard error");
        return None;
    }
    let (cluster, redis) = (Cluster::start(name, 1), Redis::start());
    let pair = Pair { bowline: cluster.addr(1).to_owned(), redis: redis.addr().to_owned() };
    Some((cluster, redis, pair))
}

/// The names of the commands that the server at `addr` has.
fn served(addr: &str) -> BTreeSet<String> {
    let reply = Connection::open(addr).call(&[b"COMMAND", b"LIST"]);
    reply.items.into_iter().map(|item| String::from_utf8(item.bytes).expect("a name")).collect()
}

/// The commands that are compared with this server.
fn compared(addr: &str) -> BTreeSet<&'static str> {
    let served = served(addr);
    let names = ROWS.iter().chain(TRANSACTIONS).map(|row| row.name);
    let names: BTreeSet<_> = names.chain(ITERATIONS.iter().map(|(name, ..)| *name)).collect();
    let missing: Vec<_> = names.iter().filter(|name| !served.contains(**name)).collect();
    assert!(missing.is_empty(), "the server has no {missing:?}");
    names
}

/// What is printed of a seed that failed.
fn explain(pair: &Pair, seed: u64, steps: &[Step], found: Difference) -> String {
    let steps = steps[..=found.step].to_vec();
    let mut last = found;
    let shortest = shrink(steps, ATTEMPTS, |steps| match run(pair, seed, steps, &mut Tally::default()) {
        Ok(()) => false,
        Err(difference) => {
            last = difference;
            true
        }
    });
    let steps: Vec<_> = shortest.iter().map(|step| format!("    {step}\n")).collect();
    let (ours, theirs) = *last.replies;
    format!("seed {seed}:\n{}  Bowline answers {ours:?}\n  Redis answers   {theirs:?}\n", steps.concat())
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text}: no number")))
}

/// Takes one seed after the other until there is none left, or enough has failed.
fn work(pair: &Pair, names: &BTreeSet<&str>, seeds: &Mutex<Range<u64>>, found: &Mutex<(Tally, Vec<String>)>) {
    loop {
        let Some(seed) = seeds.lock().expect("nobody panics with it").next() else { return };
        let steps = Grammar::new(seed, |name| names.contains(name)).steps(STEPS);
        let mut tally = Tally::default();
        let failed = run(pair, seed, &steps, &mut tally).err();
        let failed = failed.map(|difference| explain(pair, seed, &steps, difference));
        let mut found = found.lock().expect("nobody panics with it");
        found.0.add(tally);
        found.1.extend(failed);
        if found.1.len() >= MAX_FAILED {
            return;
        }
    }
}

#[test]
fn random_sequences_are_answered_as_by_redis() {
    let Some((_cluster, _redis, pair)) = start("random_sequences") else { return };
    let names = compared(&pair.bowline);
    let seeds = match number("BOWLINE_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("BOWLINE_SEEDS").unwrap_or(SEEDS),
    };
    let (left, found) = (Mutex::new(seeds.clone()), Mutex::default());
    thread::scope(|scope| {
        // Most of the time a pair of servers waits for a disk, or for us.
        for _ in 1..PAIRS.min(seeds.end - seeds.start) {
            scope.spawn(|| {
                let (_cluster, _redis, pair) = start("random_sequences").expect("it was there a moment ago");
                work(&pair, &names, &left, &found);
            });
        }
        work(&pair, &names, &left, &found);
    });
    let (tally, failed) = found.into_inner().expect("nobody panics with it");
    assert!(failed.is_empty(), "to see one again: BOWLINE_SEED=<seed>\n{}", failed.join("\n"));
    println!("{} commands, by answers and errors: {:?}", tally.total(), tally.0);
    let is_rare = |name: &&str| tally.0.get(*name).is_none_or(|(answers, _)| *answers == 0);
    let rare: Vec<_> = names.iter().copied().chain([WATCH_FAILED]).filter(is_rare).collect();
    assert!(seeds.end - seeds.start < SEEDS || rare.is_empty(), "never answered but by an error: {rare:?}");
}

#[test]
fn what_is_otherwise_is_listed() {
    let Some((_cluster, _redis, pair)) = start("listed_differences") else { return };
    // Else it comes upon keys whose time is over by itself, now and then.
    let reply = Connection::open(&pair.redis).call(&[b"DEBUG", b"SET-ACTIVE-EXPIRE", b"0"]);
    assert!(reply.is("+OK"), "{reply:?}");
    for listed in DIFFERENCES {
        let replies = run::replies(&pair, listed.commands);
        let ((ours, theirs, _), before) = replies.split_last().expect("a command");
        assert!(before.iter().all(|(.., same)| *same), "{}: {before:?}", listed.what);
        let is_so = ours.is(listed.bowline) && theirs.is(listed.redis);
        assert!(is_so, "{}: {ours:?}, {theirs:?}", listed.what);
    }
}

/// By which redis-cli makes its hints.
#[test]
fn arguments_are_documented_as_by_redis() {
    let Some((_cluster, _redis, pair)) = start("documented") else { return };
    let (mut ours, mut theirs) = (Connection::open(&pair.bowline), Connection::open(&pair.redis));
    let mut different = Vec::new();
    // SET has conditions that came with a later Redis.
    for name in compared(&pair.bowline).into_iter().filter(|name| *name != "set") {
        let hint =
            |connection: &mut Connection| hint(&connection.call(&[b"COMMAND", b"DOCS", name.as_bytes()]));
        let (ours, theirs) = (hint(&mut ours), hint(&mut theirs));
        if ours != theirs {
            different.push(format!("{name}:\n  Bowline {ours}\n  Redis   {theirs}\n"));
        }
    }
    assert!(different.is_empty(), "{}", different.concat());
}

/// Arity, flags, key positions and categories, by which clients and proxies place and batch commands.
#[test]
fn commands_are_described_as_by_redis() {
    let Some((_cluster, _redis, pair)) = start("described") else { return };
    let (mut ours, mut theirs) = (Connection::open(&pair.bowline), Connection::open(&pair.redis));
    let sorted = |reply: &Reply| {
        let mut items = reply.items.clone();
        items.sort();
        items
    };
    let mut different = Vec::new();
    for name in compared(&pair.bowline) {
        let describe = |connection: &mut Connection| {
            let reply = connection.call(&[b"COMMAND", b"INFO", name.as_bytes()]);
            reply.items.into_iter().next().expect("a description").items
        };
        let (ours, theirs) = (describe(&mut ours), describe(&mut theirs));
        let plain = [0, 1, 3, 4, 5].iter().all(|&at| ours[at] == theirs[at]);
        if !plain || [2, 6].iter().any(|&at| sorted(&ours[at]) != sorted(&theirs[at])) {
            different.push(format!("{name}:\n  Bowline {:?}\n  Redis   {:?}\n", &ours[..7], &theirs[..7]));
        }
    }
    assert!(different.is_empty(), "{}", different.concat());
}
