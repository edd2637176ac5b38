//! Which numbered requests have been done: what makes a request that is sent again happen once.
//!
//! There are two kinds of records. This page is about those of nodes, for the commands that a node carries for
//! its clients; [`once`] is about those of the sessions that clients open themselves.
//!
//! Every request has an id, an [`Origin`] and a number, that stays the same however often it is sent. The
//! entry that carries out a request also leaves a *completion record*, its number and its whole reply, in
//! the replicated state. An entry with the same id, proposed by a leader that did not know of the first,
//! finds the record when it is applied, does nothing, and is answered as the first was. The check is made at
//! that moment and no earlier: only the log's order says which of two came first.
//!
//! Records would grow without end if nobody said when one is no longer needed. Each request carries its
//! origin's *floor*, the lowest number that the origin has not finished: what is below it was answered, or
//! given up, and will not be sent again. An origin that has nothing more to ask tells its floor alone. So records below the floor are forgotten; and a request below it
//! that comes up in the log all the same, late, is refused, since nobody knows any more whether it was done.
//!
//! An origin is one *life* of a node, from its start to its end. A node that starts again counts its
//! requests from 1 again, in a new life with a higher number. The first entry of the new life drops the
//! records of the earlier ones and closes them: their late entries are refused.
//!
//! | a request is | then |
//! |---|---|
//! | of an earlier life, or below the floor | [`Verdict::Refused`]: it has no effect |
//! | recorded | [`Verdict::Done`]: it has no further effect; the reply is the first one |
//! | new, and the origin's records take more than [`MAX_RECORDS_BYTES`] | [`Verdict::Crowded`]: it is not executed, and its record says so |
//! | anything else | [`Verdict::Fresh`]: it is executed, and then [`Sessions::complete`] |
//!
//! A request that its leader takes from a client itself and never sends again, to nobody, has no origin
//! ([`Origin::NONE`]). It needs no record, and is executed where it stands in the log: what makes a second
//! sending of the client harmless is the client's own session.

pub mod once;

use std::collections::{BTreeMap, VecDeque};

use once::OnceTable;

use crate::digest::Digest;
use crate::reply::{REPLY_BYTES, Reply};
use crate::slot::Slots;

/// Who numbers the requests: one life of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// The node's id.
    pub node: u64,
    /// The number of its start: durable before the first request, and never the same again.
    pub life: u64,
}

impl Origin {
    /// That of a request which is sent once. No node has the id 0.
    pub const NONE: Self = Self { node: 0, life: 0 };
}

/// While the records of an origin take more than this, 1 GiB, nothing more is executed for it: a few bytes may ask
/// for large replies, which every replica would have to keep. A constant of the format, as is what a record counts.
pub const MAX_RECORDS_BYTES: usize = 1 << 30;

/// What a record counts beside its reply and its slots.
const RECORD_BYTES: usize = 32;

const _: () = assert!(size_of::<Record>() <= RECORD_BYTES + REPLY_BYTES);

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// It has not been done: do it.
    Fresh,
    /// It has been done: answer as it was answered then.
    Done(&'a Reply),
    /// It has not been done, and there is no room for its reply: record and answer that it is not done.
    Crowded,
    /// It may have been done and forgotten: do nothing.
    Refused,
}

/// All completion records.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    nodes: BTreeMap<u64, Life>,
    /// Those that clients have opened.
    pub(crate) once: OnceTable,
}

/// The latest life of one node.
#[derive(Clone, Debug, Default)]
struct Life {
    /// The highest that was seen. Earlier ones are closed.
    life: u64,
    /// The lowest number that the origin had not finished when it said so last. Only rises within a life.
    floor: u64,
    /// In the order of their numbers, all from the floor on. Nearly always a new one comes last.
    records: VecDeque<Record>,
    /// What the records take, in bytes.
    memory_bytes: usize,
}

/// Where a record is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum RecordPlace {
    /// The `at`-th of this node, counted from 0.
    Life { node: u64, at: usize },
    /// The one of this session.
    Session(u64),
}

#[derive(Clone, Debug)]
struct Record {
    number: u64,
    reply: Reply,
    slots: Slots,
}

impl Sessions {
    /// No records.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an entry's origin and floor, before the entry's requests are checked. A higher life than
    /// before closes the earlier ones and drops their records; a floor forgets what is below it. Of a closed
    /// life it takes no note, nor of a floor that is lower than before.
    pub fn begin(&mut self, origin: Origin, floor: u64) {
        let life = self.nodes.entry(origin.node).or_default();
        if origin.life > life.life {
            *life = Life { life: origin.life, ..Life::default() };
        }
        if origin.life == life.life {
            life.raise_floor(floor);
        }
    }

    /// What is to be done with the request `number` of `origin`.
    pub fn check(&self, origin: Origin, number: u64) -> Verdict<'_> {
        let Some(life) = self.nodes.get(&origin.node).filter(|life| origin.life <= life.life) else {
            return Verdict::Fresh;
        };
        if origin.life < life.life || number < life.floor {
            return Verdict::Refused;
        }
        match life.find(number) {
            Some(place) => Verdict::Done(&life.records[place].reply),
            None if life.memory_bytes > MAX_RECORDS_BYTES => Verdict::Crowded,
            None => Verdict::Fresh,
        }
    }

    /// Records that the request `number` of `origin` was done, how it was answered, and which slots it
    /// touched.
    ///
    /// # Panics
    ///
    /// If the life was not [begun](Sessions::begin), or the request has been done or is refused.
    pub fn complete(&mut self, origin: Origin, number: u64, reply: Reply, slots: Slots) {
        let life = self.nodes.get_mut(&origin.node).filter(|life| life.life == origin.life);
        let life = life.unwrap_or_else(|| panic!("{origin:?} completes {number} without having begun"));
        assert!(number >= life.floor, "{origin:?} completes {number} below its floor {}", life.floor);
        let place = life.place(number);
        let taken = life.records.get(place).is_some_and(|record| record.number == number);
        assert!(!taken, "{origin:?} completes {number} twice");
        let record = Record { number, reply, slots };
        life.memory_bytes += record.memory_bytes();
        life.records.insert(place, record);
    }

    /// Whether there are records of this node, of whatever life.
    pub fn holds_any(&self, node: u64) -> bool {
        self.nodes.get(&node).is_some_and(|life| !life.records.is_empty())
    }

    /// The first node from `node` on of which anything is known: its latest life, and that life's floor.
    pub(crate) fn life_from(&self, node: u64) -> Option<(Origin, u64)> {
        let (&node, life) = self.nodes.range(node..).next()?;
        Some((Origin { node, life: life.life }, life.floor))
    }

    /// A record: its number, its reply, the slots that it touched.
    pub(crate) fn record(&self, place: RecordPlace) -> Option<(u64, &Reply, &Slots)> {
        match place {
            RecordPlace::Life { node, at } => {
                let Record { number, reply, slots } = self.nodes.get(&node)?.records.get(at)?;
                Some((*number, reply, slots))
            }
            RecordPlace::Session(id) => self.once.record(id),
        }
    }

    /// The records of `origin`, as numbers and replies, in order; none if its life is closed or not begun.
    pub(crate) fn done_by(&self, origin: Origin) -> impl Iterator<Item = (u64, &Reply)> {
        let life = self.nodes.get(&origin.node).filter(|life| life.life == origin.life);
        life.into_iter().flat_map(|life| &life.records).map(|record| (record.number, &record.reply))
    }

    /// How many records there are, of nodes and of clients' sessions.
    pub fn records(&self) -> usize {
        self.nodes.values().map(|life| life.records.len()).sum::<usize>() + self.once.records()
    }

    /// About how many bytes the records of nodes take.
    pub fn memory_bytes(&self) -> usize {
        self.nodes.values().map(|life| life.memory_bytes).sum()
    }

    /// How many sessions clients have open.
    pub fn open(&self) -> usize {
        self.once.len()
    }

    /// About how many bytes these sessions and their records take.
    pub fn open_bytes(&self) -> usize {
        self.once.memory_bytes()
    }

    /// The log's time from which on the first of these sessions has expired, in milliseconds since 1970, if it
    /// is not used any more; none without sessions. It expires with the first entry of that time.
    pub(crate) fn earliest_expiry_ms(&self) -> Option<u64> {
        self.once.earliest_expiry_ms()
    }

    /// A digest of everything here: equal on replicas that have applied the same entries.
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::new(2);
        for (node, life) in &self.nodes {
            digest = digest.word(*node).word(life.life).word(life.floor).word(life.records.len() as u64);
            digest = life.records.iter().fold(digest, |digest, record| record.digest(digest));
        }
        self.once.digest(digest).finish()
    }
}

impl Life {
    fn raise_floor(&mut self, floor: u64) {
        self.floor = self.floor.max(floor);
        while let Some(record) = self.records.pop_front_if(|record| record.number < self.floor) {
            self.memory_bytes -= record.memory_bytes();
        }
        if self.records.is_empty() {
            assert_eq!(self.memory_bytes, 0, "no record, and yet they take memory");
        }
    }

    /// Where the record of `number` is, or would be put.
    fn place(&self, number: u64) -> usize {
        match self.records.back() {
            Some(last) if last.number >= number => {
                self.records.partition_point(|record| record.number < number)
            }
            _ => self.records.len(),
        }
    }

    fn find(&self, number: u64) -> Option<usize> {
        let place = self.place(number);
        self.records.get(place).filter(|record| record.number == number).map(|_| place)
    }
}

impl Record {
    fn digest(&self, digest: Digest) -> Digest {
        let mut encoded = Vec::new();
        self.reply.encode(&mut encoded);
        let digest = digest.word(self.number).bytes(&encoded).word((self.slots == Slots::All).into());
        let slots = self.slots.listed();
        slots.iter().fold(digest.word(slots.len() as u64), |digest, slot| digest.word((*slot).into()))
    }

    fn memory_bytes(&self) -> usize {
        RECORD_BYTES + self.reply.memory_bytes() + 2 * self.slots.listed().len()
    }
}

#[cfg(test)]
mod tests;
