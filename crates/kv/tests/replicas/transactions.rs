//! Transactions: one entry of the log, whoever leads.

use std::time::Duration;

use bowline_kv::command::{Keys, Unchanged};
use bowline_kv::{Command, Reply};

use crate::common::World;

fn parse(line: &str) -> Command<'_> {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    Command::parse(&args).expect("a valid command")
}

fn exec<'a>(conditions: &[Unchanged<'a>], lines: &[&'a str]) -> Command<'a> {
    let commands = lines.iter().map(|line| parse(line)).collect();
    Command::Exec { conditions: conditions.to_vec(), commands }
}

fn ints(numbers: &[i64]) -> Reply {
    Reply::Array(numbers.iter().map(|number| Reply::Int(*number)).collect())
}

fn look_at(world: &mut World, node: u64, key: &'static str) -> Unchanged<'static> {
    let token = world.submit_command(node, 1, &Command::Watch { keys: Keys::One(key.as_bytes()) });
    world.pass(Duration::from_millis(100));
    seen(&world.reply(node, token), key)
}

fn seen(reply: &Reply, key: &'static str) -> Unchanged<'static> {
    let Reply::Array(seen) = reply else { panic!("{reply:?}") };
    let [Reply::Int(since), Reply::Int(existed)] = seen[..] else { panic!("{seen:?}") };
    Unchanged { key: key.as_bytes(), existed: existed == 1, since: since.unsigned_abs() }
}

#[test]
fn a_transaction_is_one_on_every_node() {
    let mut world = World::new(3);
    for node in 1..=3 {
        let watched = look_at(&mut world, node, "a");
        let token = world.submit_command(node, 1, &exec(&[watched], &["INCR a", "INCR b", "GET a"]));
        world.pass(Duration::from_millis(100));
        let done = node.cast_signed();
        let value = Reply::Bulk(node.to_string().into());
        let expected = Reply::Array(vec![Reply::Int(done), Reply::Int(done), value]);
        assert_eq!(world.reply(node, token), expected);
        // What was watched has changed by the transaction itself.
        let again = world.submit_command(node, 1, &exec(&[watched], &["INCR a"]));
        world.pass(Duration::from_millis(100));
        assert_eq!(world.reply(node, again), Reply::Nil);
    }
    let log = world.replicas[&1].status().last_log_index;
    let records = world.replicas[&1].status().records;
    let token = world.submit_command(1, 9, &exec(&[], &["GET a", "MGET a b"]));
    world.pass(Duration::from_millis(50));
    assert!(matches!(world.reply(1, token), Reply::Array(replies) if replies.len() == 2));
    let status = world.replicas[&1].status();
    assert!(status.last_log_index <= log + 1 && status.records <= records, "a reading transaction is a read");
}

#[test]
fn watch_sees_the_writes_in_front_of_it_and_misses_none_behind() {
    let mut world = World::new(3);
    for node in [world.leader(), world.follower()] {
        world.submit(node, 1, "SET k 1");
        world.submit(node, 1, "INCR k");
        let watch = world.submit_command(node, 1, &Command::Watch { keys: Keys::One(b"k") });
        let late = world.submit(node, 1, "INCR k");
        world.pass(Duration::from_millis(100));
        assert_eq!(world.reply(node, late), Reply::Int(3));
        let watched = seen(&world.reply(node, watch), "k");
        let token = world.submit_command(node, 1, &exec(&[watched], &["INCR k"]));
        world.pass(Duration::from_millis(100));
        assert_eq!(world.reply(node, token), Reply::Nil, "the write behind WATCH is a change");

        world.submit(node, 1, "SET k 1");
        let watch = world.submit_command(node, 1, &Command::Watch { keys: Keys::One(b"k") });
        world.pass(Duration::from_millis(100));
        let watched = seen(&world.reply(node, watch), "k");
        let token = world.submit_command(node, 1, &exec(&[watched], &["INCR k"]));
        world.pass(Duration::from_millis(100));
        assert_eq!(world.reply(node, token), ints(&[2]), "the write in front of WATCH is none");
    }
}

#[test]
fn a_transaction_happens_once_over_a_change_of_leader() {
    let mut world = World::new(3);
    let (leader, contact) = (world.leader(), world.follower());
    world.ask(contact, "SET a 0");
    let watched = look_at(&mut world, contact, "a");
    world.cut_off = vec![leader];
    let on_contact = world.submit_command(contact, 1, &exec(&[watched], &["INCR a", "INCR b"]));
    let on_old_leader = world.submit_command(leader, 1, &exec(&[watched], &["INCR a", "INCR b"]));
    world.pass(Duration::from_secs(3));
    assert_eq!(world.reply(contact, on_contact), ints(&[1, 1]));
    world.cut_off.clear();
    world.pass(Duration::from_secs(1));
    // The old leader had it in its log, lost it, and sent it to the new one: too late.
    assert_eq!(world.reply(leader, on_old_leader), Reply::Nil);
    for node in 1..=3 {
        let token = world.submit_command(node, 1, &exec(&[], &["GET a", "GET b"]));
        world.pass(Duration::from_millis(100));
        let one = Reply::Bulk("1".into());
        assert_eq!(world.reply(node, token), Reply::Array(vec![one.clone(), one]));
    }
}
