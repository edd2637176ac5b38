//! Peers that hear each other at once, unless a test says otherwise.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bowline_raft::peer::{ApplyMsg, Effect, Peer, Persister, Save};
use bowline_raft::{Index, Message};
use bytes::Bytes;

/// What the peers gave to the network, whatever became of it.
#[derive(Debug)]
pub(crate) enum Sent {
    Request { from: usize, to: usize, call: u64 },
    Reply { from: usize, to: usize, reply: Message },
}

/// A few peers, their network and their disks.
pub(crate) struct Group {
    pub(crate) peers: Vec<Peer>,
    pub(crate) applied: Vec<Vec<(Index, Bytes)>>,
    /// Servers whose saves do not finish.
    pub(crate) hung: BTreeSet<usize>,
    /// Servers that hear nothing; a call to one of them never ends.
    pub(crate) silent: BTreeSet<usize>,
    /// All that was sent.
    pub(crate) sent: Vec<Sent>,
    persisters: Vec<Persister>,
    waiting: Vec<VecDeque<Save>>,
    /// Each has a clock of its own.
    now: Vec<Duration>,
}

impl Group {
    pub(crate) fn new(size: usize) -> Self {
        let make = |me| Peer::make(size, me, &Persister::new(), 7).expect("a first boot");
        Self {
            peers: (0..size).map(make).collect(),
            applied: vec![Vec::new(); size],
            hung: BTreeSet::new(),
            silent: BTreeSet::new(),
            sent: Vec::new(),
            persisters: vec![Persister::new(); size],
            waiting: vec![VecDeque::new(); size],
            now: vec![Duration::ZERO; size],
        }
    }

    /// Time for one server alone until it leads.
    pub(crate) fn elect(&mut self, at: usize) {
        for _ in 0..200 {
            self.tick(at, 10);
            self.settle();
            if self.peers[at].get_state().1 {
                return;
            }
        }
        panic!("server {at} was not elected");
    }

    /// Time for everybody.
    pub(crate) fn pass(&mut self, ms: u64) {
        for _ in 0..ms / 10 {
            for at in 0..self.peers.len() {
                self.tick(at, 10);
            }
            self.settle();
        }
    }

    /// Time for one server, whose effects are carried out later.
    pub(crate) fn tick(&mut self, at: usize, ms: u64) {
        self.now[at] += Duration::from_millis(ms);
        self.peers[at].tick(self.now[at]);
    }

    /// The disks that hung have finished everything.
    pub(crate) fn release(&mut self) {
        self.hung.clear();
        for at in 0..self.peers.len() {
            while let Some(save) = self.waiting[at].pop_front() {
                self.finish(at, save);
            }
        }
        self.settle();
    }

    /// The server begins a new life with what its disk has.
    pub(crate) fn restart(&mut self, at: usize) {
        self.waiting[at].clear();
        self.applied[at].clear();
        self.peers[at] = Peer::make(self.peers.len(), at, &self.persisters[at], 7).expect("what it saved");
    }

    /// Carries out effects until nobody wants anything.
    pub(crate) fn settle(&mut self) {
        let mut busy = true;
        while busy {
            busy = false;
            for at in 0..self.peers.len() {
                let effects = self.peers[at].effects();
                busy |= !effects.is_empty();
                for effect in effects {
                    self.carry_out(at, effect);
                }
            }
        }
    }

    fn carry_out(&mut self, at: usize, effect: Effect) {
        match effect {
            Effect::Save(save) if self.hung.contains(&at) => self.waiting[at].push_back(save),
            Effect::Save(save) => self.finish(at, save),
            Effect::Call { call, to, request } => {
                self.sent.push(Sent::Request { from: at, to, call });
                if !self.silent.contains(&to) {
                    self.peers[to].request(at, call, request);
                }
            }
            Effect::Reply { call, to, reply } => {
                self.sent.push(Sent::Reply { from: at, to, reply: reply.clone() });
                self.peers[to].reply(call, reply);
            }
            Effect::Apply(ApplyMsg::Command { index, command }) => self.applied[at].push((index, command)),
            Effect::Apply(ApplyMsg::Snapshot { index, snapshot, .. }) => {
                self.applied[at].push((index, snapshot));
            }
        }
    }

    fn finish(&mut self, at: usize, save: Save) {
        self.persisters[at].save(save.state, save.snapshot);
        self.peers[at].saved(save.seq);
    }
}
