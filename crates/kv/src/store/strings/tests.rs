use super::*;
use crate::store::tests::{bulk_of, check, run, run_bytes};

/// One request a line, and what redis-server 7.0.15 answers to the same requests in the same order.
#[test]
fn replies_are_those_of_redis() {
    check(&[
        ("getrange a 0 -1", "''"),
        ("setrange a 0 ", ":0"),
        ("exists a", ":0"),
        ("setrange a 3 xy", ":5"),
        ("strlen a", ":5"),
        ("set s Hello-World", "OK"),
        ("getrange s 0 4", "'Hello'"),
        ("getrange s -5 -1", "'World'"),
        ("getrange s 4 2", "''"),
        ("getrange s -3 -7", "''"),
        ("getrange s -100 100", "'Hello-World'"),
        ("getrange s 10 10", "'d'"),
        ("getrange s 11 20", "''"),
        ("getrange s -100 -100", "'H'"),
        ("getrange s -9223372036854775808 9223372036854775807", "'Hello-World'"),
        ("substr s 1 3", "'ell'"),
        ("set empty ", "OK"),
        ("getrange empty 0 0", "''"),
        ("setrange s 6 Redis", ":11"),
        ("get s", "'Hello-Redis'"),
        ("setrange s 20 !", ":21"),
        ("strlen s", ":21"),
        ("setrange s 5 ", ":21"),
        ("set n 12345", "OK"),
        ("getrange n 1 3", "'234'"),
        ("setrange n 1 99", ":5"),
        ("get n", "'19945'"),
        ("getrange s x 1", "-ERR value is not an integer or out of range"),
        ("getrange s 1 1.5", "-ERR value is not an integer or out of range"),
        ("setrange s -1 x", "-ERR offset is out of range"),
        ("setrange s x x", "-ERR value is not an integer or out of range"),
        ("incrbyfloat f 3.0e3", "'3000'"),
        ("incrbyfloat f 200", "'3200'"),
        ("incrbyfloat f 0.1", "'3200.10000000000000009'"),
        ("incrbyfloat f -3200.1", "'0'"),
        ("incrbyfloat f 0.00000000000000001", "'0.00000000000000001'"),
        ("incrbyfloat f -0.000000000000000001", "'0.00000000000000001'"),
        ("incrbyfloat f x", "-ERR value is not a valid float"),
        ("incrbyfloat f 1 ", "-ERR wrong number of arguments for 'incrbyfloat' command"),
        ("get f", "'0.00000000000000001'"),
        ("set f 10.50", "OK"),
        ("incrbyfloat f 0.1", "'10.6'"),
        ("incrbyfloat f -5", "'5.6'"),
        ("set f 5.0e3", "OK"),
        ("incrbyfloat f 2.0e2", "'5200'"),
        ("set f abc", "OK"),
        ("incrbyfloat f 1", "-ERR value is not a valid float"),
        ("incrbyfloat f abc", "-ERR value is not a valid float"),
        ("set f 1", "OK"),
        ("incrbyfloat f inf", "-ERR increment would produce NaN or Infinity"),
        ("incrbyfloat f -Infinity", "-ERR increment would produce NaN or Infinity"),
        ("incrbyfloat f nan", "-ERR value is not a valid float"),
        ("incrbyfloat f 0x1p4", "'17'"),
        ("set f inf", "OK"),
        ("incrbyfloat f 1", "-ERR increment would produce NaN or Infinity"),
        ("set f 9223372036854775807", "OK"),
        ("incrbyfloat f 1", "'9223372036854775808'"),
        ("incr f", "-ERR value is not an integer or out of range"),
        ("set f 1", "OK"),
        ("expire f 100", ":1"),
        ("incrbyfloat f 1.5", "'2.5'"),
        ("persist f", ":1"),
        ("msetnx m1 a m2 b", ":1"),
        ("msetnx m2 c m3 d", ":0"),
        ("exists m3", ":0"),
        ("msetnx m4 a m4 b", ":1"),
        ("get m4", "'b'"),
        ("msetnx m5", "-ERR wrong number of arguments for 'msetnx' command"),
        ("msetnx m5 a m6", "-ERR wrong number of arguments for 'msetnx' command"),
        ("getdel m4", "'b'"),
        ("getdel m4", "nil"),
        ("get m4", "nil"),
        ("getdel", "-ERR wrong number of arguments for 'getdel' command"),
    ]);
}

/// As the documentation of Redis 8.4 has it, with the words of its server.
#[test]
fn a_value_is_compared_before_it_is_set_or_removed() {
    check(&[
        ("set a 1 ifeq x", "nil"),
        ("exists a", ":0"),
        ("set a 1 IFNE x", "OK"),
        ("set a 2 ifne 1", "nil"),
        ("set a 2 ifne 1 get", "'1'"),
        ("set a 2 ifeq 0 get", "'1'"),
        ("get a", "'1'"),
        ("set a 2 ifeq 1 px 100000 get", "'1'"),
        ("set a 3 keepttl ifeq 2", "OK"),
        ("persist a", ":1"),
        ("set a 4 ifeq 3", "OK"),
        ("set a 5 get ifne 3 ex 100", "'4'"),
        ("set a 6 ifeq 5", "OK"),
        ("persist a", ":0"),
        ("set new 1 get ifne x", "nil"),
        ("set none 1 get ifeq x", "nil"),
        ("exists new none", ":1"),
        ("set a 7 ifeq 6 nx", "-ERR syntax error"),
        ("set a 7 xx ifeq 6", "-ERR syntax error"),
        ("set a 7 ifeq 6 ifne 6", "-ERR syntax error"),
        ("set a 7 ifeq", "-ERR syntax error"),
        ("set a 7 ifdeq 6", "-ERR option 'IFDEQ' is not supported by this version of Bowline"),
        ("getex a ifeq 6", "-ERR syntax error"),
        ("delex a ifeq 5", ":0"),
        ("delex a IFNE 6", ":0"),
        ("delex a ifne 5", ":1"),
        ("delex a ifne 5", ":0"),
        ("delex a ifeq 6", ":0"),
        ("delex new ifeq 1", ":1"),
        ("set b 1", "OK"),
        ("delex b", ":1"),
        ("delex b", ":0"),
        ("delex", "-ERR wrong number of arguments for 'delex' command"),
        ("delex b ifeq", "-ERR wrong number of arguments for 'delex' command"),
        ("delex b ifeq 1 2", "-ERR wrong number of arguments for 'delex' command"),
        ("delex b nx 1", "-ERR Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"),
        ("delex b ifdne 1", "-ERR option 'IFDNE' is not supported by this version of Bowline"),
    ]);
}

#[test]
fn what_is_no_string_is_refused_and_stays() {
    let wrong_type = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    let not_compared = "-ERR Key should be of string type if conditions are specified";
    check(&[
        ("hset h f v", ":1"),
        ("getrange h 0 1", wrong_type),
        ("setrange h 0 ", wrong_type),
        ("setrange h 0 x", wrong_type),
        ("setrange h 99999999 x", wrong_type),
        ("incrbyfloat h 1", wrong_type),
        ("incrbyfloat h x", wrong_type),
        ("getdel h", wrong_type),
        ("set h x ifeq v", wrong_type),
        ("set h x ifne v", wrong_type),
        ("set h x ifne v get", wrong_type),
        ("delex h ifeq v", not_compared),
        ("delex h ifne v", not_compared),
        ("msetnx new 1 h 2", ":0"),
        ("type h", "hash"),
        ("exists new", ":0"),
        ("delex h", ":1"),
    ]);
}

#[test]
fn setrange_stops_at_the_longest_value() {
    let mut store = Store::new(1);
    let error = too_large("string", MAX_VALUE_BYTES);
    for offset in ["16777216", "16777215", "4294967296", "9223372036854775807"] {
        assert_eq!(run(&mut store, &format!("setrange a {offset} xy")), error, "{offset}");
    }
    assert_eq!(store.len(), 0);
    assert_eq!(run(&mut store, "setrange a 16777214 xy"), Reply::Int(16_777_216));
    let (bytes, digest) = (store.memory_bytes(), store.digest());
    assert_eq!(run(&mut store, "setrange a 16777215 xy"), error);
    assert_eq!((store.memory_bytes(), store.digest()), (bytes, digest));
    assert_eq!(run(&mut store, "getrange a 16777212 -1"), bulk_of("\0\0xy"));
}

#[test]
fn setrange_leaves_what_was_shown_as_it_was() {
    let mut store = Store::new(1);
    run(&mut store, "set a before");
    let (shown, snapshot) = (run(&mut store, "get a"), store.clone());
    let before = store.memory_bytes();
    assert_eq!(run(&mut store, "setrange a 2 hind+"), Reply::Int(7));
    assert_eq!((shown, run(&mut store, "get a")), (bulk_of("before"), bulk_of("behind+")));
    assert_eq!(store.memory_bytes(), before + 1);
    assert_eq!(snapshot.get_range(b"a", 0, -1), Ok(bulk_of("before")));
    let payload = Bytes::from(b"key value".to_vec());
    run_bytes(&mut store, &[b"SETRANGE", &payload[..3], b"0", &payload[4..]], 1);
    assert!(payload.is_unique());
}
