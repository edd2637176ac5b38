//! What INFO counts of keys that were looked for: monitoring makes hit rates of it.

use crate::harness::until;
use crate::run::EXPIRY_PATIENCE;
use crate::start;
use crate::wire::{Connection, Reply};

/// Reads, of keys that are there: `s`, a string, and `h`, a hash.
#[rustfmt::skip]
const READS: [&str; 33] = [
    "GET s", "GET h", "STRLEN s", "GETRANGE s 0 1", "SUBSTR s 0 1", "MGET s none h s", "EXISTS s none s", "TYPE s",
    "TTL s", "PTTL s", "EXPIRETIME s", "PEXPIRETIME s", "TOUCH s none", "OBJECT ENCODING s", "OBJECT REFCOUNT s",
    "HGET h f", "HGET s f", "HGET h none", "HMGET h f none", "HLEN h", "HSTRLEN h f", "HEXISTS h f", "HGETALL h",
    "HKEYS h", "HVALS h", "HSCAN h 0", "HRANDFIELD h", "WATCH s", "UNWATCH", "KEYS *", "SCAN 0", "DBSIZE", "RANDOMKEY",
];

/// Hits, misses and expired keys, by `INFO stats`.
fn counts(info: Reply) -> [u64; 3] {
    let text = String::from_utf8(info.bytes).expect("text");
    ["keyspace_hits:", "keyspace_misses:", "expired_keys:"].map(|name| {
        let number = text.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        number.parse().expect("a number")
    })
}

#[test]
fn reads_and_ends_of_keys_are_counted_as_by_redis() {
    let Some((_cluster, _redis, pair)) = start("counted") else { return };
    let mut both = [&pair.bowline, &pair.redis].map(|addr| Connection::open(addr));
    let mut say = |line: &str| {
        let args: Vec<_> = line.split(' ').map(str::as_bytes).collect();
        both.each_mut().map(|connection| connection.call(&args))
    };
    for line in ["SET s text", "HSET h f v", "SET short 1 PX 1"] {
        let [ours, theirs] = say(line);
        assert_eq!(ours, theirs, "{line}");
    }
    until("the end of a key", EXPIRY_PATIENCE, || {
        (say("INFO stats").map(counts) == [[0, 0, 1]; 2]).then_some(())
    });
    for line in READS {
        for line in [line.to_owned(), line.replacen(" s", " none", 1).replacen(" h", " none", 1)] {
            say(&line);
            let [ours, theirs] = say("INFO stats").map(counts);
            assert_eq!(ours, theirs, "{line}");
        }
    }
    let [hits, misses, _] = counts(say("INFO stats")[0].clone());
    assert!(hits > 0 && misses > 0, "{hits} hits, {misses} misses");
    say("CONFIG RESETSTAT");
    assert_eq!(say("INFO stats").map(counts), [[0; 3]; 2]);
}
