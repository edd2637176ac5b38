//! What the contacted node and the leader say to each other, on a stream of their own.
//!
//! ```text
//! forward := version:u8  term  life  link  floor  (number*2 + is_read  length command)*
//! answers := version:u8  life  (number*2 + is_read  outcome:u8  [length reply])*
//! ```
//!
//! Logged commands and plain reads are numbered apart. A forward names the term that it is meant
//! for, and a leader passes over what is meant for another: so the requests of one stream take
//! effect in their order, or from one of them on not at all. It also names the connection: a
//! later one brings all that is unanswered, and what an earlier one still carries must not land
//! behind that.

use bytes::Bytes;

use crate::codec::{DecodeError, Reader, put_bytes, put_varint};
use crate::command::{MAX_ARGUMENTS, MAX_ENCODED_BYTES};
use crate::reply::{MAX_REPLY_BYTES, Reply};

const VERSION: u8 = 1;

/// A message is closed when it has grown to this, in bytes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Values, and a few bytes for each of them.
const MAX_ENCODED_REPLY_BYTES: usize = MAX_REPLY_BYTES + 16 * MAX_ARGUMENTS;

/// Which of the two numberings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Path {
    /// Through the log: has effects, or must see those in front of it on its connection.
    Log,
    /// A plain read, confirmed by a round of echoes.
    Read,
}

/// In front of forwarded requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ForwardHeader {
    /// The term whose leader is meant.
    pub(crate) term: u64,
    /// The sender's life.
    pub(crate) life: u64,
    /// Which of the connections that the sender has made in this life, counted from 1.
    pub(crate) link: u64,
    /// The sender's lowest unfinished number of a logged request.
    pub(crate) floor: u64,
}

pub(crate) fn begin_forward(header: ForwardHeader, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_varint(out, header.term);
    put_varint(out, header.life);
    put_varint(out, header.link);
    put_varint(out, header.floor);
}

pub(crate) fn put_request(out: &mut Vec<u8>, path: Path, number: u64, command: &[u8]) {
    put_varint(out, tagged(path, number));
    put_bytes(out, command);
}

fn tagged(path: Path, number: u64) -> u64 {
    number << 1 | u64::from(path == Path::Read)
}

fn untagged(tag: u64) -> (Path, u64) {
    (if tag & 1 == 1 { Path::Read } else { Path::Log }, tag >> 1)
}

fn checked_version(reader: &mut Reader<'_>) -> Result<(), DecodeError> {
    match reader.byte()? {
        VERSION => Ok(()),
        other => Err(DecodeError::UnknownOpcode(other)),
    }
}

/// A request as it travels.
pub(crate) struct Forwarded<'a> {
    pub(crate) path: Path,
    pub(crate) number: u64,
    /// Encoded.
    pub(crate) command: &'a [u8],
}

/// Reads a forward's header, and hands out its requests.
pub(crate) struct Forward<'a> {
    pub(crate) header: ForwardHeader,
    reader: Reader<'a>,
}

impl<'a> Forward<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        checked_version(&mut reader)?;
        let header = ForwardHeader {
            term: reader.varint()?,
            life: reader.varint()?,
            link: reader.varint()?,
            floor: reader.varint()?,
        };
        Ok(Self { header, reader })
    }

    /// Whether there is nothing, or nothing more, behind the header. A message with nothing at all
    /// tells the floor.
    pub(crate) fn is_empty(&self) -> bool {
        self.reader.is_empty()
    }

    pub(crate) fn next_request(&mut self) -> Result<Option<Forwarded<'a>>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let (path, number) = untagged(self.reader.varint()?);
        let command = self.reader.bytes("command", MAX_ENCODED_BYTES)?;
        Ok(Some(Forwarded { path, number, command }))
    }
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    /// It was executed, now or by an earlier sending.
    Done(Reply),
    /// This sending had no effect, since the log is full; of an earlier one that says nothing.
    LogFull,
}

pub(crate) fn begin_answers(life: u64, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_varint(out, life);
}

pub(crate) fn put_answer(out: &mut Vec<u8>, path: Path, number: u64, outcome: &Outcome) {
    put_varint(out, tagged(path, number));
    match outcome {
        Outcome::Done(reply) => {
            out.push(0);
            let mut encoded = Vec::new();
            reply.encode(&mut encoded);
            put_bytes(out, &encoded);
        }
        Outcome::LogFull => out.push(1),
    }
}

/// Reads answers one after another. The replies share the bytes that they are read from.
pub(crate) struct Answers<'a> {
    pub(crate) life: u64,
    bytes: &'a Bytes,
    reader: Reader<'a>,
}

impl<'a> Answers<'a> {
    pub(crate) fn decode(bytes: &'a Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        checked_version(&mut reader)?;
        Ok(Self { life: reader.varint()?, bytes, reader })
    }

    pub(crate) fn next_answer(&mut self) -> Result<Option<(Path, u64, Outcome)>, DecodeError> {
        if self.reader.is_empty() {
            return Ok(None);
        }
        let (path, number) = untagged(self.reader.varint()?);
        let outcome = match self.reader.byte()? {
            0 => {
                let encoded = self.reader.bytes("reply", MAX_ENCODED_REPLY_BYTES)?;
                Outcome::Done(Reply::decode(&self.bytes.slice_ref(encoded))?)
            }
            1 => Outcome::LogFull,
            other => return Err(DecodeError::UnknownOpcode(other)),
        };
        Ok(Some((path, number, outcome)))
    }
}

#[cfg(test)]
mod tests;
