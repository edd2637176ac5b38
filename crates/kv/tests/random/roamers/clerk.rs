//! The production clerk as a client.

use std::time::Duration;

use bowline_kv::Reply;
use bowline_kv::clerk::{Answer, CallError, Clerk, Step};
use bowline_linearizability::CallId;
use bowline_linearizability::course;
use bowline_testimony::{answered, asked};
use rand::RngExt;

use super::{Scene, Todo, encoded};
use crate::cluster::MS;

/// How many keys the clerks share.
const KEYS: u64 = 2;

pub(super) struct ClerkClient {
    number: u64,
    clerk: Clerk,
    /// The call that is not over, and what it asks.
    call: Option<(CallId, course::Operation)>,
    written: u64,
    /// How many of the keys it has read in the end.
    finally_read: u64,
}

impl ClerkClient {
    pub(super) fn new(number: u64, servers: u64) -> Self {
        let clerk = Clerk::new(usize::try_from(servers).expect("a few"));
        Self { number, clerk, call: None, written: 0, finally_read: 0 }
    }

    pub(super) fn next(&mut self, scene: &mut Scene<'_>) -> Todo {
        if self.call.is_none() {
            if self.finally_read == KEYS {
                return Todo::Nothing;
            }
            self.begin(scene);
        }
        match self.clerk.next(Duration::from_micros(scene.now)) {
            Step::Send { server, what } => {
                let (_, operation) = self.call.as_ref().expect("a call was begun");
                let operation = asked(operation.clone());
                Todo::Ask { node: server as u64 + 1, command: encoded(&what.of(operation.command())) }
            }
            Step::Wait(until) => Todo::Wait(u64::try_from(until.as_micros()).expect("a virtual time fits")),
            Step::Done(outcome) => {
                self.end(outcome, scene);
                scene.think()
            }
        }
    }

    pub(super) fn told(&mut self, reply: Option<Reply>) {
        self.clerk.answered(reply.map_or(Answer::Silence, Answer::of_reply));
    }

    fn begin(&mut self, scene: &mut Scene<'_>) {
        let (operation, deadline) = if scene.have_stopped {
            self.finally_read += 1;
            (course::Operation::get(format!("s{}", self.finally_read - 1)), None)
        } else {
            let key = format!("s{}", scene.rng.random_range(0..KEYS));
            self.written += 1;
            let value = format!("{}.{};", self.number, self.written);
            let operation = match scene.rng.random_range(0..10) {
                0..3 => course::Operation::get(key),
                3 => course::Operation::put(key, value),
                _ => course::Operation::append(key, value),
            };
            (operation, Some(scene.now + scene.rng.random_range(50 * MS..9000 * MS)))
        };
        let call = scene.records.calls.invoked(self.number, operation.clone(), scene.invoked_ns());
        self.clerk.begin(&asked(operation.clone()).command(), deadline.map(Duration::from_micros));
        self.call = Some((call, operation));
    }

    fn end(&mut self, outcome: Result<Reply, CallError>, scene: &mut Scene<'_>) {
        let (call, operation) = self.call.take().expect("a call was begun");
        let now_ns = scene.now_ns();
        let history = &mut scene.records.calls;
        match outcome {
            Ok(reply) => history.returned(call, answered(&operation, &reply), now_ns),
            Err(CallError::NotExecuted(_)) => {
                scene.tally.calls_not_executed += 1;
                history.not_executed(call);
            }
            Err(CallError::Unknown(_)) => scene.tally.calls_unknown += 1,
            Err(CallError::Failed(error)) => panic!("a clerk's call has failed: {error}"),
        }
    }
}
