//! Replicas together: forwarding, order, retries over a change of leader, giving up.

mod common;

use std::time::Duration;

use bowline_kv::Reply;
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
