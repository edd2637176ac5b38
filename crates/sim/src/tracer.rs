//! Who writes the [`Trace`] of a world of peers: it hears of every call from the network, and sees every peer after
//! every input.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use bowline_raft::codec;
use bowline_raft::peer::Save;
use bowline_raft::{
    AppendEntries, AppendReply, Body, Index, InstallSnapshot, Message, Node, Outcome, RoleKind, Term,
};
use bytes::Bytes;

use crate::executor::Sim;
use crate::labrpc::{EndId, NetworkObserver, ServerName};
use crate::trace::{Fate, MarkKind, MessageId, MessageKind, Trace};

/// The writer of a trace. Handles are cheap and write the same trace.
#[derive(Clone, Debug)]
pub struct Tracer(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    sim: Sim,
    trace: RefCell<Trace>,
    /// Whose end it is.
    ends: RefCell<BTreeMap<EndId, usize>>,
    calls: RefCell<BTreeMap<u64, Call>>,
    views: RefCell<Vec<View>>,
}

/// A call under way.
#[derive(Debug)]
struct Call {
    caller: usize,
    server: usize,
    is_heartbeat: bool,
    /// What is on its way now.
    message: MessageId,
}

/// How a peer was when it was last seen.
#[derive(Clone, Copy, Debug)]
struct View {
    term: Term,
    role: RoleKind,
    commit: Index,
    last: Index,
}

impl Default for View {
    fn default() -> Self {
        Self { term: 0, role: RoleKind::Follower, commit: 0, last: 0 }
    }
}

impl Tracer {
    /// Of a world of so many servers.
    pub fn new(sim: &Sim, servers: usize) -> Self {
        Self(Rc::new(Inner {
            sim: sim.clone(),
            trace: RefCell::new(Trace::new((0..servers).map(|i| format!("S{i}")))),
            ends: RefCell::default(),
            calls: RefCell::default(),
            views: RefCell::new(vec![View::default(); servers]),
        }))
    }

    /// What has been written so far.
    pub fn trace(&self) -> Trace {
        self.0.trace.borrow().clone()
    }

    /// An end that belongs to that server.
    pub fn end(&self, end: EndId, server: usize) {
        self.0.ends.borrow_mut().insert(end, server);
    }

    /// A step of the script.
    pub fn note(&self, text: impl Into<String>) {
        self.0.trace.borrow_mut().note(self.0.sim.now(), text);
    }

    /// Something has happened to a server.
    pub fn mark(&self, server: usize, kind: MarkKind, label: impl Into<String>) {
        self.0.trace.borrow_mut().mark(self.0.sim.now(), server, kind, label);
    }

    /// A server has started, with this peer.
    pub fn started(&self, server: usize, node: &Node) {
        self.mark(
            server,
            MarkKind::Start,
            format!("starts, term {}, last {}", node.term(), node.last_log_id()),
        );
        self.0.views.borrow_mut()[server] =
            View { term: node.term(), last: node.last_log_id().index, ..View::default() };
    }

    /// A peer has taken an input: what is new about it?
    pub fn stepped(&self, server: usize, node: &Node, save: Option<&Save>) {
        let (term, role) = (node.term(), node.role());
        let now = View { term, role, commit: node.commit_index(), last: node.last_log_id().index };
        let before = std::mem::replace(&mut self.0.views.borrow_mut()[server], now);
        if role != before.role {
            let (kind, label) = match role {
                RoleKind::Follower => (MarkKind::Follower, format!("follower, term {term}")),
                RoleKind::PreCandidate => {
                    (MarkKind::Candidate, format!("asks for pre-votes, term {}", term + 1))
                }
                RoleKind::Candidate => (MarkKind::Candidate, format!("candidate, term {term}")),
                RoleKind::Leader => (MarkKind::Leader, format!("leader, term {term}")),
            };
            self.mark(server, kind, label);
        } else if term > before.term {
            self.mark(server, MarkKind::Term, format!("term {term}"));
        }
        let first = save.and_then(|save| save.change.entries.first()).map(|entry| entry.id.index);
        if let Some(first) = first.filter(|first| *first <= before.last) {
            self.mark(server, MarkKind::Truncated, format!("replaces {first}..{}", before.last));
        }
        if role == RoleKind::Leader && now.last > before.last {
            self.mark(server, MarkKind::Command, format!("takes {}", span(before.last + 1, now.last)));
        }
        if now.commit > before.commit {
            self.mark(server, MarkKind::Commit, format!("commits {}", span(before.commit + 1, now.commit)));
        }
    }

    fn end_of(&self, call: u64, fate: Fate) {
        if let Some(call) = self.0.calls.borrow().get(&call) {
            self.0.trace.borrow_mut().end(call.message, self.0.sim.now(), fate);
        }
    }
}

impl NetworkObserver for Tracer {
    fn called(&self, call: u64, end: EndId, to: ServerName, _method: &'static str, args: &Bytes) {
        let (Some(&caller), Ok(server)) = (self.0.ends.borrow().get(&end), usize::try_from(to.0)) else {
            return;
        };
        let Ok((_, request)) = codec::decode(args) else { return };
        let (kind, label) = describe(&request, false);
        let message = self.0.trace.borrow_mut().send(self.0.sim.now(), caller, server, kind, label);
        let is_heartbeat = kind == MessageKind::Heartbeat;
        self.0.calls.borrow_mut().insert(call, Call { caller, server, is_heartbeat, message });
    }

    fn request_lost(&self, call: u64) {
        self.end_of(call, Fate::Lost);
    }

    fn request_arrived(&self, call: u64) {
        self.end_of(call, Fate::Arrived);
    }

    fn replied(&self, call: u64, reply: &Bytes) {
        let Ok((_, reply)) = codec::decode(reply) else { return };
        if let Some(call) = self.0.calls.borrow_mut().get_mut(&call) {
            let (kind, label) = describe(&reply, call.is_heartbeat);
            call.message =
                self.0.trace.borrow_mut().send(self.0.sim.now(), call.server, call.caller, kind, label);
        }
    }

    fn reply_lost(&self, call: u64) {
        self.end_of(call, Fate::Lost);
    }

    fn reply_arrived(&self, call: u64) {
        self.end_of(call, Fate::Arrived);
        self.0.calls.borrow_mut().remove(&call);
    }

    fn failed(&self, call: u64) {
        self.0.calls.borrow_mut().remove(&call);
    }
}

/// A message in a few words.
fn describe(message: &Message, answers_heartbeat: bool) -> (MessageKind, String) {
    let term = message.term;
    match &message.body {
        Body::PreVote { last } => (MessageKind::PreVote, format!("PreVote t{term}, last {last}")),
        Body::PreVoteReply { granted } => (MessageKind::PreVoteReply, vote(*granted, term)),
        Body::RequestVote { last } => (MessageKind::RequestVote, format!("RequestVote t{term}, last {last}")),
        Body::VoteReply { granted } => (MessageKind::VoteReply, vote(*granted, term)),
        Body::AppendEntries(AppendEntries { prev, entries, commit, .. }) => match entries.last() {
            None => (MessageKind::Heartbeat, format!("heartbeat behind {prev}, t{term} c{commit}")),
            Some(last) => {
                let entries = span(prev.index + 1, last.id.index);
                (MessageKind::AppendEntries, format!("Append {entries} behind {prev}, t{term} c{commit}"))
            }
        },
        Body::InstallSnapshot(InstallSnapshot { last, .. }) => {
            (MessageKind::InstallSnapshot, format!("snapshot up to {last}, t{term}"))
        }
        Body::AppendReply(AppendReply { outcome, .. }) => {
            let kind = if answers_heartbeat { MessageKind::HeartbeatReply } else { MessageKind::AppendReply };
            match outcome {
                Outcome::Accepted { matched } => (kind, format!("has {matched}, t{term}")),
                // Also of a heartbeat: it is how a leader learns that a log must be repaired.
                Outcome::Refused(conflict) => {
                    (MessageKind::AppendReply, format!("refused, last {}, t{term}", conflict.last_index))
                }
            }
        }
    }
}

fn vote(granted: bool, term: Term) -> String {
    format!("{} t{term}", if granted { "granted" } else { "refused" })
}

fn span(first: Index, last: Index) -> String {
    if first == last { first.to_string() } else { format!("{first}..{last}") }
}
