//! Sessions that end too early: to make room for others, and by their time, in the middle of a retry.
//!
//! The seeds have no such tests, since their servers remember every client for ever. Here a clerk may learn that
//! its session is gone after a sending to which nobody answered. Then nobody can tell it any more whether that
//! happened; and whatever it is told, it must not happen twice, nor at all if it was said not to have.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bowline_kv::Reply;
use bowline_kv::clerk::CallError;
use bowline_kv::command::{Command, SessionCommand};
use bowline_kv::session::once::Limits;
use bowline_linearizability::course::Operation;

use crate::kv::{KvLab, LabClerk};
use crate::scenario::{KvBody, KvScript, Part, Scenario, Script};

/// The scenarios about sessions.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("SessionsForTwoOfThree", "Sessions: three clerks, and room for two", |lab| {
        Box::pin(two_of_three(lab))
    }),
    scenario("SessionsExpireInARetry", "Sessions: one expires in the middle of a retry", |lab| {
        Box::pin(expire_in_a_retry(lab))
    }),
];

const fn scenario(name: &'static str, title: &'static str, script: fn(KvLab) -> Script<()>) -> Scenario {
    let body = KvBody { script: KvScript::Own(script), max_raft_state: Some(1000), seed_003: &[] };
    Scenario::of_kv(Part::KvSessions, name, title, 3, body)
}

/// An element that a clerk wanted to append to a key, and what it was told.
type Told = (String, Result<(), CallError>);

/// Every clerk pushes the session of another one out, and leaders are cut off with what they have taken. In the end each
/// element is there as often as its clerk was told.
async fn two_of_three(lab: KvLab) {
    set_limits(&lab, Limits { most: 2, idle_ms: 3_600_000 }).await;
    lab.set_unreliable();
    let done = Rc::new(Cell::new(false));
    let client = |c: usize| {
        let (lab, done) = (lab.clone(), done.clone());
        lab.clone().spawn(async move {
            let mut clerk = lab.make_clerk(&lab.all());
            let mut told = Vec::new();
            while !done.get() {
                told.push(append(&mut clerk, &c.to_string(), told.len()).await);
            }
            told
        })
    };
    let clients: Vec<_> = (0..3).map(client).collect();
    for _ in 0..4 {
        lab.sleep(Duration::from_millis(500)).await;
        let (majority, minority) = lab.make_partition();
        lab.partition(&majority, &minority);
        lab.sleep(Duration::from_millis(800)).await;
        lab.connect_all();
    }
    done.set(true);
    let mut all = Vec::new();
    for (c, client) in clients.into_iter().enumerate() {
        let told = client.await;
        check(&lab, &c.to_string(), &told).await;
        all.extend(told);
    }
    let unknown = all.iter().filter(|(_, told)| matches!(told, Err(CallError::Unknown(_)))).count();
    lab.ensure(unknown > 0, || "no clerk has lost its session in the middle of a retry".to_owned()).await;
    lab.ensure(all.len() > 20, || format!("only {} calls in five seconds", all.len())).await;
    lab.end();
}

/// A clerk loses its links at any moment of a call and gets them back before or after its session has expired.
async fn expire_in_a_retry(lab: KvLab) {
    const ROUNDS: usize = 12;
    const IDLE: Duration = Duration::from_secs(1);
    let idle_ms = u64::try_from(IDLE.as_millis()).expect("a second");
    set_limits(&lab, Limits { most: 100, idle_ms }).await;
    // Somebody's entries carry the time.
    let done = Rc::new(Cell::new(false));
    let busy = lab.spawn(be_busy(lab.clone(), done.clone()));
    let mut clerk = lab.make_clerk(&lab.all());
    let links = clerk.links();
    let mut all = Vec::new();
    for round in 0..ROUNDS {
        // So that what is in doubt is this call, and not an opening.
        all.push(append(&mut clerk, "k", 2 * round).await);
        let call = lab.spawn(async move {
            let told = append(&mut clerk, "k", 2 * round + 1).await;
            (clerk, told)
        });
        lab.sleep(Duration::from_millis(lab.random_below(20))).await;
        links.cut();
        // Every other time the session is still there.
        let away = if round % 2 == 0 { IDLE / 4 } else { 2 * IDLE };
        lab.sleep(away).await;
        links.connect(&lab.all());
        let (back, told) = call.await;
        clerk = back;
        all.push(told);
    }
    done.set(true);
    busy.await;
    check(&lab, "k", &all).await;
    let unknown = all.iter().filter(|(_, told)| matches!(told, Err(CallError::Unknown(_)))).count();
    lab.ensure(unknown > 0, || "no session has expired in the middle of a retry".to_owned()).await;
    lab.end();
}

/// Uses a session, by hand, until it is told to stop. As long as it is used, the session does not end.
async fn be_busy(lab: KvLab, done: Rc<Cell<bool>>) {
    let mut clerk = lab.make_clerk(&lab.all());
    let opened = clerk.command(&Command::Session(SessionCommand::Open)).await;
    let session = match opened {
        Reply::Int(id) => u64::try_from(id).expect("a session's id is positive"),
        other => lab.fail(format!("OPEN was answered {other:?}")).await,
    };
    let mut number = 0;
    while !done.get() {
        number += 1;
        let command = Box::new(Command::Append { key: b"busy", value: b"." });
        let run = Command::Session(SessionCommand::Run { session, number, command });
        let reply = clerk.command(&run).await;
        lab.ensure(reply == Reply::Int(number.cast_signed()), || {
            format!("request {number} of a session that is in use was answered {reply:?}")
        })
        .await;
        lab.sleep(Duration::from_millis(50)).await;
    }
}

async fn set_limits(lab: &KvLab, limits: Limits) {
    let mut clerk = lab.make_clerk(&lab.all());
    clerk.command(&Command::Session(SessionCommand::SetLimits(limits))).await;
}

async fn append(clerk: &mut LabClerk, key: &str, number: usize) -> Told {
    let element = format!("x {key} {number} y");
    let told = clerk.attempt(Operation::append(key.to_owned(), element.clone()), None).await;
    (element, told.map(drop))
}

/// Each element is there as often as its clerk was told, which is at most once.
async fn check(lab: &KvLab, key: &str, told: &[Told]) {
    let value = lab.make_clerk(&lab.all()).get(key).await;
    for (element, told) in told {
        let count = value.matches(element.as_str()).count();
        let is_right = match told {
            Ok(()) => count == 1,
            Err(CallError::Unknown(_)) => count <= 1,
            Err(CallError::NotExecuted(_) | CallError::Failed(_)) => count == 0,
        };
        lab.ensure(is_right, || {
            format!("{element:?} is there {count} times, and its clerk was told {told:?}")
        })
        .await;
    }
}
