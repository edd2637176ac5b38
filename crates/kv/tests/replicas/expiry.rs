//! Keys that expire: by the log's time, which is the median of the members' clocks.

use std::time::Duration;

use bowline_kv::{Replica, Reply};

use crate::common::World;

const HOUR: i64 = 3_600_000;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn value(text: &'static str) -> Reply {
    Reply::Bulk(text.into())
}

fn check_equal(world: &World) {
    let digests: Vec<u64> = world.replicas.values().map(Replica::digest).collect();
    assert!(digests.windows(2).all(|d| d[0] == d[1]), "the replicas differ: {digests:?}");
}

#[test]
fn a_key_expires_on_every_node_and_frees_its_memory_though_nobody_asks() {
    for size in [1, 2, 3, 5] {
        let mut world = World::new(size);
        for id in 1..=size {
            assert_eq!(world.ask(id, &format!("SET k{id} v PX 1000")), Reply::Ok);
        }
        world.pass(ms(300));
        assert_eq!(world.ask(1, "DBSIZE"), Reply::Int(size.cast_signed()));
        world.pass(ms(1500));
        for replica in world.replicas.values() {
            let status = replica.status();
            assert_eq!((status.keys, status.expiring_keys, status.store_bytes), (0, 0, 0));
        }
        check_equal(&world);
        let log = world.replicas[&1].status().last_log_index;
        world.pass(Duration::from_secs(60));
        assert_eq!(world.replicas[&1].status().last_log_index, log, "an idle log does not grow");
    }
}

#[test]
fn a_read_shows_a_key_up_to_its_time_and_not_after() {
    for node in 1..=3 {
        let mut world = World::new(3);
        world.ask(node, "SET k v PX 1000");
        let mut gone = None;
        let set = world.true_ms();
        while world.true_ms() < set + 1500 {
            let token = world.submit(node, 1, "GET k");
            world.pass(ms(5));
            match world.reply(node, token) {
                Reply::Nil => gone = gone.or(Some(world.true_ms())),
                reply => {
                    assert!(reply == value("v") && gone.is_none(), "{reply:?}, and it was gone at {gone:?}");
                }
            }
        }
        // The command took up to 100 ms, and an answer has a reading that is one step old.
        let lived = gone.expect("it is gone") - set;
        assert!((890..=1020).contains(&lived), "gone after {lived} ms");
    }
}

#[test]
fn one_wrong_clock_changes_nothing() {
    for (wrong, error) in [(1, HOUR), (2, -HOUR), (3, 24 * HOUR), (1, -100 * HOUR)] {
        let mut world = World::new(3);
        world.ask(2, "SET before v PX 5000");
        world.clock_errors.insert(wrong, error);
        world.pass(ms(100));
        for node in 1..=3 {
            assert_eq!(world.ask(node, &format!("SET k{node} v PX 5000")), Reply::Ok);
        }
        // Each node leads for a while, the one whose clock is wrong too.
        for _ in 0..3 {
            let leader = world.leader();
            world.cut_off = vec![leader];
            world.pass(ms(900));
            world.cut_off.clear();
            world.pass(ms(100));
            for node in 1..=3 {
                assert_eq!(world.ask(node, &format!("GET k{node}")), value("v"), "{wrong} is off by {error}");
            }
        }
        world.pass(ms(2500));
        for key in ["before", "k1", "k2", "k3"] {
            assert_eq!(
                world.ask(1, &format!("TTL {key}")),
                Reply::Int(-2),
                "{key}, {wrong} is off by {error}"
            );
        }
        check_equal(&world);
    }
}

#[test]
fn the_time_of_the_log_does_not_go_back_with_another_leader() {
    let mut world = World::new(3);
    world.ask(1, "SET k v PX 1000");
    world.pass(ms(1000));
    assert_eq!(world.ask(1, "GET k"), Reply::Nil);
    // All clocks are set back: the key's time is to come once more.
    world.clock_errors = [(1, -HOUR), (2, -HOUR), (3, -HOUR)].into();
    let leader = world.leader();
    world.cut_off = vec![leader];
    world.pass(Duration::from_secs(3));
    world.cut_off.clear();
    world.pass(Duration::from_secs(1));
    for node in 1..=3 {
        assert_eq!(world.ask(node, "GET k"), Reply::Nil);
        assert_eq!(world.ask(node, "SET k w NX PX 100"), Reply::Ok);
        assert_eq!(world.ask(node, "DEL k"), Reply::Int(1), "the log's time stands still");
    }
    check_equal(&world);
}

#[test]
fn a_new_leader_takes_commands_with_the_right_time_at_once() {
    let mut world = World::new(3);
    world.ask(1, "SET k v");
    // Nothing is stamped for a long time, and then by another leader: its own clock is wrong.
    world.pass(Duration::from_secs(600));
    let leader = world.leader();
    let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    world.clock_errors.insert(others[0], -HOUR);
    world.cut_off = vec![leader];
    world.pass(Duration::from_secs(3));
    assert_eq!(world.ask(others[0], "SET k v PX 2000"), Reply::Ok);
    let before = world.true_ms();
    world.cut_off.clear();
    world.pass(ms(1000));
    assert_eq!(world.ask(others[0], "GET k"), value("v"));
    world.pass(ms(1500));
    assert_eq!(world.ask(others[0], "GET k"), Reply::Nil, "{} ms later", world.true_ms() - before);
}

#[test]
fn reads_go_on_when_the_log_is_full_and_its_time_stands_still() {
    let mut world = World::with_log_of(3, 3000);
    let node = world.follower();
    world.ask(node, "SET k v PX 2000");
    loop {
        let reply = world.ask(node, &format!("SET big {}", "x".repeat(500)));
        if matches!(reply, Reply::Error(_)) {
            break;
        }
    }
    while world.ask(node, "SET a b") == Reply::Ok {}
    world.pass(ms(2500));
    assert!(matches!(world.ask(node, "GET k"), Reply::Nil | Reply::Bulk(_)));
    assert_eq!(world.ask(node, "EXISTS big"), Reply::Int(1));
    check_equal(&world);
}

#[test]
fn reads_of_a_pipeline_keep_their_order_behind_one_that_waits() {
    let mut world = World::new(3);
    let node = world.follower();
    world.ask(node, "SET k v PX 300");
    world.ask(node, "SET other 1");
    world.pass(ms(90));
    let reads: Vec<u64> = (0..40)
        .flat_map(|_| {
            let tokens = ["GET k", "GET other", "DBSIZE"].map(|words| world.submit(node, 7, words));
            world.pass(ms(5));
            tokens
        })
        .collect();
    let answered: Vec<u64> =
        world.answers[&node].iter().filter(|a| a.client.0 == 7).map(|answer| answer.token).collect();
    assert_eq!(answered, reads);
    let sizes: Vec<Reply> = reads.chunks(3).map(|r| world.reply(node, r[2])).collect();
    let values: Vec<Reply> = reads.chunks(3).map(|r| world.reply(node, r[0])).collect();
    for (size, value) in sizes.iter().zip(&values) {
        assert!(*size == Reply::Int(2) || *value == Reply::Nil, "{size:?} behind {value:?}");
    }
    assert!(values.contains(&Reply::Nil) && values[0] != Reply::Nil);
}
