use bytes::Bytes;

use super::super::scan::ELEMENT_STEPS;
use super::super::tests::{bulk_of, run_bytes};
use super::*;
use crate::command::HashCommand;

/// A store whose log goes on by one with each command.
struct World(Store);

fn parse(line: &str) -> Command<'_> {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    Command::parse(&args).unwrap()
}

impl World {
    fn new() -> Self {
        Self(Store::new(1))
    }

    fn run(&mut self, command: &Command<'_>) -> Reply {
        let (now_ms, index) = (self.0.now_ms(), self.0.index() + 1);
        self.0.advance(now_ms, index);
        self.0.execute(command, index)
    }

    fn say(&mut self, line: &str) -> Reply {
        self.run(&parse(line))
    }

    fn watch<'a>(&self, keys: &[&'a str]) -> Vec<Unchanged<'a>> {
        let names: Vec<&[u8]> = keys.iter().map(|key| key.as_bytes()).collect();
        let Reply::Array(seen) = self.0.read(&Command::Watch { keys: Keys::Many(names) }, 0) else {
            panic!()
        };
        let number =
            |reply: &Reply| if let Reply::Int(number) = reply { number.unsigned_abs() } else { panic!() };
        let since = number(&seen[0]);
        assert_eq!(since, self.0.index());
        let existed = seen[1..].iter().map(|reply| number(reply) == 1);
        keys.iter()
            .zip(existed)
            .map(|(key, existed)| Unchanged { key: key.as_bytes(), existed, since })
            .collect()
    }

    fn exec(&mut self, conditions: &[Unchanged<'_>], lines: &[&str]) -> Reply {
        let commands: Vec<_> = lines.iter().map(|line| parse(line)).collect();
        let command = Command::Exec { conditions: conditions.to_vec(), commands };
        if !command.is_write() {
            let read = self.0.read(&command, self.0.now_ms());
            assert_eq!(self.run(&command), read);
            return read;
        }
        self.run(&command)
    }
}

#[test]
fn a_command_that_fails_stops_nothing() {
    let mut world = World::new();
    let reply = world.exec(&[], &["set a x", "incr a", "get a", "mget a b", "del a", "dbsize"]);
    let values = Reply::Array(vec![bulk_of("x"), Reply::Nil]);
    let expected = vec![Reply::Ok, Reply::NOT_AN_INTEGER, bulk_of("x"), values, Reply::Int(1), Reply::Int(0)];
    assert_eq!(reply, Reply::Array(expected));
    assert_eq!(world.exec(&[], &[]), Reply::Array(vec![]));
}

#[test]
fn every_change_of_a_watched_key_is_seen_and_nothing_else() {
    // The change, and whether it is one of k, which is there, and of n, which is not.
    let changes = [
        ("get k", false, false),
        ("set k 2", true, false),
        ("set k 1", true, false),
        ("incr k", true, false),
        ("append k 1", true, false),
        ("del k", true, false),
        ("flushall", true, false),
        ("expire k 100", true, false),
        ("expire k -1", true, false),
        ("persist k", false, false),
        ("getex k ex 10", true, false),
        ("getex k", false, false),
        ("set k 1 nx", false, false),
        ("setnx k 1", false, false),
        ("mset other 1 k 2", true, false),
        ("set other 1", false, false),
        ("del other n", false, false),
        ("set n 1", false, true),
        ("set n 1 xx", false, false),
        ("expire n 10", false, false),
    ];
    for (change, of_k, of_n) in changes {
        let mut world = World::new();
        world.say("set k 1");
        for (key, has_changed) in [("k", of_k), ("n", of_n)] {
            let mut world = World(world.0.clone());
            let watched = world.watch(&[key, key]);
            world.say(change);
            let reply = world.exec(&watched, &["set done 1"]);
            assert_eq!(reply == Reply::Nil, has_changed, "{change} behind WATCH {key}");
            assert_eq!(world.say("exists done"), Reply::Int((!has_changed).into()));
        }
    }
}

#[test]
fn a_key_that_was_there_for_a_while_has_changed() {
    let mut world = World::new();
    let watched = world.watch(&["lock"]);
    world.say("set lock somebody");
    world.say("del lock");
    assert_eq!(world.exec(&watched, &["get lock"]), Reply::Nil);
    let watched = world.watch(&["lock"]);
    assert_eq!(world.exec(&watched, &["get lock"]), Reply::Array(vec![Reply::Nil]));
    // The same with a key of that slot: nobody can tell.
    world.say("set {lock}other 1");
    let watched = world.watch(&["lock"]);
    world.say("del {lock}other");
    assert_eq!(world.exec(&watched, &["get lock"]), Reply::Nil);
}

#[test]
fn a_key_that_comes_with_a_time_that_is_over_has_changed() {
    let mut world = World::new();
    world.0.advance(5000, 1);
    let watched = world.watch(&["n"]);
    assert_eq!(world.say("set n 1 pxat 1000"), Reply::Ok);
    assert_eq!(world.exec(&watched, &["get n"]), Reply::Nil);
}

#[test]
fn a_key_that_came_and_is_over_has_changed() {
    let mut world = World::new();
    // Those that are swept before it.
    for number in 0..2000 {
        world.say(&format!("set {number} v px 5"));
    }
    let watched = world.watch(&["lock"]);
    world.say("set lock somebody px 10");
    world.0.advance(20, world.0.index() + 1);
    assert!(world.0.over() > 1 && world.say("exists lock") == Reply::Int(0));
    assert_eq!(world.exec(&watched, &["get lock"]), Reply::Nil);
    assert!(world.0.over() == 0);
}

#[test]
fn a_key_that_is_over_and_held_may_be_watched() {
    let mut world = World::new();
    for number in 0..5000 {
        world.say(&format!("set {number} v px 5"));
    }
    world.say("set lock somebody px 10");
    world.0.advance(20, world.0.index() + 1);
    let watched = world.watch(&["lock"]);
    assert_eq!(world.exec(&watched, &["get lock"]), Reply::Array(vec![Reply::Nil]));
}

#[test]
fn a_change_within_the_entry_of_a_transaction_is_one() {
    let mut world = World::new();
    world.say("set k 1");
    let watched = world.watch(&["k"]);
    let index = world.0.index() + 1;
    world.0.advance(0, index);
    // Two requests of one entry, which have the same index.
    run_bytes(&mut world.0, &[b"set", b"k", b"2"], index);
    let exec = Command::Exec { conditions: watched, commands: vec![parse("set k 3")] };
    assert_eq!(world.0.execute(&exec, index), Reply::Nil);
    assert_eq!(world.say("get k"), bulk_of("2"));
}

#[test]
fn an_answer_has_its_limit_and_effects_have_none() {
    let mut world = World::new();
    let large = Bytes::from("x".repeat(15 << 20));
    world.run(&Command::Append { key: b"v", value: &large });
    let reply = world.exec(&[], &["get v", "get v", "get v", "mget v v", "getset v w", "get v"]);
    let Reply::Array(replies) = reply else { panic!("{reply:?}") };
    let text = format!("ERR reply exceeds maximum allowed size ({MAX_REPLY_BYTES} bytes)");
    assert_eq!(replies[3], Reply::error(text));
    assert_eq!((replies[4].memory_bytes() > 1000, &replies[5]), (true, &replies[3]), "no read behind it");
    assert!(replies.iter().map(Reply::memory_bytes).sum::<usize>() < MAX_REPLY_BYTES + 1000);
    assert_eq!(world.say("get v"), bulk_of("w"));
}

/// A hash with that many fields.
fn with_fields(world: &mut World, count: usize) {
    let names: Vec<_> = (0..count).map(|number| number.to_string()).collect();
    let pairs = names.iter().map(|name| (name.as_bytes(), &b"v"[..])).collect();
    world.run(&Command::Hash { key: b"h", command: HashCommand::Set { pairs, counts: true } });
}

#[test]
fn behind_a_reply_that_does_not_fit_nothing_is_read() {
    let mut world = World::new();
    with_fields(&mut world, 300);
    let lines: Vec<_> =
        (0..5000).map(|number| if number % 2 == 0 { "hgetall h" } else { "incr n" }).collect();
    let Reply::Array(replies) = world.exec(&[], &lines) else { panic!() };
    let error = Reply::error(format!("ERR reply exceeds maximum of {MAX_ARGUMENTS} elements"));
    let first = replies.iter().position(|reply| *reply == error).unwrap();
    assert_eq!(first, 2 * (MAX_ARGUMENTS / 600));
    assert!(replies[first..].iter().step_by(2).all(|reply| *reply == error));
    let made = first as u64 / 2 + 1;
    assert_eq!(MAX_STEPS - world.0.steps_left, made * 600 * ELEMENT_STEPS);
    assert_eq!(world.say("get n"), bulk_of("2500"), "what writes is done all the same");
}

#[test]
fn what_is_looked_at_in_vain_and_what_is_copied_is_counted() {
    let mut world = World::new();
    with_fields(&mut world, 1000);
    for number in 0..1000 {
        world.say(&format!("set key{number} v"));
    }
    let index = world.0.index() + 1;
    world.0.advance(0, index);
    let exec = |reads: &[&'static str]| {
        let lines = reads.iter().chain(&["set a 1", "get a"]);
        Command::Exec { conditions: vec![], commands: lines.map(|line| parse(line)).collect() }
    };
    for read in [
        "keys nope*",
        "hscan h 0 count 1000 match nope*",
        "scan 0 match nope*",
        "hrandfield h 1",
        "randomkey",
    ] {
        world.0.steps_left = 1 << 18;
        let Reply::Array(replies) = world.0.execute(&exec(&[read; 300]), index) else { panic!() };
        assert!(replies[0] != TOO_LONG && replies[299] == TOO_LONG, "{read}");
        assert_eq!(replies[300..], [Reply::Ok, bulk_of("1")], "{read}");
        // The transactions of an entry have their steps together.
        let Reply::Array(replies) = world.0.execute(&exec(&[read, "get a"]), index) else { panic!() };
        assert_eq!(replies[..2], [TOO_LONG, bulk_of("1")], "{read}");
    }
    for (first, second) in
        [("copy large b replace", "setrange large 0 x"), ("setrange none 1000000 x", "del none")]
    {
        world.say("setrange large 1000000 x");
        world.0.steps_left = 1 << 18;
        let pairs = [first, second].repeat(300);
        let Reply::Array(replies) = world.0.execute(&exec(&pairs), index) else { panic!() };
        let refused = replies.iter().position(|reply| *reply == TOO_LONG).unwrap();
        assert!((2..16).contains(&refused), "{first}: {refused}");
        assert_eq!(replies[600..], [Reply::Ok, bulk_of("1")], "{first}");
    }
    world.0.advance(0, index + 1);
    let Reply::Array(replies) = world.0.execute(&exec(&["keys nope*"]), index + 1) else { panic!() };
    assert_eq!(replies[0], Reply::Array(vec![]), "the next entry has its own");
}
