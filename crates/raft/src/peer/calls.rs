//! Messages as calls: each request gets exactly one reply.
//!
//! A [`Node`] speaks in messages that travel one way. It answers a request when what the answer
//! promises is durable, an AppendEntries twice (the echo at once, the acknowledgement when it is
//! durable), a vote that lost its point not at all, and several requests with one message if that
//! says all. The course labs' network carries calls: a request, and one reply or a failure. This is
//! what lies between the two. It decides nothing about Raft; it looks at the node, and at what the
//! node wants to say.
//!
//! | request | its one reply |
//! |---|---|
//! | PreVote | what the node says, at once |
//! | RequestVote, refused | at once |
//! | RequestVote, granted | when the vote is durable; every repetition of it too |
//! | AppendEntries, refused | at once |
//! | AppendEntries or InstallSnapshot, accepted | its round, when all that it covers is durable |
//! | one that the node rejects | a refusal that promises nothing, at once |
//!
//! A reply that can no longer be given as it was meant, because the term or the role has changed
//! since, is given as what is still true: in a later term a refusal in that term, in the same term
//! a vote refused, or the echo of the AppendEntries with what was durable then. Not a refused
//! AppendEntries: its leader would look for agreement where there is agreement, and would take the
//! refusal of what was acknowledged for a loss of data.

use std::collections::BTreeMap;

use crate::message::{Body, Conflict, Envelope, Message, Outcome};
use crate::node::Node;
use crate::ready::RoleKind;
use crate::types::{Index, NodeId, Term};

/// How many calls may be under way. More are forgotten, the oldest first: a reply to one that was
/// forgotten comes too late. The calls of a healthy cluster end in a moment; a call to a machine
/// that is gone ends when its network says so.
const MAX_CALLS: usize = 4096;

/// How many RequestVotes of one candidate may wait for the disk. Of more, the oldest is refused.
const MAX_OPEN_VOTES: usize = 8;

/// How many AppendEntries of one leader may wait for the disk: of more, the oldest is answered by
/// its echo. A leader sends again what is not answered in time, so that it hears of a follower
/// with a slow disk once each heartbeat interval, and goes on leading.
const MAX_OPEN_APPENDS: usize = 1;

/// Turns what a [`Node`] says into calls and replies, and back.
///
/// Give it each request before the node, each end of a call before the node, the node after a tick,
/// and all the messages of each [`Ready`](crate::Ready).
#[derive(Debug, Default)]
pub struct Calls {
    last_call: u64,
    /// Calls under way.
    made: BTreeMap<u64, Made>,
    /// Requests that are not answered yet, oldest first.
    open: Vec<Open>,
    /// What is to be done.
    effects: Vec<CallEffect>,
    misplaced: u64,
}

/// What is to be done about calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallEffect {
    /// Call `to`.
    Call {
        /// The call's number, never used before by the same [`Calls`].
        call: u64,
        /// Whom.
        to: NodeId,
        /// The request.
        request: Message,
    },
    /// Answer the request that `to` made by `call`.
    Reply {
        /// The number given to [`Calls::requested`].
        call: u64,
        /// Who asked.
        to: NodeId,
        /// The only reply.
        reply: Message,
    },
}

/// A call under way.
#[derive(Debug)]
struct Made {
    to: NodeId,
    asks: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    PreVote,
    Vote,
    Append,
    Snapshot { round: u64 },
}

/// A request that is not answered yet.
#[derive(Debug)]
struct Open {
    from: NodeId,
    call: u64,
    term: Term,
    asks: Asks,
    /// Whether the node has been heard since: then it has said at once what it could.
    waits: bool,
}

#[derive(Clone, Copy, Debug)]
enum Asks {
    /// A reply, where a request should be.
    Nothing,
    PreVote,
    Vote,
    /// AppendEntries, or InstallSnapshot, which is answered like one.
    Append {
        round: u64,
        /// The last index that it says anything about.
        covers: Index,
        /// The echo: it was accepted, and so much of the log is acknowledged in its term.
        matched: Option<Index>,
    },
}

impl Calls {
    /// None made, none open.
    pub fn new() -> Self {
        Self::default()
    }

    /// A request has come from `from`, by a call that is answered by this number. Whether it may
    /// be given to the node: what is no request is not, but it is answered as well.
    pub fn requested(&mut self, from: NodeId, call: u64, request: &Message) -> bool {
        let asks = match &request.body {
            Body::PreVote { .. } => Asks::PreVote,
            Body::RequestVote { .. } => Asks::Vote,
            Body::AppendEntries(append) => {
                Asks::Append { round: append.round, covers: append.covers(), matched: None }
            }
            Body::InstallSnapshot(install) => {
                Asks::Append { round: install.round, covers: install.last.index, matched: None }
            }
            Body::PreVoteReply { .. } | Body::VoteReply { .. } | Body::AppendReply(_) => {
                self.misplaced += 1;
                Asks::Nothing
            }
        };
        self.open.push(Open { from, call, term: request.term, asks, waits: false });
        !matches!(asks, Asks::Nothing)
    }

    /// A call has ended with this reply. Says whom it is from if it is to be given to the node;
    /// the reply to an unknown call, or to one that has ended, is not.
    pub fn replied(&mut self, call: u64, reply: &Message) -> Option<NodeId> {
        let Made { to, asks } = self.made.remove(&call)?;
        let answered = match &reply.body {
            Body::PreVoteReply { .. } => asks == Kind::PreVote,
            Body::VoteReply { .. } => asks == Kind::Vote,
            Body::AppendReply(_) => matches!(asks, Kind::Append | Kind::Snapshot { .. }),
            Body::PreVote { .. }
            | Body::RequestVote { .. }
            | Body::AppendEntries(_)
            | Body::InstallSnapshot(_) => false,
        };
        if !answered {
            self.misplaced += 1;
            return None;
        }
        Some(to)
    }

    /// A call has ended without a reply. The node asks again by itself. If it was a snapshot that was
    /// not answered, here is to whom it was sent and in which round, for
    /// [`Node::snapshot_failed`].
    pub fn failed(&mut self, call: u64) -> Option<(NodeId, u64)> {
        match self.made.remove(&call)? {
            Made { to, asks: Kind::Snapshot { round } } => Some((to, round)),
            _ => None,
        }
    }

    /// Time has passed for the node: what it will no longer answer is answered. The replies come
    /// with the next [`sort`](Self::sort).
    pub fn ticked(&mut self, node: &Node) {
        self.settle(node);
    }

    /// Sorts what the node wants to say: requests become calls, and what answers a request becomes
    /// its reply. Everything else has been said already, in a reply that says as much.
    pub fn sort(&mut self, node: &Node, messages: Vec<Envelope>) -> Vec<CallEffect> {
        for Envelope { to, message } in messages {
            match &message.body {
                Body::PreVote { .. } => self.make(to, Kind::PreVote, message),
                Body::RequestVote { .. } => self.make(to, Kind::Vote, message),
                Body::AppendEntries(_) => self.make(to, Kind::Append, message),
                Body::InstallSnapshot(install) => {
                    let round = install.round;
                    self.make(to, Kind::Snapshot { round }, message);
                }
                Body::PreVoteReply { .. } => self.answer_pre_vote(to, message),
                Body::VoteReply { granted: true } => self.answer_granted(to, &message),
                Body::VoteReply { granted: false } => self.answer_refused_vote(node, to, message),
                Body::AppendReply(reply) => match reply.outcome {
                    Outcome::Accepted { matched } => {
                        self.accepted(node, to, message.term, reply.round, matched);
                    }
                    Outcome::Refused(_) => self.answer_refused_append(to, reply.round, message.clone()),
                },
            }
        }
        for open in &mut self.open {
            open.waits = true;
        }
        self.settle(node);
        std::mem::take(&mut self.effects)
    }

    /// How many requests are not answered yet.
    pub fn open_requests(&self) -> usize {
        self.open.len()
    }

    /// How many calls are under way.
    pub fn calls_under_way(&self) -> usize {
        self.made.len()
    }

    /// How many messages came where no correct peer would have put them: a reply as a request, or
    /// as the reply to a request of another kind.
    pub fn misplaced(&self) -> u64 {
        self.misplaced
    }

    fn make(&mut self, to: NodeId, asks: Kind, request: Message) {
        self.last_call += 1;
        self.made.insert(self.last_call, Made { to, asks });
        if self.made.len() > MAX_CALLS {
            self.made.pop_first();
        }
        self.effects.push(CallEffect::Call { call: self.last_call, to, request });
    }

    /// The node answers pre-votes at once: the first one that is open is meant.
    fn answer_pre_vote(&mut self, to: NodeId, reply: Message) {
        let first = self.open.iter().position(|o| o.from == to && matches!(o.asks, Asks::PreVote));
        self.answer_at(first, reply);
    }

    /// The node says once that its vote is durable, however often it was asked.
    fn answer_granted(&mut self, to: NodeId, reply: &Message) {
        let asked = |o: &Open| o.from == to && o.term == reply.term && matches!(o.asks, Asks::Vote);
        while let Some(at) = self.open.iter().position(asked) {
            self.answer_at(Some(at), reply.clone());
        }
    }

    /// A vote that is refused is refused at once: not the one that is on its way to the disk.
    fn answer_refused_vote(&mut self, node: &Node, to: NodeId, reply: Message) {
        let votes = |o: &Open| o.from == to && matches!(o.asks, Asks::Vote);
        let refused = self.open.iter().position(|o| votes(o) && !o.is_expected(node));
        let at = refused.or_else(|| self.open.iter().position(votes));
        self.answer_at(at, reply);
    }

    /// The node has the leader's log up to `matched` on disk: the echo of one request, and the
    /// acknowledgement of all that were accepted in this term.
    fn accepted(&mut self, node: &Node, leader: NodeId, term: Term, echoed: u64, durable: Index) {
        let mut waiting = Vec::with_capacity(self.open.len());
        for mut open in self.open.drain(..) {
            if let Asks::Append { round, covers, matched } = &mut open.asks
                && open.from == leader
                && open.term == term
                && (*round == echoed || matched.is_some())
            {
                let known = durable.max(matched.unwrap_or(0));
                *matched = Some(known);
                if known >= *covers {
                    let body = node.append_reply(*round, Outcome::Accepted { matched: known });
                    let reply = Message { term, body };
                    self.effects.push(CallEffect::Reply { call: open.call, to: leader, reply });
                    continue;
                }
            }
            waiting.push(open);
        }
        self.open = waiting;
    }

    /// The node lacks the previous entry. A request of an earlier term is not meant: that one is
    /// answered without its round, which would be another one's in the present term.
    fn answer_refused_append(&mut self, to: NodeId, refused: u64, reply: Message) {
        let at = self.open.iter().position(|o| {
            o.from == to
                && o.term == reply.term
                && matches!(o.asks, Asks::Append { round, matched: None, .. } if round == refused)
        });
        self.answer_at(at, reply);
    }

    fn answer_at(&mut self, at: Option<usize>, reply: Message) {
        if let Some(at) = at {
            let Open { from, call, .. } = self.open.remove(at);
            self.effects.push(CallEffect::Reply { call, to: from, reply });
        }
    }

    /// Answers what the node will not answer any more, and what waits in too great a number.
    fn settle(&mut self, node: &Node) {
        let mut kept: Vec<Open> = Vec::with_capacity(self.open.len());
        let mut settled = Vec::new();
        // The newest first: of too many it is the oldest that goes.
        for request in std::mem::take(&mut self.open).into_iter().rev() {
            let newer = kept.iter().filter(|o| o.waits && request.is_like(o)).count();
            if !request.waits || (newer < request.limit() && request.is_expected(node)) {
                kept.push(request);
                continue;
            }
            let reply = request.last_word(node);
            settled.push(CallEffect::Reply { call: request.call, to: request.from, reply });
        }
        kept.reverse();
        self.open = kept;
        self.effects.extend(settled.into_iter().rev());
    }
}

impl Open {
    /// Whether the node will still answer it, as far as can be seen.
    fn is_expected(&self, node: &Node) -> bool {
        if self.term != node.term() {
            return false;
        }
        match self.asks {
            Asks::Nothing | Asks::PreVote => false,
            Asks::Vote => {
                node.role() == RoleKind::Follower && node.leader().is_none() && node.vote() == Some(self.from)
            }
            Asks::Append { matched, .. } => matched.is_some() && node.leader() == Some(self.from),
        }
    }

    /// What is still true of it, when the node will not say it.
    fn last_word(&self, node: &Node) -> Message {
        let term = node.term();
        let body = match self.asks {
            Asks::Nothing | Asks::PreVote => Body::PreVoteReply { granted: false },
            Asks::Vote => Body::VoteReply { granted: false },
            Asks::Append { round, matched: Some(matched), .. } if self.term == term => {
                node.append_reply(round, Outcome::Accepted { matched })
            }
            // Round 0 was never sent: it can be taken for nothing but what it says of the term.
            Asks::Append { .. } => {
                let last_index = node.last_log_id().index;
                let conflict = Conflict { term: None, first_index: 0, last_index };
                node.append_reply(0, Outcome::Refused(conflict))
            }
        };
        Message { term, body }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.from == other.from && std::mem::discriminant(&self.asks) == std::mem::discriminant(&other.asks)
    }

    /// How many of its like may wait.
    fn limit(&self) -> usize {
        match self.asks {
            Asks::Nothing | Asks::PreVote => 0,
            Asks::Vote => MAX_OPEN_VOTES,
            Asks::Append { .. } => MAX_OPEN_APPENDS,
        }
    }
}
