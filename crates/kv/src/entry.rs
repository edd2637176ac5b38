//! What a log entry of this service holds: the requests that were taken in one pass.
//!
//! Raft's work an entry, and the disk's a write, are paid once a batch and not once a command. So
//! everything that a leader takes in one pass of its loop goes into one entry, up to a limit.
//!
//! ```text
//! entry   := version:u8  stamp_ms:u64-le  group*
//! group   := node  life  floor  count:u32-le  request*
//! request := number  conditions  commands  (length command)*
//! ```
//!
//! Unnamed widths are varints. A group holds requests of one origin that follow each other. A
//! request has a list of conditions, empty until there are transactions across groups, and a list
//! of commands, one until there are transactions. Number 0 is no request: its command is empty, and
//! all that counts is the origin's floor. What a version does not know stops the replica:
//! one that skipped it would differ from its peers.

use bytes::{Bytes, BytesMut};

use crate::codec::{DecodeError, Reader, put_bytes, put_varint};
use crate::command::MAX_ENCODED_BYTES;
use crate::session::Origin;

/// The version of the format that is written here.
const VERSION: u8 = 1;

/// The number of a request that is none: it carries its origin's floor, and no command. Requests
/// are numbered from 1.
pub(crate) const FLOOR_ONLY: u64 = 0;

/// Version and stamp.
const HEADER_BYTES: usize = 9;

/// Collects the requests of one entry.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    group: Option<OpenGroup>,
}

#[derive(Debug)]
struct OpenGroup {
    origin: Origin,
    floor: u64,
    /// Where its count stands.
    count_at: usize,
    count: u32,
}

impl Builder {
    /// Begins an entry. As long as nothing is pushed, all that it carries is its time.
    pub(crate) fn begin(&mut self) {
        self.bytes.push(VERSION);
        self.bytes.resize(HEADER_BYTES, 0);
    }

    /// Adds a request behind those that are there.
    pub(crate) fn push(&mut self, request: &Request<'_>) {
        if self.bytes.is_empty() {
            self.begin();
        }
        let same = |g: &OpenGroup| g.origin == request.origin && g.floor == request.floor;
        if !self.group.as_ref().is_some_and(same) {
            self.close_group();
            put_varint(&mut self.bytes, request.origin.node);
            put_varint(&mut self.bytes, request.origin.life);
            put_varint(&mut self.bytes, request.floor);
            let count_at = self.bytes.len();
            self.bytes.extend_from_slice(&[0; 4]);
            self.group = Some(OpenGroup { origin: request.origin, floor: request.floor, count_at, count: 0 });
        }
        put_varint(&mut self.bytes, request.number);
        put_varint(&mut self.bytes, 0);
        put_varint(&mut self.bytes, 1);
        put_bytes(&mut self.bytes, request.command);
        self.group.as_mut().expect("a group is open").count += 1;
    }

    fn close_group(&mut self) {
        if let Some(group) = self.group.take() {
            self.bytes[group.count_at..group.count_at + 4].copy_from_slice(&group.count.to_le_bytes());
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The size so far, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The entry's payload, still to be [stamped], which holds no memory but its own; the builder is empty
    /// again and keeps its room for the next.
    pub(crate) fn finish(&mut self) -> Bytes {
        self.close_group();
        let payload = Bytes::copy_from_slice(&self.bytes);
        self.bytes.clear();
        payload
    }
}

/// The payload with that time in it. It is copied only if somebody else holds it.
pub(crate) fn stamped(payload: Bytes, stamp_ms: u64) -> Bytes {
    let mut payload = BytesMut::from(payload);
    payload[1..HEADER_BYTES].copy_from_slice(&stamp_ms.to_le_bytes());
    payload.freeze()
}

/// One request of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request<'a> {
    /// Who asks, in which life.
    pub(crate) origin: Origin,
    /// The origin's lowest unfinished number when it sent this.
    pub(crate) floor: u64,
    /// The request's number: the same over all its retries. Or [`FLOOR_ONLY`].
    pub(crate) number: u64,
    /// The command, encoded.
    pub(crate) command: &'a [u8],
}

/// Reads an entry's requests one after another.
pub(crate) struct Requests<'a> {
    reader: Reader<'a>,
    stamp_ms: u64,
    /// Origin and floor of the group, and how many of its requests are left.
    group: (Origin, u64, u32),
}

impl<'a> Requests<'a> {
    pub(crate) fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let version = reader.byte()?;
        if version != VERSION {
            return Err(DecodeError::UnknownOpcode(version));
        }
        let stamp_ms = reader.u64()?;
        Ok(Self { reader, stamp_ms, group: (Origin { node: 0, life: 0 }, 0, 0) })
    }

    /// The leader's time when it made the entry, in milliseconds since 1970.
    pub(crate) fn stamp_ms(&self) -> u64 {
        self.stamp_ms
    }

    fn read_group(&mut self) -> Result<(), DecodeError> {
        let origin = Origin { node: self.reader.varint()?, life: self.reader.varint()? };
        let floor = self.reader.varint()?;
        self.group = (origin, floor, self.reader.u32()?);
        Ok(())
    }

    fn read_request(&mut self) -> Result<Request<'a>, DecodeError> {
        while self.group.2 == 0 {
            self.read_group()?;
        }
        self.group.2 -= 1;
        let number = self.reader.varint()?;
        self.reader.count("conditions", 0, 1)?;
        if self.reader.count("commands", 1, 1)? != 1 {
            return Err(DecodeError::EmptyList);
        }
        let command = self.reader.bytes("command", MAX_ENCODED_BYTES)?;
        let (origin, floor, _) = self.group;
        Ok(Request { origin, floor, number, command })
    }
}

impl<'a> Iterator for Requests<'a> {
    type Item = Result<Request<'a>, DecodeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.reader.is_empty() && self.group.2 == 0 {
            return None;
        }
        let request = self.read_request();
        if request.is_err() {
            self.reader = Reader::new(&[]);
            self.group.2 = 0;
        }
        Some(request)
    }
}

#[cfg(test)]
mod tests;
