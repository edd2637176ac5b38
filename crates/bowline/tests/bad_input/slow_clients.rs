//! Clients that send and do not read, and clients that begin and do not go on.

use std::io::{ErrorKind, Write};
use std::time::{Duration, Instant};

use crate::harness::{Cluster, PATIENCE, Reply, until};
use crate::support::{Raw, alone, assert_says, assert_well, encode, resident_bytes};

/// What a client may make a server of one node hold: what may wait for it of commands and of replies, the buffers
/// of its connection, and what the allocator keeps of all that.
const GROWTH_BOUND: u64 = 32 << 20;

#[test]
fn a_million_commands_and_nobody_who_reads_take_bounded_memory() {
    let cluster = Cluster::start("deaf", 1);
    let value = vec![b'v'; 1000];
    let mut other = Raw::connect(cluster.addr(1));
    other.set(b"value", &value);
    let before = resident_bytes(cluster.pid(1));

    let mut client = Raw::connect(cluster.addr(1));
    let commands = encode(&[b"GET", b"value"]).repeat(1_000_000);
    let (sent, most) = send_until_refused(&client, &commands, || {
        other.set(b"other", b"goes on");
        resident_bytes(cluster.pid(1))
    });
    let growth = most.saturating_sub(before);
    println!("{sent} of {} bytes sent, memory grew by {} KiB", commands.len(), growth >> 10);
    assert!(sent < commands.len(), "the server must stop to read");
    assert!(growth < GROWTH_BOUND, "{growth} bytes more");

    // Then it reads, and gets every answer, in order and whole.
    client.stream.set_nonblocking(false).expect("a socket");
    let mut stream = client.stream.try_clone().expect("a socket");
    let rest = commands[sent..].to_vec();
    let writer = std::thread::spawn(move || stream.write_all(&rest).expect("the server reads again"));
    let expected = Reply::Bulk(Some(value));
    for n in 0..1_000_000 {
        assert!(client.reply() == expected, "answer {n} is another one");
    }
    writer.join().expect("all was sent");
    let growth = resident_bytes(cluster.pid(1)).saturating_sub(before);
    assert!(growth < GROWTH_BOUND, "{growth} bytes more");
    assert_well(&cluster, 1);
}

/// Sends until the server has taken nothing for half a second: how many bytes went, and the most that `look` saw.
fn send_until_refused(client: &Raw, bytes: &[u8], mut look: impl FnMut() -> u64) -> (usize, u64) {
    client.stream.set_nonblocking(true).expect("a socket");
    let (mut sent, mut most) = (0, 0);
    let mut last = Instant::now();
    while sent < bytes.len() && last.elapsed() < Duration::from_millis(500) {
        match (&client.stream).write(&bytes[sent..]) {
            Ok(count) => {
                sent += count;
                last = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => most = most.max(look()),
            Err(error) => panic!("{error}"),
        }
    }
    (sent, most.max(look()))
}

#[test]
fn half_a_command_and_silence_disturb_nobody() {
    let cluster = Cluster::start("half", 1);
    let mut other = Raw::connect(cluster.addr(1));
    other.set(b"k", b"v");
    let before = resident_bytes(cluster.pid(1));
    // A length costs nothing, only what has come.
    let halves: [&[u8]; 4] = [
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$16777216\r\nbegin",
        b"*1048576\r\n$3\r\nDEL\r\n",
        b"*2\r\n$3\r\nGE",
        b"GET k",
    ];
    let silent: Vec<_> = (0..400)
        .map(|n| {
            let mut client = Raw::connect(cluster.addr(1));
            client.send(halves[n % halves.len()]);
            client
        })
        .collect();
    for n in 0..200 {
        other.set(b"k", format!("{n}").as_bytes());
    }
    let growth = resident_bytes(cluster.pid(1)).saturating_sub(before);
    println!("400 silent clients took {} KiB", growth >> 10);
    assert!(growth < 400 * (64 << 10), "{growth} bytes for {} clients", silent.len());
    assert_eq!(other.get(b"k"), b"199");

    // And one of them goes on after all.
    let mut late = silent.into_iter().nth(2).expect("one of the clients");
    late.send(b"T\r\n$1\r\nk\r\n");
    assert_eq!(late.reply(), Reply::Bulk(Some(b"199".to_vec())));
    assert_well(&cluster, 1);
}

#[test]
fn a_client_that_goes_in_the_middle_of_its_answers_disturbs_nobody() {
    let cluster = Cluster::start("gone", 1);
    let mut other = Raw::connect(cluster.addr(1));
    other.set(b"value", &vec![b'v'; 1 << 20]);
    for _ in 0..20 {
        let mut client = Raw::connect(cluster.addr(1));
        client.send(&encode(&[b"GET", b"value"]).repeat(50));
        client.send(&encode(&[b"SET", b"k", b"v"]).repeat(50));
        drop(client);
        other.set(b"other", b"goes on");
    }
    assert_well(&cluster, 1);
}

/// What a client that reads nothing may make two nodes hold, the one that it asks and the one that leads, when
/// it asks for large values: what may wait between them, and what it may be owed, and as much again that the allocator
/// may keep of what was given back.
const LARGE_GROWTH_BOUND: u64 = 768 << 20;

/// A cluster in which a key holds a value of that size, the leader, and a follower.
fn with_large_value(name: &str, value: &[u8]) -> (Cluster, u64, u64) {
    let cluster = Cluster::start(name, 3);
    let leader = cluster.leader();
    let follower = cluster.others(leader)[0];
    let mut client = Raw::connect(cluster.addr(follower));
    client.set(b"large", value);
    assert!(client.get(b"large") == value);
    (cluster, leader, follower)
}

#[test]
fn a_client_that_asks_for_large_values_and_reads_none_takes_bounded_memory() {
    let value = vec![b'v'; 16 << 20];
    let (cluster, leader, follower) = with_large_value("large-answers", &value);
    let nodes = [leader, follower];
    let before = nodes.map(|id| resident_bytes(cluster.pid(id)));
    let mut client = Raw::connect(cluster.addr(follower));
    // A write in front makes the first reads take the way through the log.
    client.send(&encode(&[b"SET", b"k", b"v"]));
    let count = 60;
    client.send(&encode(&[b"GET", b"large"]).repeat(count));
    let mut other = Raw::connect(cluster.addr(follower));
    let mut most = 0;
    let deadline = Instant::now() + Duration::from_secs(1);
    while Instant::now() < deadline {
        other.set(b"other", b"goes on");
        let under_way = cluster.info(follower).expect("it runs").number("raft_unanswered_commands");
        assert!(under_way < 16, "{under_way} answers of an unknown size are under way at once");
        for (id, before) in nodes.into_iter().zip(before) {
            let growth = resident_bytes(cluster.pid(id)).saturating_sub(before);
            // A few answers of an unknown size are under way, and no more once the first has come.
            assert!(growth < LARGE_GROWTH_BOUND / 2, "{growth} bytes more in node {id}, of {nodes:?}");
            most = most.max(growth);
        }
    }
    println!("the memory of a node grew by {} KiB", most >> 10);
    assert!(client.reply().is_ok());
    for n in 0..count {
        let is_right = matches!(client.reply(), Reply::Bulk(Some(got)) if got == value);
        assert!(is_right, "answer {n} of {count} is another one");
    }
    nodes.into_iter().for_each(|id| assert_well(&cluster, id));
}

#[test]
fn a_client_that_hides_large_values_behind_small_ones_takes_bounded_memory() {
    let value = vec![b'v'; 4 << 20];
    let (cluster, leader, follower) = with_large_value("hidden", &value);
    let nodes = [leader, follower];
    let before = nodes.map(|id| resident_bytes(cluster.pid(id)));
    let mut client = Raw::connect(cluster.addr(follower));
    client.send(&encode(&[b"EXISTS", b"large"]).repeat(1100));
    for _ in 0..1100 {
        assert_eq!(client.reply(), Reply::Integer(1));
    }
    client.send(&encode(&[b"GET", b"large"]).repeat(500));
    // The answers under way come to two GiB. A machine that is too slow to bring more of them than the client may
    // be owed, before the rest is given up, has nobody to disconnect.
    let is_disconnected = until("the end of a client that reads nothing", PATIENCE, || {
        let growth = nodes.map(|id| resident_bytes(cluster.pid(id))).into_iter().zip(before);
        let growth: Vec<u64> = growth.map(|(now, before)| now.saturating_sub(before)).collect();
        assert!(growth.iter().all(|bytes| *bytes < LARGE_GROWTH_BOUND), "{growth:?} bytes more in {nodes:?}");
        if cluster.log_text(follower).contains("is disconnected: replies of ") {
            return Some(true);
        }
        let holds_answers = growth[1] > value.len() as u64;
        let waits_for_none =
            cluster.info(follower).is_some_and(|info| info.number("raft_unanswered_commands") == 0);
        (holds_answers && waits_for_none).then_some(false)
    });
    if is_disconnected {
        assert_says(
            &cluster.log_text(follower),
            &["the limit is 268435456; it must read before it asks for more"],
        );
        client.wait_for_close(PATIENCE);
    }
    let mut other = Raw::connect(cluster.addr(follower));
    other.set(b"other", b"goes on");
    nodes.into_iter().for_each(|id| assert_well(&cluster, id));
}

#[test]
fn the_last_answer_before_the_end_does_not_keep_the_connection() {
    let cluster = alone();
    let mut client = Raw::connect(cluster.addr(1));
    client.send(b"SET quit 1\r\nGET quit\r\nQUIT\r\nSET quit 2\r\n");
    assert_eq!(client.rest(), "+OK\r\n$1\r\n1\r\n+OK\r\n");
    assert_eq!(Raw::connect(cluster.addr(1)).get(b"quit"), b"1");
}

#[test]
fn a_client_that_goes_while_it_waits_gives_its_place_back() {
    let cluster = Cluster::start("waiting", 1);
    let mut other = Raw::connect(cluster.addr(1));
    assert!(other.call(&[b"CLIENT", b"PAUSE", b"600000", b"WRITE"]).is_ok());
    let mut client = Raw::connect(cluster.addr(1));
    // More than is read behind a command that waits, and no more than the socket holds: the end is seen that has come.
    client.send(&encode(&[b"SET", b"k", b"v"]).repeat(4_000));
    let mut wait_for = |what: &str, lines: [&str; 2]| {
        until(what, PATIENCE, || {
            let Reply::Bulk(Some(info)) = other.call(&[b"INFO", b"clients"]) else { panic!("no text") };
            let info = String::from_utf8(info).expect("text");
            lines.iter().all(|line| info.contains(&format!("\r\n{line}\r\n"))).then_some(())
        });
    };
    wait_for("a client that waits", ["connected_clients:2", "blocked_clients:1"]);
    drop(client);
    wait_for("its end", ["connected_clients:1", "blocked_clients:0"]);
}
