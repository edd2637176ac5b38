//! The contacted node's side: it holds each client's command until there is an answer.
//!
//! A client speaks to one node, whichever leads. That node gives each command a number, sends it to
//! the leader (which may be itself), sends it again to the next leader when it gives up this one,
//! and answers once. The number stays the same, so however often a command is sent, it takes
//! effect at most once: the records in the replicated state see to that.
//!
//! # In the order in which they were sent
//!
//! Commands of one connection take effect in their order, over changes of leader too:
//!
//! - Everything that is unanswered is sent to one target at a time: the leader of one term, by
//!   one connection. A new target gets all of it, from the first one on. What a leader of an
//!   earlier term had taken of it and that survived is a prefix; what it had not taken it can no
//!   longer take, since each sending names its term. The same goes for an earlier connection to the
//!   same leader, since each sending names its connection. So first effects come in order.
//! - A connection has either logged commands unanswered or plain reads, never both. A read behind
//!   an unanswered write goes through the log itself, where it sees that write and none behind it;
//!   a write behind unanswered reads is held until they are answered. WATCH, which must see exactly the writes
//!   in front of it, is held behind them and is a plain read; so is a read like HGETALL, a few bytes whose reply
//!   may be millions, which no replica but the one that answers should have to make and to keep.
//! - Plain reads are answered by one target alone, in their order: with each target they get new
//!   numbers. A late answer from an earlier one would show an older state than the present one
//!   may have shown to the reads in front of it.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use foldhash::fast::FixedState;
use hashbrown::HashMap;

use bowline_raft::{NodeId, Term};

use crate::command::Command;
use crate::forward::{self, ForwardHeader, Outcome, Path};
use crate::reply::Reply;

/// How many bytes of commands may be unanswered, those that are held among them, before [`Contact::has_room`] says no.
const MAX_UNANSWERED_BYTES: usize = 64 << 20;

/// How many commands may be.
const MAX_UNANSWERED: usize = 1 << 16;

/// Short commands are encoded into allocations of so many bytes, one behind the other.
const ARENA_BYTES: usize = 8 << 10;

/// The most that counts as held between two readings of the clock. If more time has passed, this
/// node did not run, and nobody's command was held by it.
const MAX_STEP: Duration = Duration::from_secs(1);

/// After so long without a command the leader is told that all of them are finished. Until then
/// the next command tells it.
const FLOOR_DELAY: Duration = Duration::from_millis(100);

/// A connection of a client to this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub u64);

/// A client's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Whose.
    pub client: ClientId,
    /// Which of its commands, as it was submitted.
    pub token: u64,
    /// The answer.
    pub reply: Reply,
}

/// Where unanswered commands go: another term, or another connection, is another target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) leader: NodeId,
    pub(crate) term: Term,
    /// Counts the connections to that node; a new one may have lost what the last one carried.
    pub(crate) link: u64,
}

#[derive(Debug)]
pub(crate) struct Contact {
    commands: Lane,
    reads: Lane,
    clients: HashMap<ClientId, Client, FixedState>,
    /// How many commands are held in all clients, and their bytes.
    held: usize,
    held_bytes: usize,
    pub(crate) target: Option<Target>,
    timeout: Duration,
    /// The last reading of the clock.
    now: Duration,
    /// How long this node has run, which is what a command's deadline is measured by.
    run: Duration,
    /// When the leader was last sent a floor, by a command or alone: by the clock.
    floor_sent: Duration,
    /// Where commands are encoded: many share one allocation.
    arena: BytesMut,
    scratch: Vec<u8>,
    answers: Vec<Answer>,
    most_unanswered: usize,
}

/// Unanswered commands with numbers that follow each other.
#[derive(Debug)]
struct Lane {
    /// The number of the front: the lowest that is unfinished, or the next one.
    first: u64,
    /// What is finished leaves a hole until everything in front of it is.
    queue: VecDeque<Option<Pending>>,
    /// How many from the front were sent to the present target.
    sent: usize,
    bytes: usize,
    unanswered: usize,
}

#[derive(Debug)]
struct Pending {
    client: ClientId,
    token: u64,
    command: Bytes,
    deadline: Duration,
    /// To how many targets it was sent: to any, and it may take effect.
    sendings: u32,
}

#[derive(Debug, Default)]
struct Client {
    commands: usize,
    reads: usize,
    /// The first one must wait for what is unanswered, and so the others wait too.
    held: VecDeque<Held>,
}

impl Client {
    /// A write does not overtake reads, and what may not go through the log does not overtake what does.
    fn may_go(&self, held: &Held) -> bool {
        (!held.is_write || self.reads == 0) && (!held.must_be_plain || self.commands == 0)
    }
}

#[derive(Debug)]
struct Held {
    token: u64,
    command: Bytes,
    is_write: bool,
    /// Whether it may not go through the log.
    must_be_plain: bool,
    deadline: Duration,
}

impl Contact {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self {
            commands: Lane::new(),
            reads: Lane::new(),
            clients: HashMap::with_hasher(FixedState::default()),
            held: 0,
            held_bytes: 0,
            target: None,
            timeout,
            now: Duration::ZERO,
            run: Duration::ZERO,
            floor_sent: Duration::ZERO,
            arena: BytesMut::new(),
            scratch: Vec::new(),
            answers: Vec::new(),
            most_unanswered: 0,
        }
    }

    /// Takes a client's command. There will be one [`Answer`] with its token.
    pub(crate) fn submit(&mut self, client: ClientId, token: u64, command: &Command<'_>) {
        self.scratch.clear();
        command.encode(&mut self.scratch);
        if self.arena.capacity() < self.scratch.len() {
            self.arena.reserve(self.scratch.len().max(ARENA_BYTES));
        }
        self.arena.extend_from_slice(&self.scratch);
        let encoded = self.arena.split().freeze();
        let held = Held {
            token,
            command: encoded,
            is_write: command.is_write(),
            must_be_plain: command.must_be_plain(),
            deadline: self.run + self.timeout,
        };
        let state = self.clients.entry(client).or_default();
        if !state.held.is_empty() || !state.may_go(&held) {
            self.held += 1;
            self.held_bytes += held.command.len();
            state.held.push_back(held);
        } else {
            self.enqueue(client, held);
        }
    }

    fn enqueue(&mut self, client: ClientId, held: Held) {
        let state = self.clients.get_mut(&client).expect("the client is known");
        let pending = Pending {
            client,
            token: held.token,
            command: held.command,
            deadline: held.deadline,
            sendings: 0,
        };
        if held.is_write || state.commands > 0 {
            state.commands += 1;
            self.commands.push(pending);
        } else {
            state.reads += 1;
            self.reads.push(pending);
        }
        self.most_unanswered = self.most_unanswered.max(self.unanswered());
    }

    /// The client has gone. What it sent may still take effect, what is held for it does not.
    pub(crate) fn forget(&mut self, client: ClientId) {
        let Some(gone) = self.clients.remove(&client) else { return };
        self.held -= gone.held.len();
        self.held_bytes -= gone.held.iter().map(|held| held.command.len()).sum::<usize>();
    }

    /// The answers since the last time. As much room is made for the next ones: growing costs a copy of all.
    pub(crate) fn take_answers(&mut self) -> Vec<Answer> {
        let next = Vec::with_capacity(self.answers.len());
        std::mem::replace(&mut self.answers, next)
    }

    /// From now on everything goes to `target`, beginning with what is unanswered.
    pub(crate) fn retarget(&mut self, target: Option<Target>) {
        if self.target != target {
            self.target = target;
            self.commands.sent = 0;
            self.reads.renumber();
        }
    }

    /// The lowest number of a logged command that is not finished.
    pub(crate) fn floor(&self) -> u64 {
        self.commands.first
    }

    /// What was not sent to the present target, in order; from now on it was.
    pub(crate) fn take_unsent(&mut self) -> Vec<(Path, u64, Bytes)> {
        let mut unsent = Vec::with_capacity(self.commands.unsent() + self.reads.unsent());
        if self.commands.unsent() > 0 {
            self.floor_sent = self.now;
        }
        unsent.extend(self.commands.take_unsent().map(|(number, command)| (Path::Log, number, command)));
        unsent.extend(self.reads.take_unsent().map(|(number, command)| (Path::Read, number, command)));
        unsent
    }

    /// The same as messages to another node, the present target.
    pub(crate) fn forward_unsent(&mut self, target: Target, life: u64) -> Vec<Vec<u8>> {
        let Target { term, link, .. } = target;
        let header = ForwardHeader { term, life, link, floor: self.floor() };
        let mut messages: Vec<Vec<u8>> = Vec::new();
        for (path, number, command) in self.take_unsent() {
            if messages.last().is_none_or(|m| m.len() >= forward::MAX_MESSAGE_BYTES) {
                let mut message = Vec::new();
                forward::begin_forward(header, &mut message);
                messages.push(message);
            }
            let message = messages.last_mut().expect("one was begun");
            forward::put_request(message, path, number, &command);
        }
        messages
    }

    /// The floor alone, as such a message.
    pub(crate) fn forward_floor(&self, target: Target, life: u64) -> Vec<u8> {
        let Target { term, link, .. } = target;
        let mut message = Vec::new();
        forward::begin_forward(ForwardHeader { term, life, link, floor: self.floor() }, &mut message);
        message
    }

    /// Whether there is something to be sent to the present target.
    pub(crate) fn has_unsent(&self) -> bool {
        self.target.is_some() && self.commands.unsent() + self.reads.unsent() > 0
    }

    /// A request has been answered. Says nothing if it was finished before.
    pub(crate) fn answered(&mut self, path: Path, number: u64, outcome: Outcome) {
        let lane = match path {
            Path::Log => &mut self.commands,
            Path::Read => &mut self.reads,
        };
        let Some(pending) = lane.finish(number) else { return };
        let reply = match outcome {
            Outcome::Done(reply) => reply,
            Outcome::LogFull if pending.sendings == 1 => Reply::error_text(LOG_FULL),
            // The log had no room for this sending; an earlier one may have found some.
            Outcome::LogFull => uncertain(),
        };
        self.reply(path, &pending, reply);
    }

    fn reply(&mut self, path: Path, pending: &Pending, reply: Reply) {
        let Some(client) = self.clients.get_mut(&pending.client) else { return };
        self.answers.push(Answer { client: pending.client, token: pending.token, reply });
        match path {
            Path::Log => client.commands -= 1,
            Path::Read => client.reads -= 1,
        }
        self.release(pending.client);
    }

    /// What was held behind reads that are answered now goes its way.
    fn release(&mut self, id: ClientId) {
        loop {
            let client = self.clients.get_mut(&id).expect("the client is known");
            if !client.held.front().is_some_and(|held| client.may_go(held)) {
                break;
            }
            let held = client.held.pop_front().expect("there is a front");
            self.held -= 1;
            self.held_bytes -= held.command.len();
            self.enqueue(id, held);
        }
        let client = &self.clients[&id];
        if client.commands == 0 && client.reads == 0 && client.held.is_empty() {
            self.clients.remove(&id);
        }
    }

    /// Whether the leader should be told the floor though there is no command to carry it. Says so
    /// once, and again later: what it is told may be lost.
    pub(crate) fn should_tell_floor(&mut self) -> bool {
        let is_due = self.target.is_some()
            && self.commands.queue.is_empty()
            && self.now.saturating_sub(self.floor_sent) >= FLOOR_DELAY;
        if is_due {
            self.floor_sent = self.now;
        }
        is_due
    }

    /// It is now `now`. Answers what has been waiting for too long with the error that is true of
    /// it. Its number is finished: once a later one has taken effect, this one never will.
    pub(crate) fn tick(&mut self, now: Duration) {
        self.run += now.saturating_sub(self.now).min(MAX_STEP);
        self.now = now;
        let waited = self.timeout;
        while let Some((_, pending)) = self.reads.finish_expired(self.run) {
            self.reply(Path::Read, &pending, not_executed(waited));
        }
        while let Some((_, pending)) = self.commands.finish_expired(self.run) {
            let reply = if pending.sendings > 0 { uncertain() } else { not_executed(waited) };
            self.reply(Path::Log, &pending, reply);
        }
    }

    /// How many commands wait for an answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.commands.unanswered + self.reads.unanswered
    }

    pub(crate) fn most_unanswered(&self) -> usize {
        self.most_unanswered
    }

    /// Whether more commands should be taken in now.
    pub(crate) fn has_room(&self) -> bool {
        let bytes = self.commands.bytes + self.reads.bytes + self.held_bytes;
        self.unanswered() + self.held < MAX_UNANSWERED && bytes < MAX_UNANSWERED_BYTES
    }
}

pub(crate) const LOG_FULL: &str = "LOGFULL the log has reached its limit (log_limit_bytes in INFO); the command was certainly not \
                        executed. Reads go on";

fn not_executed(waited: Duration) -> Reply {
    Reply::error(format!(
        "CLUSTERDOWN no leader with a majority for {waited:?}; the command was certainly not executed"
    ))
}

fn uncertain() -> Reply {
    Reply::error_text(
        "UNCERTAIN the leader was lost before it answered; the command may have been executed or not",
    )
}

impl Lane {
    fn new() -> Self {
        Self { first: 1, queue: VecDeque::new(), sent: 0, bytes: 0, unanswered: 0 }
    }

    fn push(&mut self, pending: Pending) {
        self.bytes += pending.command.len();
        self.unanswered += 1;
        self.queue.push_back(Some(pending));
    }

    /// Gives everything a new number, and lets it be sent again.
    fn renumber(&mut self) {
        self.first += self.queue.len() as u64;
        self.sent = 0;
    }

    /// How many are unsent, at most.
    fn unsent(&self) -> usize {
        self.queue.len() - self.sent
    }

    fn take_unsent(&mut self) -> impl Iterator<Item = (u64, Bytes)> {
        let from = std::mem::replace(&mut self.sent, self.queue.len());
        let numbers = self.first + from as u64..;
        numbers.zip(self.queue.range_mut(from..)).filter_map(|(number, pending)| {
            let pending = pending.as_mut()?;
            pending.sendings += 1;
            Some((number, pending.command.clone()))
        })
    }

    fn finish(&mut self, number: u64) -> Option<Pending> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let pending = self.queue.get_mut(at)?.take()?;
        self.bytes -= pending.command.len();
        self.unanswered -= 1;
        while self.queue.front().is_some_and(Option::is_none) {
            self.queue.pop_front();
            self.first += 1;
            self.sent = self.sent.saturating_sub(1);
        }
        Some(pending)
    }

    fn finish_expired(&mut self, now: Duration) -> Option<(u64, Pending)> {
        let number = self.first;
        let front = self.queue.front()?.as_ref().expect("the front is unfinished");
        if front.deadline > now {
            return None;
        }
        self.finish(number).map(|pending| (number, pending))
    }
}

#[cfg(test)]
mod tests;
