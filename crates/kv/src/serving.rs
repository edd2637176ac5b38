//! The leader's side: what it has taken on for clients in its present term.
//!
//! All of it belongs to one term and goes with it: whoever sent it sends it again to the next
//! leader.

use std::collections::{BTreeMap, VecDeque};

use bowline_raft::{Index, Node, ProposeError, ReadGrant, RoleKind, Term};
use bytes::Bytes;

use crate::entry::{self, Builder, Request};
use crate::session::Origin;

/// An entry is closed when it has grown to this, in bytes.
const MAX_ENTRY_BYTES: usize = 256 << 10;

#[derive(Debug, Default)]
pub(crate) struct Serving {
    /// The term in which this node leads; none when it does not.
    term: Option<Term>,
    /// Of each other node the latest life, and connection in it, that brought something.
    latest: BTreeMap<u64, (u64, u64)>,
    /// The entry that is being filled.
    open: Builder,
    /// Payloads in front of it, not proposed yet.
    sealed: VecDeque<Bytes>,
    /// Reads that came in this pass.
    reads: Vec<ServedRead>,
    /// The number under which the last reads asked for their confirmation.
    last_read: u64,
    /// Reads that wait for it.
    asked: VecDeque<(u64, Vec<ServedRead>)>,
    /// Reads that are confirmed, and wait for the state to be as new as this.
    granted: VecDeque<(Index, Vec<ServedRead>)>,
    /// Reads that the state is new enough for, each with the leader's time when it became so.
    servable: VecDeque<(u64, ServedRead)>,
    /// The last entry that was proposed.
    last_proposed: Index,
    /// Whether the log had no room for the last one.
    log_is_full: bool,
}

/// A plain read that this node serves as the leader.
#[derive(Clone, Debug)]
pub(crate) struct ServedRead {
    pub(crate) origin: Origin,
    pub(crate) number: u64,
    /// Encoded, and checked.
    pub(crate) command: Bytes,
}

impl Serving {
    /// Notices when the node begins or ceases to lead.
    pub(crate) fn follow(&mut self, node: &Node) {
        let term = (node.role() == RoleKind::Leader).then(|| node.term());
        if term != self.term {
            *self = Self { term, last_read: self.last_read, ..Self::default() };
        }
    }

    /// The term in which this node leads.
    pub(crate) fn term(&self) -> Option<Term> {
        self.term
    }

    pub(crate) fn leads(&self) -> bool {
        self.term.is_some()
    }

    /// Whether to take what another node sends to the leader of `term` by that connection: not
    /// when this is not that leader, and not behind what came by a later one.
    pub(crate) fn takes_from(&mut self, origin: Origin, link: u64, term: Term) -> bool {
        if self.term != Some(term) {
            return false;
        }
        let latest = self.latest.entry(origin.node).or_default();
        *latest = (*latest).max((origin.life, link));
        *latest == (origin.life, link)
    }

    /// Takes a request that goes through the log, behind all that came before it.
    pub(crate) fn take_command(&mut self, request: &Request<'_>) {
        if self.open.len() >= MAX_ENTRY_BYTES {
            self.sealed.push_back(self.open.finish());
        }
        self.open.push(request);
    }

    /// Takes an entry that carries only the time, unless one with commands is there, which does so too. Says
    /// whether it was taken.
    pub(crate) fn take_time(&mut self) -> bool {
        let is_alone = self.open.is_empty() && self.sealed.is_empty();
        if is_alone {
            self.open.begin();
        }
        is_alone
    }

    pub(crate) fn take_read(&mut self, read: ServedRead) {
        self.reads.push(read);
    }

    /// Proposes what has been taken, with that time, as far as there is room. Hands back the payloads for which
    /// the log has none: they certainly have no effect.
    pub(crate) fn propose(&mut self, node: &mut Node, stamp_ms: u64) -> Vec<Bytes> {
        if !self.open.is_empty() && self.sealed.is_empty() {
            self.sealed.push_back(self.open.finish());
        }
        let mut refused = Vec::new();
        while let Some(payload) = self.sealed.pop_front() {
            let payload = entry::stamped(payload, stamp_ms);
            match node.propose(payload.clone()) {
                Ok(id) => (self.last_proposed, self.log_is_full) = (id.index, false),
                Err(ProposeError::LogFull { .. }) => {
                    self.log_is_full = true;
                    refused.push(payload);
                }
                Err(ProposeError::Busy { .. }) => {
                    self.sealed.push_front(payload);
                    break;
                }
                Err(ProposeError::NotLeader { leader }) => {
                    unreachable!("proposing in term {:?}, but {leader:?} leads", self.term)
                }
            }
        }
        refused
    }

    /// Asks for one confirmation for all reads that came since the last time.
    pub(crate) fn ask(&mut self, node: &mut Node) {
        if !self.reads.is_empty() && node.read(self.last_read + 1).is_ok() {
            self.last_read += 1;
            let next = Vec::with_capacity(self.reads.len());
            self.asked.push_back((self.last_read, std::mem::replace(&mut self.reads, next)));
        }
    }

    /// Reads are confirmed, in the order in which they asked.
    pub(crate) fn granted(&mut self, grant: ReadGrant) {
        if self.asked.front().is_some_and(|(id, _)| *id == grant.id) {
            let (_, reads) = self.asked.pop_front().expect("there is a front");
            self.granted.push_back((grant.index, reads));
        }
    }

    /// The state is as new as that, and it is `clock_ms`.
    pub(crate) fn grant_up_to(&mut self, applied: Index, clock_ms: u64) {
        while let Some((_, reads)) = self.granted.pop_front_if(|(index, _)| *index <= applied) {
            self.servable.extend(reads.into_iter().map(|read| (clock_ms, read)));
        }
    }

    /// The first read that the state is new enough for, and the leader's time when it became so.
    pub(crate) fn first_servable(&self) -> Option<(u64, &ServedRead)> {
        self.servable.front().map(|(clock_ms, read)| (*clock_ms, read))
    }

    /// That read has been answered.
    pub(crate) fn served(&mut self) {
        self.servable.pop_front();
    }

    /// Whether there is such a read.
    pub(crate) fn has_servable(&self) -> bool {
        !self.servable.is_empty()
    }

    /// The index of the last entry that was proposed in this term; 0 if none was.
    pub(crate) fn last_proposed(&self) -> Index {
        self.last_proposed
    }

    /// Whether the log had no room for what was proposed last.
    pub(crate) fn log_is_full(&self) -> bool {
        self.log_is_full
    }
}

#[cfg(test)]
mod tests;
