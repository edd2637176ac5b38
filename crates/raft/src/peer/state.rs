//! The raft state as bytes: term, vote and the log behind the snapshot (paper, Figure 2, "Persistent
//! state", and section 7).
//!
//! Protocol Buffers, so that a later version may add a field. The seeds save the whole state at
//! each change; to encode the whole log each time would make every command cost as much as all the
//! commands before it. So the encoded entries are kept in one growing buffer, of which a cut of the
//! log is a cut, and a save copies it behind term and vote. The index of the last entry stands in
//! front as well: a state that lost its end is not taken for a shorter log. What goes into a snapshot
//! is taken away from the front of the buffer.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::message::Message;
use crate::types::{Entry, EntryKind, HardState, Index, LogId, NodeId, Term, Write};

/// The version of the format that this crate writes. A reader refuses later ones. Before version 2
/// there were no snapshots, and every log began with entry 1.
const STATE_VERSION: u32 = 2;

/// Why bytes are not a raft state that a peer can begin with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// Not Protocol Buffers, or cut short.
    #[error("not a raft state: {0}")]
    Malformed(String),
    /// Nothing says which version wrote it, or which entry is its last: the front is not whole.
    #[error("a raft state without its version or its last index")]
    FrontMissing,
    /// Written by a later version.
    #[error("a raft state of version {0}, and this one reads up to {STATE_VERSION}: update first")]
    NewerVersion(u32),
    /// It names another last entry than it holds.
    #[error("a raft state that ends with entry {found}, where {last_index} were saved")]
    Incomplete {
        /// The last index, as it was saved.
        last_index: Index,
        /// The last one that is there.
        found: Index,
    },
    /// The raft state begins behind a snapshot and there is none, or the other way round: the two
    /// were not saved in one step.
    #[error("a raft state that begins behind entry {last}, with a snapshot of {size} bytes")]
    SnapshotMismatch {
        /// The last entry that is only in the snapshot.
        last: LogId,
        /// What was saved as the snapshot.
        size: usize,
    },
    /// An entry of a kind that a peer cannot apply. It cannot be skipped.
    #[error("entry {id} is of kind {kind}, which this version cannot apply: update first")]
    UnknownEntryKind {
        /// The entry.
        id: LogId,
        /// Its kind's number.
        kind: u32,
    },
    /// Terms begin with 1, never go back along the log, and never pass the state's own.
    #[error("entry {id} behind one of term {previous}, in a state of term {term}")]
    TermOutOfOrder {
        /// The entry.
        id: LogId,
        /// The term of the entry in front of it, or of the snapshot; 1 when there is neither.
        previous: Term,
        /// The state's term.
        term: Term,
    },
    /// A term or an index beyond any that a cluster reaches.
    #[error("term or index {0} is beyond any that a cluster reaches")]
    Absurd(u64),
    /// A vote for somebody who is not a member.
    #[error("a vote for node {0}, which is not a member")]
    VoteForStranger(NodeId),
}

/// The raft state as it was last handed out to be saved.
#[derive(Debug, Default)]
pub struct SavedState {
    hard_state: HardState,
    /// What stands in front of the first entry: the last one that is only in the snapshot.
    base: LogId,
    /// The entries, encoded one behind the other as they stand in the state.
    entries: Vec<u8>,
    /// Where each entry ends in `entries`; the first is the one behind the base.
    ends: Vec<usize>,
}

/// What a node begins with.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Term and vote.
    pub hard_state: HardState,
    /// The last entry that is only in the snapshot.
    pub snapshot: LogId,
    /// The log behind it.
    pub entries: Vec<Entry>,
}

impl SavedState {
    /// Reads what was saved; nothing at all is the first boot. The peers are the nodes 1 to `peers`.
    ///
    /// # Errors
    ///
    /// [`StateError`]: it is not a state that a peer can begin with.
    pub fn decode(bytes: &[u8], peers: usize) -> Result<(Self, Recovered), StateError> {
        if bytes.is_empty() {
            return Ok(Default::default());
        }
        let wire = wire::State::decode(bytes).map_err(|error| StateError::Malformed(error.to_string()))?;
        match wire.version {
            0 => return Err(StateError::FrontMissing),
            1..=STATE_VERSION => {}
            newer => return Err(StateError::NewerVersion(newer)),
        }
        let term = wire.term;
        let base = wire.base.map_or(LogId::ZERO, |base| LogId::new(base.term, base.index));
        let largest = term.max(base.index);
        if largest > Message::MAX_NUMBER {
            return Err(StateError::Absurd(largest));
        }
        if base.term > term || (base.term == 0) != (base.index == 0) {
            return Err(StateError::TermOutOfOrder { id: base, previous: 1, term });
        }
        let vote = wire.vote.map(NodeId);
        if let Some(stranger) = vote.filter(|&NodeId(id)| id == 0 || id > peers as u64) {
            return Err(StateError::VoteForStranger(stranger));
        }
        let last_index = wire.last_index.ok_or(StateError::FrontMissing)?;
        let found = base.index + wire.entries.len() as Index;
        if found != last_index {
            return Err(StateError::Incomplete { last_index, found });
        }
        let hard_state = HardState { term, vote };
        let mut state = Self { hard_state, base, ..Self::default() };
        let mut entries = Vec::with_capacity(wire.entries.len());
        let mut previous = base.term.max(1);
        for (index, entry) in (base.index + 1..).zip(wire.entries) {
            let entry = entry_from_wire(index, entry)?;
            if entry.id.term < previous || entry.id.term > term {
                return Err(StateError::TermOutOfOrder { id: entry.id, previous, term });
            }
            previous = entry.id.term;
            state.push(&entry);
            entries.push(entry);
        }
        Ok((state, Recovered { hard_state, snapshot: base, entries }))
    }

    /// The whole state after this change.
    ///
    /// # Panics
    ///
    /// If the change does not follow the one before.
    pub fn change(&mut self, write: &Write) -> Bytes {
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(snapshot) = &write.snapshot {
            if snapshot.data.is_some() {
                self.cut(0);
            }
            self.drop_front(snapshot.last);
        }
        if let Some(first) = write.entries.first() {
            let kept = first.id.index.checked_sub(self.base.index + 1).map(usize::try_from);
            let kept = kept.and_then(Result::ok).filter(|&kept| kept <= self.ends.len());
            let kept = kept.unwrap_or_else(|| panic!("{} does not follow what is saved", first.id));
            self.cut(kept);
        }
        for entry in &write.entries {
            self.push(entry);
        }
        self.encode()
    }

    /// Keeps the first `count` entries.
    fn cut(&mut self, count: usize) {
        self.ends.truncate(count);
        self.entries.truncate(self.ends.last().copied().unwrap_or(0));
    }

    /// Takes away what is in the snapshot, and gives back its memory.
    fn drop_front(&mut self, base: LogId) {
        let dropped = base.index.saturating_sub(self.base.index);
        let dropped = usize::try_from(dropped).unwrap_or(usize::MAX).min(self.ends.len());
        self.base = base;
        let bytes = self.ends.drain(..dropped).next_back().unwrap_or(0);
        self.ends.iter_mut().for_each(|end| *end -= bytes);
        self.entries = self.entries.split_off(bytes);
    }

    fn push(&mut self, entry: &Entry) {
        let wire =
            wire::Entry { term: entry.id.term, kind: entry.kind as u32, payload: entry.payload.clone() };
        encode_key(wire::ENTRIES_TAG, WireType::LengthDelimited, &mut self.entries);
        encode_varint(wire.encoded_len() as u64, &mut self.entries);
        wire.encode_raw(&mut self.entries);
        self.ends.push(self.entries.len());
    }

    fn encode(&self) -> Bytes {
        let front = wire::State {
            version: STATE_VERSION,
            term: self.hard_state.term,
            vote: self.hard_state.vote.map(|NodeId(id)| id),
            last_index: Some(self.base.index + self.ends.len() as Index),
            entries: Vec::new(),
            base: Some(wire::Base { term: self.base.term, index: self.base.index })
                .filter(|base| base.index > 0),
        };
        let mut bytes = BytesMut::with_capacity(front.encoded_len() + self.entries.len());
        front.encode_raw(&mut bytes);
        bytes.put_slice(&self.entries);
        bytes.freeze()
    }
}

fn entry_from_wire(index: Index, entry: wire::Entry) -> Result<Entry, StateError> {
    let id = LogId::new(entry.term, index);
    match u8::try_from(entry.kind).ok().and_then(EntryKind::from_u8) {
        Some(kind @ (EntryKind::Empty | EntryKind::Command)) => {
            Ok(Entry { id, kind, payload: entry.payload })
        }
        Some(EntryKind::Configuration) | None => Err(StateError::UnknownEntryKind { id, kind: entry.kind }),
    }
}

/// The format's own structs. Tags are for ever.
mod wire {
    use super::Bytes;

    pub(super) const ENTRIES_TAG: u32 = 5;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct State {
        #[prost(uint32, tag = "1")]
        pub(super) version: u32,
        #[prost(uint64, tag = "2")]
        pub(super) term: u64,
        #[prost(uint64, optional, tag = "3")]
        pub(super) vote: Option<u64>,
        /// Always there, and behind term and vote.
        #[prost(uint64, optional, tag = "4")]
        pub(super) last_index: Option<u64>,
        #[prost(message, repeated, tag = "5")]
        pub(super) entries: Vec<Entry>,
        /// None when the log begins with entry 1. Since version 2.
        #[prost(message, optional, tag = "6")]
        pub(super) base: Option<Base>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Base {
        #[prost(uint64, tag = "1")]
        pub(super) term: u64,
        #[prost(uint64, tag = "2")]
        pub(super) index: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Entry {
        #[prost(uint64, tag = "1")]
        pub(super) term: u64,
        #[prost(uint32, tag = "2")]
        pub(super) kind: u32,
        #[prost(bytes = "bytes", tag = "3")]
        pub(super) payload: Bytes,
    }
}

#[cfg(test)]
mod tests;
