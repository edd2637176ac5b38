//! What waits at the loop for something else than the store: WAIT for copies, and clients that are paused.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bowline_kv::{Answer, ClientId, Reply, Status};
use bowline_raft::{Index, RoleKind};

use super::Shell;
use crate::client::Client;
use crate::face::{Connection, KillFilter, PauseMode};

/// A client that waits until its writes are on other nodes' disks.
#[derive(Debug)]
struct Waiter {
    client: ClientId,
    token: u64,
    /// On so many.
    wanted: u64,
    deadline: Option<Instant>,
    /// Up to this entry; known as soon as everything in front of it was answered.
    index: Option<Index>,
}

/// What becomes of a waiter now.
enum Becomes {
    Waiting,
    /// Its client is gone.
    Forgotten,
    /// With so many copies.
    Answered(u64),
}

#[derive(Debug, Default)]
pub(super) struct Waiters(RefCell<Vec<Waiter>>);

/// `CLIENT PAUSE`.
#[derive(Debug, Default)]
pub(crate) struct Pause(Cell<Option<(PauseMode, Instant)>>);

impl Pause {
    /// Whether there is one.
    pub(crate) fn is_on(&self) -> bool {
        self.0.get().is_some()
    }

    /// Whether the command has to wait.
    pub(crate) fn holds(&self, args: &[&[u8]]) -> bool {
        self.0.get().is_some_and(|(mode, _)| Connection::is_paused_by(args, mode))
    }

    /// Begins one. If there is one it lasts until the later end, for as many commands as either.
    pub(crate) fn begin(&self, mode: PauseMode, time: Duration) {
        let end = Instant::now() + time;
        let joined = self.0.get().map_or((mode, end), |(other, until)| (mode.max(other), end.max(until)));
        self.0.set(Some(joined));
    }
}

impl Shell {
    /// Lets every client go on.
    pub(crate) fn end_pause(&self) {
        self.pause.0.set(None);
        let clients = self.clients.borrow();
        clients.values().filter(|client| client.is_held()).for_each(|client| client.go_on());
    }

    /// How many clients wait because they, or others, have asked for it.
    pub(super) fn blocked_clients(&self) -> u64 {
        let clients = self.clients.borrow();
        let held = if self.pause.is_on() { clients.values().filter(|c| c.is_held()).count() } else { 0 };
        (held + self.waiters.0.borrow().len()) as u64
    }

    /// Ends a pause whose time is over.
    pub(super) fn pass_pause(&self) {
        if self.pause.0.get().is_some_and(|(_, end)| end <= Instant::now()) {
            self.end_pause();
        }
    }

    /// Closes the other connections that the filter keeps: how many.
    pub(crate) fn kill_clients(&self, filter: &KillFilter, asker: ClientId) -> i64 {
        let clients = self.clients.borrow();
        let is_killed = |client: &&Rc<Client>| client.id != asker && client.is_killed_by(filter, asker);
        let killed: Vec<_> = clients.values().filter(is_killed).collect();
        killed.iter().for_each(|client| client.kill());
        i64::try_from(killed.len()).unwrap_or(i64::MAX)
    }

    /// Answers the command in time with how many other nodes have the client's writes on disk: when these are so
    /// many as are wanted and exist, or after that time.
    pub(crate) fn wait_for_copies(&self, client: ClientId, token: u64, wanted: u64, time: Option<Duration>) {
        let wanted = wanted.min(self.peers.all.len() as u64);
        let deadline = time.map(|time| Instant::now() + time);
        self.waiters.0.borrow_mut().push(Waiter { client, token, wanted, deadline, index: None });
        self.wake.notify_one();
    }

    /// How many other nodes certainly have what was acknowledged: a majority has, and this one may be of it.
    pub(crate) fn certain_copies(&self) -> u64 {
        // Of the n others and this one, more than half.
        self.peers.all.len().div_ceil(2) as u64
    }

    /// Answers those that have waited for long enough.
    pub(super) fn pass_waiters(&self) {
        if self.waiters.0.borrow().is_empty() {
            return;
        }
        let now = Instant::now();
        let status = self.replica.borrow().status();
        let mut answers = Vec::new();
        self.waiters.0.borrow_mut().retain_mut(|waiter| match self.becomes(waiter, &status, now) {
            Becomes::Waiting => true,
            Becomes::Forgotten => false,
            Becomes::Answered(count) => {
                let reply = Reply::Int(i64::try_from(count).unwrap_or(i64::MAX));
                answers.push(Answer { client: waiter.client, token: waiter.token, reply });
                false
            }
        });
        self.answer(answers);
    }

    fn becomes(&self, waiter: &mut Waiter, status: &Status, now: Instant) -> Becomes {
        let clients = self.clients.borrow();
        let Some(client) = clients.get(&waiter.client) else { return Becomes::Forgotten };
        let is_late = waiter.deadline.is_some_and(|deadline| deadline <= now) || self.is_stopping();
        if !client.is_next(waiter.token) {
            // Its own writes are not acknowledged yet.
            return if is_late { Becomes::Answered(0) } else { Becomes::Waiting };
        }
        let certain = self.certain_copies();
        if status.role != RoleKind::Leader {
            // Only the leader knows more.
            return Becomes::Answered(certain);
        }
        // Every acknowledged entry is in the log of whoever leads.
        let index = *waiter.index.get_or_insert(status.last_log_index);
        let known = status.peers.iter().filter(|peer| peer.matched >= index).count() as u64;
        let count = known.max(certain);
        if count >= waiter.wanted || is_late { Becomes::Answered(count) } else { Becomes::Waiting }
    }
}
