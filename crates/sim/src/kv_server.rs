//! The labs' key/value server: the production [`Replica`], in the place of a peer and the service above it.
//!
//! Between servers travel the calls that Raft makes of the node's messages, and nothing else; whoever wants
//! something served calls the server itself, and is told to look elsewhere if it does not lead. What is
//! persistent is the seeds' raft state, and beside it, as the snapshot, the replica's whole image. When
//! the raft state has grown to `max_raft_state` bytes, and something was applied since the last image, the next
//! is taken.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::pending;

use bowline_kv::{Command, Image, Replica, ReplicaConfig, Reply, Served, Time};
use bowline_raft::peer::{ApplyMsg, CallEffect, Calls, Effect, Peer, Save, SavedState};
use bowline_raft::{Alarm, Body, Config, Entry, LogId, Message, Node, NodeId, SnapshotWrite, Write};
use bytes::Bytes;

use crate::channel::{OneshotSender, oneshot};
use crate::executor::Sim;
use crate::host::{Host, Parts, Seat};
use crate::labrpc::Server;
use crate::watch::{Cause, node_id};

/// The name of the calls that clerks make.
pub const CLERK: &str = "Clerk";

/// Longer than any run: here nobody's commands are held.
const NEVER: std::time::Duration = std::time::Duration::from_secs(3600);

/// A replica that speaks in calls.
pub struct KvServer {
    replica: Replica,
    calls: Calls,
    state: SavedState,
    /// The bytes of the last image; empty as long as there is none.
    snapshot: Bytes,
    /// Where the raft state becomes too large, in bytes. None: never.
    max_raft_state: Option<usize>,
    /// How large it was when it was last handed out to be saved.
    raft_state_size: usize,
    seed: u64,
    rejected: u64,
    alarms: Vec<Alarm>,
    /// What was applied or restored since the host last asked.
    applied: Vec<Applied>,
    served: Vec<(u64, Served)>,
}

enum Applied {
    Entry(Entry),
    Restored(LogId),
}

/// Clerks that wait for their answers.
#[derive(Debug, Default)]
pub struct ClerkDesk {
    waiting: RefCell<BTreeMap<u64, OneshotSender<Bytes>>>,
    last: Cell<u64>,
}

/// What a server answers to a clerk's call.
#[derive(Debug, PartialEq, Eq)]
pub struct ClerkReply {
    /// Who answers.
    pub from: NodeId,
    /// And what.
    pub served: Served,
}

impl ClerkReply {
    fn encode(&self) -> Bytes {
        let mut out = self.from.0.to_le_bytes().to_vec();
        match &self.served {
            Served::Done(reply) => {
                out.push(0);
                reply.encode(&mut out);
            }
            Served::NotLeader(leader) => {
                out.push(1);
                out.extend(leader.map_or(0, |leader| leader.0).to_le_bytes());
            }
            Served::Lost => out.push(2),
        }
        out.into()
    }

    /// What [`KvServer`] has encoded; none if it is something else.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let (from, rest) = bytes.split_first_chunk()?;
        let from = NodeId(u64::from_le_bytes(*from));
        let (tag, rest) = rest.split_first()?;
        let served = match tag {
            0 => Served::Done(Reply::decode(&bytes.slice_ref(rest)).ok()?),
            1 => {
                let leader = u64::from_le_bytes(rest.try_into().ok()?);
                Served::NotLeader((leader > 0).then_some(NodeId(leader)))
            }
            2 if rest.is_empty() => Served::Lost,
            _ => return None,
        };
        Some(Self { from, served })
    }
}

impl fmt::Debug for KvServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KvServer({})", self.replica.node().id())
    }
}

impl KvServer {
    /// Server `me` of a group of `peers`, with what its persister holds, in a life that no earlier one of it had.
    fn make(parts: &Parts, max_raft_state: Option<usize>) -> Self {
        let (peers, seed, persister) = (parts.ends.len(), parts.elections(), parts.persister.borrow());
        let (state, recovered) = SavedState::decode(&persister.read_raft_state(), peers)
            .expect("a persister holds what a server has saved");
        let snapshot = persister.read_snapshot();
        let image = (!snapshot.is_empty()).then(|| decoded(&snapshot, seed));
        let raft = Config {
            election_timeout: Peer::ELECTION_TIMEOUT,
            heartbeat_interval: Peer::HEARTBEAT_INTERVAL,
            // What is in the image is in no log any more: who lacks it is sent the image.
            max_retained_bytes: 0,
            ..Config::new(node_id(parts.me), (0..peers).map(node_id).collect(), seed)
        };
        let config = ReplicaConfig { raft, life: parts.life, command_timeout: NEVER };
        Self {
            replica: Replica::new(config, recovered.hard_state, image, recovered.entries),
            calls: Calls::new(),
            state,
            snapshot,
            max_raft_state,
            raft_state_size: persister.raft_state_size(),
            seed,
            rejected: 0,
            alarms: Vec::new(),
            applied: Vec::new(),
            served: Vec::new(),
        }
    }

    /// The replica inside, to look at.
    pub fn replica(&self) -> &Replica {
        &self.replica
    }

    /// One pass of the replica; what is to be done goes behind the `effects`. Says whether there is more.
    fn pass(&mut self, effects: &mut Vec<Effect>) -> bool {
        let before = self.replica.node().last_applied();
        let output = self.replica.ready();
        assert!(output.forwards.is_empty() && output.replies.is_empty(), "servers speak through Raft alone");
        self.alarms.extend(output.alarms);
        self.served.extend(output.served);
        let node = self.replica.node();
        let entry = |index| node.entry(index).expect("what is applied is in the log").clone();
        let entries = (before + 1..=node.last_applied()).map(entry);
        self.applied.extend(entries.map(Applied::Entry));
        if let Some(write) = output.write {
            effects.push(Effect::Save(self.save(write)));
        }
        let mut messages = output.messages;
        for envelope in &mut messages {
            if let Body::InstallSnapshot(install) = &mut envelope.message.body {
                install.data = self.snapshot.clone();
            }
        }
        effects.extend(self.calls.sort(self.replica.node(), messages).into_iter().map(effect));
        let mut again = output.again;
        if let Some(restore) = output.restore {
            let taken = self.replica.restore(decoded(&restore.data, self.seed));
            assert!(taken, "the image of {} is not the one that was wanted", restore.last);
            self.applied.push(Applied::Restored(restore.last));
            again = true;
        }
        again
    }

    /// The snapshot that a write speaks of travels with it, so that the two never part.
    fn save(&mut self, change: Write) -> Save {
        if let Some(SnapshotWrite { data: Some(installed), .. }) = &change.snapshot {
            self.snapshot = installed.clone();
        }
        let state = self.state.change(&change);
        self.raft_state_size = state.len();
        Save { seq: change.seq, state, snapshot: self.snapshot.clone(), change }
    }

    fn take_image_if_large(&mut self) {
        let is_large = self.max_raft_state.is_some_and(|most| self.raft_state_size >= most);
        let (applied, last) = (self.replica.node().last_applied(), self.replica.node().snapshot().index);
        if !is_large || applied <= last {
            return;
        }
        let image = self.replica.image();
        let index = image.last().index;
        let snapshot = image.encode();
        if self.replica.compact(index) {
            self.snapshot = snapshot;
        }
    }
}

impl Seat for KvServer {
    type Desk = ClerkDesk;

    fn tick(&mut self, time: Time) {
        self.replica.tick(time);
        self.calls.ticked(self.replica.node());
    }

    fn request(&mut self, from: usize, call: u64, request: Message) {
        let from = node_id(from);
        if self.calls.requested(from, call, &request) && self.replica.message(from, request).is_err() {
            self.rejected += 1;
        }
    }

    fn reply(&mut self, call: u64, reply: Message) {
        if let Some(from) = self.calls.replied(call, &reply)
            && self.replica.message(from, reply).is_err()
        {
            self.rejected += 1;
        }
    }

    fn failed(&mut self, call: u64) {
        if let Some((to, round)) = self.calls.failed(call) {
            self.replica.snapshot_failed(to, round);
        }
    }

    fn saved(&mut self, seq: u64) {
        self.replica.persisted(seq);
    }

    fn effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        // First of all: whoever watches has seen by now what was applied last, and is to see it in the log.
        self.take_image_if_large();
        // One save at a time, so that whoever watches sees each with the node that it is of.
        while self.pass(&mut effects) && !effects.iter().any(|effect| matches!(effect, Effect::Save(_))) {}
        effects
    }

    fn node(&self) -> &Node {
        self.replica.node()
    }

    fn rejected(&self) -> u64 {
        self.rejected + self.calls.misplaced()
    }

    fn take_alarms(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.alarms)
    }

    fn apply(&mut self, _: &Host<Self>, message: ApplyMsg) {
        unreachable!("the replica applies for itself: {message:?}")
    }

    fn passed(&mut self, host: &Host<Self>) {
        let id = self.replica.node().id();
        for applied in self.applied.drain(..) {
            match applied {
                Applied::Entry(entry) => host.watch().borrow_mut().applied_entry(id, &entry),
                Applied::Restored(last) => host.watch().borrow_mut().restored(id, last),
            }
        }
        for (token, served) in self.served.drain(..) {
            let waiting = host.desk().waiting.borrow_mut().remove(&token);
            waiting.expect("a clerk is answered once").send(ClerkReply { from: id, served }.encode());
        }
    }

    fn killed(&mut self, host: &Host<Self>) {
        host.desk().waiting.borrow_mut().clear();
    }
}

impl Host<KvServer> {
    /// Makes the server from what its persister holds, and lets it run. Above `max_raft_state` bytes of raft
    /// state it takes a snapshot; never without.
    pub fn start_kv(sim: &Sim, parts: Parts, max_raft_state: Option<usize>) -> Self {
        let server = KvServer::make(&parts, max_raft_state);
        Self::run(sim, parts, server, ClerkDesk::default())
    }

    /// What clerks and other servers find under the server's name.
    pub fn kv_service(&self) -> Server {
        let host = self.clone();
        Server::new(move |incoming| {
            let host = host.clone();
            if incoming.method == CLERK {
                Box::pin(host.serve_clerk(incoming.args))
            } else {
                Box::pin(host.serve(incoming))
            }
        })
    }

    /// A killed server answers nobody, and the caller hears from the network that it is gone.
    async fn serve_clerk(self, args: Bytes) -> Bytes {
        let command = Command::decode(&args).expect("clerks send commands");
        let desk = self.desk();
        desk.last.set(desk.last.get() + 1);
        let token = desk.last.get();
        let (answer, answered) = oneshot();
        desk.waiting.borrow_mut().insert(token, answer);
        self.pass(Cause::Client, |server| server.replica.serve_here(token, &command));
        match answered.await {
            Some(reply) => reply,
            None => pending().await,
        }
    }
}

fn effect(effect: CallEffect) -> Effect {
    let server = |id: NodeId| usize::try_from(id.0 - 1).expect("a server's number");
    match effect {
        CallEffect::Call { call, to, request } => Effect::Call { call, to: server(to), request },
        CallEffect::Reply { call, to, reply } => Effect::Reply { call, to: server(to), reply },
    }
}

fn decoded(snapshot: &Bytes, seed: u64) -> Image {
    Image::decode(snapshot, seed).expect("a snapshot holds what a server has written")
}
