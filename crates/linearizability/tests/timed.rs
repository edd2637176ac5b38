//! Keys whose time ends: what goes wrong, what only looks wrong, and the model beside Bowline's store.

use bowline_kv::{Command as StoreCommand, Store};
use bowline_linearizability::redis::Reply;
use bowline_linearizability::redis::timed::{self, Command, Operation, State, TimedRedis, Tolerance};
use bowline_linearizability::{CallId, History, Model, Verdict, check};
use bowline_testimony::translated;
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const MS: u64 = 1_000_000;
const TOLERANCE: Tolerance = Tolerance { early_ns: 10 * MS, late_ns: 20 * MS };

#[derive(Default)]
struct Told(History<Command, Reply>);

impl Told {
    /// A call from one millisecond to another.
    fn call(&mut self, line: &str, reply: Reply, [from, to]: [u64; 2]) -> CallId {
        let id = self.lost(line, from);
        self.0.returned(id, reply, to * MS);
        id
    }

    fn set(&mut self, line: &str, times: [u64; 2]) -> CallId {
        self.call(line, Reply::Ok, times)
    }

    fn get(&mut self, shows: &'static str, times: [u64; 2]) -> CallId {
        let reply =
            if shows.is_empty() { Reply::Nil } else { Reply::Value(Bytes::from_static(shows.as_bytes())) };
        self.call("GET k", reply, times)
    }

    /// A call that is not answered.
    fn lost(&mut self, line: &str, at: u64) -> CallId {
        self.0.invoked(1, command(line), at * MS)
    }

    fn verdict(&self) -> Verdict {
        check::<TimedRedis>(&timed::history(&self.0, TOLERANCE), &mut || true)
    }

    #[track_caller]
    fn assert_fine(&self) {
        assert_eq!(self.verdict(), Verdict::Linearizable);
    }

    #[track_caller]
    fn assert_blamed(&self, call: CallId) {
        match self.verdict() {
            Verdict::NotLinearizable(violations) if violations.len() == 1 => {
                assert_eq!(violations[0].unplaced, call);
            }
            other => panic!("{other:?}"),
        }
    }
}

fn command(line: &str) -> Command {
    let words: Vec<_> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
    Command::parse(&words).unwrap_or_else(|| panic!("the model does not know {line}"))
}

#[test]
fn a_key_ends_within_the_tolerance_and_not_before_or_behind() {
    // Its time is over from 100 to 105, so it is gone from 90 to 125.
    for (shows, read, is_right) in [
        ("v", [85, 89], true),
        ("", [85, 89], false),
        ("", [85, 90], true),
        ("v", [120, 130], true),
        ("v", [125, 130], true),
        ("v", [126, 130], false),
        ("", [126, 130], true),
    ] {
        let mut told = Told::default();
        told.set("SET k v PX 100", [0, 5]);
        let get = told.get(shows, read);
        if is_right { told.assert_fine() } else { told.assert_blamed(get) }
    }
}

#[test]
fn a_key_that_was_seen_to_be_gone_does_not_come_back() {
    let mut told = Told::default();
    told.set("SET k v PX 100", [0, 5]);
    told.get("", [91, 92]);
    let back = told.get("v", [93, 94]);
    told.assert_blamed(back);
}

#[test]
fn each_command_does_to_the_time_what_redis_says() {
    let number = Reply::Int;
    let value = || Reply::Value(Bytes::from_static(b"v"));
    for (line, reply, stays) in [
        ("PERSIST k", number(1), true),
        ("GETEX k PERSIST", value(), true),
        ("GETEX k PX 10000", value(), true),
        ("GETEX k", value(), false),
        ("PEXPIRE k 10000", number(1), true),
        ("EXPIRE k 10 XX", number(1), true),
        ("EXPIRE k 10 NX", number(0), false),
        ("SET k v", Reply::Ok, true),
        ("SET k v XX", Reply::Ok, true),
        ("SET k v NX", Reply::Nil, false),
        ("SET k v KEEPTTL", Reply::Ok, false),
        ("SET k v EX 10", Reply::Ok, true),
        ("SET k v EX 10 NX", Reply::Nil, false),
        ("SETEX k 10 v", Reply::Ok, true),
        ("PSETEX k 10000 v", Reply::Ok, true),
        ("GETSET k v", value(), true),
        ("SETNX k v", number(0), false),
        ("MSET k v", Reply::Ok, true),
        ("APPEND k .", number(2), false),
        ("STRLEN k", number(1), false),
    ] {
        let mut told = Told::default();
        told.set("SET k v PX 100", [0, 5]);
        told.call(line, reply, [20, 30]);
        let shows = if line.starts_with("APPEND") { "v." } else { "v" };
        let seen = told.get(shows, [200, 210]);
        if stays { told.assert_fine() } else { told.assert_blamed(seen) }
    }
}

#[test]
fn a_time_that_is_over_at_once_removes_the_key() {
    let mut told = Told::default();
    told.set("SET k v", [0, 5]);
    told.call("PEXPIRE k 0", Reply::Int(1), [10, 20]);
    told.call("PEXPIRE k 100", Reply::Int(0), [30, 40]);
    told.call("PERSIST k", Reply::Int(0), [50, 60]);
    told.call("GETEX k PX 5", Reply::Nil, [70, 80]);
    let seen = told.get("v", [90, 100]);
    told.assert_blamed(seen);
}

#[test]
fn a_key_that_is_set_anew_has_nothing_of_the_old_time() {
    let mut told = Told::default();
    told.set("SET k v PX 100", [0, 5]);
    told.call("DEL k", Reply::Int(1), [10, 20]);
    told.call("APPEND k new", Reply::Int(3), [30, 40]);
    told.get("new", [500, 510]);
    told.assert_fine();
    let gone = told.get("", [520, 530]);
    told.assert_blamed(gone);
}

#[test]
fn a_command_without_an_answer_gives_a_time_late_or_never() {
    for shows in ["v", ""] {
        let mut told = Told::default();
        told.set("SET k v", [0, 5]);
        told.lost("PEXPIRE k 100", 10);
        told.get("v", [20, 30]);
        told.get(shows, [100_000, 100_001]);
        told.assert_fine();
    }
    let mut told = Told::default();
    told.set("SET k v", [0, 5]);
    told.lost("PEXPIRE k 100", 10);
    let early = told.get("", [20, 99]);
    told.assert_blamed(early);
}

#[test]
fn a_time_may_be_over_before_its_command_is_answered() {
    let mut told = Told::default();
    told.set("SET k v PX 100", [0, 300]);
    told.get("v", [50, 60]);
    told.get("", [200, 210]);
    told.assert_fine();
    let back = told.get("v", [220, 230]);
    told.assert_blamed(back);
}

#[test]
fn a_time_does_not_end_before_it_begins() {
    // Were the time over before the call takes effect, the key would stay for ever.
    let mut told = Told::default();
    told.get("", [200, 250]);
    told.set("SET k v PX 100", [0, 300]);
    let seen = told.get("v", [421, 430]);
    told.assert_blamed(seen);
}

#[test]
fn what_the_model_does_not_take() {
    for line in [
        "SET k v PX 0",
        "SET k v EX -1",
        "SET k v PX",
        "SET k v PX 5 EX 5",
        "SET k v KEEPTTL PX 5",
        "SET k v SOON",
        "GETEX k PX 0",
        "PEXPIRE k 5 GT",
        "PEXPIRE k",
        "TTL k",
        "",
    ] {
        let words: Vec<_> = line.split(' ').map(|word| Bytes::from_static(word.as_bytes())).collect();
        assert_eq!(Command::parse(&words), None, "{line}");
    }
    assert_eq!(Command::parse(&[]), None);
}

const LINES: &[&str] = &[
    "GET x",
    "GET y",
    "SET x a PX 30",
    "SET y b EX 1",
    "SET x c PX 50 NX",
    "SET x d PX 20 XX GET",
    "SET x e KEEPTTL",
    "SET y f KEEPTTL GET",
    "SET x g",
    "SET x o NX",
    "SET y p XX",
    "PSETEX y 40 h",
    "SETEX x 1 i",
    "APPEND x j",
    "DEL x",
    "MSET x k y l",
    "MGET x y",
    "PEXPIRE x 25",
    "PEXPIRE y 35 NX",
    "PEXPIRE y 45 XX",
    "EXPIRE x 0",
    "PEXPIRE y -5",
    "PERSIST x",
    "PERSIST y",
    "GETEX x PX 15",
    "GETEX y EX 1",
    "GETEX y PERSIST",
    "GETEX x",
    "EXISTS x y",
    "DBSIZE",
    "SETNX x m",
    "GETSET y n",
];

/// With the ends of times at their moments, by the store's clock, the two say the same.
#[test]
fn the_model_and_the_store_answer_the_same() {
    let random = &mut StdRng::seed_from_u64(1);
    let mut ends = 0;
    for _ in 0..200 {
        let mut store = Store::new(1);
        let mut state = State::default();
        let mut now_ms = 1_000_000;
        let mut running: Vec<(u64, Operation)> = Vec::new();
        let mut told = Vec::new();
        for call in 1..200 {
            now_ms += random.random_range(0..20);
            store.advance(now_ms, call);
            running.sort_by_key(|(at, _)| *at);
            while running.first().is_some_and(|(at, _)| *at <= now_ms) {
                let before = state.clone();
                assert_eq!(TimedRedis::apply(&mut state, &running.remove(0).1), Reply::Ok);
                ends += u32::from(TimedRedis::value(&before, b"x") != TimedRedis::value(&state, b"x"));
            }
            let line = LINES[random.random_range(0..LINES.len())];
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            let theirs = StoreCommand::parse(&words).expect("the store knows it");
            let number = usize::try_from(call).expect("a small number");
            let (ours, end) = timed_operation(line, number);
            let reply = TimedRedis::apply(&mut state, &ours);
            running.extend(end.map(|(lasts_ms, end)| (now_ms + lasts_ms, end)));
            told.push(format!("{now_ms}: {line} -> {reply}"));
            assert_eq!(reply, translated(&store.execute(&theirs, call)), "{told:#?}");
        }
    }
    assert!(ends > 500, "only {ends} times of x have ended");
}

/// The operation for a line, and the end of the time that it gives, with its length.
fn timed_operation(line: &str, call: usize) -> (Operation, Option<(u64, Operation)>) {
    let mut history = History::new();
    for number in 0..=call {
        let id = history.invoked(1, command(if number == call { line } else { "DBSIZE" }), 0);
        history.returned(id, Reply::Nil, 0);
    }
    let timed = timed::history(&history, Tolerance { early_ns: 0, late_ns: 0 });
    let end = timed.calls().get(call + 1);
    let end = end.map(|end| (end.returned().expect("it ends").0 / MS, end.operation.clone()));
    (timed.calls()[call].operation.clone(), end)
}
