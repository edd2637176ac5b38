//! Sessions over several nodes: what a client meets that asks another node when the first falls silent.

mod common;

use std::time::Duration;

use bowline_kv::command::{SessionCommand, Unchanged};
use bowline_kv::{Command, Replica, Reply, Served};
use bowline_raft::NodeId;
use common::World;

fn bulk(text: &'static str) -> Reply {
    Reply::Bulk(text.into())
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Error(text) => String::from_utf8(text.to_vec()).expect("text"),
        other => panic!("not an error: {other:?}"),
    }
}

#[test]
fn ids_count_up_whichever_node_is_asked() {
    let mut world = World::new(3);
    for id in 1..=6 {
        assert_eq!(world.ask(1 + id % 3, "ONCE OPEN"), Reply::Int(id.cast_signed()));
    }
    assert_eq!(world.ask(1, "ONCE CLOSE 6"), Reply::Ok);
    assert_eq!(world.ask(1, "ONCE OPEN"), Reply::Int(7));
    assert_eq!(world.replicas[&1].status().sessions, 6);
}

#[test]
fn a_request_happens_once_whichever_nodes_carry_it() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    for node in [1, 2, 3, 1] {
        assert_eq!(world.ask(node, "ONCE 1 5 APPEND l x"), Reply::Int(1));
    }
    assert_eq!(world.ask(2, "GET l"), bulk("x"));
    assert!(text(&world.ask(3, "ONCE 1 4 APPEND l y")).starts_with("ONCESTALE "));
    assert_eq!(world.ask(3, "ONCE 1 9 APPEND l z"), Reply::Int(2));
    assert!(text(&world.ask(1, "ONCE 1 5 APPEND l x")).starts_with("ONCESTALE "));
    assert!(text(&world.ask(1, "ONCE 2 1 APPEND l q")).starts_with("NOSESSION "));
    assert_eq!(world.ask(1, "ONCE CLOSE 1"), Reply::Ok);
    assert!(text(&world.ask(2, "ONCE 1 9 APPEND l z")).starts_with("NOSESSION "));
    assert!(text(&world.ask(2, "ONCE CLOSE 1")).starts_with("NOSESSION "));
    assert_eq!(world.ask(2, "GET l"), bulk("xz"));
    assert_eq!(world.replicas[&1].status().duplicates, 3);
}

#[test]
fn errors_are_recorded_and_several_keys_are_one_unit() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    world.ask(1, "SET n word");
    let error = world.ask(1, "ONCE 1 1 INCR n");
    world.ask(1, "SET n 5");
    assert_eq!(world.ask(2, "ONCE 1 1 INCR n"), error);
    assert_eq!(world.ask(1, "GET n"), bulk("5"));
    assert_eq!(world.ask(1, "ONCE 1 2 MSET a 1 b 1"), Reply::Ok);
    world.ask(3, "MSET a 2 b 2");
    assert_eq!(world.ask(2, "ONCE 1 2 MSET a 1 b 1"), Reply::Ok);
    assert_eq!(world.ask(2, "MGET a b"), Reply::Array(vec![bulk("2"), bulk("2")]));
}

fn exec<'a>(conditions: &[Unchanged<'a>], lines: &[&'a str]) -> Box<Command<'a>> {
    let parse = |line: &'a str| {
        let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
        Command::parse(&args).expect("a valid command")
    };
    let commands = lines.iter().map(|line| parse(line)).collect();
    Box::new(Command::Exec { conditions: conditions.to_vec(), commands })
}

fn run(world: &mut World, node: u64, number: u64, command: Box<Command<'_>>) -> Reply {
    let command = Command::Session(SessionCommand::Run { session: 1, number, command });
    let token = world.submit_command(node, 1, &command);
    world.pass(Duration::from_millis(100));
    world.reply(node, token)
}

#[test]
fn a_transaction_happens_once_and_its_record_asks_for_no_condition() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    let unchanged = Unchanged { key: b"a", existed: false, since: world.replicas[&1].status().last_applied };
    let done = Reply::Array(vec![Reply::Int(1), Reply::Array(vec![Reply::Nil, bulk("1")])]);
    for node in [1, 2, 3] {
        // Sent again its condition does not hold any more, and nobody asks.
        assert_eq!(run(&mut world, node, 1, exec(&[unchanged], &["INCR a", "MGET b a"])), done);
        // Nor does it matter what it would do.
        assert_eq!(run(&mut world, node, 1, exec(&[], &["INCR a"])), done);
    }
    assert_eq!(world.ask(2, "GET a"), bulk("1"));
    // What a condition has stopped is recorded too.
    assert_eq!(run(&mut world, 1, 2, exec(&[unchanged], &["INCR a"])), Reply::Nil);
    assert_eq!(run(&mut world, 2, 2, exec(&[], &["INCR a"])), Reply::Nil);
    assert!(text(&run(&mut world, 2, 1, exec(&[], &["INCR a"]))).starts_with("ONCESTALE "));
    // One that only reads is a read, and leaves no record.
    let read = Reply::Array(vec![bulk("1")]);
    assert_eq!(run(&mut world, 3, 3, exec(&[], &["GET a"])), read);
    assert_eq!(run(&mut world, 3, 3, exec(&[], &["INCR a"])), Reply::Array(vec![Reply::Int(2)]));
    for id in 1..=3 {
        world.restart(id, 2);
    }
    world.pass(Duration::from_secs(3));
    assert_eq!(run(&mut world, 1, 3, exec(&[], &["INCR a"])), Reply::Array(vec![Reply::Int(2)]));
    assert_eq!(world.ask(1, "ONCE CLOSE 1"), Reply::Ok);
    assert!(text(&run(&mut world, 2, 3, exec(&[], &["INCR a"]))).starts_with("NOSESSION "));
    assert_eq!(world.ask(2, "GET a"), bulk("2"));
}

#[test]
fn flushall_empties_the_keys_and_not_the_records() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    assert_eq!(world.ask(1, "ONCE 1 1 APPEND l x"), Reply::Int(1));
    assert_eq!(world.ask(1, "FLUSHALL"), Reply::Ok);
    assert_eq!(world.ask(2, "ONCE 1 1 APPEND l x"), Reply::Int(1));
    assert_eq!(world.ask(2, "GET l"), Reply::Nil);
    assert_eq!(world.ask(2, "ONCE 1 2 FLUSHALL"), Reply::Ok);
    world.ask(2, "SET a 1");
    assert_eq!(world.ask(3, "ONCE 1 2 FLUSHALL"), Reply::Ok);
    assert_eq!(world.ask(3, "GET a"), bulk("1"));
}

#[test]
fn a_read_leaves_no_record() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    let before = world.replicas[&world.leader()].status().last_applied;
    world.ask(1, "SET a 1");
    assert_eq!(world.ask(1, "ONCE 1 4 GET a"), bulk("1"));
    world.ask(1, "SET a 2");
    assert_eq!(world.ask(2, "ONCE 1 4 GET a"), bulk("2"), "a plain read, which sees what there is");
    assert_eq!(world.ask(2, "ONCE 1 3 APPEND a x"), Reply::Int(2));
    assert!(text(&world.ask(2, "ONCE 1 2 GET a")).starts_with("ONCESTALE "));
    assert!(text(&world.ask(2, "ONCE 7 1 GET a")).starts_with("NOSESSION "));
    let after = world.replicas[&world.leader()].status().last_applied;
    // Three writes, and the floors that are told behind them.
    assert!(after - before <= 8, "{} entries", after - before);
    // Behind an unanswered write of its connection it goes through the log, and leaves none either.
    let tokens = [world.submit(1, 5, "APPEND a y"), world.submit(1, 5, "ONCE 1 9 GET a")];
    world.pass(Duration::from_millis(100));
    assert_eq!(world.reply(1, tokens[1]), bulk("2xy"));
    assert_eq!(world.ask(1, "ONCE 1 5 APPEND a z"), Reply::Int(4));
}

#[test]
fn a_session_expires_by_the_time_in_the_log_at_the_same_entry_everywhere() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    world.ask(1, "ONCE OPEN");
    assert_eq!(world.ask(1, "ONCE LIMITS 10 1000"), Reply::Ok);
    assert_eq!(world.ask(1, "ONCE 1 1 APPEND l x"), Reply::Int(1));
    world.pass(Duration::from_millis(700));
    assert_eq!(world.ask(2, "ONCE 1 1 APPEND l x"), Reply::Int(1), "a use, though it does nothing");
    world.pass(Duration::from_millis(700));
    let late = world.ask(2, "ONCE 2 1 APPEND l q");
    assert!(text(&late).starts_with("NOSESSION "), "{late:?}");
    assert_eq!(world.ask(2, "ONCE 1 2 APPEND l y"), Reply::Int(2));
    // Nobody runs meanwhile, and the first entry after it brings the time.
    world.freeze(Duration::from_secs(2));
    assert!(text(&world.ask(2, "ONCE 1 2 APPEND l y")).starts_with("NOSESSION "));
    assert_eq!(world.ask(3, "GET l"), bulk("xy"));
    world.pass(Duration::from_millis(200));
    let digests: Vec<u64> = world.replicas.values().map(Replica::digest).collect();
    assert!(digests.windows(2).all(|d| d[0] == d[1]), "the replicas differ: {digests:?}");
    assert!(world.replicas.values().all(|replica| replica.status().sessions == 0));
}

#[test]
fn a_session_expires_in_an_idle_cluster_and_costs_one_entry() {
    let mut world = World::new(3);
    world.ask(1, "ONCE LIMITS 10 1000");
    world.ask(2, "ONCE OPEN");
    world.ask(2, "ONCE 1 1 SET a b");
    world.pass(Duration::from_millis(500));
    let entries = |world: &World| world.replicas[&1].status().last_log_index;
    let before = entries(&world);
    assert!(world.replicas.values().all(|replica| replica.status().sessions == 1));
    world.pass(Duration::from_millis(1000));
    assert!(world.replicas.values().all(|replica| replica.status().sessions == 0));
    world.pass(Duration::from_secs(60));
    assert_eq!(entries(&world), before + 1);
}

#[test]
fn many_sessions_that_end_one_by_one_cost_ten_entries_a_second_at_most() {
    let mut world = World::new(3);
    world.ask(1, "ONCE LIMITS 1000 3000");
    for session in 0..100 {
        world.submit(1 + session % 3, session, "ONCE OPEN");
        world.pass(Duration::from_millis(20));
    }
    let sessions = |world: &World| world.replicas[&1].status().sessions;
    let entries = |world: &World| world.replicas[&1].status().last_log_index;
    let (before, count) = (entries(&world), sessions(&world));
    assert_eq!(count, 100);
    world.pass(Duration::from_secs(5));
    assert_eq!(sessions(&world), 0);
    let made = entries(&world) - before;
    assert!((15..=25).contains(&made), "{made} entries in the two seconds in which they end");
}

#[test]
fn a_key_that_is_set_in_a_session_expires_for_what_is_read_in_one() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    assert_eq!(world.ask(1, "ONCE 1 1 SET a b PX 1000"), Reply::Ok);
    assert_eq!(world.ask(2, "ONCE 1 1 SET a b PX 1000"), Reply::Ok);
    assert_eq!(world.ask(2, "ONCE 1 2 GET a"), bulk("b"));
    let Reply::Int(left) = world.ask(3, "ONCE 1 2 PTTL a") else { panic!("no number") };
    assert!((500..=1000).contains(&left), "{left} ms");
    // Nobody runs meanwhile: the log's time stands still, and the read waits for it.
    world.freeze(Duration::from_secs(2));
    assert_eq!(world.ask(2, "ONCE 1 2 GET a"), Reply::Nil);
    assert_eq!(world.ask(3, "ONCE 1 2 DBSIZE"), Reply::Int(0));
    assert_eq!(world.ask(3, "ONCE 1 1 SET a b PX 1000"), Reply::Ok, "sent again, late");
    assert_eq!(world.ask(1, "GET a"), Reply::Nil);
}

#[test]
fn sessions_and_records_survive_restarts() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    assert_eq!(world.ask(1, "ONCE 1 1 APPEND l x"), Reply::Int(1));
    for id in 1..=3 {
        world.restart(id, 2);
    }
    world.pass(Duration::from_secs(3));
    assert_eq!(world.ask(2, "ONCE 1 1 APPEND l x"), Reply::Int(1));
    assert_eq!(world.ask(2, "ONCE OPEN"), Reply::Int(2));
    assert_eq!(world.ask(2, "GET l"), bulk("x"));
}

/// The first sending is in the log of a leader that was cut off; the client asks another node meanwhile.
#[test]
fn a_late_first_sending_has_no_second_effect() {
    let mut world = World::new(5);
    world.ask(1, "ONCE OPEN");
    let (leader, other) = (world.leader(), world.follower());
    world.cut_off = vec![leader];
    let first = world.submit(leader, 1, "ONCE 1 1 APPEND l x");
    world.pass(Duration::from_secs(2));
    assert_eq!(world.ask(other, "ONCE 1 1 APPEND l x"), Reply::Int(1));
    assert_eq!(world.ask(other, "ONCE 1 2 APPEND l y"), Reply::Int(2));
    world.cut_off.clear();
    world.pass(Duration::from_secs(1));
    let late = world.reply(leader, first);
    assert!(text(&late).starts_with("ONCESTALE "), "{late:?}");
    assert_eq!(world.ask(leader, "GET l"), bulk("xy"));
}

/// The carrier's own record answers what it has sent twice, also when the session has ended in between.
#[test]
fn a_carrier_that_sends_again_gets_the_first_answer_though_the_session_is_gone() {
    let mut world = World::new(3);
    world.ask(1, "ONCE OPEN");
    let (leader, contact) = (world.leader(), world.follower());
    let token = world.submit(contact, 1, "ONCE 1 1 APPEND l x");
    world.lose_replies = true;
    world.pass(Duration::from_millis(50));
    assert!(!world.is_answered(contact, token));
    assert_eq!(world.ask(leader, "ONCE CLOSE 1"), Reply::Ok);
    world.lose_replies = false;
    world.replicas.get_mut(&contact).expect("a node").link_up(NodeId(leader));
    world.pass(Duration::from_millis(100));
    assert_eq!(world.reply(contact, token), Reply::Int(1));
    assert_eq!(world.ask(leader, "GET l"), bulk("x"));
}

fn serve(world: &mut World, node: u64, token: u64, words: &str) {
    let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
    let command = Command::parse(&args).expect("a valid command");
    world.replicas.get_mut(&node).expect("a node").serve_here(token, &command);
}

#[test]
fn what_may_not_be_forwarded_is_served_by_the_leader_alone_and_leaves_no_record_of_a_node() {
    let mut world = World::new(3);
    let (leader, follower) = (world.leader(), world.follower());
    serve(&mut world, leader, 1, "ONCE OPEN");
    serve(&mut world, follower, 2, "ONCE OPEN");
    world.pass(Duration::from_millis(50));
    serve(&mut world, leader, 3, "ONCE 1 1 APPEND l x");
    serve(&mut world, leader, 4, "GET l");
    world.pass(Duration::from_millis(200));
    assert_eq!(world.served[&follower], [(2, Served::NotLeader(Some(NodeId(leader))))]);
    let done = |token, reply| (token, Served::Done(reply));
    let served = &world.served[&leader];
    assert_eq!(served[0], done(1, Reply::Int(1)));
    // The read was asked before the append was answered: either order is right.
    assert!(served[1..].contains(&done(3, Reply::Int(1))), "{served:?}");
    assert_eq!(served.len(), 3);
    let status = world.replicas[&follower].status();
    assert_eq!((status.records, status.sessions), (1, 1), "the session's own, and no other");
}

#[test]
fn a_leader_that_was_cut_off_says_that_it_does_not_know() {
    let mut world = World::new(3);
    let leader = world.leader();
    world.cut_off = vec![leader];
    serve(&mut world, leader, 7, "SET a 1");
    serve(&mut world, leader, 8, "GET a");
    world.pass(Duration::from_secs(3));
    let mut served = world.served[&leader].clone();
    served.sort_by_key(|(token, _)| *token);
    assert_eq!(served, [(7, Served::Lost), (8, Served::Lost)]);
    // The next leader's requests have the same numbers, and are others.
    let next = world.leader();
    serve(&mut world, next, 9, "SET a 2");
    world.pass(Duration::from_millis(50));
    world.cut_off.clear();
    world.pass(Duration::from_secs(1));
    assert_eq!(world.served[&next], [(9, Served::Done(Reply::Ok))]);
    assert_eq!(world.served[&leader].len(), 2);
    assert_eq!(world.ask(leader, "GET a"), bulk("2"));
}
