//! A log that has reached its limit: writes are refused, and nothing else.

use std::process::Command;

use crate::harness::{Cluster, PATIENCE, Reply, until};
use crate::support::{Raw, assert_says};

#[test]
fn a_full_log_refuses_writes_and_says_so() {
    let limit: u64 = 1 << 20;
    let arguments = ["--log-limit", "1MiB", "--snapshot-after", "1GiB"];
    let mut cluster = Cluster::start_with("full", 3, &arguments);
    let leader = cluster.leader();
    let mut clients: Vec<_> = cluster.ids().iter().map(|id| Raw::connect(cluster.addr(*id))).collect();
    let value = [b'v'; 10_000];
    let written = (0..)
        .take_while(|n| {
            let key = format!("k{n}");
            match clients[n % 3].call(&[b"SET", key.as_bytes(), &value]) {
                reply if reply.is_ok() => true,
                Reply::Error(text) => {
                    assert_says(
                        &text,
                        &["LOGFULL the log", "limit", "certainly not executed", "Reads go on"],
                    );
                    false
                }
                other => panic!("{other:?}"),
            }
        })
        .count();
    assert!((90..110).contains(&written), "{written} times 10,000 bytes into 1 MiB");

    for (client, id) in clients.iter_mut().zip(cluster.ids()) {
        assert!(client.error(&[b"SET", b"more", &value]).starts_with("LOGFULL "), "through node {id}");
        assert_eq!(client.get(format!("k{}", written - 1).as_bytes()), value, "through node {id}");
        assert_eq!(client.call(&[b"EXISTS", b"more"]), Reply::Integer(0), "through node {id}");
        assert_eq!(cluster.info(id).expect("it runs").number("raft_log_limit_bytes"), limit);
        // A follower has the last entries a little later.
        until("a log as full as the leader's", PATIENCE, || {
            let size = cluster.info(id).expect("it runs").number("raft_log_bytes");
            (limit * 9 / 10..limit * 2).contains(&size).then_some(())
        });
    }
    let at = cluster.addrs().join(",");
    let status = Command::new(env!("CARGO_BIN_EXE_bowline")).args(["status", "--at", &at]).output();
    let table = String::from_utf8(status.expect("the binary starts").stdout).expect("text");
    assert_eq!(table.matches(" of 1.0 MiB").count(), 3, "{table}");

    // A new leader must be able to begin, full or not, and to read.
    cluster.kill(leader);
    let other = cluster.others(leader)[0];
    assert_eq!(Raw::connect(cluster.addr(other)).get(b"k0"), value);
    assert!(Raw::connect(cluster.addr(other)).error(&[b"SET", b"more", &value]).starts_with("LOGFULL "));
    cluster.restart(leader);
    assert_eq!(Raw::connect(cluster.addr(leader)).get(b"k0"), value);

    // With a snapshot it begins anew.
    let leader = cluster.leader();
    let mut client = Raw::connect(cluster.addr(leader));
    let saving = client.call(&[b"BGSAVE"]);
    assert_eq!(saving, Reply::Simple("Background saving started".to_owned()));
    until("a write to be taken again", PATIENCE, || {
        client.call(&[b"SET", b"more", &value]).is_ok().then_some(())
    });
}
