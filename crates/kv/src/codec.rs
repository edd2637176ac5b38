//! Numbers and byte strings in a compact binary form, and a reader of them that trusts nothing.
//!
//! A number is a varint: seven bits a byte, the lowest first, the high bit set on all but the last byte. A
//! byte string is its length as a varint and then its bytes. There is one way to write a value: a varint
//! with a needless last byte is refused, so what decodes also encodes to the very bytes that it came from.

use thiserror::Error;

/// Why bytes are no command, reply or record. Nothing was done with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("the bytes end too early")]
    Truncated,
    /// The value is complete, and something follows it.
    #[error("{0} bytes too many")]
    TrailingBytes(usize),
    /// The first byte is no opcode or tag of this version.
    #[error("unknown opcode {0}")]
    UnknownOpcode(u8),
    /// A number is longer than 64 bits, or written longer than needed.
    #[error("malformed number")]
    MalformedNumber,
    /// A bit of a flag byte that means nothing in this version, or flags that exclude each other.
    #[error("unknown flags {0:#04x}")]
    UnknownFlags(u8),
    /// A key, a value, a list or the whole is above its limit.
    #[error("{what} of {size}, the limit is {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it says it is, in bytes or elements.
        size: u64,
        /// The limit, in the same unit.
        limit: usize,
    },
    /// A list without an element where the command needs one.
    #[error("an empty list")]
    EmptyList,
    /// A change of the membership, which this version cannot carry out.
    #[error("a change of the membership")]
    MembershipChange,
    /// An array or a map where none can be: too deep, or in a map.
    #[error("an array too deep")]
    NestedArray,
}

/// Appends `value` as a varint, 1 to 10 bytes.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Appends `bytes` with their length before them.
pub(crate) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Reads values one after another from bytes that anybody may have made.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    pub(crate) fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has room for one bit.
            if shift == 63 && bits > 1 {
                return Err(DecodeError::MalformedNumber);
            }
            value |= bits << shift;
            if byte < 0x80 {
                let needless = byte == 0 && shift > 0;
                return if needless { Err(DecodeError::MalformedNumber) } else { Ok(value) };
            }
        }
        Err(DecodeError::MalformedNumber)
    }

    /// Four bytes, the lowest first.
    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(u32::from_le_bytes(*bytes))
    }

    /// Eight bytes, the lowest first.
    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(u64::from_le_bytes(*bytes))
    }

    /// Eight bytes, two's complement, the lowest first.
    pub(crate) fn i64(&mut self) -> Result<i64, DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(i64::from_le_bytes(*bytes))
    }

    /// A byte string of at most `limit` bytes, borrowed.
    pub(crate) fn bytes(&mut self, what: &'static str, limit: usize) -> Result<&'a [u8], DecodeError> {
        let size = self.size(what, limit)?;
        let (bytes, rest) = self.rest.split_at_checked(size).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(bytes)
    }

    /// The number of elements of a list, each of at least `element_bytes`. No more than the bytes that are
    /// left can hold, so that it is safe to make room for them.
    pub(crate) fn count(
        &mut self,
        what: &'static str,
        limit: usize,
        element_bytes: usize,
    ) -> Result<usize, DecodeError> {
        let count = self.size(what, limit)?;
        if count > self.rest.len() / element_bytes { Err(DecodeError::Truncated) } else { Ok(count) }
    }

    /// All that is left; nothing is, then.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.rest)
    }

    /// Whether everything has been read.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Says that the value is complete.
    pub(crate) fn finish(self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            left => Err(DecodeError::TrailingBytes(left)),
        }
    }

    fn size(&mut self, what: &'static str, limit: usize) -> Result<usize, DecodeError> {
        let size = self.varint()?;
        match usize::try_from(size) {
            Ok(fits) if fits <= limit => Ok(fits),
            _ => Err(DecodeError::TooLarge { what, size, limit }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn varint_of(bytes: &[u8]) -> Result<u64, DecodeError> {
        let mut reader = Reader::new(bytes);
        let value = reader.varint()?;
        reader.finish()?;
        Ok(value)
    }

    #[test]
    fn a_number_at_every_width_comes_back() {
        for shift in 0..64 {
            for value in [(1u64 << shift) - 1, 1 << shift, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(varint_of(&out), Ok(value), "{out:?}");
            }
        }
    }

    #[test]
    fn a_number_has_one_form() {
        assert_eq!(varint_of(&[0x80, 0x00]), Err(DecodeError::MalformedNumber));
        assert_eq!(varint_of(&[0xff, 0x80, 0x00]), Err(DecodeError::MalformedNumber));
        assert_eq!(varint_of(&[0x00]), Ok(0));
    }

    #[test]
    fn a_number_above_64_bits_is_refused() {
        let mut ten = [0xff; 10];
        ten[9] = 0x01;
        assert_eq!(varint_of(&ten), Ok(u64::MAX));
        ten[9] = 0x02;
        assert_eq!(varint_of(&ten), Err(DecodeError::MalformedNumber));
        assert_eq!(varint_of(&[0xff; 11]), Err(DecodeError::MalformedNumber));
    }

    #[test]
    fn a_length_is_not_believed() {
        let mut claim = Vec::new();
        put_varint(&mut claim, 1 << 40);
        assert!(matches!(Reader::new(&claim).bytes("value", 100), Err(DecodeError::TooLarge { .. })));
        assert_eq!(Reader::new(&[5, 1, 2]).bytes("value", 100), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[3, 0, 0]).count("keys", 100, 1), Err(DecodeError::Truncated));
        assert_eq!(Reader::new(&[2, 0, 0]).count("keys", 100, 1), Ok(2));
    }
}
