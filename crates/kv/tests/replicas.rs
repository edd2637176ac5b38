//! Replicas together: forwarding, order, retries over a change of leader, giving up.

mod common;
#[path = "replicas/expiry.rs"]
mod expiry;
#[path = "replicas/keys.rs"]
mod keys;
#[path = "replicas/transactions.rs"]
mod transactions;

use std::time::Duration;

use bowline_kv::Reply;
use bowline_raft::NodeId;
use bytes::Bytes;
use common::World;

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(text.into())
}

#[test]
fn every_node_answers_every_command() {
    for size in [1, 3, 5] {
        let mut world = World::new(size);
        for id in 1..=size {
            assert_eq!(world.ask(id, "SET a 1"), Reply::Ok);
            assert_eq!(world.ask(id, "APPEND a 2"), Reply::Int(2));
            assert_eq!(world.ask(id % size + 1, "GET a"), bulk("12"));
        }
        world.pass(Duration::from_millis(200));
        let digests: Vec<u64> = world.replicas.values().map(bowline_kv::Replica::digest).collect();
        assert!(digests.windows(2).all(|d| d[0] == d[1]), "the replicas differ: {digests:?}");
    }
}

#[test]
fn a_pipeline_sees_its_own_writes_and_none_behind_them() {
    let mut world = World::new(3);
    for node in [world.leader(), world.follower()] {
        let reads: Vec<_> = (0..50)
            .map(|i| {
                world.submit(node, 1, &format!("SET k {i}"));
                (i, world.submit(node, 1, "GET k"))
            })
            .collect();
        world.pass(Duration::from_millis(100));
        for (i, token) in reads {
            assert_eq!(world.reply(node, token), Reply::Bulk(i.to_string().into()));
        }
        // Reads first, then a write that they must not see.
        let reads: Vec<_> = (0..5).map(|_| world.submit(node, 2, "GET k")).collect();
        world.submit(node, 2, "SET k later");
        world.pass(Duration::from_millis(100));
        for token in reads {
            assert_eq!(world.reply(node, token), bulk("49"));
        }
        assert_eq!(world.ask(node, "GET k"), bulk("later"));
    }
}

#[test]
fn a_command_is_held_through_a_change_of_leader_and_happens_once() {
    let mut world = World::new(3);
    let (leader, contact) = (world.leader(), world.follower());
    assert_eq!(world.ask(contact, "APPEND l a"), Reply::Int(1));
    world.cut_off = vec![leader];
    let tokens: Vec<_> = (0..20).map(|_| world.submit(contact, 1, "APPEND l b")).collect();
    let on_old_leader = world.submit(leader, 1, "APPEND l c");
    world.pass(Duration::from_secs(3));
    for (at, token) in tokens.into_iter().enumerate() {
        assert_eq!(world.reply(contact, token), Reply::Int(at as i64 + 2));
    }
    world.cut_off.clear();
    world.pass(Duration::from_secs(1));
    // The old leader had it in its log, lost it, and sent it to the new one: once.
    assert_eq!(world.reply(leader, on_old_leader), Reply::Int(22));
    assert_eq!(world.ask(leader, "STRLEN l"), Reply::Int(22));
}

#[test]
fn without_a_majority_the_error_says_whether_it_may_have_happened() {
    let mut world = World::new(3);
    let leader = world.leader();
    world.cut_off = vec![1, 2, 3];
    let sent = world.submit(leader, 1, "SET a 1");
    let read = world.submit(leader, 2, "GET a");
    world.pass(Duration::from_secs(2));
    let never_sent = world.submit(leader, 3, "SET a 2");
    world.pass(Duration::from_secs(6));
    let text = |token| match world.reply(leader, token) {
        Reply::Error(text) => String::from_utf8(text.to_vec()).expect("text"),
        other => panic!("not an error: {other:?}"),
    };
    assert!(text(sent).starts_with("UNCERTAIN "), "{}", text(sent));
    assert!(text(read).starts_with("CLUSTERDOWN "), "{}", text(read));
    assert!(text(never_sent).starts_with("CLUSTERDOWN "), "{}", text(never_sent));
    world.cut_off.clear();
    world.pass(Duration::from_secs(3));
    assert_eq!(world.ask(leader, "SET a 3"), Reply::Ok);
}

#[test]
fn records_are_forgotten_when_they_are_no_longer_needed() {
    let mut world = World::new(3);
    for round in 0..50 {
        for client in 0..10 {
            world.submit(1 + client % 3, client, &format!("APPEND k{client} {round}"));
        }
        world.pass(Duration::from_millis(20));
    }
    for replica in world.replicas.values() {
        let status = replica.status();
        assert!(status.records < 20, "{} records are held for 10 clients", status.records);
    }
}

#[test]
fn records_of_a_node_that_nobody_uses_any_more_stay() {
    let mut world = World::new(3);
    for client in 0..9 {
        world.submit(1 + client % 3, client, &format!("SET k{client} 1"));
    }
    world.pass(Duration::from_millis(20));
    let records = |world: &World| world.replicas.values().map(|r| r.status().records).max();
    assert!(records(&world) > Some(0), "a retry could not be told from a new command");
    world.pass(Duration::from_millis(200));
    assert_eq!(records(&world), Some(0));
}

#[test]
fn a_node_that_was_frozen_refuses_what_it_has_not_held() {
    let mut world = World::new(3);
    let alone = world.follower();
    world.cut_off = world.replicas.keys().copied().filter(|&id| id != alone).collect();
    world.pass(Duration::from_secs(3));
    let token = world.submit(alone, 1, "SET a 1");
    // It is read in before the clock is.
    world.freeze(Duration::from_secs(60));
    world.pass(Duration::from_secs(3));
    assert!(!world.is_answered(alone, token), "held for 3 s and the step of the clock, not for 63");
    world.cut_off.clear();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.reply(alone, token), Reply::Ok);
}

/// One pass of a node, whose forwards are kept back.
fn pass_without_forwards(world: &mut World, node: u64) -> Vec<Bytes> {
    let mut output = world.replicas.get_mut(&node).expect("a node").ready();
    let forwards = std::mem::take(&mut output.forwards);
    world.carry_out(node, output);
    forwards.into_iter().map(|(_, frame)| Bytes::from(frame)).collect()
}

fn deliver(world: &mut World, from: u64, frames: Vec<Bytes>) {
    let leader = world.leader();
    for frame in frames {
        let leader = world.replicas.get_mut(&leader).expect("a node");
        leader.forwarded(NodeId(from), &frame).expect("a correct peer");
    }
}

#[test]
fn a_new_life_is_answered_beside_requests_of_an_earlier_one() {
    let mut world = World::new(3);
    let contact = world.follower();
    assert_eq!(world.ask(contact, "SET mine 1"), Reply::Ok);
    assert_eq!(world.ask(contact, "SET other 2"), Reply::Ok);
    for life in 2..6 {
        for _ in 0..3 {
            world.submit(contact, life, "GET other");
        }
        let late = pass_without_forwards(&mut world, contact);
        world.restart(contact, life);
        world.pass(Duration::from_millis(200));
        let first = world.submit(contact, life, "GET mine");
        let sent = pass_without_forwards(&mut world, contact);
        let second = world.submit(contact, life, "GET mine");
        // In one pass of the leader, in either order.
        let (before, behind) = if life % 2 == 0 { (late, sent) } else { (sent, late) };
        deliver(&mut world, contact, before);
        deliver(&mut world, contact, behind);
        world.pass(Duration::from_millis(200));
        assert_eq!(world.reply(contact, first), bulk("1"), "life {life}");
        assert_eq!(world.reply(contact, second), bulk("1"), "life {life}");
    }
}

#[test]
fn what_an_earlier_connection_still_carries_is_passed_over() {
    let mut world = World::with_log_of(3, 400 << 10);
    let (leader, contact) = (world.leader(), world.follower());
    // Each fits alone, and closes its entry; not both.
    let large = "x".repeat(300 << 10);
    world.submit(contact, 1, &format!("SET large {large}"));
    let refused = world.submit(contact, 1, "APPEND l a");
    let late = pass_without_forwards(&mut world, contact);
    // The next connection brings both, and beside the second one there is no room in its entry.
    world.replicas.get_mut(&contact).expect("a node").link_up(NodeId(leader));
    let sent = pass_without_forwards(&mut world, contact);
    deliver(&mut world, contact, sent);
    world.submit(leader, 2, &format!("SET other {}", "x".repeat(200 << 10)));
    // The first is in the log, and not answered yet; then the second is refused.
    for _ in 0..2 {
        pass_without_forwards(&mut world, leader);
    }
    let behind = world.submit(contact, 1, "APPEND l b");
    let sent = pass_without_forwards(&mut world, contact);
    deliver(&mut world, contact, sent);
    pass_without_forwards(&mut world, leader);
    deliver(&mut world, contact, late);
    world.pass(Duration::from_millis(500));
    let Reply::Error(text) = world.reply(contact, refused) else { panic!("there was room") };
    assert!(text.starts_with(b"UNCERTAIN "), "{text:?}");
    assert_eq!(world.reply(contact, behind), Reply::Int(1));
    assert_eq!(world.ask(contact, "GET l"), bulk("b"), "a command took effect behind a later one");
}
