//! What a leader knows of one follower.
//!
//! ```text
//!            refused, or unanswered for a heartbeat interval
//!            ┌──────────────────────────────────┐
//!            ▼                                  │
//!       ┌─────────┐        accepted        ┌───────────┐
//!  ────▶│  Probe  │ ─────────────────────▶ │ Replicate │
//!       └─────────┘                        └───────────┘
//! ```
//!
//! `Probe` looks for the place where the logs agree: one small message at a time. `Replicate`
//! knows it, and sends whatever has come up since in one append; while that is in flight the next
//! one is being built.
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

use crate::types::Index;

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
    /// When it last said anything in this term; the start of the term until then.
    pub(crate) heard_at: Duration,
    /// It no longer has what it had acknowledged: not counted, not sent to.
    pub(crate) lost_data: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Probe,
    Replicate,
}

/// An AppendEntries on its way, or several without entries that say the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    /// The round of the first of them.
    first_round: u64,
    /// The round of the last of them.
    pub(crate) round: u64,
    /// The index of its previous entry.
    pub(crate) prev: Index,
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
            && self.prev == self.last
    }
}

impl Progress {
    /// Of a follower of which nothing is known yet.
    pub(crate) fn new(last_index: Index, now: Duration) -> Self {
        Self {
            matched: 0,
            held: 0,
            next: last_index + 1,
            state: State::Probe,
            in_flight: None,
            sent: VecDeque::new(),
            echoed_round: 0,
            accepted_round: 0,
            refused_round: 0,
            heard_at: now,
            lost_data: false,
        }
    }

    /// The index in front of which a heartbeat stands.
    pub(crate) fn heartbeat_prev(&self) -> Index {
        match self.state {
            State::Probe => self.next - 1,
            State::Replicate => self.held,
        }
    }

    /// An append that has been on its way for too long, unless an echo showed that it came, is
    /// given up: the follower is probed.
    pub(crate) fn give_up_unanswered(&mut self, now: Duration, patience: Duration) {
        let Some(sent) = self.in_flight else { return };
        let arrived = self.state == State::Replicate && self.held >= sent.last;
        if !arrived && now.saturating_sub(sent.at) >= patience {
            self.in_flight = None;
            self.state = State::Probe;
            self.next = self.held.max(sent.prev) + 1;
        }
    }

    /// A message leaves, in a round of its own, that covers what stands behind `prev` up to `last`.
    pub(crate) fn send(&mut self, round: u64, prev: Index, last: Index, now: Duration) -> Sent {
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
        if let Some(sent) = self.sent_in(round)
            && round > self.refused_round
        {
            self.held = self.held.max(sent.last);
            if self.state == State::Probe {
                self.state = State::Replicate;
                self.next = self.held + 1;
            }
        }
        self.next = self.next.max(self.held + 1);
        // What carried no entries is answered by any answer; what did, when it is durable.
        let answered =
            |sent: Sent| self.matched >= sent.last || (sent.round == round && sent.prev == sent.last);
        if self.in_flight.is_some_and(answered) {
            self.in_flight = None;
        }
    }

    /// The follower refused the message of this round, which lacked the entry `sent.prev`; it
    /// should be tried at `hint`. If something later was accepted, or it is tried further back
    /// already, this changes nothing of what is sent.
    pub(crate) fn refused(&mut self, round: u64, sent: Sent, hint: Index) {
        self.refused_round = self.refused_round.max(round);
        let next = hint.clamp(self.matched + 1, sent.prev.max(self.matched + 1));
        if round < self.accepted_round || (self.state == State::Probe && next >= self.next) {
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
