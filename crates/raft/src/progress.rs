//! What a leader knows of one follower.
//!
//! ```text
//!            refused, or unanswered for a heartbeat interval
//!            ┌──────────────────────────────────┐
//!            ▼                                  │
//!       ┌─────────┐        accepted        ┌───────────┐
//!  ────▶│  Probe  │ ─────────────────────▶ │ Replicate │
//!       └─────────┘                        └───────────┘
//!          │   ▲ failed, or unanswered           ▲
//!  refused │   │ for too long                    │
//!  at the  ▼   │                                 │
//!  start ┌──────────┐        accepted            │
//!        │ Snapshot │ ───────────────────────────┘
//!        └──────────┘
//! ```
//!
//! `Probe` looks for the place where the logs agree: one small message at a time. `Replicate`
//! knows it, and sends whatever has come up since in one append; while that is in flight the next
//! one is being built. `Snapshot` has sent a snapshot, and sends nothing but heartbeats until that
//! is answered: so each is sent once, and after a loss costs one probe.
//!
//! A follower that was never heard to lack the log's start is asked for it: `start < next`, unless
//! it refused. Then, and only then, a snapshot is due.
//!
//! `matched <= held < next`. What is `matched` is on the follower's disk and counts for the
//! commit; what is `held` was seen to be in its memory, so that an empty append behind it is
//! never refused for overtaking another one.
//!
//! An answer belongs to the message of its round, however many were sent since: where the round
//! trip is longer than the heartbeat interval, no answer is ever one to the last message. What it
//! says is out of date only if the follower has contradicted it in a later round.

use std::collections::VecDeque;
use std::time::Duration;

use crate::types::{Index, LogId};

/// How many messages are remembered, those that say the same counted once: an answer may come long
/// after the next message was sent, where the round trip is longer than the heartbeat interval.
const MAX_REMEMBERED: usize = 64;

#[derive(Debug)]
pub(crate) struct Progress {
    /// On the follower's disk, by its own word in this term. Never goes back.
    pub(crate) matched: Index,
    /// In the follower's memory, by an echo in this term. Goes back when the follower restarts.
    pub(crate) held: Index,
    /// The next entry to send.
    pub(crate) next: Index,
    pub(crate) state: State,
    /// Where the leader's log starts: nothing in front of it can be sent.
    start: Index,
    /// The append that is in flight.
    pub(crate) in_flight: Option<Sent>,
    /// The latest messages of any kind, oldest first.
    sent: VecDeque<Sent>,
    /// The highest round that the follower echoed.
    pub(crate) echoed_round: u64,
    /// The highest round that it accepted, and the highest that it refused: what an answer to an
    /// earlier one says of the follower's memory is out of date.
    accepted_round: u64,
    refused_round: u64,
    /// The round of the last snapshot that it was sent: a refusal of anything earlier is out of date.
    snapshot_round: u64,
    /// When it last said anything in this term; the start of the term until then.
    pub(crate) heard_at: Duration,
    /// It no longer has what it had acknowledged: not counted, not sent to.
    pub(crate) lost_data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Probe,
    Replicate,
    Snapshot(SentSnapshot),
}

/// A snapshot on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SentSnapshot {
    pub(crate) round: u64,
    /// The last index that it holds.
    pub(crate) last: Index,
    /// When it was sent, or was last heard to be getting on.
    at: Duration,
}

impl SentSnapshot {
    pub(crate) fn alive_at(self, now: Duration) -> Self {
        Self { at: now, ..self }
    }
}

/// An AppendEntries on its way, or several without entries that say the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// The round of the first of them.
    first_round: u64,
    /// The round of the last of them.
    pub(crate) round: u64,
    /// Its previous entry.
    pub(crate) prev: LogId,
    /// The last index that it covers.
    pub(crate) last: Index,
    /// What was matched when it was sent: a refusal of an entry up to here is a loss of data.
    pub(crate) matched: Index,
    /// When the last of them was sent.
    pub(crate) at: Duration,
}

impl Sent {
    fn says_the_same(&self, other: &Self) -> bool {
        (self.prev, self.last, self.matched) == (other.prev, other.last, other.matched)
            && self.prev.index == self.last
    }
}

impl Progress {
    /// Of a follower of which nothing is known yet.
    pub(crate) fn new(start: Index, last_index: Index, now: Duration) -> Self {
        Self {
            matched: 0,
            held: 0,
            next: last_index + 1,
            state: State::Probe,
            start,
            in_flight: None,
            sent: VecDeque::new(),
            echoed_round: 0,
            accepted_round: 0,
            refused_round: 0,
            snapshot_round: 0,
            heard_at: now,
            lost_data: false,
        }
    }

    /// The index behind which a heartbeat stands; 0, which nobody refuses, where nothing is known
    /// that the follower has and the leader's log still knows.
    pub(crate) fn heartbeat_prev(&self) -> Index {
        match self.state {
            State::Probe => self.next - 1,
            State::Replicate if self.held >= self.start => self.held,
            State::Replicate | State::Snapshot(_) => 0,
        }
    }

    /// Whether the follower has refused all that the leader's log could be followed on from.
    pub(crate) fn lacks_start(&self) -> bool {
        self.state == State::Probe && self.next <= self.start
    }

    /// It may be sent what stands behind this index.
    pub(crate) fn needs_behind(&self) -> Index {
        match self.state {
            State::Snapshot(sent) => sent.last,
            State::Probe if self.lacks_start() => Index::MAX,
            State::Probe | State::Replicate => self.matched,
        }
    }

    /// The leader's log starts later now. A follower that is in front of that is asked whether it
    /// has the start; one that is being sent a snapshot goes on from there, if it can.
    pub(crate) fn log_starts_at(&mut self, start: Index) {
        self.start = start;
        if self.next <= start && !matches!(self.state, State::Snapshot(_)) {
            self.probe(start);
        }
    }

    /// Asks whether the follower has the entry at `prev`, or at the log's start if that is later.
    fn probe(&mut self, prev: Index) {
        self.in_flight = None;
        self.state = State::Probe;
        self.next = prev.max(self.start) + 1;
    }

    /// What has been on its way for too long is given up, and the follower probed: an append, unless
    /// an echo showed that it came, and a snapshot.
    pub(crate) fn give_up_unanswered(&mut self, now: Duration, append: Duration, snapshot: Duration) {
        if let State::Snapshot(sent) = self.state
            && now.saturating_sub(sent.at) >= snapshot
        {
            self.give_up_snapshot();
        }
        let Some(sent) = self.in_flight else { return };
        let arrived = self.state == State::Replicate && self.held >= sent.last;
        if !arrived && now.saturating_sub(sent.at) >= append {
            self.probe(self.held.max(sent.prev.index));
        }
    }

    /// The snapshot may have been lost, or only its answer: the follower is asked whether it has it.
    pub(crate) fn give_up_snapshot(&mut self) {
        if let State::Snapshot(sent) = self.state {
            self.probe(sent.last);
        }
    }

    /// A message leaves, in a round of its own, that covers what stands behind `prev` up to `last`.
    pub(crate) fn send(&mut self, round: u64, prev: LogId, last: Index, now: Duration) -> Sent {
        let sent = Sent { first_round: round, round, prev, last, matched: self.matched, at: now };
        match self.sent.back_mut() {
            Some(latest) if latest.says_the_same(&sent) => (latest.round, latest.at) = (round, now),
            _ => self.sent.push_back(sent),
        }
        if self.sent.len() > MAX_REMEMBERED {
            self.sent.pop_front();
        }
        sent
    }

    /// A snapshot leaves, in a round of its own, that holds everything up to `last`.
    pub(crate) fn send_snapshot(&mut self, round: u64, last: LogId, now: Duration) {
        self.send(round, last, last.index, now);
        self.in_flight = None;
        self.snapshot_round = round;
        self.state = State::Snapshot(SentSnapshot { round, last: last.index, at: now });
    }

    /// The last message of any kind.
    pub(crate) fn latest(&self) -> Option<&Sent> {
        self.sent.back()
    }

    /// What was sent in this round, if it is remembered.
    pub(crate) fn sent_in(&self, round: u64) -> Option<Sent> {
        self.sent.iter().rev().find(|sent| (sent.first_round..=sent.round).contains(&round)).copied()
    }

    /// The follower had the previous entry of the message of this round, and is durable up to
    /// `matched`. That stays true; what it had in memory only may be gone, if it refused something
    /// later.
    pub(crate) fn accepted(&mut self, round: u64, matched: Index) {
        self.accepted_round = self.accepted_round.max(round);
        self.matched = self.matched.max(matched);
        self.held = self.held.max(self.matched);
        let sent = self.sent_in(round).filter(|_| round > self.refused_round);
        let is_news = sent.is_some();
        if let Some(sent) = sent {
            self.held = self.held.max(sent.last);
        }
        match self.state {
            State::Probe if is_news && self.held >= self.start => self.replicate_behind_held(),
            State::Snapshot(snapshot) if self.held >= snapshot.last => self.replicate_behind_held(),
            State::Probe | State::Replicate | State::Snapshot(_) => {}
        }
        self.next = self.next.max(self.held + 1);
        // What carried no entries is answered by any answer; what did, when it is durable.
        let answered =
            |sent: Sent| self.matched >= sent.last || (sent.round == round && sent.prev.index == sent.last);
        if self.in_flight.is_some_and(answered) {
            self.in_flight = None;
        }
    }

    /// What the follower holds is known. Where the leader's log no longer knows that, its start is
    /// asked for.
    fn replicate_behind_held(&mut self) {
        if self.held < self.start {
            return self.probe(self.start);
        }
        self.state = State::Replicate;
        self.next = self.held + 1;
    }

    /// The follower refused the message of this round, which lacked the entry `sent.prev`; it
    /// should be tried at `hint`. If something later was accepted, a snapshot was sent since, or it is
    /// tried further back already, this changes nothing of what is sent.
    pub(crate) fn refused(&mut self, round: u64, sent: Sent, hint: Index) {
        self.refused_round = self.refused_round.max(round);
        let next = hint.clamp(self.matched + 1, sent.prev.index.max(self.matched + 1));
        let is_late = match self.state {
            State::Probe => next >= self.next,
            State::Replicate => false,
            State::Snapshot(_) => true,
        };
        if round < self.accepted_round.max(self.snapshot_round) || is_late {
            return;
        }
        self.state = State::Probe;
        self.in_flight = None;
        self.held = self.matched;
        self.next = next;
    }
}

#[cfg(test)]
mod tests;
