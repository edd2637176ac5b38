//! The course labs' Raft object: made from what was saved, told commands, and what it applies comes out.
//!
//! A [`Node`] speaks in messages that travel one way; a network of calls, as the labs have it and as
//! most RPC libraries do, gives each request one reply or a failure. A [`Peer`] is a node behind that
//! interface, with its persistent state as one blob: the shortest way to embed this crate. Like the
//! node it is a plain object. It makes no call, waits for nothing and locks nothing; a driver with
//! a thread, a clock, a network and a [`Persister`] does, and may let every call and every save run
//! beside the others. `examples/counter.rs` is such a driver, whole.
//!
//! ```text
//!            Input                                        Effect
//!   start(command)        ─┐                          ┌─ Save    make durable, then saved(seq)
//!   tick(now)             ─┤   ┌──────────────────┐   ├─ Call    ask another server, then reply or failed
//!   request(from, call, …)─┼──▶│ Peer: Node+Calls │──▶├─ Reply   answer the request with that number
//!   reply(call, …)        ─┤   └──────────────────┘   └─ Apply   hand to the service, in order
//!   failed(call)          ─┤
//!   saved(seq)            ─┤
//!   snapshot(index, data) ─┘
//! ```
//!
//! After each input, or after a batch of them, take [`Peer::effects`] and carry them out. Commands
//! that come between two of these travel together.
//!
//! | the labs say | here |
//! |---|---|
//! | `Make(peers, me, persister, applyCh)` | [`Peer::make`]; [`Effect::Apply`] is what goes into the channel |
//! | `Start(command)`, `GetState()`, `Kill()` | [`Peer::start`], [`Peer::get_state`], [`Peer::kill`] |
//! | a handler of an RPC, which returns its reply | [`Peer::request`], and [`Effect::Reply`] when there is one |
//! | a goroutine that makes a call and waits | [`Effect::Call`], and [`Peer::reply`] or [`Peer::failed`] |
//! | `Snapshot(index, snapshot)` | [`Peer::snapshot`] |
//! | `persister.Save(state, snapshot)` | [`Effect::Save`], and [`Peer::saved`] |
//! | the ticker | [`Peer::tick`] |
//!
//! | what | where |
//! |---|---|
//! | messages as calls, each request answered once | [`Calls`], for whoever has a node inside something else too |
//! | the raft state as bytes | [`SavedState`], for the same |
//! | the two blobs | [`Persister`] |
//!
//! # One call's way
//!
//! Server 0 leads and takes a command. Its effects are a save, and a call to each follower with an
//! AppendEntries of, say, round 9, which brings index 5. The driver of server 1 gets it with the number
//! by which its network wants it answered, say 71, and gives both to `request`. The node there appends
//! the entry and says at once that round 9 came, with index 4 on its disk. That is the echo; in a call
//! it is kept, since the one reply shall bring the acknowledgement too. The effect is a save and no reply.
//! When the save is done, `saved` makes the node acknowledge index 5, and there is the reply to 71:
//! round 9, matched 5. Server 0's driver gives it to `reply`; its own save and this one are a majority
//! of three, and the next effects hand the command out.
//!
//! Had server 1 lost patience with server 0 while its disk hung, and begun to ask for pre-votes, the
//! acknowledgement would never come. Then 71 is answered with the echo, which is as true as it was. Had it
//! followed a later term, the answer would be a refusal in that term.
//!
//! # What always holds
//!
//! - While a peer lives, each request gets exactly one reply: as soon as there is nothing more to
//!   wait for, and at the latest when the saves that were under way have finished.
//! - No reply promises what is not saved. No call waits for another, and one that never ends costs
//!   nothing but its number.
//! - What a killed peer is told has no effect, and none comes out of it.
//! - Every save holds the snapshot that its raft state begins behind, and a restart begins with both.
//! - What was saved and does not fit, or is damaged so that it shows, is an error of
//!   [`Peer::make`]. Checksums are the business of whoever writes it to a disk.

use std::time::Duration;

use bytes::Bytes;

use crate::config::Config;
use crate::message::{Body, Message};
use crate::node::Node;
use crate::ready::{Alarm, Restore, RoleKind};
use crate::types::{Entry, EntryKind, Index, LogId, NodeId, SnapshotWrite, Term, Write};

mod calls;
mod persister;
mod state;

pub use calls::{CallEffect, Calls};
pub use persister::Persister;
pub use state::{Recovered, SavedState, StateError};

/// How many alarms are kept for whoever asks for them; of more, the oldest are forgotten.
const MAX_ALARMS: usize = 64;

/// One server of a group, numbered from 0, that speaks in calls: the labs' Raft object.
///
/// Like the [`Node`] inside it is a plain object: whoever drives it gives it time, requests,
/// replies and finished saves, and carries out its [effects](Effect).
#[derive(Debug)]
pub struct Peer {
    node: Node,
    calls: Calls,
    state: SavedState,
    /// The service's snapshot, up to the node's own figure of it; empty as long as there is none.
    snapshot: Bytes,
    alarms: Vec<Alarm>,
    rejected: u64,
    killed: bool,
}

/// What a [`Peer`] wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Make this durable, then report it to [`Peer::saved`].
    Save(Save),
    /// Send a request to server `to`, without waiting for the calls before it. Its end is reported
    /// to [`Peer::reply`] or [`Peer::failed`], sooner or later or never.
    Call {
        /// The call's number, never used before by the same peer.
        call: u64,
        /// The server.
        to: usize,
        /// What it is asked.
        request: Message,
    },
    /// Answer a request of server `to`.
    Reply {
        /// The number that came with the request.
        call: u64,
        /// Who asked.
        to: usize,
        /// The only reply to it.
        reply: Message,
    },
    /// Hand this to the service.
    Apply(ApplyMsg),
}

/// One state to save. Saves are made in the order of their numbers; a later one stands for all
/// before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Save {
    /// The number by which [`Peer::saved`] is told of it.
    pub seq: u64,
    /// The whole raft state, for a [`Persister`].
    pub state: Bytes,
    /// The snapshot behind which it begins, for the same [`Persister`] in the same step.
    pub snapshot: Bytes,
    /// The same as a change of the state before, for a log on disk.
    pub change: Write,
}

/// What the service is handed, in the order of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApplyMsg {
    /// A command is committed.
    Command {
        /// Its place in the log: one more than that of the one before, unless a leader's empty
        /// entry stands between them.
        index: Index,
        /// What was given to [`Peer::start`].
        command: Bytes,
    },
    /// The service becomes what this snapshot says, whatever it was.
    Snapshot {
        /// The last index that it holds: later than all that was handed out before, and the next
        /// command's is behind it.
        index: Index,
        /// The term of that entry.
        term: Term,
        /// What some server's service gave to [`Peer::snapshot`].
        snapshot: Bytes,
    },
}

impl Peer {
    /// The least time without a leader after which a server campaigns; it is drawn anew each time
    /// from [1, 2) times this. Short enough for several rounds in the five seconds in which the labs
    /// want a leader.
    pub const ELECTION_TIMEOUT: Duration = Duration::from_millis(250);
    /// How often a leader is heard: the labs allow ten heartbeats a second.
    pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(110);

    /// Server `me` of a group of `peers`, with what was saved in an earlier life. If that has a
    /// snapshot, the service restores itself from it: what is applied begins behind it. Servers
    /// that share a seed still draw different election timeouts.
    ///
    /// # Errors
    ///
    /// [`StateError`]: what was saved is not a state that this server can begin with.
    ///
    /// # Panics
    ///
    /// If `me` is not one of the servers 0 to `peers - 1`.
    pub fn make(peers: usize, me: usize, persister: &Persister, seed: u64) -> Result<Self, StateError> {
        assert!(me < peers, "server {me} is not one of {peers}");
        let (state, recovered) = SavedState::decode(&persister.read_raft_state(), peers)?;
        let snapshot = persister.read_snapshot();
        if snapshot.is_empty() != (recovered.snapshot == LogId::ZERO) {
            return Err(StateError::SnapshotMismatch { last: recovered.snapshot, size: snapshot.len() });
        }
        let config = Config {
            election_timeout: Self::ELECTION_TIMEOUT,
            heartbeat_interval: Self::HEARTBEAT_INTERVAL,
            // The labs count on the indices of their commands.
            empty_entry_on_election: false,
            ..Config::new(node_id(me), (0..peers).map(node_id).collect(), seed)
        };
        Ok(Self {
            node: Node::new(config, recovered.hard_state, recovered.snapshot, recovered.entries),
            calls: Calls::new(),
            state,
            snapshot,
            alarms: Vec::new(),
            rejected: 0,
            killed: false,
        })
    }

    /// Takes a command, if this server leads: the index at which it will stand if it is ever
    /// committed, the term, and whether it was taken. It returns at once, and promises nothing.
    pub fn start(&mut self, command: Bytes) -> (Index, Term, bool) {
        if self.killed {
            return (0, self.node.term(), false);
        }
        // An entry must not pin the buffer that its command was cut from.
        match self.node.propose(Bytes::copy_from_slice(&command)) {
            Ok(id) => (id.index, id.term, true),
            Err(_) => (0, self.node.term(), false),
        }
    }

    /// The service has made a snapshot of its state after the command at `index`, and everything up to
    /// there is dropped from the log. Whether it was taken: not if there is one that reaches as far
    /// already, nor if the command was not handed out yet, since the service may be late with an old
    /// one and never early; nor an empty one, which is what a [`Persister`] has without a snapshot.
    pub fn snapshot(&mut self, index: Index, snapshot: Bytes) -> bool {
        if self.killed || snapshot.is_empty() || !self.node.compact(index) {
            return false;
        }
        self.snapshot = snapshot;
        true
    }

    /// The term, and whether this server believes that it leads in it.
    pub fn get_state(&self) -> (Term, bool) {
        (self.node.term(), !self.killed && self.node.role() == RoleKind::Leader)
    }

    /// Ends it: from now on every input is ignored, and no effect comes.
    pub fn kill(&mut self) {
        self.killed = true;
    }

    /// Whether it was killed.
    pub fn is_killed(&self) -> bool {
        self.killed
    }

    /// Time is now `now`, measured from any fixed beginning; it never goes back. Call it every few
    /// milliseconds: a third of [`HEARTBEAT_INTERVAL`](Self::HEARTBEAT_INTERVAL) is plenty.
    pub fn tick(&mut self, now: Duration) {
        if !self.killed {
            self.node.tick(now);
            self.calls.ticked(&self.node);
        }
    }

    /// Server `from` asks. Exactly one [`Effect::Reply`] with the same server and number answers it,
    /// with the next effects or when a save has finished. The number means nothing here; it may be the
    /// caller's own.
    pub fn request(&mut self, from: usize, call: u64, request: Message) {
        if self.killed {
            return;
        }
        let from = node_id(from);
        if !self.calls.requested(from, call, &request) {
            return;
        }
        if !can_apply(&request) || self.node.step(from, request).is_err() {
            self.rejected += 1;
        }
    }

    /// A call of this peer has ended with a reply. One to an unknown call, or to one that has ended
    /// before, is ignored.
    pub fn reply(&mut self, call: u64, reply: Message) {
        if self.killed {
            return;
        }
        if let Some(from) = self.calls.replied(call, &reply)
            && self.node.step(from, reply).is_err()
        {
            self.rejected += 1;
        }
    }

    /// A call of this peer has ended without a reply.
    pub fn failed(&mut self, call: u64) {
        if !self.killed
            && let Some((to, round)) = self.calls.failed(call)
        {
            self.node.snapshot_failed(to, round);
        }
    }

    /// All saves up to number `seq` are durable.
    ///
    /// # Panics
    ///
    /// If no such save was handed out.
    pub fn saved(&mut self, seq: u64) {
        if !self.killed {
            self.node.persisted(seq);
        }
    }

    /// Takes what is to be done, in order. Nothing here promises what is not durable yet: each may
    /// be carried out at once, beside the others, except that saves are made, and commands applied,
    /// in their order.
    pub fn effects(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while !self.killed {
            let mut ready = self.node.ready();
            if let Some(change) = ready.write {
                effects.push(Effect::Save(self.save(change)));
            }
            ready.messages.iter_mut().for_each(|envelope| self.put_snapshot(&mut envelope.message));
            effects.extend(self.calls.sort(&self.node, ready.messages).into_iter().map(Effect::from));
            if let Some(Restore { last, data }) = ready.restore {
                self.node.applied(last.index);
                let message = ApplyMsg::Snapshot { index: last.index, term: last.term, snapshot: data };
                effects.push(Effect::Apply(message));
            }
            self.apply(ready.committed, &mut effects);
            self.alarms.extend(ready.alarms);
            let too_many = self.alarms.len().saturating_sub(MAX_ALARMS);
            self.alarms.drain(..too_many);
            if !self.node.has_more_to_apply() {
                break;
            }
        }
        effects
    }

    /// The node inside, for whoever watches.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// How many messages no correct peer would have sent. Requests among them were refused.
    pub fn rejected(&self) -> u64 {
        self.rejected + self.calls.misplaced()
    }

    /// What an operator must hear of, since this was last asked.
    pub fn take_alarms(&mut self) -> Vec<Alarm> {
        std::mem::take(&mut self.alarms)
    }

    /// Each save has the snapshot behind which its raft state begins. Of one that the service made
    /// or that was installed the node speaks in the next write, so the two never part.
    fn save(&mut self, change: Write) -> Save {
        if let Some(SnapshotWrite { data: Some(installed), .. }) = &change.snapshot {
            self.snapshot = installed.clone();
        }
        let state = self.state.change(&change);
        Save { seq: change.seq, state, snapshot: self.snapshot.clone(), change }
    }

    /// The node knows how far its snapshot reaches; here is what it says.
    fn put_snapshot(&self, message: &mut Message) {
        if let Body::InstallSnapshot(install) = &mut message.body {
            install.data = self.snapshot.clone();
        }
    }

    /// What is handed out counts as applied: it comes in order, and only once in a life.
    fn apply(&mut self, committed: Vec<Entry>, effects: &mut Vec<Effect>) {
        if let Some(last) = committed.last() {
            self.node.applied(last.id.index);
        }
        for Entry { id, kind, payload } in committed {
            match kind {
                EntryKind::Command => {
                    effects.push(Effect::Apply(ApplyMsg::Command { index: id.index, command: payload }));
                }
                EntryKind::Empty => {}
                EntryKind::Configuration => panic!("entry {id} was let in, and cannot be applied"),
            }
        }
    }
}

impl From<CallEffect> for Effect {
    fn from(effect: CallEffect) -> Self {
        match effect {
            CallEffect::Call { call, to, request } => Effect::Call { call, to: server(to), request },
            CallEffect::Reply { call, to, reply } => Effect::Reply { call, to: server(to), reply },
        }
    }
}

/// Whether a peer could apply all that this brings. What it cannot apply it cannot skip either.
fn can_apply(request: &Message) -> bool {
    match &request.body {
        Body::InstallSnapshot(install) => !install.data.is_empty(),
        Body::AppendEntries(append) => append.entries.iter().all(|e| e.kind != EntryKind::Configuration),
        _ => true,
    }
}

/// Node ids begin with 1.
fn node_id(server: usize) -> NodeId {
    NodeId((server as u64).saturating_add(1))
}

fn server(id: NodeId) -> usize {
    usize::try_from(id.0 - 1).expect("it was made from a server's number")
}
