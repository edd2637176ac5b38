use super::super::tests::{assert_copies_nothing, bulk_of, run_bytes};
use super::*;
use crate::command::{Command, MAX_VALUE_BYTES};

fn run_at(store: &mut Store, line: &str, index: Index) -> Reply {
    let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    run_bytes(store, &args, index)
}

fn run(store: &mut Store, line: &str) -> Reply {
    run_at(store, line, 1)
}

fn list(texts: &str) -> Vec<Reply> {
    texts.split_whitespace().map(bulk_of).collect()
}

/// One request a line, and what redis-server 7.0.15 answers to the same requests in the same order.
#[test]
fn replies_are_those_of_redis() {
    let overflow = Reply::error_text("ERR increment or decrement would overflow");
    let no_integer = Reply::error_text("ERR hash value is not an integer");
    let (nil, ok, int) = (Reply::Nil, Reply::Ok, Reply::Int);
    let transcript = [
        ("hget h a", nil.clone()),
        ("hgetall h", Reply::Map(vec![])),
        ("hkeys h", Reply::Array(vec![])),
        ("hlen h", int(0)),
        ("hstrlen h a", int(0)),
        ("hexists h a", int(0)),
        ("hdel h a", int(0)),
        ("hmget h a b", Reply::Array(vec![nil.clone(), nil.clone()])),
        ("exists h", int(0)),
        ("hset h b 2 a 1 c 3 a 4", int(3)),
        ("type h", Reply::Simple("hash".into())),
        ("hgetall h", Reply::Map(list("b 2 a 4 c 3"))),
        ("hkeys h", Reply::Array(list("b a c"))),
        ("hvals h", Reply::Array(list("2 4 3"))),
        ("hset h b 22 d 5", int(1)),
        ("hvals h", Reply::Array(list("22 4 3 5"))),
        ("hmset h a 44 e 6", ok.clone()),
        ("hmget h e nope a e", Reply::Array([list("6"), vec![nil.clone()], list("44 6")].concat())),
        ("hsetnx h a 0", int(0)),
        ("hsetnx h f 7", int(1)),
        ("hget h a", bulk_of("44")),
        ("hlen h", int(6)),
        ("hstrlen h b", int(2)),
        ("hexists h b", int(1)),
        ("hdel h b nope b c", int(2)),
        ("hgetall h", Reply::Map(list("a 44 d 5 e 6 f 7"))),
        ("hset h b 2", int(1)),
        ("hkeys h", Reply::Array(list("a d e f b"))),
        ("hincrby h n 5", int(5)),
        ("hincrby h n -7", int(-2)),
        ("hget h n", bulk_of("-2")),
        ("hset h n 9223372036854775807", int(0)),
        ("hincrby h n 1", overflow),
        ("hset h n x", int(0)),
        ("hincrby h n 1", no_integer.clone()),
        ("hset h n 01", int(0)),
        ("hincrby h n 1", no_integer),
        ("hincrbyfloat h g 10.5", bulk_of("10.5")),
        ("hincrbyfloat h g 0.1", bulk_of("10.6")),
        ("hincrbyfloat h g -5.0e3", bulk_of("-4989.39999999999999991")),
        ("hstrlen h g", int(23)),
        ("hset h g x", int(0)),
        ("hincrbyfloat h g 1", Reply::error_text("ERR hash value is not a float")),
        ("hset h g inf", int(0)),
        ("hincrbyfloat h g 1", Reply::error_text("ERR increment would produce NaN or Infinity")),
        ("hdel h g", int(1)),
        ("dbsize", int(1)),
        ("hdel h a b d e f n", int(6)),
        ("exists h", int(0)),
        ("type h", Reply::Simple("none".into())),
        ("dbsize", int(0)),
        ("hincrby h n 3", int(3)),
        ("expire h 100", int(1)),
        ("hset h m 1", int(1)),
        ("ttl h", int(100)),
        ("set h v", ok),
        ("get h", bulk_of("v")),
    ];
    let mut store = Store::new(1);
    for (number, (request, reply)) in transcript.into_iter().enumerate() {
        assert_eq!(run(&mut store, request), reply, "line {number}: {request}");
    }
    assert_eq!(run(&mut store, "del h"), Reply::Int(1));
    assert_eq!(store.memory_bytes(), 0);
}

/// The same: which commands refuse a key of the other type, and that they leave it as it is.
#[test]
fn a_key_of_the_other_type_is_refused_where_redis_does() {
    let mut store = Store::new(1);
    run(&mut store, "hset h f 1");
    run(&mut store, "set s 1");
    let digest = store.digest();
    for line in [
        "get h",
        "set h v get",
        "set h v nx get",
        "set h v xx get",
        "set h v ex 10 get",
        "getset h v",
        "getex h",
        "getex h persist",
        "getex h ex 10",
        "append h x",
        "strlen h",
        "incr h",
        "decrby h 3",
        "hget s f",
        "hmget s f g",
        "hset s f v",
        "hmset s f v",
        "hsetnx s f v",
        "hdel s f",
        "hlen s",
        "hstrlen s f",
        "hexists s f",
        "hgetall s",
        "hkeys s",
        "hvals s",
        "hincrby s f 1",
        "hincrbyfloat s f 1",
    ] {
        assert_eq!(run_at(&mut store, line, 2), Reply::WRONG_TYPE, "{line}");
        assert_eq!(store.digest(), digest, "{line}");
    }
    assert_eq!(run(&mut store, "mget s h"), Reply::Array(vec![bulk_of("1"), Reply::Nil]));
    assert_eq!(run(&mut store, "set h v nx"), Reply::Nil);
    assert_eq!(run(&mut store, "setnx h v"), Reply::Int(0));
    assert_eq!(run(&mut store, "hset g f v"), Reply::Int(1));
    for line in ["set h v", "set g v xx", "mset h v"] {
        assert_eq!(run(&mut store, line), Reply::Ok);
        run(&mut store, "del h");
        run(&mut store, "hset h f v");
    }
    assert_eq!(run(&mut store, "get g"), bulk_of("v"));
}

#[test]
fn a_command_that_changes_nothing_copies_nothing() {
    let mut store = Store::new(1);
    run(&mut store, "hset h f text n 9223372036854775807");
    run(&mut store, "set s v");
    let in_vain =
        ["hsetnx h f x", "hdel h nope", "hdel nope f", "hincrby h f 1", "hincrby h n 1", "hset s f v"];
    assert_copies_nothing(&mut store, &in_vain);
    assert_copies_nothing(&mut store, &["hgetall h"]);
}

#[test]
fn every_change_notes_its_index() {
    let mut store = Store::new(1);
    for (index, line) in
        (10..).zip(["hset h a 1", "hmset h a 1", "hsetnx h b 2", "hincrby h n 1", "hdel h b c"])
    {
        run_at(&mut store, line, index);
        assert_eq!(store.find(b"h").unwrap().changed, index, "{line}");
    }
    run_at(&mut store, "hdel h a n", 99);
    assert_eq!(store.slots[store.place(b"h").slot].deleted, 99);
}

#[test]
fn a_snapshot_stays_as_it_was() {
    let mut store = Store::new(1);
    for number in 0..3000 {
        run(&mut store, &format!("hset large f{number} {number}"));
    }
    run(&mut store, "hset small a 1 b 2");
    let snapshot = store.clone();
    let digest = snapshot.digest();
    assert_eq!(digest, store.digest());
    for line in ["hset large f7 x", "hdel large f8", "hset large new x", "hset small a 3", "hdel small b"] {
        let before = store.digest();
        run(&mut store, line);
        assert_ne!(store.digest(), before, "{line}");
        assert_eq!(snapshot.digest(), digest, "{line}");
    }
    run(&mut store, "del large");
    while store.collect_garbage(100) {}
    assert_eq!(snapshot.digest(), digest);
    assert_eq!(snapshot.read(&Command::parse(&[b"HLEN", b"large"]).unwrap(), 0), Reply::Int(3000));
}

/// At either limit a command does nothing, or all that it says.
#[test]
fn a_hash_has_a_largest_size() {
    let value = vec![b'v'; MAX_VALUE_BYTES];
    let mut store = Store::new(1);
    for name in [&b"1"[..], b"2", b"3"] {
        assert_eq!(run_bytes(&mut store, &[b"HSET", b"h", name, &value], 1), Reply::Int(1));
    }
    let left = &value[..MAX_VALUE_BYTES - 4];
    let (bytes, digest) = (store.memory_bytes(), store.digest());
    let too_large = Reply::error_text("ERR hash exceeds maximum allowed size (67108864 bytes)");
    assert_eq!(run_bytes(&mut store, &[b"HSET", b"h", b"n", b"v", b"4", left], 2), too_large);
    assert_eq!(run_bytes(&mut store, &[b"HSETNX", b"h", b"4", &value], 2), too_large);
    assert_eq!((store.memory_bytes(), store.digest()), (bytes, digest));
    assert_eq!(run_bytes(&mut store, &[b"HSET", b"h", b"4", left], 3), Reply::Int(1));
    assert_eq!(run(&mut store, "hincrby h n 1"), too_large);
    // It is full, and a value that takes no more room than the one before fits.
    assert_eq!(run_bytes(&mut store, &[b"HSET", b"h", b"4", b"", b"4", left], 4), Reply::Int(0));
    let all = run(&mut store, "hgetall h");
    assert_eq!(all.text_bytes(), MAX_HASH_BYTES);
    let error = Reply::error_text("ERR reply exceeds maximum allowed size (67108864 bytes)");
    assert_eq!(run(&mut store, "hmget h 1 2 3 1 2"), error);

    let names: Vec<String> = (0..MAX_HASH_FIELDS).map(|number| number.to_string()).collect();
    for names in names.chunks(MAX_HASH_FIELDS / 2) {
        let fields = names.iter().flat_map(|name| [name.as_bytes(), b""]);
        let args: Vec<&[u8]> = [&b"HSET"[..], b"many"].into_iter().chain(fields).collect();
        run_bytes(&mut store, &args, 5);
    }
    assert_eq!(run(&mut store, "hlen many"), count(MAX_HASH_FIELDS));
    let too_many = Reply::error_text("ERR hash exceeds maximum of 524288 fields");
    assert_eq!(run(&mut store, "hset many 7 x y z"), too_many);
    assert_eq!(run(&mut store, "hget many 7"), bulk_of(""));
    assert_eq!(run(&mut store, "hset many 7 x 8 z 7 y"), Reply::Int(0));
    assert_eq!(run(&mut store, "hget many 7"), bulk_of("y"));
}

/// However it goes: by its own command, by another value, by its time, or with all others.
#[test]
fn a_large_hash_is_freed_in_slices() {
    let mut store = Store::new(1);
    let args: Vec<String> = (0..40_000).map(|number| number.to_string()).collect();
    let fill = |store: &mut Store| {
        let fields = args.iter().flat_map(|name| [name.as_bytes(), b"v"]);
        let args: Vec<&[u8]> = [&b"HSET"[..], b"h"].into_iter().chain(fields).collect();
        run(store, "del h");
        assert_eq!(run_bytes(store, &args, 1), Reply::Int(40_000));
    };
    for line in ["del h", "set h v", "expire h -1", "flushall"] {
        fill(&mut store);
        run(&mut store, line);
        assert!(store.memory_bytes() < 1000, "{line}");
        let mut slices = 0;
        while store.collect_garbage(1000) {
            slices += 1;
        }
        assert!((25..60).contains(&slices), "{slices} slices behind {line}");
    }
}

/// It is the snapshot's to free, and no work here.
#[test]
fn a_large_hash_that_a_snapshot_holds_is_let_go_of_at_once() {
    let mut store = Store::new(1);
    let keys: Vec<String> = (0..20).map(|number| format!("h{number}")).collect();
    let names: Vec<String> = (0..1000).map(|number| number.to_string()).collect();
    let fields = names.iter().flat_map(|name| [name.as_bytes(), b"v"]);
    for key in &keys {
        let args: Vec<&[u8]> = [&b"HSET"[..], key.as_bytes()].into_iter().chain(fields.clone()).collect();
        run_bytes(&mut store, &args, 1);
    }
    let snapshot = store.clone();
    keys.iter().for_each(|key| assert_eq!(run(&mut store, &format!("del {key}")), count(1)));
    assert!(!store.collect_garbage(1000));
    assert_eq!(snapshot.len(), 20);
}

#[test]
fn a_transaction_cannot_ask_for_a_reply_without_end() {
    let mut store = Store::new(1);
    let names: Vec<String> = (0..MAX_HASH_FIELDS / 2).map(|number| number.to_string()).collect();
    let fields = names.iter().flat_map(|name| [name.as_bytes(), b""]);
    let args: Vec<&[u8]> = [&b"HSET"[..], b"h"].into_iter().chain(fields).collect();
    run_bytes(&mut store, &args, 1);
    let all = || Command::parse(&[b"HGETALL", b"h"]).unwrap();
    let length = Command::parse(&[b"HLEN", b"h"]).unwrap();
    let commands = vec![all(), all(), all(), length];
    let error = Reply::error_text("ERR reply exceeds maximum of 1048576 elements");
    let exec = Command::Exec { conditions: Vec::new(), commands };
    for reply in [store.read(&exec, 0), store.execute(&exec, 2)] {
        let Reply::Array(replies) = reply else { panic!("{reply:?}") };
        assert!(matches!(&replies[1], Reply::Map(fields) if fields.len() == MAX_HASH_FIELDS));
        assert_eq!(replies[2..], [error.clone(), error.clone()], "no read behind it");
    }
}
