//! Clients: each sends a pipeline of commands over one connection, and keeps a history of it.
//!
//! Every client has keys of its own, which it alone writes, with numbers that only grow; anybody may
//! read them. Counters belong to all. So for each key there is something that is known to all
//! from the moment at which anybody was answered: no later read may show less.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_kv::{Answer, ClientId, Command, Reply};
use rand::RngExt;

use crate::cluster::{COMMAND_TIMEOUT, Cluster, MS};
use crate::event::Event;
use crate::expiry::check_timed;
use crate::hashes::{HashAction, check_hash};
use crate::history::{Action, Fate, Operation, check_client, check_counters, number, values};
use crate::tally::Tally;

pub(crate) const COUNTERS: u64 = 2;

pub(crate) struct Client {
    pub(crate) number: u64,
    node: u64,
    /// Whether it is there and may be answered.
    is_there: bool,
    window: usize,
    outstanding: usize,
    /// How many of ten operations write.
    writes: u32,
    longest_thought: u64,
    pub(crate) operations: Vec<Operation>,
}

#[derive(Default)]
pub(crate) struct Clients {
    all: Vec<Client>,
    /// The most that anybody was told of each key's number.
    known: BTreeMap<String, u64>,
    have_stopped: bool,
}

impl Clients {
    pub(crate) fn node_of(&self, client: usize) -> u64 {
        self.all[client].node
    }

    pub(crate) fn stop(&mut self) {
        self.have_stopped = true;
    }

    pub(crate) fn submitted(&self) -> u64 {
        self.all.iter().map(|client| client.operations.len() as u64).sum()
    }

    pub(crate) fn node_died(&mut self, node: u64) {
        for client in self.all.iter_mut().filter(|client| client.node == node) {
            client.is_there = false;
        }
    }

    /// Takes an answer, and says what is worth being told.
    pub(crate) fn answered(
        &mut self,
        node: u64,
        answer: Answer,
        now: u64,
        stood_still: u64,
        tally: &mut Tally,
    ) -> Option<String> {
        let at = usize::try_from(answer.client.0).expect("a small number");
        let client = &mut self.all[at];
        assert_eq!(client.node, node, "an answer to a client of another node: {answer:?}");
        if !client.is_there {
            // It was on its way when the client went.
            return None;
        }
        client.outstanding -= 1;
        let token = usize::try_from(answer.token).expect("a small number");
        let operation = client.operations.get_mut(token).expect("a command that was submitted");
        assert!(operation.reply.is_none(), "command {token} of client {at} is answered again: {answer:?}");
        let waited = now - operation.submitted - (stood_still - operation.stood_still);
        // Twice, if it was held behind reads that were given up.
        let longest = COMMAND_TIMEOUT * 2 + Duration::from_millis(100);
        assert!(
            u128::from(waited) <= longest.as_micros(),
            "command {token} of client {at} was answered after {waited} us: {answer:?}"
        );
        let reply = answer.reply;
        tally.answered += 1;
        let fate = Fate::of(&reply);
        let mut told = None;
        if fate != Fate::Done {
            let Reply::Error(text) = &reply else { panic!("not an error: {reply:?}") };
            tally.uncertain += u64::from(fate == Fate::Uncertain);
            tally.cluster_down += u64::from(text.starts_with(b"CLUSTERDOWN"));
            tally.log_full += u64::from(text.starts_with(b"LOGFULL"));
            let word = String::from_utf8_lossy(text.split(|&b| b == b' ').next().unwrap_or_default());
            told = Some(format!("client {at} on node {node}: {:?}: {word}", operation.action));
        } else {
            let action = &operation.action;
            let fits = action.fits(at as u64, answer.token, &reply);
            assert!(fits, "client {at} on node {node}: {reply:?} to {action:?}");
            for (key, shown) in values(action, &reply, at as u64) {
                let floor = operation.floors.get(&key).copied().unwrap_or(0);
                assert!(
                    shown >= floor + u64::from(action.raises()),
                    "client {at} on node {node}: {action:?} shows {shown} of {key}, and {floor} was known before"
                );
                let known = self.known.entry(key).or_default();
                *known = shown.max(*known);
            }
        }
        operation.reply = Some(reply);
        operation.answered = Some(now);
        told
    }

    pub(crate) fn check_all_answered(&self) {
        for client in self.all.iter().filter(|client| client.is_there) {
            let waiting = client.operations.iter().filter(|op| op.reply.is_none()).collect::<Vec<_>>();
            assert!(
                waiting.is_empty(),
                "client {} on node {} waits for {} answers: {:?}...",
                client.number,
                client.node,
                waiting.len(),
                waiting[0]
            );
        }
    }

    /// All histories against what the store holds at the end, as each of the examiners sees it.
    pub(crate) fn check_histories(&self, examiners: &[usize], log_may_fill: bool, tally: &mut Tally) {
        for client in &self.all {
            check_timed(&client.operations, log_may_fill, tally);
            check_hash(&client.operations, client.number, tally);
        }
        for &examiner in examiners {
            let mut last: BTreeMap<String, Reply> = BTreeMap::new();
            for operation in &self.all[examiner].operations {
                if let Action::Examine(key) = &operation.action {
                    last.insert(key.clone(), operation.reply.clone().expect("it was answered"));
                }
            }
            for client in self.all.iter().filter(|client| !examiners.contains(&at(client))) {
                check_client(client, &last);
            }
            let histories: Vec<&[Operation]> = self.all.iter().map(|c| &c.operations[..]).collect();
            check_counters(&histories, &last);
        }
        self.check_nothing_undone_was_seen();
    }

    /// What was said to be certainly not executed was seen by nobody.
    fn check_nothing_undone_was_seen(&self) {
        for client in &self.all {
            for operation in client.operations.iter().filter(|op| op.fate() == Fate::Done) {
                let reply = operation.reply.as_ref().expect("it is done");
                if let Action::ReadOf(writer) = operation.action {
                    let shown = number(reply);
                    let writer = &self.all[usize::try_from(writer).expect("a small number")];
                    let undone = writer
                        .operations
                        .iter()
                        .any(|op| op.action == Action::Set(shown) && op.fate() == Fate::Undone);
                    assert!(!undone, "client {} saw {shown}, which was never set", client.number);
                }
            }
        }
    }
}

fn parse(words: &[String]) -> Command<'_> {
    let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
    Command::parse(&words).expect("a valid command")
}

fn at(client: &Client) -> usize {
    usize::try_from(client.number).expect("a small number")
}

impl Cluster {
    pub(crate) fn new_clients(&mut self, node: u64) {
        for _ in 0..self.plan.clients_per_node {
            self.new_client(node);
        }
    }

    fn new_client(&mut self, node: u64) -> usize {
        let number = self.clients.all.len();
        let window = if self.rng.random_bool(0.3) { 1 } else { self.rng.random_range(2..=20) };
        self.clients.all.push(Client {
            number: number as u64,
            node,
            is_there: true,
            window,
            outstanding: 0,
            writes: self.rng.random_range(1..=9),
            longest_thought: self.rng.random_range(20 * MS..800 * MS),
            operations: Vec::new(),
        });
        self.push(MS, Event::Client { client: number });
        number
    }

    /// One of the node's clients goes away, and another comes.
    pub(crate) fn client_leaves(&mut self, node: u64) {
        let member = self.member(node);
        if member.paused_since.is_some() || member.replica.is_none() {
            return;
        }
        let there = |client: &&mut Client| client.is_there && client.node == node && client.outstanding > 0;
        let Some(client) = self.clients.all.iter_mut().find(there) else { return };
        client.is_there = false;
        let number = client.number;
        self.member(node).replica.as_mut().expect("it is up").forget(ClientId(number));
        self.tally.clients_gone += 1;
        self.tell(|| format!("client {number} leaves node {node}"));
        self.new_client(node);
    }

    /// Sends as much as the window allows, or less.
    pub(crate) fn client_acts(&mut self, at: usize) {
        let client = &self.clients.all[at];
        if !client.is_there || self.clients.have_stopped {
            return;
        }
        let room = client.window - client.outstanding;
        let thought = self.rng.random_range(MS..client.longest_thought);
        self.push(thought, Event::Client { client: at });
        if room > 0 {
            for _ in 0..self.rng.random_range(1..=room) {
                let action = self.draw_action(at);
                self.submit(at, action);
            }
        }
    }

    fn draw_action(&mut self, at: usize) -> Action {
        let others = self.clients.all.len() as u64;
        let client = &self.clients.all[at];
        let next = client.operations.len() as u64 + 1;
        if self.rng.random_range(0..10) < client.writes {
            match self.rng.random_range(0..10) {
                0..3 => Action::Set(next),
                3 => match self.rng.random_range(0..9) {
                    0 => Action::Come(next),
                    1 => Action::Go,
                    2 | 3 => Action::Hash(HashAction::Set(next)),
                    4 => Action::Hash(HashAction::Delete(next)),
                    5 => Action::SetKeeping(next),
                    6 => Action::SetLasting(next),
                    _ => Action::SetFor(next, self.rng.random_range(20..2500)),
                },
                4..7 => Action::Append(next),
                7..8 => Action::SetBoth(next),
                _ => Action::Increment(self.rng.random_range(0..COUNTERS)),
            }
        } else {
            match self.rng.random_range(0..10) {
                0..2 => Action::Get,
                2..4 => Action::List,
                4..5 => Action::Exists,
                5..6 => Action::GetBoth,
                6..7 => match self.rng.random_range(0..4) {
                    0 => Action::Hash(HashAction::Get(next)),
                    1 => Action::Hash(HashAction::GetAll),
                    _ => Action::GetTimed,
                },
                7..8 => Action::ReadOf(self.rng.random_range(0..others)),
                _ => Action::ReadCounters,
            }
        }
    }

    fn submit(&mut self, at: usize, action: Action) {
        let clients = &mut self.clients;
        let client = &mut clients.all[at];
        let token = client.operations.len() as u64;
        let is_transaction = action.is_transaction(token);
        self.tally.transactions += u64::from(is_transaction);
        let in_transaction = action.transaction(client.number).filter(|_| is_transaction);
        let lines = in_transaction.unwrap_or_else(|| vec![action.words(client.number)]);
        let mut commands: Vec<_> = lines.iter().map(|words| parse(words)).collect();
        let command = if is_transaction {
            Command::Exec { conditions: Vec::new(), commands }
        } else {
            commands.pop().expect("there is one")
        };
        let floors = command.keys().map(|key| {
            let key = String::from_utf8_lossy(key).into_owned();
            let known = clients.known.get(&key).copied().unwrap_or(0);
            (key, known)
        });
        let floors = floors.collect();
        let member = self.members.get_mut(&client.node).expect("a member");
        let (submitted, stood_still) = (self.now, member.stood_still);
        client.operations.push(Operation {
            action,
            submitted,
            stood_still,
            floors,
            reply: None,
            answered: None,
        });
        client.outstanding += 1;
        let node = client.node;
        let replica = member.replica.as_mut().expect("it is up");
        replica.submit(ClientId(client.number), token, &command);
        self.ring(node);
    }

    /// A client that reads all there is.
    pub(crate) fn examine(&mut self, node: u64) -> usize {
        let clients = self.clients.all.len() as u64;
        let examiner = self.new_client(node);
        for client in 0..clients {
            for kind in ["k", "l", "p", "q"] {
                self.submit(examiner, Action::Examine(format!("{kind}{client}")));
            }
        }
        for counter in 0..COUNTERS {
            self.submit(examiner, Action::Examine(format!("c{counter}")));
        }
        if !self.plan.log_may_fill() {
            self.submit(examiner, Action::Set(1));
            self.submit(examiner, Action::Get);
        }
        examiner
    }
}
