use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::command::Command;
use crate::store::rank::rank_of;
use crate::store::tests::{check, run};

/// One request a line, and what redis-server 7.0.15 answers to the same requests in the same order.
#[test]
fn replies_are_those_of_redis() {
    check(&[
        ("randomkey x", "-ERR wrong number of arguments for 'randomkey' command"),
        ("scan x", "-ERR invalid cursor"),
        ("scan 0 match", "-ERR syntax error"),
        ("scan 0 foo", "-ERR syntax error"),
        ("scan 0 count 0", "-ERR syntax error"),
        ("scan 0 count x", "-ERR value is not an integer or out of range"),
        ("scan 0 count -5", "-ERR syntax error"),
        ("scan -", "-ERR invalid cursor"),
        ("scan 18446744073709551616", "-ERR invalid cursor"),
        ("scan 1x", "-ERR invalid cursor"),
        ("scan  0", "-ERR syntax error"),
        ("flushdb foo", "-ERR syntax error"),
        ("flushdb async x", "-ERR syntax error"),
        ("flushdb ASYNC", "OK"),
        ("dbsize", ":0"),
        ("scan 0", "['0', []]"),
        ("scan 0 count 5 match a type b", "['0', []]"),
        ("scan  ", "-ERR syntax error"),
        ("scan -0", "['0', []]"),
        ("scan +0", "['0', []]"),
        ("keys *", "[]"),
        ("keys", "-ERR wrong number of arguments for 'keys' command"),
        ("randomkey", "nil"),
        ("flushdb", "OK"),
        ("set a 1", "OK"),
        ("keys a*", "['a']"),
        ("keys ?", "['a']"),
        ("keys [^b]", "['a']"),
        ("keys b", "[]"),
        ("scan 0 match a* count 100 type STRING", "['0', ['a']]"),
        ("scan 0 match b* count 100", "['0', []]"),
        ("scan 0 type hash count 100", "['0', []]"),
        ("scan 0 type foo count 100", "['0', []]"),
        ("randomkey", "'a'"),
    ]);
}

/// One call: where to go on, and the keys.
fn call(store: &Store, line: &str) -> (u64, Vec<String>) {
    let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    let reply = store.read(&Command::parse(&args).unwrap(), 0);
    let Reply::Array(parts) = reply else { panic!("{reply:?}") };
    let [Reply::Bulk(cursor), Reply::Array(keys)] = parts.as_slice() else { panic!("{parts:?}") };
    let keys = keys.iter().map(|key| match key {
        Reply::Bulk(key) => String::from_utf8(key.to_vec()).unwrap(),
        other => panic!("{other:?}"),
    });
    (std::str::from_utf8(cursor).unwrap().parse().unwrap(), keys.collect())
}

/// All keys, and how many calls that took. `between` is done between two calls.
fn iterate(store: &mut Store, options: &str, mut between: impl FnMut(&mut Store)) -> (Vec<String>, usize) {
    let (mut cursor, mut keys, mut calls) = (0, Vec::new(), 0);
    loop {
        let (next, page) = call(store, &format!("scan {cursor}{options}"));
        keys.extend(page);
        calls += 1;
        if next == 0 {
            return (keys, calls);
        }
        assert!(next > cursor && next < 1 << 53, "cursors grow, and are exact as floating-point numbers");
        cursor = next;
        between(store);
    }
}

fn filled(seed: u64, names: impl Iterator<Item = String>) -> Store {
    let mut store = Store::new(seed);
    for name in names {
        run(&mut store, &format!("set {name} v"));
    }
    store
}

fn sorted(mut keys: Vec<String>) -> Vec<String> {
    keys.sort_unstable();
    keys
}

#[test]
fn every_key_comes_once_and_count_is_about_the_work() {
    let names: Vec<_> = (0..3000)
        .map(|number| format!("key{number}"))
        .chain((0..6000).map(|number| format!("{{tag}}{number}")))
        .collect();
    let mut store = filled(1, names.iter().cloned());
    let names = sorted(names);
    for (options, least, most) in [
        ("", 900, 901),
        (" count 1", 9000, 9000),
        (" count 100", 90, 91),
        (" count 100000", 1, 1),
        (" count 9223372036854775807", 1, 1),
        (" match nothing count 1000", 9, 10),
        (" type hash count 3000", 3, 4),
    ] {
        let (keys, calls) = iterate(&mut store, options, |_| {});
        assert!((least..=most).contains(&calls), "{options}: {calls}");
        let expected =
            if options.contains("nothing") || options.contains("hash") { &[][..] } else { names.as_slice() };
        assert_eq!(sorted(keys), expected, "{options}");
    }
    let (keys, _) = iterate(&mut store, " match {tag}*7", |_| {});
    assert_eq!(keys.len(), 600);
    assert_eq!(iterate(&mut Store::new(1), "", |_| {}), (vec![], 1));
}

/// A cursor of one node goes on at another one, whose tables are cut and seeded otherwise.
#[test]
fn a_cursor_means_the_same_on_every_replica() {
    let names = |number: u64| format!("{{tag}}{}", number % 20_011);
    let first = filled(1, (0..20_011).map(names));
    let mut second = filled(2, (0..20_011).rev().map(|number| names(number * 7)));
    for number in 0..50_000 {
        run(&mut second, &format!("set {{tag}}more{number} v"));
    }
    for number in 0..50_000 {
        run(&mut second, &format!("del {{tag}}more{number}"));
    }
    let slot = second.place(b"{tag}").slot;
    assert_ne!(first.slots[slot].shards(), second.slots[slot].shards());
    let (mut cursor, mut count) = (0, 0);
    loop {
        let line = format!("scan {cursor} count 500");
        let (next, keys) = call(&first, &line);
        count += keys.len();
        assert_eq!((next, keys), call(&second, &line));
        cursor = next;
        if next == 0 {
            break;
        }
    }
    assert_eq!(count, 20_011);
}

#[test]
fn cursors_that_nobody_was_given_do_no_harm() {
    let store = filled(1, (0..100).map(|number| format!("key{number}")));
    for cursor in [1, 1 << 39, (1 << 53) - 1, 1 << 53, u64::MAX, 12345] {
        let (next, _) = call(&store, &format!("scan {cursor} count 1"));
        assert!(next == 0 || next > cursor);
    }
    assert_eq!(call(&store, "scan -1"), (0, vec![]));
}

#[test]
fn a_page_has_a_limit_whatever_count_says() {
    let long = |number: usize| format!("{}{number}", "x".repeat(60_000));
    let mut store = filled(1, (0..100).map(long));
    let (keys, calls) = iterate(&mut store, " count 100000", |_| {});
    assert_eq!((keys.len(), calls), (100, 6), "18 keys of 60,000 bytes are more than 1 MiB");
    let mut store = filled(1, (0..10).map(|number| format!("{}{number}", "x".repeat(10_000))));
    let pattern = format!("*{}y", "x".repeat(1000));
    let (keys, calls) = iterate(&mut store, &format!(" count 100000 match {pattern}"), |_| {});
    assert_eq!((keys.len(), calls), (0, 10), "each name takes more steps than one call may");
    assert_eq!(store.keys_like(pattern.as_bytes(), 20_000_000, &mut 0), TOO_MANY_KEYS);
    assert_eq!(store.keys_like(pattern.as_bytes(), 200_000_000, &mut 0), Reply::Array(vec![]));
    let too_long = Reply::error_text("ERR pattern exceeds maximum allowed size (1024 bytes)");
    for line in ["keys PATTERN", "scan 0 match PATTERN"] {
        let line = line.replace("PATTERN", &"x".repeat(1025));
        let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
        assert_eq!(Command::parse(&args), Err(too_long.clone()));
    }
}

#[test]
fn keys_are_shown_in_the_same_order_everywhere_and_not_without_end() {
    let names: Vec<_> = (0..500).map(|number| format!("{{{}}}{number}", number % 7)).collect();
    let mut first = filled(1, names.iter().cloned());
    let mut second = filled(2, names.iter().rev().cloned());
    let keys = run(&mut first, "keys *");
    assert_eq!(keys, run(&mut second, "keys *"));
    assert!(matches!(keys, Reply::Array(keys) if keys.len() == 500));
    let long = |number: usize| format!("{number}{}", "x".repeat(65_000));
    let mut store = filled(1, (0..1040).map(long));
    assert_eq!(run(&mut store, "keys *"), TOO_MANY_KEYS);
    assert!(matches!(run(&mut store, "keys 7*"), Reply::Array(keys) if keys.len() == 111));
}

/// Each replica has another seed, and what KEYS answers in a transaction that writes is recorded.
#[test]
fn whether_keys_fails_does_not_depend_on_the_seed() {
    // All in one slot: in what order they come is up to the seed.
    let long = |number: usize| format!("{{a}}{}{number}", "x".repeat(500));
    let names = || (0..9).map(long).chain(["{a}short".to_owned()]);
    let pattern = format!("*{}y", "x".repeat(100));
    let steps_of = |name: &str| {
        let mut steps = 0;
        Glob::new(pattern.as_bytes(), Case::Sensitive).matches_in(name.as_bytes(), &mut steps);
        steps
    };
    let needed: u64 = names().map(|name| KEY_STEPS + steps_of(&name)).sum();
    for seed in 0..20 {
        let store = filled(seed, names());
        for less in [1, steps_of("{a}short") + 1, needed] {
            let mut steps = 0;
            let reply = store.keys_like(pattern.as_bytes(), needed - less, &mut steps);
            assert_eq!((reply, steps), (TOO_MANY_KEYS, needed - less), "seed {seed}");
        }
        let mut steps = 0;
        let reply = store.keys_like(pattern.as_bytes(), needed, &mut steps);
        assert_eq!((reply, steps), (Reply::Array(vec![]), needed));
    }
}

#[test]
fn keys_whose_time_is_over_are_not_shown() {
    let mut store = Store::new(1);
    for number in 0..3000 {
        run(&mut store, &format!("set key{number} v px 5"));
    }
    run(&mut store, "set key v");
    store.advance(10, 2);
    assert!(store.over() > 1000);
    assert_eq!(iterate(&mut store, " count 1000", |_| {}).0, ["key"]);
    assert_eq!(run(&mut store, "keys *"), Reply::Array(vec![crate::store::tests::bulk_of("key")]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..crate::fixed_cases() })]

    /// What Redis guarantees: a key that is there all along comes (here exactly once), one that is not there at any
    /// time does not come, and an iteration ends though keys come and go meanwhile.
    #[test]
    fn what_stays_is_seen(
        seed: u64,
        stay in 1usize..2500,
        spread in prop_oneof![Just(1usize), Just(50), Just(5000)],
        count in prop_oneof![1usize..20, 500usize..3000],
    ) {
        let name = |kind: &str, number: usize| format!("{{{}}}{kind}{number}", number % spread);
        let mut store = filled(seed, (0..stay).map(|number| name("stays", number)));
        let mut comings = 0;
        let (keys, calls) = iterate(&mut store, &format!(" count {count}"), |store| {
            for _ in 0..count.min(100) {
                run(store, &format!("set {} v", name("comes", comings)));
                if comings % 3 > 0 {
                    run(store, &format!("del {}", name("comes", comings / 2)));
                }
                comings += 1;
            }
        });
        prop_assert!(calls <= (stay + comings) / count + 2);
        let mut seen = BTreeMap::new();
        for key in keys {
            *seen.entry(key).or_insert(0) += 1;
        }
        for number in 0..stay {
            prop_assert_eq!(seen.remove(&name("stays", number)), Some(1));
        }
        prop_assert!(seen.keys().all(|key| key.contains("comes")));
    }

    #[test]
    fn the_order_is_that_of_slots_and_ranks(seed: u64, keys in 1usize..500) {
        let mut store = filled(seed, (0..keys).map(|number| format!("key{number}")));
        let (seen, _) = iterate(&mut store, " count 7", |_| {});
        let place = |key: &String| (crate::slot::slot_of(key.as_bytes()), rank_of(key.as_bytes()));
        prop_assert!(seen.is_sorted_by_key(place));
        prop_assert_eq!(seen.len(), keys);
    }
}
