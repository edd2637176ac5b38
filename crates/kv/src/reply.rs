//! What a command is answered with, before any protocol gives it a form.
//!
//! The server turns a [`Reply`] into RESP. Between nodes, and in a completion record, it travels in a
//! compact form of its own: a tag byte, then what belongs to it. The tags are in files: none is ever changed
//! or used again.
//!
//! | tag | reply | behind it |
//! |---|---|---|
//! | 1 | OK | |
//! | 2 | nil | |
//! | 3 | integer | 8 bytes, two's complement, the lowest first |
//! | 4 | simple string | length, bytes |
//! | 5 | bulk string | length, bytes |
//! | 6 | array | count, replies; down to a third array, one in the other |
//! | 7 | error | length, bytes |
//! | 8 | map | count, as many names and values in turn, none of them an array or a map |
//! | 9 | pairs | the same |

use bytes::Bytes;

use crate::codec::{self, DecodeError, Reader};
use crate::command::{MAX_ARGUMENTS, MAX_VALUE_BYTES};

/// The most bytes that the values of one reply have together: 64 MiB. MGET answers with an error above it,
/// for a short command can name a long value a million times.
pub const MAX_REPLY_BYTES: usize = 64 * 1024 * 1024;

/// How deep arrays may be: an array in an array in an array.
pub(crate) const MAX_DEPTH: usize = 3;

/// What a reply counts beside the bytes that it shows. A constant of the format: what records take decides what is
/// executed.
pub(crate) const REPLY_BYTES: usize = 40;

const _: () = assert!(size_of::<Reply>() <= REPLY_BYTES);

/// One answer. It shares the bytes of the value that it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It was done.
    Ok,
    /// There is no value, or the condition did not hold.
    Nil,
    /// A number: a count, a length, a new value.
    Int(i64),
    /// A short status that is neither OK nor a value. No line end in it.
    Simple(Bytes),
    /// A value.
    Bulk(Bytes),
    /// Several answers: not more than `MAX_DEPTH` arrays, one in the other, as when a transaction scans.
    Array(Vec<Reply>),
    /// Names and values in turn, which RESP3 has a form of its own for. It holds no array and no map.
    Map(Vec<Reply>),
    /// Names and values in turn, which RESP3 shows as an array of two each. It holds no array and no map.
    Pairs(Vec<Reply>),
    /// Why it was not done: an upper-case word for the client's program, then a sentence. No line end in it.
    Error(Bytes),
}

const OK: u8 = 1;
const NIL: u8 = 2;
const INT: u8 = 3;
const SIMPLE: u8 = 4;
const BULK: u8 = 5;
const ARRAY: u8 = 6;
const ERROR: u8 = 7;
const MAP: u8 = 8;
const PAIRS: u8 = 9;

impl Reply {
    /// Redis's error for wrong options.
    pub(crate) const SYNTAX_ERROR: Self = Self::error_text("ERR syntax error");
    /// Redis's error where a number is needed.
    pub(crate) const NOT_AN_INTEGER: Self = Self::error_text("ERR value is not an integer or out of range");

    /// Redis's error where the key holds something else than the command is for.
    pub(crate) const WRONG_TYPE: Self =
        Self::error_text("WRONGTYPE Operation against a key holding the wrong kind of value");

    /// An error with a fixed text.
    pub const fn error_text(text: &'static str) -> Self {
        Self::Error(Bytes::from_static(text.as_bytes()))
    }

    /// An error with a text made for the occasion.
    pub fn error(text: String) -> Self {
        Self::Error(text.into())
    }

    /// The value that it shows; empty where there is none, as the course labs want a missing key to read.
    pub fn into_value(self) -> Bytes {
        match self {
            Self::Bulk(value) => value,
            _ => Bytes::new(),
        }
    }

    /// About how many bytes of memory it holds; the same on every machine.
    pub fn memory_bytes(&self) -> usize {
        let held = match self {
            Self::Ok | Self::Nil | Self::Int(_) => 0,
            Self::Simple(bytes) | Self::Bulk(bytes) | Self::Error(bytes) => bytes.len(),
            Self::Array(replies) | Self::Map(replies) | Self::Pairs(replies) => {
                replies.iter().map(Self::memory_bytes).sum()
            }
        };
        REPLY_BYTES + held
    }

    /// How many replies are in it.
    pub(crate) fn elements(&self) -> usize {
        match self {
            Self::Array(replies) | Self::Map(replies) | Self::Pairs(replies) => {
                replies.len() + replies.iter().map(Self::elements).sum::<usize>()
            }
            _ => 0,
        }
    }

    /// How many bytes its texts have together.
    pub(crate) fn text_bytes(&self) -> usize {
        match self {
            Self::Array(replies) | Self::Map(replies) | Self::Pairs(replies) => {
                replies.iter().map(Self::text_bytes).sum()
            }
            flat => flat.text().map_or(0, |(_, text)| text.len()),
        }
    }

    /// The tag and the text of a reply that is one.
    pub(crate) fn text(&self) -> Option<(u8, &Bytes)> {
        match self {
            Self::Simple(text) => Some((SIMPLE, text)),
            Self::Bulk(text) => Some((BULK, text)),
            Self::Error(text) => Some((ERROR, text)),
            Self::Ok | Self::Nil | Self::Int(_) | Self::Array(_) | Self::Map(_) | Self::Pairs(_) => None,
        }
    }

    /// The reply with that tag and text.
    ///
    /// # Errors
    ///
    /// If the tag is not one of a text.
    pub(crate) fn from_text(tag: u8, text: Bytes) -> Result<Self, DecodeError> {
        match tag {
            SIMPLE => Ok(Self::Simple(text)),
            BULK => Ok(Self::Bulk(text)),
            ERROR => Ok(Self::Error(text)),
            tag => Err(DecodeError::UnknownOpcode(tag)),
        }
    }

    /// Appends the reply's bytes to `out`.
    ///
    /// # Panics
    ///
    /// On arrays deeper than `MAX_DEPTH`, and on an array in a map: no command answers with such.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.encode_nested(out, MAX_DEPTH);
    }

    fn encode_nested(&self, out: &mut Vec<u8>, depth: usize) {
        match self {
            Self::Ok => out.push(OK),
            Self::Nil => out.push(NIL),
            Self::Int(number) => {
                out.push(INT);
                out.extend_from_slice(&number.to_le_bytes());
            }
            Self::Array(_) | Self::Map(_) | Self::Pairs(_) if depth == 0 => panic!("too deep: {self:?}"),
            Self::Array(replies) => {
                out.push(ARRAY);
                codec::put_varint(out, replies.len() as u64);
                replies.iter().for_each(|reply| reply.encode_nested(out, depth - 1));
            }
            Self::Map(replies) | Self::Pairs(replies) => {
                out.push(if let Self::Map(_) = self { MAP } else { PAIRS });
                codec::put_varint(out, replies.len() as u64 / 2);
                replies.iter().for_each(|reply| reply.encode_nested(out, 0));
            }
            Self::Simple(_) | Self::Bulk(_) | Self::Error(_) => {
                let (tag, text) = self.text().expect("it is a text");
                out.push(tag);
                codec::put_bytes(out, text);
            }
        }
    }

    /// The reply that `bytes`, all of them, encode. It shares them, and so keeps all of them in memory: give
    /// bytes of its own to a reply that is to be kept.
    ///
    /// # Errors
    ///
    /// Anything but what [`Reply::encode`] makes. The memory that is asked for on the way is bounded by the
    /// number of bytes and by [`MAX_ARGUMENTS`].
    pub fn decode(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let reply = Self::decode_nested(&mut reader, bytes, MAX_DEPTH)?;
        reader.finish()?;
        Ok(reply)
    }

    /// A reply of arrays down to that depth.
    fn decode_nested(reader: &mut Reader<'_>, shared: &Bytes, depth: usize) -> Result<Self, DecodeError> {
        match reader.byte()? {
            ARRAY if depth > 0 => {
                let count = reader.count("replies", MAX_ARGUMENTS, 1)?;
                let mut replies = Vec::with_capacity(count);
                for _ in 0..count {
                    replies.push(Self::decode_nested(reader, shared, depth - 1)?);
                }
                Ok(Self::Array(replies))
            }
            tag @ (MAP | PAIRS) if depth > 0 => {
                let count = 2 * reader.count("pairs", MAX_ARGUMENTS / 2, 2)?;
                let mut replies = Vec::with_capacity(count);
                for _ in 0..count {
                    replies.push(Self::decode_nested(reader, shared, 0)?);
                }
                Ok(if tag == MAP { Self::Map(replies) } else { Self::Pairs(replies) })
            }
            tag => Self::decode_flat(tag, reader, shared),
        }
    }

    fn decode_flat(tag: u8, reader: &mut Reader<'_>, shared: &Bytes) -> Result<Self, DecodeError> {
        let mut text = || Ok(shared.slice_ref(reader.bytes("reply", MAX_VALUE_BYTES)?));
        Ok(match tag {
            OK => Self::Ok,
            NIL => Self::Nil,
            INT => Self::Int(reader.i64()?),
            SIMPLE => Self::Simple(text()?),
            BULK => Self::Bulk(text()?),
            ERROR => Self::Error(text()?),
            ARRAY | MAP | PAIRS => return Err(DecodeError::NestedArray),
            tag => return Err(DecodeError::UnknownOpcode(tag)),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn encoded(reply: &Reply) -> Bytes {
        let mut out = Vec::new();
        reply.encode(&mut out);
        out.into()
    }

    /// The bytes are in snapshots, and go between nodes of different versions.
    #[test]
    fn the_encoding_stays_as_it_is() {
        let text = Bytes::from_static(b"ab");
        let cases: [(Reply, &[u8]); 11] = [
            (Reply::Ok, b"\x01"),
            (Reply::Nil, b"\x02"),
            (Reply::Int(-2), b"\x03\xfe\xff\xff\xff\xff\xff\xff\xff"),
            (Reply::Simple(text.clone()), b"\x04\x02ab"),
            (Reply::Bulk(text.clone()), b"\x05\x02ab"),
            (Reply::Array(vec![Reply::Nil, Reply::Bulk(text.clone())]), b"\x06\x02\x02\x05\x02ab"),
            (Reply::Array(vec![Reply::Array(vec![Reply::Ok])]), b"\x06\x01\x06\x01\x01"),
            (
                Reply::Array(vec![Reply::Array(vec![Reply::Array(vec![Reply::Nil])])]),
                b"\x06\x01\x06\x01\x06\x01\x02",
            ),
            (Reply::Map(vec![Reply::Bulk(text.clone()), Reply::Nil]), b"\x08\x01\x05\x02ab\x02"),
            (Reply::Pairs(vec![Reply::Bulk(text.clone()), Reply::Nil]), b"\x09\x01\x05\x02ab\x02"),
            (Reply::Error(text), b"\x07\x02ab"),
        ];
        for (reply, bytes) in cases {
            assert_eq!(encoded(&reply), bytes);
            assert_eq!(Reply::decode(&Bytes::from_static(bytes)), Ok(reply));
        }
    }

    #[test]
    fn hostile_bytes_are_refused() {
        let decode = |bytes: &'static [u8]| Reply::decode(&Bytes::from_static(bytes)).unwrap_err();
        assert_eq!(decode(b""), DecodeError::Truncated);
        assert_eq!(decode(b"\x00"), DecodeError::UnknownOpcode(0));
        assert_eq!(decode(b"\x0a"), DecodeError::UnknownOpcode(10));
        assert_eq!(decode(b"\x08\x01\x09\x00\x02"), DecodeError::NestedArray);
        assert_eq!(decode(b"\x01\x01"), DecodeError::TrailingBytes(1));
        assert_eq!(decode(b"\x05\x03ab"), DecodeError::Truncated);
        assert_eq!(decode(b"\x06\x01\x06\x01\x06\x01\x06\x00"), DecodeError::NestedArray);
        assert_eq!(decode(b"\x06\x01\x06\x01\x06\x01\x08\x00"), DecodeError::NestedArray);
        assert_eq!(decode(b"\x08\x01\x06\x00\x02"), DecodeError::NestedArray);
        assert_eq!(decode(b"\x08\x01\x08\x00\x02"), DecodeError::NestedArray);
        assert_eq!(decode(b"\x08\x01\x02"), DecodeError::Truncated);
        assert!(matches!(decode(b"\x08\x81\x80\x20"), DecodeError::TooLarge { .. }));
        assert_eq!(decode(b"\x06\x80\x80\x40\x01"), DecodeError::Truncated);
        assert!(matches!(decode(b"\x06\x81\x80\x40"), DecodeError::TooLarge { .. }));
        assert!(matches!(decode(b"\x05\x81\x80\x80\x08"), DecodeError::TooLarge { .. }));
        let deep = Bytes::from([6, 1].repeat(100_000));
        assert_eq!(Reply::decode(&deep), Err(DecodeError::NestedArray));
    }

    #[test]
    fn a_decoded_value_is_not_copied() {
        let bytes = encoded(&Reply::Bulk(vec![7; 1000].into()));
        let Ok(Reply::Bulk(value)) = Reply::decode(&bytes) else { panic!("no value") };
        assert!(bytes.as_ptr_range().contains(&value.as_ptr()));
    }

    fn flat() -> impl Strategy<Value = Reply> {
        let text = || vec(any::<u8>(), 0..200).prop_map(Bytes::from);
        prop_oneof![
            Just(Reply::Ok),
            Just(Reply::Nil),
            any::<i64>().prop_map(Reply::Int),
            text().prop_map(Reply::Simple),
            text().prop_map(Reply::Bulk),
            text().prop_map(Reply::Error),
        ]
    }

    fn map() -> impl Strategy<Value = Reply> {
        let pairs = vec((flat(), flat()), 0..9);
        (pairs, any::<bool>()).prop_map(|(pairs, is_map)| {
            let replies = pairs.into_iter().flat_map(|(name, value)| [name, value]).collect();
            if is_map { Reply::Map(replies) } else { Reply::Pairs(replies) }
        })
    }

    fn array(inner: impl Strategy<Value = Reply>) -> impl Strategy<Value = Reply> {
        vec(inner, 0..9).prop_map(Reply::Array)
    }

    fn reply() -> impl Strategy<Value = Reply> {
        let innermost = prop_oneof![4 => flat(), 1 => array(flat()), 1 => map()];
        let inner = prop_oneof![4 => flat(), 1 => array(innermost), 1 => map()];
        prop_oneof![1 => flat(), 1 => map(), 3 => array(inner)]
    }

    proptest! {
        #![proptest_config(crate::fixed_cases())]

        #[test]
        fn what_is_encoded_is_decoded(reply in reply()) {
            let bytes = encoded(&reply);
            for end in 0..bytes.len() {
                prop_assert!(Reply::decode(&bytes.slice(..end)).is_err(), "cut at {}", end);
            }
            prop_assert_eq!(Reply::decode(&bytes), Ok(reply));
        }

        #[test]
        fn what_is_decoded_has_one_encoding(bytes in vec(prop_oneof![0u8..11, any::<u8>()], 0..24)) {
            let bytes = Bytes::from(bytes);
            if let Ok(reply) = Reply::decode(&bytes) {
                prop_assert_eq!(encoded(&reply), bytes);
            }
        }
    }
}
