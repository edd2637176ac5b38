//! What an operator does to clients, and asks about them.

use std::time::{Duration, Instant};

use crate::harness::{Cluster, PATIENCE, Reply, until};
use crate::support::{Raw, alone, encode};

/// The text of a reply.
fn text(reply: Reply) -> String {
    match reply {
        Reply::Bulk(Some(text)) => String::from_utf8(text).expect("text"),
        other => panic!("no text: {other:?}"),
    }
}

fn id(client: &mut Raw) -> String {
    client.call(&[b"CLIENT", b"ID"]).number().expect("an id").to_string()
}

#[test]
fn a_client_that_is_killed_goes() {
    let cluster = alone();
    let [mut operator, mut first, mut second] = [(); 3].map(|()| Raw::connect(cluster.addr(1)));
    let (own, other) = (id(&mut operator), id(&mut first));
    assert_eq!(operator.call(&[b"CLIENT", b"KILL", b"ID", other.as_bytes()]), Reply::Integer(1));
    first.wait_for_close(PATIENCE);
    until("the end of a client that was killed", PATIENCE, || {
        let reply = operator.call(&[b"CLIENT", b"KILL", b"ID", other.as_bytes()]);
        (reply == Reply::Integer(0)).then_some(())
    });
    let addr = second.stream.local_addr().expect("an address").to_string();
    assert!(operator.call(&[b"CLIENT", b"KILL", addr.as_bytes()]).is_ok());
    second.wait_for_close(PATIENCE);
    assert_eq!(operator.error(&[b"CLIENT", b"KILL", b"1.2.3.4:5"]), "ERR No such client");
    assert_eq!(operator.call(&[b"CLIENT", b"KILL", b"ID", own.as_bytes()]), Reply::Integer(0), "not itself");
    let itself = encode(&[b"CLIENT", b"KILL", b"ID", own.as_bytes(), b"SKIPME", b"no"]);
    operator.send(&[itself, encode(&[b"PING"])].concat());
    assert_eq!(operator.rest(), ":1\r\n", "it is answered, and nothing behind it");
}

#[test]
fn a_pause_holds_what_it_says_and_ends() {
    let cluster = Cluster::start("pause", 1);
    let [mut operator, mut client] = [(); 2].map(|()| Raw::connect(cluster.addr(1)));
    client.set(b"k", b"1");
    assert!(operator.call(&[b"CLIENT", b"PAUSE", b"1000000", b"WRITE"]).is_ok());
    assert_eq!(client.get(b"k"), b"1", "reads go on");
    client.send(&[encode(&[b"SET", b"k", b"2"]), encode(&[b"GET", b"k"]), encode(&[b"PING"])].concat());
    assert_eq!(operator.get(b"k"), b"1", "the write waits");
    // One that goes while its command waits is gone.
    let mut gone = Raw::connect(cluster.addr(1));
    gone.send(&encode(&[b"SET", b"gone", b"1"]));
    let count = |operator: &mut Raw| text(operator.call(&[b"CLIENT", b"LIST"])).lines().count();
    until("the client that goes", PATIENCE, || (count(&mut operator) == 3).then_some(()));
    drop(gone);
    until("the end of the client that goes", PATIENCE, || (count(&mut operator) == 2).then_some(()));
    assert!(operator.call(&[b"CLIENT", b"UNPAUSE"]).is_ok());
    assert!(client.reply().is_ok());
    assert_eq!(client.reply(), Reply::Bulk(Some(b"2".to_vec())));
    assert_eq!(client.reply(), Reply::Simple("PONG".to_owned()));
    assert_eq!(operator.call(&[b"EXISTS", b"gone"]), Reply::Integer(0));

    let begun = Instant::now();
    assert!(operator.call(&[b"CLIENT", b"PAUSE", b"300"]).is_ok());
    assert_eq!(client.call(&[b"PING"]), Reply::Simple("PONG".to_owned()));
    assert!(begun.elapsed() >= Duration::from_millis(300), "not even a PING in {:?}", begun.elapsed());
    assert!(operator.call(&[b"CLIENT", b"PAUSE", b"1000000", b"ALL"]).is_ok());
    assert!(operator.call(&[b"CLIENT", b"UNPAUSE"]).is_ok(), "it can be ended");
    client.set(b"k", b"3");
}

#[test]
fn wait_counts_no_node_that_has_nothing() {
    let mut cluster = Cluster::start("wait", 3);
    let leader = cluster.leader();
    let [follower, third] = cluster.others(leader)[..] else { panic!("three nodes") };
    let mut client = Raw::connect(cluster.addr(leader));
    client.set(b"k", b"1");
    assert_eq!(client.call(&[b"WAIT", b"2", b"0"]), Reply::Integer(2));
    assert_eq!(client.call(&[b"WAIT", b"7", b"0"]), Reply::Integer(2), "there are no more");
    let mut other = Raw::connect(cluster.addr(follower));
    other.set(b"k", b"2");
    assert_eq!(other.call(&[b"WAIT", b"2", b"0"]), Reply::Integer(1), "this is certain");

    cluster.stop(third);
    // In one piece: the write is not acknowledged yet when WAIT comes.
    client.send(
        &[encode(&[b"SET", b"k", b"3"]), encode(&[b"WAIT", b"2", b"200"]), encode(&[b"PING"])].concat(),
    );
    assert!(client.reply().is_ok());
    assert_eq!(client.reply(), Reply::Integer(1), "one is frozen");
    assert_eq!(client.reply(), Reply::Simple("PONG".to_owned()));
    assert_eq!(client.call(&[b"WAIT", b"1", b"0"]), Reply::Integer(1));
    // It waits until there are so many; who goes meanwhile is gone.
    let mut gone = Raw::connect(cluster.addr(leader));
    gone.set(b"k", b"4");
    gone.send(&encode(&[b"WAIT", b"2", b"0"]));
    client.send(&encode(&[b"WAIT", b"2", b"0"]));
    drop(gone);
    let mut operator = Raw::connect(cluster.addr(leader));
    until("the end of the client that goes", PATIENCE, || {
        (text(operator.call(&[b"CLIENT", b"LIST"])).matches(" cmd=wait ").count() == 1).then_some(())
    });
    cluster.resume(third);
    assert_eq!(client.reply(), Reply::Integer(2));
}

/// The commands in the slow log, their arguments with blanks between them.
fn slow(client: &mut Raw) -> Vec<String> {
    let array = |reply: Reply| match reply {
        Reply::Array(items) => items,
        other => panic!("no array: {other:?}"),
    };
    let entries = array(client.call(&[b"SLOWLOG", b"GET", b"-1"])).into_iter();
    let words = |entry: Reply| array(array(entry).swap_remove(3)).into_iter().map(text).collect::<Vec<_>>();
    entries.map(|entry| words(entry).join(" ")).collect()
}

#[test]
fn what_was_slow_is_known() {
    let cluster = Cluster::start("slow", 1);
    let mut client = Raw::connect(cluster.addr(1));
    client.set(b"k", b"v");
    // On a machine that is busy something may have been slow already.
    assert!(client.call(&[b"CONFIG", b"SET", b"slowlog-log-slower-than", b"-1"]).is_ok());
    assert!(client.call(&[b"SLOWLOG", b"RESET"]).is_ok());
    assert!(client.call(&[b"CONFIG", b"SET", b"slowlog-log-slower-than", b"0"]).is_ok());
    client.send(&[encode(&[b"SET", b"k", &vec![b'x'; 1000]]), encode(&[b"GET", b"k"])].concat());
    assert!(client.reply().is_ok());
    assert!(matches!(client.reply(), Reply::Bulk(Some(_))));
    client.error(&[b"AUTH", b"secret"]);
    let long = format!("SET k {}... (872 more bytes)", "x".repeat(128));
    let expected = ["AUTH (redacted)", "GET k", &long, "CONFIG SET slowlog-log-slower-than 0"];
    assert_eq!(slow(&mut client), expected);
    assert!(client.call(&[b"CONFIG", b"SET", b"slowlog-log-slower-than", b"-1"]).is_ok());
    assert!(client.call(&[b"SLOWLOG", b"RESET"]).is_ok());
    client.set(b"k", b"v");
    assert_eq!(slow(&mut client), Vec::<String>::new());

    let info = text(client.call(&[b"INFO", b"commandstats", b"errorstats", b"latencystats"]));
    for part in
        ["cmdstat_set:calls=3,", "cmdstat_slowlog|get:calls=2,", "errorstat_ERR:count=1", "_usec_set:p50="]
    {
        assert!(info.contains(part), "{part} in {info}");
    }
}

#[test]
fn what_fails_in_a_transaction_and_who_waits_is_counted() {
    let cluster = Cluster::start("counted", 1);
    let mut client = Raw::connect(cluster.addr(1));
    client.set(b"text", b"x");
    assert!(client.call(&[b"CONFIG", b"RESETSTAT"]).is_ok());
    client.send(b"MULTI\r\nINCR text\r\nCLIENT SETNAME \"a b\"\r\nEXEC\r\nMULTI\r\nHGET text f\r\nEXEC\r\nWAIT 0 0\r\nPING\r\n");
    while client.reply() != Reply::Simple("PONG".to_owned()) {}
    let stats = text(client.call(&[b"INFO", b"stats", b"errorstats", b"commandstats"]));
    for line in ["total_error_replies:3", "errorstat_ERR:count=2", "errorstat_WRONGTYPE:count=1"] {
        assert!(stats.contains(&format!("\r\n{line}\r\n")), "{line} is not in {stats}");
    }
    assert!(stats.contains("\r\ncmdstat_wait:calls=1,usec=0,"), "{stats}");
}
