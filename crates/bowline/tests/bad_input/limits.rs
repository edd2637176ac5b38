//! Keys, values and commands at their limits and one byte above.

use std::time::Duration;

use crate::harness::{Cluster, PATIENCE, Reply, until};
use crate::support::{Raw, alone, assert_well, encode};

const KEY_LIMIT: usize = 64 << 10;
const VALUE_LIMIT: usize = 16 << 20;

#[test]
fn a_key_over_the_limit_is_refused_and_the_connection_goes_on() {
    let cluster = alone();
    let mut client = Raw::connect(cluster.addr(1));
    let key = vec![b'k'; KEY_LIMIT + 1];
    let commands: [&[&[u8]]; 4] =
        [&[b"SET", &key, b"v"], &[b"GET", &key], &[b"DEL", b"a", &key], &[b"MSET", b"a", b"b", &key, b"v"]];
    for command in commands {
        assert_eq!(client.error(command), "ERR key exceeds maximum allowed size (65536 bytes)");
    }
    client.set(&key[1..], b"at the limit");
    assert_eq!(client.get(&key[1..]), b"at the limit");
}

#[test]
fn a_value_over_the_limit_is_refused_with_the_limit_in_the_text() {
    let cluster = alone();
    let said = "-ERR Protocol error: bulk length 16777217 is above the limit of 16777216 bytes\r\n";
    // A client that sends all of it first, as most do, and only then reads.
    let mut client = Raw::connect(cluster.addr(1));
    client.send(&encode(&[b"SET", b"large", &vec![b'v'; VALUE_LIMIT + 1]]));
    client.send(&encode(&[b"SET", b"large", b"behind it"]));
    assert_eq!(client.rest(), said);
    // One that waits for the answer to the length.
    let mut client = Raw::connect(cluster.addr(1));
    client.send(b"*3\r\n$3\r\nSET\r\n$5\r\nlarge\r\n$16777217\r\n");
    assert_eq!(client.rest(), said);
    assert_eq!(Raw::connect(cluster.addr(1)).call(&[b"EXISTS", b"large"]), Reply::Integer(0));
    assert_well(&cluster, 1);
}

#[test]
fn a_value_may_not_grow_over_the_limit_either() {
    let cluster = alone();
    let mut client = Raw::connect(cluster.addr(1));
    client.set(b"growing", &vec![b'v'; VALUE_LIMIT - 1]);
    assert_eq!(client.call(&[b"APPEND", b"growing", b"w"]), Reply::Integer(VALUE_LIMIT as i64));
    let said = client.error(&[b"APPEND", b"growing", b"x"]);
    assert!(said.starts_with("ERR string exceeds maximum allowed size"), "{said}");
    assert_eq!(client.call(&[b"STRLEN", b"growing"]), Reply::Integer(VALUE_LIMIT as i64));
    assert_eq!(client.call(&[b"DEL", b"growing"]), Reply::Integer(1));
}

#[test]
fn a_command_over_the_limit_is_refused() {
    let cluster = alone();
    let mut client = Raw::connect(cluster.addr(1));
    let value = vec![b'v'; VALUE_LIMIT];
    client.send(&encode(&[b"MSET", b"a", &value, b"b", &value, b"c", &value]));
    assert_eq!(client.rest(), "-ERR Protocol error: command is above the limit of 34603008 bytes\r\n");
    let mut client = Raw::connect(cluster.addr(1));
    let said = client.error(&[b"MSET", b"a", &value, b"b", &value]);
    assert_eq!(said, "ERR command exceeds maximum allowed size (33554432 bytes)");
    client.set(b"small", b"still here");
    assert_well(&cluster, 1);
}

#[test]
fn the_largest_key_and_value_come_through_a_follower() {
    let cluster = Cluster::start("largest", 3);
    let leader = cluster.leader();
    let key = vec![b'k'; KEY_LIMIT];
    let value: Vec<u8> = (0..VALUE_LIMIT).map(|n| u8::try_from(n % 251).expect("below 251")).collect();
    let [first, second] = cluster.others(leader)[..] else { panic!("three nodes") };
    Raw::connect(cluster.addr(first)).set(&key, &value);
    for id in [second, leader] {
        assert!(Raw::connect(cluster.addr(id)).get(&key) == value, "another value through node {id}");
    }
    // Two at the limit make the longest command: its name and keys have to fit too.
    let longest = &value[..VALUE_LIMIT - 3];
    // Where everything is slow, it may cost its leader the office; then it is unknown, and can be sent again.
    until("the longest command to be carried out", PATIENCE, || {
        let reply = Raw::connect(cluster.addr(second)).call(&[b"MSET", b"a", longest, b"b", longest]);
        let is_unknown = matches!(&reply, Reply::Error(text) if text.starts_with("UNCERTAIN "));
        assert!(reply.is_ok() || is_unknown, "{reply:?}");
        reply.is_ok().then_some(())
    });
    assert!(Raw::connect(cluster.addr(first)).get(b"b") == longest);
}

#[test]
fn many_large_answers_through_a_follower_all_come_and_do_not_fill_its_memory() {
    let cluster = Cluster::start("answers", 3);
    let leader = cluster.leader();
    let follower = cluster.others(leader)[0];
    let value = vec![b'v'; VALUE_LIMIT];
    Raw::connect(cluster.addr(leader)).set(b"large", &value);
    let mut client = Raw::connect(cluster.addr(follower));
    client.stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a time that is not zero");
    // More than waits for a peer, less than a client may be owed.
    let count = 12;
    client.send(&encode(&[b"GET", b"large"]).repeat(count));
    for n in 0..count {
        assert!(client.reply() == Reply::Bulk(Some(value.clone())), "answer {n} of {count} is another one");
    }
}
