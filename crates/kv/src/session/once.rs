//! Sessions that clients open, for `ONCE`: at most one record each, that of the last request.
//!
//! A client that must know what became of a request although the node that it asked has died asks another
//! node, under the same session and number. Each session remembers its last number and how that was
//! answered; a number says that all lower ones of its session were answered, so no older record is needed.
//!
//! | a request of a session is | then |
//! |---|---|
//! | above the last number | fresh: it is executed, and if it writes it becomes the last |
//! | the last number | done: it has no further effect; the reply is the first one |
//! | below it | stale: it has no effect |
//! | of a session that was never opened, was closed, has expired, or had to make room | without session: it has no effect |
//!
//! # Why nothing runs twice
//!
//! A request travels from its client to the contacted node, which carries it: gives it a number of its own,
//! forwards it to the leader, and sends it again to the next leader under the same number. So it may come up in
//! the log several times, by several carriers, in any order, long after its client has given up. Whether it is
//! executed is decided where it is applied, in the log's order, by two records: the carrier's, which answers
//! what one carrier has brought again, and the session's, which answers what came by another one. A number is
//! executed only while it is above the session's last, and executing a write makes it the last: so a second
//! execution would need a session that forgets. It does not. A session ends as a whole, by `CLOSE`, by its
//! time, or to make room, and its id is never given again, since the next id is part of the state too: what
//! comes later finds no session and has no effect. And no session is made by using it.
//!
//! A session lives as long as it is used: until the log's time is [`Limits::idle_ms`] past the stamp of its last
//! use, or until there are more than [`Limits::most`], or more than 256 MiB of them and their records, and it is the
//! one that was unused longest. The two limits are part of the state and are changed by an entry, so that all
//! replicas end a session at the same one. Plain reads leave no trace in the log and are no use.

use std::collections::BTreeMap;

use super::Record;
use crate::digest::Digest;
use crate::reply::Reply;
use crate::slot::Slots;

/// The most bytes that the sessions take with their records: 256 MiB. Of more, those that were unused longest end. A
/// constant of the format, as is what a session counts.
const MAX_BYTES: usize = 256 << 20;

/// How many sessions that were unused for too long one entry takes out, at most. A constant of the format.
const ENDED_PER_ENTRY: usize = 1000;

/// What a session counts beside what its record holds: its places in the two maps.
const SESSION_BYTES: usize = 128;

const _: () = assert!(size_of::<Session>() + 3 * size_of::<u64>() <= SESSION_BYTES);

/// How long sessions live, and how many there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most sessions, at least 1: of more, the one that was unused longest ends.
    pub most: u64,
    /// For how long a session may be unused, in milliseconds of the log's time, at least 1.
    pub idle_ms: u64,
}

impl Default for Limits {
    /// What a new cluster begins with: a constant of the format.
    fn default() -> Self {
        Self { most: 65_536, idle_ms: 3_600_000 }
    }
}

/// What is to be done with a request of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Judgement<'a> {
    /// It has not been done: do it.
    Fresh,
    /// It has been done: answer as it was answered then.
    Done(&'a Reply),
    /// A later one has been done, the one with this number.
    Stale(u64),
    /// There is no such session, now or ever again.
    NoSession,
}

/// All sessions.
#[derive(Clone, Debug, Default)]
pub(crate) struct OnceTable {
    sessions: BTreeMap<u64, Session>,
    /// The ids in the order of the sessions' last uses, the one that was unused longest first.
    by_use: BTreeMap<u64, u64>,
    last_id: u64,
    last_use: u64,
    limits: Limits,
    /// The log's time, in milliseconds since 1970. A session that was unused for too long by then is none, also while it
    /// is held.
    now_ms: u64,
    /// How many of them hold a record.
    records: usize,
    /// What the sessions take, in bytes.
    memory_bytes: usize,
}

#[derive(Clone, Debug)]
struct Session {
    last_use: Use,
    last: Option<Record>,
}

/// A use of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Use {
    /// Counted over all sessions: tells which of two came first.
    pub(crate) number: u64,
    /// The log's time, in milliseconds since 1970.
    pub(crate) stamp_ms: u64,
}

/// What is the same for all sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) last_id: u64,
    pub(crate) last_use: u64,
    pub(crate) limits: Limits,
}

impl OnceTable {
    /// Opens a session, and says its id. If there are too many then, the one that was unused longest ends.
    pub(crate) fn open(&mut self, stamp_ms: u64) -> u64 {
        self.last_id += 1;
        let last_use = self.next_use(stamp_ms);
        self.insert(self.last_id, Session { last_use, last: None });
        self.make_room();
        self.last_id
    }

    /// Ends a session; says whether there was one.
    pub(crate) fn close(&mut self, id: u64) -> bool {
        self.find(id).is_some() && self.take_out(id)
    }

    /// The session, unless it was unused for too long.
    fn find(&self, id: u64) -> Option<&Session> {
        let session = self.sessions.get(&id)?;
        (self.end_ms(session) > self.now_ms).then_some(session)
    }

    /// When a session will have been unused for too long.
    fn end_ms(&self, session: &Session) -> u64 {
        session.last_use.stamp_ms.saturating_add(self.limits.idle_ms)
    }

    fn take_out(&mut self, id: u64) -> bool {
        let Some(session) = self.sessions.remove(&id) else { return false };
        self.by_use.remove(&session.last_use.number);
        self.records -= usize::from(session.last.is_some());
        self.memory_bytes -= session.memory_bytes();
        true
    }

    /// From now on these limits hold. What has ended by those before does not come back.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.end_over(usize::MAX);
        self.limits = limits;
        self.make_room();
    }

    /// An entry begins, and the log's time is `stamp_ms`: what was unused for too long ends. If that is much, the
    /// entries behind take it out.
    pub(crate) fn expire(&mut self, stamp_ms: u64) {
        self.now_ms = stamp_ms;
        self.end_over(ENDED_PER_ENTRY);
    }

    fn end_over(&mut self, most: usize) {
        for _ in 0..most {
            if self.earliest_expiry_ms().is_none_or(|at| at > self.now_ms) {
                break;
            }
            self.end_oldest();
        }
    }

    /// When the first session will have been unused for too long; none without sessions.
    pub(crate) fn earliest_expiry_ms(&self) -> Option<u64> {
        let (_, oldest) = self.by_use.first_key_value()?;
        Some(self.end_ms(&self.sessions[oldest]))
    }

    /// What is to be done with the request `number` of a session.
    pub(crate) fn judge(&self, id: u64, number: u64) -> Judgement<'_> {
        self.find(id).map_or(Judgement::NoSession, |session| session.judge(number))
    }

    /// The session was used, and goes on.
    ///
    /// # Panics
    ///
    /// If there is no such session.
    pub(crate) fn touch(&mut self, id: u64, stamp_ms: u64) {
        let next = self.next_use(stamp_ms);
        let session = self.sessions.get_mut(&id).unwrap_or_else(|| panic!("no session {id} to be used"));
        let before = std::mem::replace(&mut session.last_use, next);
        self.by_use.remove(&before.number);
        self.by_use.insert(next.number, id);
    }

    /// Records that the request `number` of a session was done, how it was answered, and which slots it
    /// touched. The record in front of it is forgotten. If the sessions take too many bytes then, those end that were
    /// unused longest: none that was [used](Self::touch) for this, for no record takes so many alone.
    ///
    /// # Panics
    ///
    /// If there is no such session, or it has answered this request or a later one.
    pub(crate) fn complete(&mut self, id: u64, number: u64, reply: Reply, slots: Slots) {
        let session = self.sessions.get_mut(&id);
        let session = session.unwrap_or_else(|| panic!("no session {id} to complete {number}"));
        assert_eq!(session.judge(number), Judgement::Fresh, "session {id} completes {number}");
        self.memory_bytes -= session.memory_bytes();
        self.records += usize::from(session.last.is_none());
        session.last = Some(Record { number, reply, slots });
        self.memory_bytes += session.memory_bytes();
        self.make_room();
    }

    /// How many sessions there are.
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    /// How many of them hold a record.
    pub(crate) fn records(&self) -> usize {
        self.records
    }

    /// About how many bytes they take.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory_bytes
    }

    /// For an image: what is the same for all.
    pub(crate) fn counters(&self) -> Counters {
        Counters { last_id: self.last_id, last_use: self.last_use, limits: self.limits }
    }

    /// For an image: the first session from `id` on, and its last use.
    pub(crate) fn session_from(&self, id: u64) -> Option<(u64, Use)> {
        let (&id, session) = self.sessions.range(id..).next()?;
        Some((id, session.last_use))
    }

    /// For an image: a session's record.
    pub(crate) fn record(&self, id: u64) -> Option<(u64, &Reply, &Slots)> {
        let Record { number, reply, slots } = self.sessions.get(&id)?.last.as_ref()?;
        Some((*number, reply, slots))
    }

    /// From an image of that time: the counters, in front of all sessions.
    pub(crate) fn set_counters(&mut self, counters: Counters, now_ms: u64) {
        let Counters { last_id, last_use, limits } = counters;
        (self.last_id, self.last_use, self.limits, self.now_ms) = (last_id, last_use, limits, now_ms);
    }

    /// From an image: a session without its record. False if there cannot be such a one.
    pub(crate) fn restore(&mut self, id: u64, last_use: Use) -> bool {
        let fits = (1..=self.last_id).contains(&id) && (1..=self.last_use).contains(&last_use.number);
        let is_new = !self.sessions.contains_key(&id) && !self.by_use.contains_key(&last_use.number);
        if fits && is_new {
            self.insert(id, Session { last_use, last: None });
        }
        fits && is_new
    }

    pub(super) fn digest(&self, mut digest: Digest) -> Digest {
        let Limits { most, idle_ms } = self.limits;
        digest = digest.word(self.last_id).word(self.last_use).word(most).word(idle_ms);
        digest = digest.word(self.sessions.len() as u64);
        for (id, Session { last_use, last }) in &self.sessions {
            digest = digest.word(*id).word(last_use.number).word(last_use.stamp_ms);
            digest = digest.word(last.is_some().into());
            digest = last.iter().fold(digest, |digest, record| record.digest(digest));
        }
        digest
    }

    fn next_use(&mut self, stamp_ms: u64) -> Use {
        self.last_use += 1;
        Use { number: self.last_use, stamp_ms }
    }

    fn insert(&mut self, id: u64, session: Session) {
        self.by_use.insert(session.last_use.number, id);
        self.memory_bytes += session.memory_bytes();
        self.sessions.insert(id, session);
    }

    fn make_room(&mut self) {
        while self.sessions.len() as u64 > self.limits.most || self.memory_bytes > MAX_BYTES {
            self.end_oldest();
        }
    }

    fn end_oldest(&mut self) {
        let (_, &oldest) = self.by_use.first_key_value().expect("there is a session");
        self.take_out(oldest);
    }
}

impl Session {
    fn judge(&self, number: u64) -> Judgement<'_> {
        match &self.last {
            Some(last) if number < last.number => Judgement::Stale(last.number),
            Some(last) if number == last.number => Judgement::Done(&last.reply),
            _ => Judgement::Fresh,
        }
    }

    fn memory_bytes(&self) -> usize {
        SESSION_BYTES + self.last.as_ref().map_or(0, Record::memory_bytes)
    }
}

#[cfg(test)]
mod tests;
