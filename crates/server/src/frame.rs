//! Frames between nodes, and the greeting that comes first.
//!
//! ```text
//! frame := length:u32-le  crc32c:u32-le  payload
//! ```
//!
//! A connection begins with a greeting each way. Both sides say who they are, of which cluster, and
//! which directory they have; either may refuse the other, and says why, so that the message
//! stands in both logs.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;

/// The version of the conversation between nodes that this server speaks.
pub(crate) const VERSION: u32 = 1;

const HEADER_BYTES: usize = 8;

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
    #[error("a frame of {0} bytes; the limit is {MAX_FRAME_BYTES}")]
    TooLarge(usize),
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

/// Takes the next frame's payload from the front of `buffer`, if all of it is there.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Bytes>, FrameError> {
    let Some((header, _)) = buffer.split_first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let mut header = &header[..];
    let length = header.get_u32_le() as usize;
    let checksum = header.get_u32_le();
    if length > MAX_FRAME_BYTES {
        return Err(FrameError::TooLarge(length));
    }
    if buffer.len() < HEADER_BYTES + length {
        // As the bytes come, not at once: a length alone is not yet a reason to hold memory.
        return Ok(None);
    }
    buffer.advance(HEADER_BYTES);
    let payload = buffer.split_to(length).freeze();
    if crc32c::crc32c(&payload) == checksum { Ok(Some(payload)) } else { Err(FrameError::Checksum) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(payload: &[u8]) -> BytesMut {
        let mut out = Vec::new();
        put(&mut out, |out| out.extend_from_slice(payload));
        BytesMut::from(&out[..])
    }

    #[test]
    fn a_frame_comes_back_however_it_is_cut() {
        let whole = framed(b"abc");
        let mut buffer = BytesMut::new();
        for (at, &byte) in whole.iter().enumerate() {
            buffer.extend_from_slice(&[byte]);
            let taken = take(&mut buffer).expect("intact");
            assert_eq!(taken.is_some(), at + 1 == whole.len());
        }
        assert!(buffer.is_empty());
    }

    #[test]
    fn a_flipped_bit_is_noticed() {
        let whole = framed(b"abc");
        for bit in 32..whole.len() * 8 {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(take(&mut damaged), Err(FrameError::Checksum), "bit {bit}");
        }
    }

    #[test]
    fn a_length_is_not_believed() {
        let mut buffer = BytesMut::from(&[0xff; 8][..]);
        assert_eq!(take(&mut buffer), Err(FrameError::TooLarge(0xffff_ffff)));
    }
}
