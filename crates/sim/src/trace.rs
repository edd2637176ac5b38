//! What happened between servers and in them, kept so that a space-time diagram can be drawn of it.
//!
//! A trace has a lane for each server. Messages go from lane to lane; marks stand on one lane (a crash, a leader,
//! a commit); notes belong to all lanes (a step of the script). Who records calls [`Trace::send`] and later
//! [`Trace::end`], or [`Trace::message`] when the end of a message is known at once, and [`Trace::mark`] and
//! [`Trace::note`] as things happen.
//!
//! Only the newest records are kept. What is forgotten is not lost without trace: [`Trace::since`] says from when on
//! everything is there, and [`Trace::before`] how each server was at that moment. The same holds for a
//! [`Trace::window`].

use std::collections::VecDeque;
use std::time::Duration;

/// The record of a run, or of a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    lanes: Vec<String>,
    messages: VecDeque<Message>,
    marks: VecDeque<Mark>,
    notes: VecDeque<Note>,
    before: Vec<LaneState>,
    since: Duration,
    until: Duration,
    /// Messages that were recorded before the first that is kept: the id of that one.
    forgotten: u64,
    limit: usize,
}

/// A message from one server to another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The lane of the sender.
    pub from: usize,
    /// The lane of the receiver.
    pub to: usize,
    /// When it was sent.
    pub sent: Duration,
    /// When it arrived or was lost; not before `sent`. While it is under way: `sent`.
    pub end: Duration,
    /// What became of it.
    pub fate: Fate,
    /// What it asks or answers.
    pub kind: MessageKind,
    /// Its content in a few words, with the kind: `Append t3 5..7 c4`.
    pub label: String,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Nothing yet.
    UnderWay,
    /// The receiver has it.
    Arrived,
    /// The receiver never gets it.
    Lost,
}

/// The kinds of messages that a reader has to tell apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageKind {
    /// Would you vote for me? (Thesis, section 9.6.)
    PreVote,
    /// The answer to a pre-vote.
    PreVoteReply,
    /// A candidate asks for a vote.
    RequestVote,
    /// The answer to it.
    VoteReply,
    /// AppendEntries with entries.
    AppendEntries,
    /// The answer to it.
    AppendReply,
    /// A whole snapshot. It is answered like entries.
    InstallSnapshot,
    /// AppendEntries without entries.
    Heartbeat,
    /// The answer to it.
    HeartbeatReply,
}

impl MessageKind {
    /// All kinds, requests before their replies.
    pub const ALL: [Self; 9] = [
        Self::PreVote,
        Self::PreVoteReply,
        Self::RequestVote,
        Self::VoteReply,
        Self::AppendEntries,
        Self::AppendReply,
        Self::InstallSnapshot,
        Self::Heartbeat,
        Self::HeartbeatReply,
    ];

    /// Whether it answers a request.
    pub fn is_reply(self) -> bool {
        matches!(self, Self::PreVoteReply | Self::VoteReply | Self::AppendReply | Self::HeartbeatReply)
    }
}

/// Something that happened to one server, or in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// When.
    pub at: Duration,
    /// The lane of the server.
    pub lane: usize,
    /// What.
    pub kind: MarkKind,
    /// The same in a few words, with what the kind does not say: `leader t3`, `commit 5`. Shown as it is.
    pub label: String,
}

/// What can happen to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MarkKind {
    /// It runs from now on, as a follower.
    Start,
    /// It stops; what was not durable is gone.
    Crash,
    /// The others can reach it again.
    Connected,
    /// Nothing goes in or out any more.
    Disconnected,
    /// It has seen a new term.
    Term,
    /// It stands for election.
    Candidate,
    /// It has won an election.
    Leader,
    /// It has stepped down.
    Follower,
    /// It has taken a command as leader: an entry is in its log.
    Command,
    /// It has removed entries that conflict with the leader's log.
    Truncated,
    /// Its commit index has moved.
    Commit,
    /// It has applied entries.
    Applied,
}

/// A step of the script that drives the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Duration,
    /// The step in a few words.
    pub text: String,
}

/// How a server is between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LaneState {
    /// Whether it runs.
    pub up: bool,
    /// Whether the others can reach it.
    pub connected: bool,
    /// Its role; a follower when it does not run.
    pub role: LaneRole,
}

/// The roles of figure 4 of the paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneRole {
    /// Answers requests.
    Follower,
    /// Wants to become leader.
    Candidate,
    /// Replicates its log.
    Leader,
}

impl Default for LaneState {
    /// As a server is when nothing was said about it: running, connected, a follower.
    fn default() -> Self {
        Self { up: true, connected: true, role: LaneRole::Follower }
    }
}

impl LaneState {
    /// How the server is after something happened to it.
    #[must_use]
    pub fn after(self, kind: MarkKind) -> Self {
        match kind {
            MarkKind::Start => Self { up: true, role: LaneRole::Follower, ..self },
            MarkKind::Crash => Self { up: false, role: LaneRole::Follower, ..self },
            MarkKind::Connected => Self { connected: true, ..self },
            MarkKind::Disconnected => Self { connected: false, ..self },
            MarkKind::Candidate => Self { role: LaneRole::Candidate, ..self },
            MarkKind::Leader => Self { role: LaneRole::Leader, ..self },
            MarkKind::Follower => Self { role: LaneRole::Follower, ..self },
            MarkKind::Term
            | MarkKind::Command
            | MarkKind::Truncated
            | MarkKind::Commit
            | MarkKind::Applied => self,
        }
    }
}

/// Names a message within its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(u64);

impl Trace {
    /// Records of each sort that are kept unless [`Trace::with_limit`] says otherwise.
    pub const LIMIT: usize = 10_000;

    /// Nothing has happened to the servers with these names yet.
    pub fn new(lanes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self::with_limit(lanes, Self::LIMIT)
    }

    /// Keeps the newest `limit` messages, and as many marks and notes.
    ///
    /// # Panics
    ///
    /// When the limit is 0.
    pub fn with_limit(lanes: impl IntoIterator<Item = impl Into<String>>, limit: usize) -> Self {
        assert!(limit > 0, "a trace that keeps nothing");
        let lanes: Vec<String> = lanes.into_iter().map(Into::into).collect();
        Self {
            before: vec![LaneState::default(); lanes.len()],
            lanes,
            messages: VecDeque::new(),
            marks: VecDeque::new(),
            notes: VecDeque::new(),
            since: Duration::ZERO,
            until: Duration::ZERO,
            forgotten: 0,
            limit,
        }
    }

    /// Records that a message is sent; [`Trace::end`] is to say what became of it.
    ///
    /// # Panics
    ///
    /// When a lane does not exist, or the lanes are the same.
    pub fn send(
        &mut self,
        at: Duration,
        from: usize,
        to: usize,
        kind: MessageKind,
        label: impl Into<String>,
    ) -> MessageId {
        let label = label.into();
        self.message(Message { from, to, sent: at, end: at, fate: Fate::UnderWay, kind, label })
    }

    /// Records what became of a message that was sent. Ignored when the message is already forgotten.
    ///
    /// # Panics
    ///
    /// When it ended before, or before it was sent.
    pub fn end(&mut self, id: MessageId, at: Duration, fate: Fate) {
        self.until = self.until.max(at);
        let position = id.0.checked_sub(self.forgotten).and_then(|position| usize::try_from(position).ok());
        if let Some(message) = position.and_then(|position| self.messages.get_mut(position)) {
            assert_eq!(message.fate, Fate::UnderWay, "a message ends once: {message:?}");
            assert!(at >= message.sent, "ended at {at:?}: {message:?}");
            (message.end, message.fate) = (at, fate);
        }
    }

    /// Records a message whose end is known, in the order of sending.
    ///
    /// # Panics
    ///
    /// When a lane does not exist, the lanes are the same, or the message ends before it was sent.
    pub fn message(&mut self, message: Message) -> MessageId {
        let lanes = self.lanes.len();
        assert!(message.from < lanes && message.to < lanes, "of {lanes} lanes: {message:?}");
        assert!(message.from != message.to, "a server does not send to itself: {message:?}");
        assert!(message.sent <= message.end, "{message:?}");
        let id = MessageId(self.forgotten + self.messages.len() as u64);
        self.until = self.until.max(message.end);
        self.messages.push_back(message);
        if self.messages.len() > self.limit {
            let oldest = self.messages[0].sent;
            self.forget_message();
            self.forget_before(oldest);
        }
        id
    }

    /// Records something that happened to a server.
    ///
    /// # Panics
    ///
    /// When the lane does not exist.
    pub fn mark(&mut self, at: Duration, lane: usize, kind: MarkKind, label: impl Into<String>) {
        assert!(lane < self.lanes.len(), "lane {lane} of {}", self.lanes.len());
        self.until = self.until.max(at);
        self.marks.push_back(Mark { at, lane, kind, label: label.into() });
        if self.marks.len() > self.limit {
            let oldest = self.marks[0].at;
            self.forget_mark();
            self.forget_before(oldest);
        }
    }

    /// Records a step of the script.
    pub fn note(&mut self, at: Duration, text: impl Into<String>) {
        self.until = self.until.max(at);
        self.notes.push_back(Note { at, text: text.into() });
        if self.notes.len() > self.limit {
            let oldest = self.notes[0].at;
            self.notes.pop_front();
            self.forget_before(oldest);
        }
    }
}

// Reading.
impl Trace {
    /// The servers' names; what is recorded names a server by its place here.
    pub fn lanes(&self) -> &[String] {
        &self.lanes
    }

    /// The messages that are kept, as they were recorded.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = &Message> {
        self.messages.iter()
    }

    /// The marks that are kept, as they were recorded.
    pub fn marks(&self) -> impl ExactSizeIterator<Item = &Mark> {
        self.marks.iter()
    }

    /// The notes that are kept, as they were recorded.
    pub fn notes(&self) -> impl ExactSizeIterator<Item = &Note> {
        self.notes.iter()
    }

    /// How each server was at [`Trace::since`], before the first mark that is kept.
    pub fn before(&self) -> &[LaneState] {
        &self.before
    }

    /// After this moment everything is there; a message that is there may have been sent before it.
    pub fn since(&self) -> Duration {
        self.since
    }

    /// Up to this moment everything is there; a message that is there may end after it.
    pub fn until(&self) -> Duration {
        self.until
    }

    /// What happened between two moments, both included, and what was under way there.
    ///
    /// # Panics
    ///
    /// When `from` is after `to`.
    #[must_use]
    pub fn window(&self, from: Duration, to: Duration) -> Self {
        assert!(from <= to, "from {from:?} to {to:?}");
        let mut window = Self::with_limit(self.lanes.iter().cloned(), self.limit);
        window.since = from.max(self.since);
        window.until = to.min(self.until).max(window.since);
        window.before.clone_from(&self.before);
        for mark in self.marks.iter().filter(|mark| mark.at < from) {
            let state = &mut window.before[mark.lane];
            *state = state.after(mark.kind);
        }
        let open = |message: &Message| message.fate == Fate::UnderWay || message.end >= from;
        window.messages = self.messages.iter().filter(|m| m.sent <= to && open(m)).cloned().collect();
        window.marks = self.marks.iter().filter(|mark| (from..=to).contains(&mark.at)).cloned().collect();
        window.notes = self.notes.iter().filter(|note| (from..=to).contains(&note.at)).cloned().collect();
        window
    }
}

// Forgetting.
impl Trace {
    /// Everything begins at `since`: of what happened before, only its effect on the servers stays.
    fn forget_before(&mut self, since: Duration) {
        self.since = self.since.max(since);
        while self.marks.front().is_some_and(|mark| mark.at < since) {
            self.forget_mark();
        }
        while self.notes.front().is_some_and(|note| note.at < since) {
            self.notes.pop_front();
        }
        while self.messages.front().is_some_and(|m| m.fate != Fate::UnderWay && m.end < since) {
            self.forget_message();
        }
    }

    fn forget_message(&mut self) {
        self.messages.pop_front();
        self.forgotten += 1;
    }

    fn forget_mark(&mut self) {
        if let Some(mark) = self.marks.pop_front() {
            let state = &mut self.before[mark.lane];
            *state = state.after(mark.kind);
        }
    }
}
