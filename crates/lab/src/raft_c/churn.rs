//! Servers that come and go under clients that do not stop.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;

use crate::config::{E, Lab};
use crate::script::{any_server, integer};

/// Three clients propose to whomever they find while servers are cut off, crash and come back at random; what a client
/// saw committed is in the log at the end.
///
/// Catches a commit that is taken back; entries that are cut off though they match; a dead instance that still
/// applies; anything that was acknowledged before it was durable.
pub(crate) async fn churn(lab: Lab) {
    let n = lab.n();
    let stop = Rc::new(Cell::new(false));
    let clients: Vec<_> = (0..3).map(|me| lab.spawn(client(lab.clone(), me, Rc::clone(&stop)))).collect();

    for _ in 0..20 {
        if lab.chance(20) {
            lab.disconnect(any_server(&lab));
        }
        if lab.chance(50) {
            let server = any_server(&lab);
            if !lab.is_alive(server) {
                lab.start1(server);
            }
            lab.connect(server);
        }
        if lab.chance(20) {
            let server = any_server(&lab);
            if lab.is_alive(server) {
                lab.crash1(server);
            }
        }
        // Less than it takes to settle down from one change to the next, and enough to keep up now and then.
        lab.sleep(E * 7 / 10).await;
    }

    lab.sleep(E).await;
    lab.set_unreliable(false);
    for server in 0..n {
        if !lab.is_alive(server) {
            lab.start1(server);
        }
        lab.connect(server);
    }

    stop.set(true);
    let mut confirmed = Vec::new();
    for client in clients {
        confirmed.append(&mut client.await);
    }
    lab.sleep(E).await;

    let last = lab.one(lab.random_int(), n, true).await;
    let mut committed = BTreeSet::new();
    for index in 1..=last {
        match lab.wait(index, n, None).await {
            Some(command) if integer(&command).is_some() => committed.insert(command),
            other => lab.fail(format!("the command at index {index} is no integer: {other:?}")).await,
        };
    }
    for command in &confirmed {
        let there = committed.contains(command);
        lab.ensure(there, || format!("{command:?} was committed, and is not in the log")).await;
    }
}

/// Proposes until it is told to stop, and returns what it saw committed.
async fn client(lab: Lab, me: u64, stop: Rc<Cell<bool>>) -> Vec<Bytes> {
    let mut confirmed = Vec::new();
    while !stop.get() {
        let command = lab.random_int();
        let mut accepted = None;
        for server in 0..lab.n() {
            // Cut off or not: an old leader may take it, and lose it.
            if lab.is_alive(server)
                && let Some((index, _)) = lab.start(server, command.clone()).await
            {
                accepted = Some(index);
            }
        }

        let Some(index) = accepted else {
            lab.sleep(Duration::from_millis(79 + 17 * me)).await;
            continue;
        };
        // It may be committed, or something else at its index, or nothing for long.
        for pause_ms in [10, 20, 50, 100, 200] {
            if let (1.., Some(value)) = lab.n_committed(index) {
                if value == command {
                    confirmed.push(command);
                }
                break;
            }
            lab.sleep(Duration::from_millis(pause_ms)).await;
        }
    }
    confirmed
}
