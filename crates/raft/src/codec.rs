//! Messages as bytes.
//!
//! Protocol Buffers, so that a later version may add a field that an earlier one passes over. The
//! structs here are the wire's; the rest of the crate never sees them. Payloads travel as opaque
//! bytes and are copied out of the buffer that they came in: an entry must not pin it.

use bytes::Bytes;
use prost::Message as _;

use crate::message::{AppendEntries, AppendReply, Body, Conflict, InstallSnapshot, Message, Outcome};
use crate::types::{Entry, EntryKind, GroupId, LogId, NodeId};

/// The version of the wire format that this crate writes. A reader refuses later ones.
pub const WIRE_VERSION: u32 = 1;

/// Whose message it is. Every message carries it, whatever the connection promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The cluster's number.
    pub cluster: u64,
    /// The group.
    pub group: GroupId,
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
}

/// Why bytes are not a message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not Protocol Buffers, or cut short.
    #[error("not a message: {0}")]
    Malformed(String),
    /// Written by a later version.
    #[error(
        "a message of wire version {0}, and this node reads up to {WIRE_VERSION}: update this node first"
    )]
    NewerVersion(u32),
    /// A kind of message that this version does not know.
    #[error("a message of an unknown kind")]
    UnknownBody,
    /// An entry of a kind that this version does not know. It cannot be skipped.
    #[error("entry {id} is of kind {kind}, which this version does not know: update this node first")]
    UnknownEntryKind {
        /// The entry.
        id: LogId,
        /// Its kind's number.
        kind: u32,
    },
    /// Numbers so large that counting on from them would overflow.
    #[error("entry indices beyond any that a cluster reaches")]
    Absurd,
}

/// Appends the message to `out`.
pub fn encode(header: Header, message: &Message, out: &mut Vec<u8>) {
    let wire = wire::Message::from_parts(header, message);
    out.reserve(wire.encoded_len());
    wire.encode_raw(out);
}

/// Reads one message, which fills `bytes` exactly.
///
/// # Errors
///
/// [`DecodeError`]; a decoder of what comes from a network never panics.
pub fn decode(bytes: &[u8]) -> Result<(Header, Message), DecodeError> {
    let wire = wire::Message::decode(bytes).map_err(|error| DecodeError::Malformed(error.to_string()))?;
    wire.into_parts()
}

impl wire::Message {
    fn from_parts(header: Header, message: &Message) -> Self {
        Self {
            version: WIRE_VERSION,
            cluster: header.cluster,
            group: header.group.0,
            from: header.from.0,
            to: header.to.0,
            term: message.term,
            body: Some(body_to_wire(&message.body)),
        }
    }

    fn into_parts(self) -> Result<(Header, Message), DecodeError> {
        if self.version > WIRE_VERSION {
            return Err(DecodeError::NewerVersion(self.version));
        }
        let header = Header {
            cluster: self.cluster,
            group: GroupId(self.group),
            from: NodeId(self.from),
            to: NodeId(self.to),
        };
        let body = body_from_wire(self.body.ok_or(DecodeError::UnknownBody)?)?;
        Ok((header, Message { term: self.term, body }))
    }
}

fn body_to_wire(body: &Body) -> wire::Body {
    match body {
        Body::PreVote { last } => wire::Body::PreVote(wire::Ask { term: last.term, index: last.index }),
        Body::PreVoteReply { granted } => wire::Body::PreVoteReply(wire::Answer { granted: *granted }),
        Body::RequestVote { last } => {
            wire::Body::RequestVote(wire::Ask { term: last.term, index: last.index })
        }
        Body::VoteReply { granted } => wire::Body::VoteReply(wire::Answer { granted: *granted }),
        Body::AppendEntries(append) => wire::Body::AppendEntries(wire::AppendEntries {
            round: append.round,
            prev_term: append.prev.term,
            prev_index: append.prev.index,
            commit: append.commit,
            entries: append.entries.iter().map(entry_to_wire).collect(),
        }),
        Body::AppendReply(AppendReply { round, outcome, clock_ms }) => {
            let (matched, refused) = match outcome {
                Outcome::Accepted { matched } => (*matched, None),
                Outcome::Refused(conflict) => (0, Some(conflict_to_wire(conflict))),
            };
            let (round, clock_ms) = (*round, *clock_ms);
            wire::Body::AppendReply(wire::AppendReply { round, matched, refused, clock_ms })
        }
        Body::InstallSnapshot(install) => wire::Body::InstallSnapshot(wire::InstallSnapshot {
            round: install.round,
            last_term: install.last.term,
            last_index: install.last.index,
            data: install.data.clone(),
        }),
    }
}

fn body_from_wire(body: wire::Body) -> Result<Body, DecodeError> {
    Ok(match body {
        wire::Body::PreVote(ask) => Body::PreVote { last: LogId::new(ask.term, ask.index) },
        wire::Body::PreVoteReply(answer) => Body::PreVoteReply { granted: answer.granted },
        wire::Body::RequestVote(ask) => Body::RequestVote { last: LogId::new(ask.term, ask.index) },
        wire::Body::VoteReply(answer) => Body::VoteReply { granted: answer.granted },
        wire::Body::AppendEntries(append) => {
            if append.prev_index > Message::MAX_NUMBER {
                return Err(DecodeError::Absurd);
            }
            let entry = |(behind, e)| entry_from_wire(append.prev_index + 1 + behind, e);
            Body::AppendEntries(AppendEntries {
                round: append.round,
                prev: LogId::new(append.prev_term, append.prev_index),
                commit: append.commit,
                entries: (0..).zip(append.entries).map(entry).collect::<Result<_, _>>()?,
            })
        }
        wire::Body::AppendReply(reply) => {
            let outcome = match reply.refused {
                None => Outcome::Accepted { matched: reply.matched },
                Some(c) => Outcome::Refused(Conflict {
                    term: c.term,
                    first_index: c.first_index,
                    last_index: c.last_index,
                }),
            };
            Body::AppendReply(AppendReply { round: reply.round, outcome, clock_ms: reply.clock_ms })
        }
        wire::Body::InstallSnapshot(install) => Body::InstallSnapshot(InstallSnapshot {
            round: install.round,
            last: LogId::new(install.last_term, install.last_index),
            data: install.data,
        }),
    })
}

fn conflict_to_wire(conflict: &Conflict) -> wire::Conflict {
    wire::Conflict { term: conflict.term, first_index: conflict.first_index, last_index: conflict.last_index }
}

/// An entry's index is its place behind the previous one, so it does not travel.
fn entry_to_wire(entry: &Entry) -> wire::Entry {
    wire::Entry { term: entry.id.term, kind: entry.kind as u32, payload: entry.payload.clone() }
}

fn entry_from_wire(index: u64, entry: wire::Entry) -> Result<Entry, DecodeError> {
    let id = LogId::new(entry.term, index);
    let kind = u8::try_from(entry.kind).ok().and_then(EntryKind::from_u8);
    let kind = kind.ok_or(DecodeError::UnknownEntryKind { id, kind: entry.kind })?;
    Ok(Entry { id, kind, payload: entry.payload })
}

/// The wire's own structs. Tags are for ever.
mod wire {
    use super::Bytes;

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Message {
        #[prost(uint32, tag = "1")]
        pub(super) version: u32,
        #[prost(fixed64, tag = "2")]
        pub(super) cluster: u64,
        #[prost(uint64, tag = "3")]
        pub(super) group: u64,
        #[prost(uint64, tag = "4")]
        pub(super) from: u64,
        #[prost(uint64, tag = "5")]
        pub(super) to: u64,
        #[prost(uint64, tag = "6")]
        pub(super) term: u64,
        #[prost(oneof = "Body", tags = "7, 8, 9, 10, 11, 12, 13")]
        pub(super) body: Option<Body>,
    }

    #[derive(Clone, PartialEq, prost::Oneof)]
    pub(super) enum Body {
        #[prost(message, tag = "7")]
        PreVote(Ask),
        #[prost(message, tag = "8")]
        PreVoteReply(Answer),
        #[prost(message, tag = "9")]
        RequestVote(Ask),
        #[prost(message, tag = "10")]
        VoteReply(Answer),
        #[prost(message, tag = "11")]
        AppendEntries(AppendEntries),
        #[prost(message, tag = "12")]
        AppendReply(AppendReply),
        #[prost(message, tag = "13")]
        InstallSnapshot(InstallSnapshot),
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Ask {
        #[prost(uint64, tag = "1")]
        pub(super) term: u64,
        #[prost(uint64, tag = "2")]
        pub(super) index: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Answer {
        #[prost(bool, tag = "1")]
        pub(super) granted: bool,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct AppendEntries {
        #[prost(uint64, tag = "1")]
        pub(super) round: u64,
        #[prost(uint64, tag = "2")]
        pub(super) prev_term: u64,
        #[prost(uint64, tag = "3")]
        pub(super) prev_index: u64,
        #[prost(uint64, tag = "4")]
        pub(super) commit: u64,
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

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct AppendReply {
        #[prost(uint64, tag = "1")]
        pub(super) round: u64,
        #[prost(uint64, tag = "2")]
        pub(super) matched: u64,
        #[prost(message, optional, tag = "3")]
        pub(super) refused: Option<Conflict>,
        #[prost(uint64, tag = "4")]
        pub(super) clock_ms: u64,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct InstallSnapshot {
        #[prost(uint64, tag = "1")]
        pub(super) round: u64,
        #[prost(uint64, tag = "2")]
        pub(super) last_term: u64,
        #[prost(uint64, tag = "3")]
        pub(super) last_index: u64,
        #[prost(bytes = "bytes", tag = "4")]
        pub(super) data: Bytes,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    pub(super) struct Conflict {
        #[prost(uint64, optional, tag = "1")]
        pub(super) term: Option<u64>,
        #[prost(uint64, tag = "2")]
        pub(super) first_index: u64,
        #[prost(uint64, tag = "3")]
        pub(super) last_index: u64,
    }
}
