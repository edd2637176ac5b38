//! Frames between nodes, and the greeting that comes first.
//!
//! ```text
//! frame := length:u32-le  crc32c:u32-le  payload
//! ```
//!
//! A connection begins with a greeting each way. Both sides say who they are, of which cluster, and
//! which directory they have; either may refuse the other, and says why, so that the message
//! stands in both logs.

use bytes::Bytes;
use prost::Message;

/// The version of the conversation between nodes that this server speaks.
pub(crate) const VERSION: u32 = 1;

pub(crate) const HEADER_BYTES: usize = 8;

/// The largest frame: an entry or a reply of the largest size, and what travels with it.
pub(crate) const MAX_FRAME_BYTES: usize = 96 << 20;

/// What a connection between nodes carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum Kind {
    /// Raft's messages, one way.
    Raft = 0,
    /// Clients' commands one way, answers the other.
    Forward = 1,
    /// One snapshot one way, how far it has come the other.
    Snapshot = 2,
}

/// What each node keeps a connection to each other one for. One for a snapshot is made when there is one to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Raft,
    Forward,
}

impl From<Kept> for Kind {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Raft => Self::Raft,
            Kept::Forward => Self::Forward,
        }
    }
}

/// The first frame in each direction.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Greeting {
    #[prost(uint32, tag = "1")]
    pub(crate) version: u32,
    #[prost(string, tag = "2")]
    pub(crate) cluster: String,
    #[prost(uint64, tag = "3")]
    pub(crate) from: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) to: u64,
    /// The directory's id, 16 bytes, the highest first.
    #[prost(bytes = "vec", tag = "5")]
    pub(crate) directory: Vec<u8>,
    /// What the connection is for.
    #[prost(enumeration = "Kind", tag = "6")]
    pub(crate) kind: i32,
    /// Why the other is not wanted; empty when it is.
    #[prost(string, tag = "7")]
    pub(crate) refusal: String,
}

/// Why the bytes of a connection make no frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a frame of {length} bytes; the limit is {longest}")]
    TooLarge { length: usize, longest: usize },
    #[error("a frame of {0} bytes, for which there is no memory")]
    NoMemory(usize),
    #[error("a frame whose checksum does not match")]
    Checksum,
}

/// Appends a frame whose payload `fill` writes.
pub(crate) fn put(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; HEADER_BYTES]);
    fill(out);
    let payload = &out[start + HEADER_BYTES..];
    let length = u32::try_from(payload.len()).expect("a frame is far smaller than 4 GiB");
    let checksum = crc32c::crc32c(payload);
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&checksum.to_le_bytes());
}

/// What is in front of a payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// The payload's, in bytes.
    pub(crate) length: usize,
    checksum: u32,
}

impl Header {
    /// That at the front of `bytes`, if all of it is there.
    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let (&[a, b, c, d, checksum @ ..], _) = bytes.split_first_chunk::<HEADER_BYTES>()?;
        let length = u32::from_le_bytes([a, b, c, d]) as usize;
        Some(Self { length, checksum: u32::from_le_bytes(checksum) })
    }

    /// The payload behind it, if it is the one that was sent.
    pub(crate) fn check(self, payload: Bytes) -> Result<Bytes, FrameError> {
        if crc32c::crc32c(&payload) == self.checksum { Ok(payload) } else { Err(FrameError::Checksum) }
    }
}
