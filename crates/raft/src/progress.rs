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

use std::time::Duration;

use crate::types::Index;

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
    /// The last message of any kind.
    pub(crate) latest: Option<Sent>,
    /// The highest round that the follower echoed.
    pub(crate) echoed_round: u64,
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

/// An AppendEntries on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) round: u64,
    /// The index of its previous entry.
    pub(crate) prev: Index,
    /// The last index that it covers.
    pub(crate) last: Index,
    /// What was matched when it was sent: a refusal of an entry up to here is a loss of data.
    pub(crate) matched: Index,
    pub(crate) at: Duration,
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
            latest: None,
            echoed_round: 0,
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

    /// What was sent in this round, if it still matters.
    pub(crate) fn sent_in(&self, round: u64) -> Option<Sent> {
        [self.in_flight, self.latest].into_iter().flatten().find(|s| s.round == round)
    }

    /// The follower had the previous entry of the message of this round, and is durable up to
    /// `matched`.
    pub(crate) fn accepted(&mut self, round: u64, matched: Index) {
        self.matched = self.matched.max(matched);
        self.held = self.held.max(self.matched);
        if let Some(sent) = self.sent_in(round) {
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
    /// should be tried at `hint`.
    pub(crate) fn refused(&mut self, sent: Sent, hint: Index) {
        self.state = State::Probe;
        self.in_flight = None;
        self.held = self.matched;
        self.next = hint.clamp(self.matched + 1, sent.prev.max(self.matched + 1));
    }
}

#[cfg(test)]
mod tests;
