//! Keys whose time ends, beside a search that knows no calls for the ends of times: it goes through every order of the
//! calls, and lets keys go in between.

use bowline_linearizability::redis::timed::{self, Command, SetExpiry, TimedRedis, Tolerance};
use bowline_linearizability::redis::{Action, Condition, Redis, Reply};
use bowline_linearizability::{Call, History, Model, Outcome, Verdict, check};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const MS: u64 = 1_000_000;
const HISTORIES: u64 = 20_000;

type TimedCall = Call<Command, Reply>;

/// A key that there is.
#[derive(Clone)]
struct Key {
    value: Vec<u8>,
    time: Option<Window>,
}

/// Not before and not after which moment a key ends.
#[derive(Clone, Copy)]
struct Window {
    from_ns: u64,
    to_ns: u64,
}

/// What a command does to the only key, and what it answers; `given` is the time that the command gives.
fn execute(key: &mut Option<Key>, command: &Command, given: Option<Window>) -> Reply {
    let there = key.is_some();
    match command {
        Command::Untimed(command) => {
            let mut values = key.iter().map(|key| (Bytes::from("k"), key.value.clone())).collect();
            let reply = Redis::apply(&mut values, command);
            let overwrites = matches!(
                command,
                bowline_linearizability::redis::Command::One {
                    action: Action::Set { condition: Condition::Always | Condition::IfPresent, .. },
                    ..
                }
            );
            let time = key.as_ref().and_then(|key| key.time).filter(|_| !overwrites);
            *key = values.remove(b"k".as_slice()).map(|value| Key { value, time });
            reply
        }
        Command::Set { value, condition, expiry, .. } => {
            let is_done = match condition {
                Condition::Always => true,
                Condition::IfAbsent => !there,
                Condition::IfPresent => there,
            };
            if is_done {
                let kept = key.as_ref().and_then(|key| key.time);
                let time = if *expiry == SetExpiry::Keep { kept } else { given };
                *key = Some(Key { value: value.to_vec(), time });
            }
            if is_done { Reply::Ok } else { Reply::Nil }
        }
        Command::GetEx { .. } => match key {
            None => Reply::Nil,
            Some(key) => {
                key.time = given;
                Reply::Value(key.value.clone().into())
            }
        },
        Command::Expire { lasts_ms, condition, .. } => {
            let has_time = key.as_ref().is_some_and(|key| key.time.is_some());
            let is_done = there
                && match condition {
                    timed::ExpireCondition::Always => true,
                    timed::ExpireCondition::IfNone => !has_time,
                    timed::ExpireCondition::IfAny => has_time,
                };
            if is_done {
                key.iter_mut().for_each(|key| key.time = given);
                key.take_if(|_| *lasts_ms <= 0);
            }
            Reply::Int(is_done.into())
        }
        Command::Persist { .. } => Reply::Int(key.as_mut().and_then(|key| key.time.take()).is_some().into()),
    }
}

fn lasts_ms(command: &Command) -> Option<u64> {
    match command {
        Command::Set { expiry: SetExpiry::AfterMs(ms), .. } => Some(*ms),
        Command::GetEx { lasts_ms, .. } => *lasts_ms,
        Command::Expire { lasts_ms, .. } => u64::try_from(*lasts_ms).ok(),
        _ => None,
    }
}

/// When a key ends that the call has given a time.
fn window(call: &TimedCall, tolerance: Tolerance) -> Option<Window> {
    let lasts_ns = lasts_ms(&call.operation)? * MS;
    let from_ns = (call.invoked_ns + lasts_ns).saturating_sub(tolerance.early_ns).max(call.invoked_ns);
    let to_ns = call.returned().map_or(u64::MAX, |(at_ns, _)| at_ns + lasts_ns + tolerance.late_ns);
    Some(Window { from_ns, to_ns })
}

/// Whether some order of the calls explains the answers, from a moment not before `now` on.
fn explains(waiting: &[&TimedCall], key: &Option<Key>, now_ns: u64, tolerance: Tolerance) -> bool {
    let end = waiting.iter().filter_map(|call| call.returned()).map(|(at_ns, _)| at_ns).min();
    let Some(end) = end else { return true };
    if let Some(Window { from_ns, .. }) = key.as_ref().and_then(|key| key.time)
        && from_ns <= end
        && explains(waiting, &None, now_ns.max(from_ns), tolerance)
    {
        return true;
    }
    waiting.iter().enumerate().filter(|(_, call)| call.invoked_ns <= end).any(|(place, call)| {
        let now_ns = now_ns.max(call.invoked_ns);
        let is_over = |window: Window| window.to_ns < now_ns;
        if key.as_ref().and_then(|key| key.time).is_some_and(is_over) {
            return false;
        }
        let mut after = key.clone();
        let reply = execute(&mut after, &call.operation, window(call, tolerance));
        let mut rest = waiting.to_vec();
        rest.remove(place);
        call.returned().is_none_or(|(_, answered)| *answered == reply)
            && explains(&rest, &after, now_ns, tolerance)
    })
}

fn command(random: &mut StdRng) -> Command {
    const LINES: &[&str] = &[
        "GET k",
        "GET k",
        "GET k",
        "GET k",
        "SET k a PX 5",
        "SET k b PX 3",
        "SET k c PX 4 NX",
        "SET k d PX 2 XX",
        "SET k e KEEPTTL",
        "SET k f",
        "PSETEX k 1 g",
        "APPEND k h",
        "DEL k",
        "PEXPIRE k 2",
        "PEXPIRE k 6 NX",
        "PEXPIRE k 6 XX",
        "PEXPIRE k -1",
        "PERSIST k",
        "GETEX k PX 3",
        "GETEX k PERSIST",
        "EXISTS k",
        "SETNX k i",
    ];
    let line = LINES[random.random_range(0..LINES.len())];
    let words: Vec<_> = line.split(' ').map(|word| Bytes::from_static(word.as_bytes())).collect();
    Command::parse(&words).expect("the model knows it")
}

fn reply(random: &mut StdRng) -> Reply {
    match random.random_range(0..5) {
        0 => Reply::Ok,
        1 => Reply::Int(random.random_range(0..3)),
        2 => Reply::Value(Bytes::from_static([&b"a"[..], b"b", b"ah"][random.random_range(0..3)])),
        _ => Reply::Nil,
    }
}

/// Calls of a few clients, as a service answers them whose clock is off by up to as much as is tolerated, or by a little
/// more; then perhaps with something that is changed.
fn calls(random: &mut StdRng, tolerance: Tolerance) -> Vec<TimedCall> {
    let mut calls = Vec::new();
    let mut effects = Vec::new();
    let mut free_at = [0; 3];
    for number in 0..random.random_range(2..=6_usize) {
        let client = random.random_range(0..free_at.len());
        let invoked = free_at[client] + random.random_range(0..4_u64);
        let effect = invoked + random.random_range(0..3_u64);
        let end = effect + random.random_range(0..3_u64);
        free_at[client] = end + random.random_range(0..3_u64);
        let outcome = match random.random_range(0..14) {
            0 => Outcome::Unknown,
            1 => Outcome::NotExecuted,
            _ => Outcome::Returned { at_ns: end * MS, reply: Reply::Nil },
        };
        effects.push((effect * MS, number));
        let operation = command(random);
        calls.push(TimedCall { client: client as u64, operation, invoked_ns: invoked * MS, outcome });
    }
    effects.sort_unstable();
    let mut key: Option<Key> = None;
    for (now_ns, number) in effects {
        key.take_if(|key| key.time.is_some_and(|time| time.from_ns <= now_ns));
        let call = &mut calls[number];
        let more = if random.random_ratio(1, 4) { MS } else { 0 };
        let off_by = tolerance.early_ns + more;
        let given = lasts_ms(&call.operation).map(|ms| {
            let at = (now_ns + ms * MS).saturating_sub(off_by)
                + random.random_range(0..=(off_by + tolerance.late_ns + more) / MS) * MS;
            Window { from_ns: at, to_ns: at }
        });
        match &mut call.outcome {
            Outcome::Returned { reply, .. } => *reply = execute(&mut key, &call.operation, given),
            Outcome::Unknown if random.random() => drop(execute(&mut key, &call.operation, given)),
            Outcome::Unknown | Outcome::NotExecuted => {}
        }
    }
    if random.random() {
        let victim = random.random_range(0..calls.len());
        match &mut calls[victim].outcome {
            Outcome::Returned { reply: answered, .. } => *answered = reply(random),
            outcome => *outcome = Outcome::NotExecuted,
        }
    }
    calls
}

#[test]
fn times_of_a_key() {
    let mut wrong = 0;
    for seed in 0..HISTORIES {
        let random = &mut StdRng::seed_from_u64(seed);
        let tolerance =
            Tolerance { early_ns: random.random_range(0..=1) * MS, late_ns: random.random_range(0..=1) * MS };
        let calls = calls(random, tolerance);
        let mut history = History::new();
        for call in &calls {
            let id = history.invoked(call.client, call.operation.clone(), call.invoked_ns);
            match &call.outcome {
                Outcome::Returned { at_ns, reply } => history.returned(id, reply.clone(), *at_ns),
                Outcome::NotExecuted => history.not_executed(id),
                Outcome::Unknown => {}
            }
        }
        let waiting: Vec<_> = calls.iter().filter(|call| call.outcome != Outcome::NotExecuted).collect();
        let is_right = explains(&waiting, &None, 0, tolerance);
        let verdict = check::<TimedRedis>(&timed::history(&history, tolerance), &mut || true);
        assert_eq!(verdict == Verdict::Linearizable, is_right, "seed {seed}: {tolerance:?} {calls:#?}");
        assert_ne!(verdict, Verdict::Unknown);
        wrong += u64::from(!is_right);
    }
    println!("{wrong} of {HISTORIES} are not linearizable");
    assert!((HISTORIES / 10..HISTORIES * 9 / 10).contains(&wrong), "{wrong} of {HISTORIES} are wrong");
}
