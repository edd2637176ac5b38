//! The raft state as bytes: term, vote and log (paper, Figure 2, "Persistent state").
//!
//! Protocol Buffers, so that a later version may add a field. The seeds save the whole state at
//! each change; to encode the whole log each time would make every command cost as much as all the
//! commands before it. So the encoded entries are kept in one growing buffer, of which a cut of the
//! log is a cut, and a save copies it behind term and vote. The index of the last entry stands in
//! front as well: a state that lost its end is not taken for a shorter log.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message as _;
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::message::Message;
use crate::types::{Entry, EntryKind, HardState, Index, LogId, NodeId, Term, Write};

/// The version of the format that this crate writes. A reader refuses later ones.
const STATE_VERSION: u32 = 1;

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
    #[error("a raft state with {found} entries, where {last_index} were saved")]
    Incomplete {
        /// The last index, as it was saved.
        last_index: Index,
        /// How many entries are there.
        found: Index,
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
        /// The term of the entry in front of it; 1 when there is none.
        previous: Term,
        /// The state's term.
        term: Term,
    },
    /// A term beyond any that a cluster reaches.
    #[error("term {0} is beyond any that a cluster reaches")]
    Absurd(Term),
    /// A vote for somebody who is not a member.
    #[error("a vote for node {0}, which is not a member")]
    VoteForStranger(NodeId),
}

/// The raft state as it was last handed out to be saved.
#[derive(Debug, Default)]
pub(super) struct SavedState {
    hard_state: HardState,
    /// The entries, encoded one behind the other as they stand in the state.
    entries: Vec<u8>,
    /// Where each entry ends in `entries`; the first is that of index 1.
    ends: Vec<usize>,
}

impl SavedState {
    /// Reads what was saved; nothing at all is the first boot. The peers are the nodes 1 to `peers`.
    pub(super) fn decode(bytes: &[u8], peers: usize) -> Result<(Self, HardState, Vec<Entry>), StateError> {
        if bytes.is_empty() {
            return Ok((Self::default(), HardState::default(), Vec::new()));
        }
        let wire = wire::State::decode(bytes).map_err(|error| StateError::Malformed(error.to_string()))?;
        match wire.version {
            0 => return Err(StateError::FrontMissing),
            1..=STATE_VERSION => {}
            newer => return Err(StateError::NewerVersion(newer)),
        }
        let term = wire.term;
        if term > Message::MAX_NUMBER {
            return Err(StateError::Absurd(term));
        }
        let vote = wire.vote.map(NodeId);
        if let Some(stranger) = vote.filter(|&NodeId(id)| id == 0 || id > peers as u64) {
            return Err(StateError::VoteForStranger(stranger));
        }
        let last_index = wire.last_index.ok_or(StateError::FrontMissing)?;
        let found = wire.entries.len() as Index;
        if found != last_index {
            return Err(StateError::Incomplete { last_index, found });
        }
        let hard_state = HardState { term, vote };
        let mut state = Self { hard_state, ..Self::default() };
        let mut entries = Vec::with_capacity(wire.entries.len());
        let mut previous = 1;
        for (index, entry) in (1..).zip(wire.entries) {
            let entry = entry_from_wire(index, entry)?;
            if entry.id.term < previous || entry.id.term > term {
                return Err(StateError::TermOutOfOrder { id: entry.id, previous, term });
            }
            previous = entry.id.term;
            state.push(&entry);
            entries.push(entry);
        }
        Ok((state, hard_state, entries))
    }

    /// The whole state after this change.
    pub(super) fn change(&mut self, write: &Write) -> Bytes {
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(first) = write.entries.first() {
            let keep = usize::try_from(first.id.index - 1).expect("an index fits the address space");
            assert!(keep <= self.ends.len(), "write {} leaves a gap in front of {}", write.seq, first.id);
            self.ends.truncate(keep);
            self.entries.truncate(self.ends.last().copied().unwrap_or(0));
        }
        for entry in &write.entries {
            self.push(entry);
        }
        self.encode()
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
            last_index: Some(self.ends.len() as Index),
            entries: Vec::new(),
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
        /// Always there, and behind the rest of the front.
        #[prost(uint64, optional, tag = "4")]
        pub(super) last_index: Option<u64>,
        #[prost(message, repeated, tag = "5")]
        pub(super) entries: Vec<Entry>,
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
