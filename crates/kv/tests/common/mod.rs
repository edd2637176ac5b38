//! Replicas in one process, with everything that travels between them in order and under control.

use std::collections::BTreeMap;
use std::time::Duration;

use bowline_kv::{
    Answer, ClientId, Command, Output, Replica, ReplicaConfig, Reply, Served, Time, check_entries,
};
use bowline_raft::{Config, Entry, HardState, NodeId, RoleKind};
use bytes::Bytes;

fn start(raft: Config, life: u64, hard_state: HardState, entries: Vec<Entry>) -> Replica {
    let (own, voters) = (raft.id, raft.voters.clone());
    let config = ReplicaConfig { raft, life, command_timeout: Duration::from_secs(5) };
    let mut replica = Replica::new(config, hard_state, None, entries);
    voters.into_iter().filter(|&other| other != own).for_each(|other| replica.link_up(other));
    replica
}

/// A cluster without a network and with disks that are done at once.
pub(crate) struct World {
    pub(crate) replicas: BTreeMap<u64, Replica>,
    /// What each node's clients were answered, in order.
    pub(crate) answers: BTreeMap<u64, Vec<Answer>>,
    /// And who may not be forwarded.
    pub(crate) served: BTreeMap<u64, Vec<(u64, Served)>>,
    /// Whether answers to forwarded commands get lost.
    pub(crate) lose_replies: bool,
    /// Nodes to and from which nothing arrives.
    pub cut_off: Vec<u64>,
    /// By how many milliseconds a node's wall clock is wrong.
    pub(crate) clock_errors: BTreeMap<u64, i64>,
    tokens: u64,
    now: Duration,
}

impl World {
    pub(crate) fn new(size: u64) -> Self {
        Self::with_log_of(size, 1 << 30)
    }

    pub(crate) fn with_log_of(size: u64, max_log_bytes: u64) -> Self {
        let ids: Vec<_> = (1..=size).map(NodeId).collect();
        let replica = |&id: &NodeId| {
            let raft = Config { max_log_bytes, ..Config::new(id, ids.clone(), 11) };
            (id.0, start(raft, 1, HardState::default(), Vec::new()))
        };
        let mut world = Self {
            replicas: ids.iter().map(replica).collect(),
            answers: BTreeMap::new(),
            served: BTreeMap::new(),
            lose_replies: false,
            cut_off: Vec::new(),
            clock_errors: BTreeMap::new(),
            tokens: 0,
            now: Duration::ZERO,
        };
        world.pass(Duration::from_secs(3));
        world
    }

    /// Starts a node again, in another life, with all that it had written.
    pub(crate) fn restart(&mut self, id: u64, life: u64) {
        let node = self.replicas[&id].node();
        let entries = (1..=node.last_log_id().index).filter_map(|index| node.entry(index).cloned());
        let hard_state = HardState { term: node.term(), vote: node.vote() };
        let replica = start(node.config().clone(), life, hard_state, entries.collect());
        self.replicas.insert(id, replica);
    }

    pub(crate) fn leader(&self) -> u64 {
        let leads =
            |id: &&u64| !self.cut_off.contains(id) && self.replicas[id].status().role == RoleKind::Leader;
        *self.replicas.keys().find(leads).expect("there is a leader")
    }

    pub(crate) fn follower(&self) -> u64 {
        let leader = self.leader();
        *self
            .replicas
            .keys()
            .find(|&&id| id != leader && !self.cut_off.contains(&id))
            .expect("there is a follower")
    }

    /// Submits a command as a client's words, and hands back its token.
    pub(crate) fn submit(&mut self, node: u64, client: u64, words: &str) -> u64 {
        let args: Vec<&[u8]> = words.split(' ').map(str::as_bytes).collect();
        self.submit_command(node, client, &Command::parse(&args).expect("a valid command"))
    }

    /// Submits a command, and hands back its token.
    pub(crate) fn submit_command(&mut self, node: u64, client: u64, command: &Command<'_>) -> u64 {
        self.tokens += 1;
        self.replicas.get_mut(&node).expect("a node").submit(ClientId(client), self.tokens, command);
        self.tokens
    }

    /// Submits, lets it be carried out, and hands back the reply.
    pub(crate) fn ask(&mut self, node: u64, words: &str) -> Reply {
        let token = self.submit(node, 1, words);
        self.pass(Duration::from_millis(100));
        self.reply(node, token)
    }

    pub(crate) fn reply(&self, node: u64, token: u64) -> Reply {
        let answers = self.answers.get(&node).map(Vec::as_slice).unwrap_or_default();
        let mut found = answers.iter().filter(|a| a.token == token);
        let reply = found.next().unwrap_or_else(|| panic!("command {token} has no answer")).reply.clone();
        assert!(found.next().is_none(), "command {token} was answered twice");
        reply
    }

    pub(crate) fn is_answered(&self, node: u64, token: u64) -> bool {
        self.answers.get(&node).is_some_and(|answers| answers.iter().any(|a| a.token == token))
    }

    /// What a right clock shows.
    pub(crate) fn true_ms(&self) -> u64 {
        1_000_000_000 + u64::try_from(self.now.as_millis()).expect("a short while")
    }

    /// Nothing runs for so long.
    pub(crate) fn freeze(&mut self, time: Duration) {
        self.now += time;
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(5);
            let (monotonic, true_ms) = (self.now, self.true_ms());
            for (id, replica) in &mut self.replicas {
                let error = self.clock_errors.get(id).copied().unwrap_or(0);
                replica.tick(Time { monotonic, unix_ms: true_ms.saturating_add_signed(error) });
            }
            self.settle();
        }
    }

    fn settle(&mut self) {
        let ids: Vec<u64> = self.replicas.keys().copied().collect();
        for _ in 0..100 {
            let mut idle = true;
            for &id in &ids {
                let output = self.replicas.get_mut(&id).expect("a node").ready();
                idle &= self.carry_out(id, output);
            }
            if idle {
                return;
            }
        }
        panic!("it does not come to rest");
    }

    fn arrives(&self, from: u64, to: u64) -> bool {
        !self.cut_off.contains(&from) && !self.cut_off.contains(&to)
    }

    /// Hands on what came out of a node; says whether it was nothing.
    pub(crate) fn carry_out(&mut self, id: u64, output: Output) -> bool {
        let idle = output.messages.is_empty()
            && output.forwards.is_empty()
            && output.replies.is_empty()
            && output.write.is_none()
            && !output.again;
        for envelope in output.messages {
            if self.arrives(id, envelope.to.0) {
                let to = self.replicas.get_mut(&envelope.to.0).expect("a node");
                check_entries(&envelope.message).expect("what a leader makes, others can carry out");
                to.message(NodeId(id), envelope.message).expect("a correct peer");
            }
        }
        for (to, bytes) in output.forwards {
            if self.arrives(id, to.0) {
                let to = self.replicas.get_mut(&to.0).expect("a node");
                to.forwarded(NodeId(id), &Bytes::from(bytes)).expect("a correct peer");
            }
        }
        for (to, bytes) in output.replies {
            if self.arrives(id, to.0) && !self.lose_replies {
                let to = self.replicas.get_mut(&to.0).expect("a node");
                to.forward_answers(&Bytes::from(bytes)).expect("a correct peer");
            }
        }
        if let Some(write) = output.write {
            self.replicas.get_mut(&id).expect("a node").persisted(write.seq);
        }
        self.answers.entry(id).or_default().extend(output.answers);
        self.served.entry(id).or_default().extend(output.served);
        idle
    }
}
