//! A clerk in the virtual world: the production [`Clerk`] decides, and here is what it needs to call.

use std::rc::Rc;
use std::time::Duration;

use bowline_kv::clerk::{Answer, CallError, Clerk, Operation, Step};
use bowline_kv::{Command, Reply, Served};
use bowline_linearizability::course;
use bowline_raft::NodeId;
use bowline_sim::kv_server::{CLERK, ClerkReply};
use bowline_sim::labrpc::{Call, ClientEnd, Network};
use bowline_testimony::{answered, asked};
use bytes::Bytes;

use super::KvLab;

/// A clerk with ends to all servers.
pub struct LabClerk {
    lab: KvLab,
    clerk: Clerk,
    /// Whom the history shows as the one who calls.
    number: u64,
    links: ClerkLinks,
    /// Who has answered through each end. So a leader's name can be found.
    names: Vec<Option<NodeId>>,
}

/// A clerk's ends, in its own order, each with the server that it leads to: which the clerk does not know.
#[derive(Clone)]
pub struct ClerkLinks {
    network: Network,
    ends: Rc<[(usize, ClientEnd)]>,
}

impl ClerkLinks {
    pub(super) fn new(network: &Network, ends: Vec<(usize, ClientEnd)>) -> Self {
        Self { network: network.clone(), ends: ends.into() }
    }

    /// Lets the ends to these servers lead there.
    pub fn connect(&self, to: &[usize]) {
        for (_, end) in self.ends.iter().filter(|(i, _)| to.contains(i)) {
            self.network.enable(end.id(), true);
        }
    }

    /// Lets none of them lead anywhere.
    pub fn cut(&self) {
        for (_, end) in self.ends.iter() {
            self.network.enable(end.id(), false);
        }
    }

    /// Makes a call through one of them.
    pub(super) fn call(&self, at: usize, args: Bytes) -> Call {
        self.ends[at].1.call(CLERK, args)
    }
}

impl LabClerk {
    pub(super) fn new(lab: &KvLab, number: u64, links: ClerkLinks) -> Self {
        let servers = links.ends.len();
        Self { lab: lab.clone(), clerk: Clerk::new(servers), number, links, names: vec![None; servers] }
    }

    /// Its ends, for who has not got the clerk.
    pub fn links(&self) -> ClerkLinks {
        self.links.clone()
    }

    /// Counts the clerks of a run.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The value of a key. Counted, and in the history.
    pub async fn get(&mut self, key: &str) -> String {
        match self.counted(course::Operation::get(key.to_owned())).await {
            course::Answer::Value(value) => String::from_utf8(value.to_vec()).expect("scripts write text"),
            course::Answer::Done => unreachable!("no answer to a get"),
        }
    }

    /// Gives a key a value. Counted, and in the history.
    pub async fn put(&mut self, key: &str, value: &str) {
        self.counted(course::Operation::put(key.to_owned(), value.to_owned())).await;
    }

    /// Puts text behind the value of a key. Counted, and in the history.
    pub async fn append(&mut self, key: &str, value: &str) {
        self.counted(course::Operation::append(key.to_owned(), value.to_owned())).await;
    }

    /// Reads a key, whose value must be this one.
    pub async fn check(&mut self, key: &str, expected: &str) {
        let value = self.get(key).await;
        self.lab.ensure(value == expected, || format!("get of {key} gave {value:?}, not {expected:?}")).await;
    }

    async fn counted(&mut self, operation: course::Operation) -> course::Answer {
        match self.attempt(operation, None).await {
            Ok(answer) => answer,
            Err(error) => self.lab.fail(format!("a call without a deadline has failed: {error}")).await,
        }
    }

    /// Makes a call that may fail. Counted, and in the history.
    pub async fn attempt(
        &mut self,
        operation: course::Operation,
        deadline: Option<Duration>,
    ) -> Result<course::Answer, CallError> {
        let lab = self.lab.clone();
        let call = lab.0.history.borrow_mut().invoked(self.number, operation.clone(), invoked_ns(lab.now()));
        let reply = self.call(asked(operation.clone()), deadline).await;
        let outcome = reply.map(|reply| answered(&operation, &reply));
        let mut history = lab.0.history.borrow_mut();
        match &outcome {
            Ok(answer) => history.returned(call, answer.clone(), nanoseconds(lab.now())),
            Err(CallError::NotExecuted(_)) => history.not_executed(call),
            Err(CallError::Unknown(_) | CallError::Failed(_)) => {}
        }
        lab.0.operations.set(lab.0.operations.get() + 1);
        outcome
    }

    /// Makes a call, which is not counted.
    pub async fn call(
        &mut self,
        operation: Operation,
        deadline: Option<Duration>,
    ) -> Result<Reply, CallError> {
        self.clerk.begin(&operation.command(), deadline);
        loop {
            let now = self.lab.now();
            let (server, args) = match self.clerk.next(now) {
                Step::Done(outcome) => return outcome,
                Step::Wait(until) => {
                    self.lab.sleep(until.saturating_sub(now)).await;
                    continue;
                }
                Step::Send { server, what } => (server, encoded(&what.of(operation.command()))),
            };
            let reply = self.links.call(server, args).await;
            let answer = self.answer(server, reply);
            self.clerk.answered(answer);
        }
    }

    /// Asks for something that is no clerk's call, of whoever leads, until it is answered.
    pub async fn command(&mut self, command: &Command<'_>) -> Reply {
        let args = encoded(command);
        loop {
            for server in 0..self.names.len() {
                let reply = self.links.call(server, args.clone()).await;
                if let Answer::Result(reply) = self.answer(server, reply) {
                    return reply;
                }
            }
            self.lab.sleep(Duration::from_millis(50)).await;
        }
    }

    fn answer(&mut self, server: usize, reply: Option<Bytes>) -> Answer {
        let Some(reply) = reply else { return Answer::Silence };
        let ClerkReply { from, served } = ClerkReply::decode(&reply).expect("a server's answer");
        self.names[server] = Some(from);
        match served {
            Served::Done(reply) => Answer::of_reply(reply),
            Served::NotLeader(leader) => {
                let known =
                    leader.and_then(|leader| self.names.iter().position(|name| *name == Some(leader)));
                Answer::NotLeader(known)
            }
            Served::Lost => Answer::Silence,
        }
    }
}

/// No call can be made by a clerk that is gone.
impl Drop for LabClerk {
    fn drop(&mut self) {
        self.links.cut();
    }
}

pub(super) fn encoded(command: &Command<'_>) -> Bytes {
    let mut out = Vec::new();
    command.encode(&mut out);
    out.into()
}

/// When a call begins that is made at that time: behind what was answered at the same instant, to whomever, since time
/// stands still while a script thinks. No call has an effect in its first nanosecond.
pub(super) fn invoked_ns(time: Duration) -> u64 {
    nanoseconds(time) + 1
}

pub(super) fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a virtual time fits")
}
