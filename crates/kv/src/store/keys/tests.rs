use std::collections::BTreeMap;

use super::*;
use crate::command::Command;
use crate::store::tests::{bulk_of, check, run};

/// One request a line, and what redis-server 7.0.15 answers to the same requests in the same order.
#[test]
fn replies_are_those_of_redis() {
    check(&[
        ("rename a b", "-ERR no such key"),
        ("renamenx a b", "-ERR no such key"),
        ("rename a a", "-ERR no such key"),
        ("set a 1", "OK"),
        ("expire a 100", ":1"),
        ("set b 2", "OK"),
        ("renamenx a b", ":0"),
        ("renamenx a a", ":0"),
        ("rename a a", "OK"),
        ("persist a", ":1"),
        ("expire a 100", ":1"),
        ("rename a b", "OK"),
        ("exists a", ":0"),
        ("get b", "'1'"),
        ("persist b", ":1"),
        ("persist b", ":0"),
        ("renamenx b c", ":1"),
        ("get c", "'1'"),
        ("rename c", "-ERR wrong number of arguments for 'rename' command"),
        ("rename c d e", "-ERR wrong number of arguments for 'rename' command"),
        ("copy a b", ":0"),
        ("copy c c", "-ERR source and destination objects are the same"),
        ("copy nope nope", "-ERR source and destination objects are the same"),
        ("copy c d", ":1"),
        ("get d", "'1'"),
        ("set d other", "OK"),
        ("copy c d", ":0"),
        ("get d", "'other'"),
        ("copy c d replace", ":1"),
        ("get d", "'1'"),
        ("copy c d REPLACE replace db 0", ":1"),
        ("copy c d db 16", "-ERR DB index is out of range"),
        ("copy c d db x", "-ERR value is not an integer or out of range"),
        (
            "copy c d db 99999999999",
            "-ERR value is out of range, value must between -2147483648 and 2147483647",
        ),
        ("copy c d db 9223372036854775808", "-ERR value is not an integer or out of range"),
        ("copy c d db", "-ERR syntax error"),
        ("copy c d foo", "-ERR syntax error"),
        ("copy c", "-ERR wrong number of arguments for 'copy' command"),
        ("expire c 100", ":1"),
        ("copy c e", ":1"),
        ("persist e", ":1"),
        ("persist c", ":1"),
        ("append e x", ":2"),
        ("get c", "'1'"),
        ("get e", "'1x'"),
        ("unlink a b c nope", ":1"),
        ("exists c d", ":1"),
        ("unlink", "-ERR wrong number of arguments for 'unlink' command"),
        ("touch d e e nope", ":3"),
        ("touch", "-ERR wrong number of arguments for 'touch' command"),
        ("object encoding d", "'int'"),
        ("object encoding nope", "nil"),
        ("set l 12345678901234567890123456789012345678901234", "OK"),
        ("object encoding l", "'embstr'"),
        ("set l 123456789012345678901234567890123456789012345", "OK"),
        ("object encoding l", "'raw'"),
        ("set l 9223372036854775807", "OK"),
        ("object encoding l", "'int'"),
        ("set l 9223372036854775808", "OK"),
        ("object encoding l", "'embstr'"),
        ("set l 01", "OK"),
        ("object encoding l", "'embstr'"),
        ("set l ", "OK"),
        ("object encoding l", "'embstr'"),
        (
            "object freq d",
            "-ERR An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
             switching between policies at runtime LRU and LFU data will take some time to adjust.",
        ),
        ("object freq nope", "nil"),
        ("object refcount nope", "nil"),
        ("object", "-ERR wrong number of arguments for 'object' command"),
        ("object foo", "-ERR unknown subcommand 'foo'. Try OBJECT HELP."),
        ("object foo d", "-ERR unknown subcommand 'foo'. Try OBJECT HELP."),
        ("object encoding", "-ERR wrong number of arguments for 'object|encoding' command"),
        ("object encoding a b", "-ERR wrong number of arguments for 'object|encoding' command"),
        ("memory", "-ERR wrong number of arguments for 'memory' command"),
        ("memory foo", "-ERR unknown subcommand 'foo'. Try MEMORY HELP."),
        ("memory usage", "-ERR wrong number of arguments for 'memory|usage' command"),
        ("memory usage nope", "nil"),
        ("memory usage nope samples 5", "nil"),
        ("memory usage nope samples 0", "nil"),
        ("memory usage nope samples -1", "-ERR syntax error"),
        ("memory usage nope samples x", "-ERR value is not an integer or out of range"),
        ("memory usage nope samples", "-ERR syntax error"),
        ("memory usage nope foo 5", "-ERR syntax error"),
    ]);
}

#[test]
fn what_differs_from_redis_says_so() {
    check(&[
        ("set a 1", "OK"),
        ("object refcount a", ":1"),
        ("object idletime a", "-ERR OBJECT IDLETIME is not supported"),
        ("copy a b db 1", "-ERR DB index is out of range"),
    ]);
}

#[test]
fn a_hash_is_renamed_and_copied_like_a_string() {
    check(&[
        ("hset h f v", ":1"),
        ("expire h 100", ":1"),
        ("set s v", "OK"),
        ("rename h s", "OK"),
        ("type s", "hash"),
        ("copy s t", ":1"),
        ("hset s f changed", ":0"),
        ("hget t f", "'v'"),
        ("hset t g w", ":1"),
        ("hlen s", ":1"),
        ("persist s", ":1"),
        ("persist t", ":1"),
        ("object encoding s", "'listpack'"),
        ("renamenx t u", ":1"),
        ("copy u s replace", ":1"),
        ("hgetall s", "{'f': 'v', 'g': 'w'}"),
        ("unlink s u", ":2"),
        ("dbsize", ":0"),
    ]);
}

#[test]
fn memory_is_counted_as_keys_come_and_go() {
    let mut store = Store::new(1);
    run(&mut store, "mset a some-value other x");
    run(&mut store, "expire a 100");
    let usage = |store: &mut Store, key: &str| match run(store, &format!("memory usage {key}")) {
        Reply::Int(bytes) => usize::try_from(bytes).unwrap(),
        other => panic!("{other:?}"),
    };
    for (line, expiring) in [
        ("rename a a-much-longer-name", 1),
        ("copy a-much-longer-name b", 2),
        ("rename b other", 2),
        ("persist other", 1),
        ("incrbyfloat n 0.5", 1),
        ("setrange n 30 x", 1),
        ("getdel n", 1),
        ("msetnx x 1 y 2", 1),
    ] {
        run(&mut store, line);
        let keys = match run(&mut store, "keys *") {
            Reply::Array(keys) => keys,
            other => panic!("{other:?}"),
        };
        let sum = keys.iter().map(|key| {
            let Reply::Bulk(key) = key else { panic!("{key:?}") };
            usage(&mut store, std::str::from_utf8(key).unwrap())
        });
        let sum: usize = sum.sum();
        assert_eq!(sum, store.memory_bytes(), "{line}");
        assert_eq!(store.expiring(), expiring, "{line}");
    }
}

/// WATCH goes by these.
#[test]
fn both_names_note_the_change() {
    let mut store = Store::new(1);
    let mut at = |line: &str, index| {
        let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
        store.execute(&Command::parse(&args).unwrap(), index);
        let changed = |key: &[u8]| store.find(key).map(|value| value.changed);
        (changed(b"a"), changed(b"b"), store.slots[store.place(b"a").slot].deleted)
    };
    assert_eq!(at("set a 1", 3), (Some(3), None, 0));
    assert_eq!(at("rename a a", 4), (Some(3), None, 0));
    assert_eq!(at("copy a b", 5), (Some(3), Some(5), 0));
    assert_eq!(at("rename a b", 6), (None, Some(6), 6));
    assert_eq!(at("msetnx a 1 b 2", 7), (None, Some(6), 6));
    assert_eq!(at("setrange b 0 ", 8), (None, Some(6), 6));
    assert_eq!(at("setrange b 0 x", 9), (None, Some(9), 6));
    assert_eq!(at("set b x ifeq y", 10), (None, Some(9), 6));
    assert_eq!(at("set a 0", 11), (Some(11), Some(9), 6));
    assert_eq!(at("incrbyfloat a x", 12), (Some(11), Some(9), 6));
    assert_eq!(at("incrbyfloat a 0", 13), (Some(13), Some(9), 6));
    assert_eq!(at("delex a ifeq 1", 14), (Some(13), Some(9), 6));
    assert_eq!(at("getdel a", 15), (None, Some(9), 15));
}

#[test]
fn a_random_key_is_any_key_and_the_same_on_every_replica() {
    let (mut store, mut other) = (Store::new(1), Store::new(2));
    for number in 0..100 {
        run(&mut store, &format!("set key{number} v"));
        run(&mut other, &format!("set {{tag}}{} v", 99 - number));
        run(&mut other, &format!("set key{} v", 99 - number));
    }
    run(&mut other, "set gone v");
    for number in 0..100 {
        run(&mut store, &format!("set {{tag}}{number} v"));
    }
    run(&mut other, "del gone");
    let mut drawn = BTreeMap::new();
    for draw in 0..20_000u64 {
        let mut command = Command::RandomKey { draw: 0 };
        command.draw(draw);
        let key = store.read(&command, 0);
        assert_eq!(key, other.read(&command, 0));
        let Reply::Bulk(key) = key else { panic!("{key:?}") };
        *drawn.entry(key).or_insert(0) += 1;
    }
    assert_eq!(drawn.len(), 200);
    let range = (drawn.values().min().unwrap(), drawn.values().max().unwrap());
    assert!(*range.0 > 50 && *range.1 < 150, "100 times each, or about so: {range:?}");
}

#[test]
fn a_random_key_is_one_whose_time_is_not_over() {
    let mut store = Store::new(1);
    for number in 0..5000 {
        run(&mut store, &format!("set key{number} v px 5"));
        run(&mut store, &format!("set {{tag}}{number} v px 5"));
    }
    run(&mut store, "set key v");
    store.advance(10, 2);
    assert!(store.over() > 1000, "not all of them are swept at once");
    for draw in 0..100 {
        let mut command = Command::RandomKey { draw: 0 };
        command.draw(draw);
        assert_eq!(store.read(&command, 0), bulk_of("key"));
    }
}

#[test]
fn draws_within_a_transaction_are_independent() {
    let mut store = Store::new(1);
    for number in 0..100 {
        run(&mut store, &format!("set key{number} v"));
    }
    let mut command =
        Command::Exec { conditions: Vec::new(), commands: vec![Command::RandomKey { draw: 0 }; 10] };
    assert!(command.has_draw() && !Command::DbSize.has_draw());
    command.draw(1);
    let Reply::Array(keys) = store.read(&command, 0) else { panic!("no array") };
    assert!(keys.iter().any(|key| *key != keys[0]));
}
