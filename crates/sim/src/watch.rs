//! The eyes on a world of peers: every safety property, after every event, and what else a run must not do.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bowline_raft::peer::Save;
use bowline_raft::{Alarm, Body, Entry, Envelope, HardState, Index, LogId, Node, NodeId};

use crate::executor::Sim;
use crate::invariants::durability::Ledger;
use crate::invariants::{Invariants, ensure};
use crate::tracer::Tracer;

/// The seeds' limit: so many empty AppendEntries a second to one follower.
const HEARTBEATS_A_SECOND: usize = 10;

/// What made a peer do something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The time, or what the service or the disk said.
    Own,
    /// A request of another peer.
    Request,
    /// A reply to one of its own calls, or its failure.
    Answer,
    /// A client, whose read may need a round of echoes.
    Client,
}

/// Sees all that the peers of one world do. The first violation ends the run.
#[derive(Debug)]
pub struct Watch {
    sim: Sim,
    invariants: Invariants,
    /// When a leader last sent empty AppendEntries by its timer, by leader and follower.
    heartbeats: BTreeMap<(NodeId, NodeId), VecDeque<Duration>>,
    /// Who writes it all down, if somebody is going to look at it.
    tracer: Option<Tracer>,
}

impl Watch {
    /// On a world of so many peers.
    pub fn new(sim: &Sim, peers: usize, tracer: Option<Tracer>) -> Self {
        let ids: Vec<NodeId> = (0..peers).map(node_id).collect();
        Self { sim: sim.clone(), invariants: Invariants::new(&ids), heartbeats: BTreeMap::new(), tracer }
    }

    /// Who writes it all down.
    pub fn tracer(&self) -> Option<&Tracer> {
        self.tracer.as_ref()
    }

    /// A peer was made from what its persister held.
    pub fn started(&mut self, node: &Node) {
        let snapshot = node.snapshot();
        let entries =
            (snapshot.index + 1..=node.last_log_id().index).filter_map(|index| node.entry(index).cloned());
        let hard_state = HardState { term: node.term(), vote: node.vote() };
        self.invariants.recovered(node.id(), Ledger::new(hard_state, snapshot, entries.collect()));
        self.invariants.started(node);
        if let Some(tracer) = &self.tracer {
            tracer.started(server(node.id()), node);
        }
        self.look();
    }

    /// A peer has taken an input, and wants this saved.
    pub fn stepped(&mut self, node: &Node, save: Option<&Save>) {
        let written = save.map_or(&[][..], |save| &save.change.entries);
        self.invariants.stepped(node, written);
        if let Some(tracer) = &self.tracer {
            tracer.stepped(server(node.id()), node, save);
        }
        self.look();
    }

    /// A peer has rejected so many messages in its life, and wants an operator to hear of these. On a network that
    /// does not lie, and with disks that do not lose, there is nothing to reject and no data lost.
    pub fn complains(&mut self, id: NodeId, rejected: u64, alarms: &[Alarm]) {
        let verdict =
            ensure(rejected == 0, "no message is rejected", || format!("node {id} rejects a message"));
        self.invariants.note(verdict);
        for alarm in alarms.iter().filter(|alarm| matches!(alarm, Alarm::PeerLostData { .. })) {
            let verdict = ensure(false, "nobody lost data", || format!("node {id}: {alarm}"));
            self.invariants.note(verdict);
        }
        self.look();
    }

    /// A peer sends a request or a reply.
    pub fn sent(&mut self, from: NodeId, envelope: &Envelope, cause: Cause) {
        self.invariants.sent(from, envelope);
        if let Body::AppendEntries(append) = &envelope.message.body
            && append.entries.is_empty()
            && !matches!(cause, Cause::Answer | Cause::Client)
        {
            self.heartbeat(from, envelope.to);
        }
        self.look();
    }

    /// A peer hands out an entry to be applied.
    pub fn applied(&mut self, node: &Node, index: Index) {
        let entry: &Entry = node.entry(index).expect("what is applied is in the log");
        self.applied_entry(node.id(), entry);
    }

    /// The same, of an entry that the log may not hold any more.
    pub fn applied_entry(&mut self, id: NodeId, entry: &Entry) {
        self.invariants.applied(id, entry);
        self.look();
    }

    /// A peer hands out a snapshot, to be put into the place of the service's state.
    pub fn restored(&mut self, id: NodeId, last: LogId) {
        self.invariants.restored(id, last);
        self.look();
    }

    /// A peer's persister begins to save these, as one.
    pub fn saving(&mut self, id: NodeId, saves: &[Save]) {
        let writes: Vec<_> = saves.iter().map(|save| save.change.clone()).collect();
        self.invariants.writing(id, &writes);
    }

    /// What it was saving is durable.
    pub fn saved(&mut self, id: NodeId) {
        self.invariants.synced(id);
        self.look();
    }

    /// Which of the safety properties was violated, if one was.
    pub fn violated(&self) -> Option<&'static str> {
        self.invariants.violations().first().map(|violation| violation.property)
    }

    /// How many leaders there were.
    pub fn elections(&self) -> u64 {
        self.invariants.elections()
    }

    fn heartbeat(&mut self, from: NodeId, to: NodeId) {
        let now = self.sim.now();
        let times = self.heartbeats.entry((from, to)).or_default();
        times.push_back(now);
        if times.len() > HEARTBEATS_A_SECOND {
            let first = times.pop_front().expect("there are several");
            if now - first < Duration::from_secs(1) {
                self.sim.fail(format!(
                    "heartbeats: node {from} sent node {to} more than {HEARTBEATS_A_SECOND} empty AppendEntries \
                     within a second"
                ));
            }
        }
    }

    fn look(&self) {
        if let Some(violation) = self.invariants.violations().first() {
            self.sim.fail(format!("{}: {}", violation.property, violation.what));
        }
    }
}

/// The seeds number their servers from 0, and a node's id is never 0.
pub fn node_id(server: usize) -> NodeId {
    NodeId(server as u64 + 1)
}

fn server(id: NodeId) -> usize {
    usize::try_from(id.0 - 1).expect("a server's number")
}
