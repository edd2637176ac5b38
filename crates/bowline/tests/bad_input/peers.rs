//! Strangers at the door between nodes: other clusters, replaced directories, and bytes that mean nothing.

use std::fs;
use std::time::Duration;

use bowline_raft::codec::{self, Header};
use bowline_raft::{AppendEntries, Body, Entry, EntryKind, GroupId, LogId, Message, NodeId};

use crate::harness::{Cluster, PATIENCE, Reply, until};
use crate::support::{Raw, assert_says, assert_well, encode, resident_bytes, wait_for_log};

/// How often the node's log has a line with that text.
fn count(cluster: &Cluster, id: u64, text: &str) -> usize {
    cluster.log_text(id).lines().filter(|line| line.contains(text)).count()
}

#[test]
fn a_peer_of_another_cluster_is_refused_on_both_sides() {
    let mut cluster = Cluster::prepare("two-clusters", 2, &[]);
    cluster.spawn(1, &["--new", "--cluster", "red"]);
    cluster.spawn(2, &["--new", "--cluster", "blue"]);
    let one = "node 1 is of cluster \"red\", and node 2 of cluster \"blue\"";
    let two = "node 2 is of cluster \"blue\", and node 1 of cluster \"red\"";
    wait_for_log(&cluster, 1, &format!("refused this node: {one}"));
    wait_for_log(&cluster, 1, &format!("refused: {two}"));
    wait_for_log(&cluster, 2, &format!("refused this node: {two}"));
    wait_for_log(&cluster, 2, &format!("refused: {one}"));
    // Neither counts the other: there is no majority, and so no data that could cross.
    let mut clients = [1, 2].map(|id| Raw::connect(cluster.addr(id)));
    for client in &mut clients {
        client.send(&encode(&[b"SET", b"k", b"v"]));
    }
    for (id, client) in [1, 2].into_iter().zip(&mut clients) {
        let Reply::Error(said) = client.reply() else { panic!("a write without a majority") };
        assert_says(&said, &["CLUSTERDOWN", "certainly not executed"]);
        assert_eq!(cluster.info(id).expect("it runs").number("raft_commit_index"), 0);
        assert_says(cluster.info(id).expect("it runs").text("raft_peer0"), &["state=down"]);
        // Five seconds of tries, each second at least: said, and not said again and again.
        for text in ["refused this node: ", "refused: "] {
            assert_eq!(count(&cluster, id, text), 1, "{}", cluster.log_text(id));
        }
    }
}

#[test]
fn a_member_with_a_new_directory_is_refused_on_both_sides() {
    let mut cluster = Cluster::start("replaced", 3);
    let leader = cluster.leader();
    let lost = cluster.others(leader)[0];
    let mut client = Raw::connect(cluster.addr(leader));
    client.set(b"k", b"v");
    cluster.wait_until_caught_up();
    let directory_of = |cluster: &Cluster, id| {
        let text = fs::read_to_string(cluster.data_dir(id).join("node")).expect("the file `node`");
        text.lines().find_map(|line| line.strip_prefix("directory=")).expect("its id").to_owned()
    };
    // What each has seen of the others is on its disk before it answers them.
    for id in cluster.others(lost) {
        let first = format!("peer.{lost}={}", directory_of(&cluster, lost));
        let node = cluster.data_dir(id).join("node");
        let what = format!("node {id} to remember the directory of node {lost}");
        until(&what, PATIENCE, || fs::read_to_string(&node).ok()?.contains(&first).then_some(()));
    }
    cluster.kill(lost);
    let first = directory_of(&cluster, lost);
    let kept = cluster.data_dir(lost).with_extension("kept");
    fs::rename(cluster.data_dir(lost), &kept).expect("renamed");
    let before = cluster.log_text(lost).len();
    cluster.spawn(lost, &["--new"]);
    wait_for_log(&cluster, lost, "refused this node: ");
    let now = directory_of(&cluster, lost);
    let said = format!("node {lost} has come with the directory {now}, and first came with {first}");
    for id in cluster.others(lost) {
        wait_for_log(&cluster, id, &format!("refused: {}: {said}", cluster.data_dir(id).display()));
        let told = format!("refused this node: {}: {said}", cluster.data_dir(id).display());
        wait_for_log(&cluster, lost, &told);
        assert_says(&cluster.log_text(id), &["give it back its first directory"]);
    }
    // The empty node gets nothing, and helps nobody to a majority.
    assert_eq!(cluster.info(lost).expect("it runs").number("raft_last_log_index"), 0);
    let other = *cluster.others(lost).iter().find(|id| **id != leader).expect("a third node");
    client.set(b"k", b"two of three");
    cluster.kill(other);
    assert_says(&client.error(&[b"SET", b"k", b"one of three"]), &["UNCERTAIN"]);
    cluster.restart(other);
    assert!(count(&cluster, other, "refused: ") < 10, "{}", cluster.log_text(other));
    assert!(!cluster.log_text(lost)[before..].contains("leads in term"), "{}", cluster.log_text(lost));

    // With its first directory it is welcome again.
    cluster.kill(lost);
    fs::remove_dir_all(cluster.data_dir(lost)).expect("removed");
    fs::rename(&kept, cluster.data_dir(lost)).expect("renamed");
    cluster.restart(lost);
    cluster.kill(other);
    let value = Raw::connect(cluster.addr(lost)).get(b"k");
    assert!([&b"two of three"[..], b"one of three"].contains(&&value[..]), "{}", value.escape_ascii());
}

/// Where the only node of a cluster listens for peers: the harness takes the next port.
fn peer_addr(cluster: &Cluster) -> String {
    let (host, port) = cluster.addr(1).rsplit_once(':').expect("a port");
    format!("{host}:{}", port.parse::<u16>().expect("a number") + 1)
}

fn frame_of(payload: &[u8]) -> Vec<u8> {
    frame(u32::try_from(payload.len()).expect("short"), crc32c::crc32c(payload), payload)
}

fn frame(length: u32, checksum: u32, payload: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], &checksum.to_le_bytes(), payload].concat()
}

#[test]
fn bytes_that_are_no_frames_close_the_connection_and_nothing_else() {
    let cluster = Cluster::start("garbage", 1);
    let addr = peer_addr(&cluster);
    let before = resident_bytes(cluster.pid(1));
    let cases: [(Vec<u8>, &str); 6] = [
        (b"*1\r\n$4\r\nPING\r\n".to_vec(), "the limit is 65536"),
        (vec![0xff; 1000], "a frame of 4294967295 bytes; the limit is 65536"),
        (frame(100_663_297, 0, b""), "a frame of 100663297 bytes"),
        (frame(3, 0, b"abc"), "a frame whose checksum does not match"),
        (frame_of(b"abc"), "not a greeting: "),
        // Allowed of a peer, but nobody who has not said who he is may have so much kept.
        (
            [frame(50 << 20, 0, b""), vec![7; 1 << 20]].concat(),
            "a frame of 52428800 bytes; the limit is 65536",
        ),
    ];
    for (bytes, said) in cases {
        let mut peer = Raw::connect(&addr);
        // The server may close before all of it has come.
        let _ = std::io::Write::write_all(&mut peer.stream, &bytes);
        peer.wait_for_close(Duration::from_secs(10));
        wait_for_log(&cluster, 1, said);
    }
    // Nobody holds the door open for one who says nothing.
    let mut silent = Raw::connect(&addr);
    silent.send(&[5, 0]);
    silent.wait_for_close(Duration::from_secs(10));
    wait_for_log(&cluster, 1, "no greeting");
    let growth = resident_bytes(cluster.pid(1)).saturating_sub(before);
    assert!(growth < 16 << 20, "{growth} bytes more");
    assert_well(&cluster, 1);
    let reply = Raw::connect(cluster.addr(1)).call(&[b"SET", b"k", b"v"]);
    assert_eq!(reply, Reply::Simple("OK".to_owned()));
}

const CLUSTER: &str = "impersonated";

/// A connection to node 1 that was greeted as that of node 2.
fn greeted(addr: &str, is_forward: bool) -> Raw {
    let mut greeting = vec![0x08, 1, 0x12, u8::try_from(CLUSTER.len()).expect("short")];
    greeting.extend_from_slice(CLUSTER.as_bytes());
    greeting.extend_from_slice(&[0x18, 2, 0x20, 1, 0x2a, 16]);
    greeting.extend_from_slice(&[7; 16]);
    greeting.extend_from_slice(&[0x30, u8::from(is_forward)]);
    let mut peer = Raw::connect(addr);
    peer.send(&frame_of(&greeting));
    let header = peer.take(8);
    let length = u32::from_le_bytes(*header.first_chunk().expect("a length"));
    let answer = peer.take(length as usize);
    assert!(!answer.escape_ascii().to_string().contains("node"), "a refusal: {}", answer.escape_ascii());
    peer
}

/// The number by which messages name the cluster.
fn cluster_number() -> u64 {
    let low = crc32c::crc32c(CLUSTER.as_bytes());
    u64::from(crc32c::crc32c_append(!low, CLUSTER.as_bytes())) << 32 | u64::from(low)
}

fn message(cluster: u64, term: u64, body: Body) -> Vec<u8> {
    let header = Header { cluster, group: GroupId::FIRST_DATA, from: NodeId(2), to: NodeId(1) };
    let mut out = Vec::new();
    codec::encode(header, &Message { term, body }, &mut out);
    out
}

fn append(round: u64, prev: LogId, entries: Vec<Entry>, commit: u64) -> Body {
    Body::AppendEntries(AppendEntries { round, prev, entries, commit })
}

#[test]
fn a_member_that_sends_nonsense_is_cut_off_and_brings_nobody_down() {
    let mut cluster = Cluster::prepare("impersonated", 2, &["--cluster", CLUSTER]);
    cluster.spawn(1, &["--new"]);
    wait_for_log(&cluster, 1, ": clients on ");
    let (_, port) = cluster.addr(1).rsplit_once(':').expect("a port");
    let addr = format!("127.0.0.1:{}", port.parse::<u16>().expect("a number") + 2);
    let own = cluster_number();
    let entry = |term, index, kind, payload: &'static [u8]| Entry {
        id: LogId::new(term, index),
        kind,
        payload: payload.into(),
    };
    let origin = LogId::new(0, 0);
    let garbage = append(1, origin, vec![entry(1000, 1, EntryKind::Command, b"\x01 no requests at all")], 1);
    let members = append(1, origin, vec![entry(1000, 1, EntryKind::Configuration, b"x")], 1);
    let vote = || Body::RequestVote { last: LogId::new(999, 999) };
    let fatal: [(bool, Vec<u8>, &str); 10] = [
        (false, vec![0xff; 100], "a frame of 4294967295 bytes"),
        (false, frame(3, 0, b"abc"), "a frame whose checksum does not match"),
        (false, frame_of(b"abc"), "sent what is no message: not a message: "),
        (false, frame_of(b""), "a message of an unknown kind"),
        (false, frame_of(&message(own + 1, 1000, vote())), "a message for Header"),
        (false, frame_of(&message(own, 1000, garbage)), "an entry that this version cannot read"),
        (
            false,
            frame_of(&message(own, 1000, members)),
            "cannot read: a change of the membership; update this node",
        ),
        (true, frame_of(b""), "the bytes end too early"),
        (true, frame_of(b"\x09\x01\x01\x01"), "unknown opcode 9"),
        (
            true,
            frame_of(b"\x01\x01\x01\x01\x01\x02\x03\xff\xff\xff"),
            "sent what is no message: unknown opcode 255",
        ),
    ];
    for (is_forward, bytes, said) in fatal {
        let mut peer = greeted(&addr, is_forward);
        peer.send(&bytes);
        peer.wait_for_close(Duration::from_secs(10));
        wait_for_log(&cluster, 1, said);
    }
    // Well formed, and nothing that a correct member would say: rejected, the connection goes on.
    let mut peer = greeted(&addr, false);
    let absurd = append(u64::MAX, LogId::new(u64::MAX, 1 << 61), vec![], u64::MAX);
    let backwards = append(1, LogId::new(1000, 1), vec![entry(999, 2, EntryKind::Empty, b"")], 0);
    for (term, body, said) in [
        (u64::MAX, absurd, "with a number beyond any that a cluster reaches"),
        (1000, backwards, "malformed AppendEntries: entry "),
    ] {
        peer.send(&frame_of(&message(own, term, body)));
        wait_for_log(&cluster, 1, said);
    }
    assert_well(&cluster, 1);
    assert_eq!(cluster.info(1).expect("it runs").number("raft_last_log_index"), 0, "nothing of it is kept");
}
