//! RESP2 from the client's side: commands out, replies in.
//!
//! What arrives may be anything, so nothing is believed that is not there: memory grows with what has come, not
//! with what was announced, and arrays in arrays are counted, not followed.

use bowline_kv::Reply;
use bytes::{Buf, Bytes, BytesMut};

/// The longest value that a reply may have: Redis's own limit, 512 MiB.
const MAX_BULK_BYTES: i64 = 512 << 20;

/// The longest line, without its end, that a reply may have.
const MAX_LINE_BYTES: usize = 64 << 10;

/// How deep arrays may stand in arrays.
const MAX_DEPTH: usize = 8;

/// How many bytes there is room for whenever the socket is read.
const READ_BYTES: usize = 16 << 10;

/// A buffer that is empty keeps at most as much memory.
const KEPT_BYTES: usize = 64 << 10;

/// Gives the memory of a buffer back, if nothing is in it and it was large.
pub(crate) fn let_go(buffer: &mut BytesMut) {
    if buffer.is_empty() && buffer.try_reclaim(KEPT_BYTES + 1) {
        *buffer = BytesMut::new();
    }
}

/// These bytes are no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}: this is not a Redis server's answer")]
pub(crate) struct NoReply(&'static str);

impl NoReply {
    /// It answers nothing.
    pub(crate) const UNASKED: Self = Self("a reply to no command");
}

/// Appends a command as an array of bulk strings.
pub(crate) fn encode<A: AsRef<[u8]>>(command: impl ExactSizeIterator<Item = A>, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
    for argument in command {
        let argument = argument.as_ref();
        out.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        out.extend_from_slice(argument);
        out.extend_from_slice(b"\r\n");
    }
}

/// Reads the replies of one connection.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    buffer: BytesMut,
    /// The arrays that are not complete, the outermost first, each with how many elements it lacks.
    open: Vec<(Vec<Reply>, i64)>,
}

impl Reader {
    /// Where to put what the socket gives. There is room.
    pub(crate) fn buffer(&mut self) -> &mut BytesMut {
        let_go(&mut self.buffer);
        self.buffer.reserve(READ_BYTES);
        &mut self.buffer
    }

    /// The next reply, or none when it is not all there.
    ///
    /// # Errors
    ///
    /// If it is none. Nothing behind it can be understood.
    pub(crate) fn next(&mut self) -> Result<Option<Reply>, NoReply> {
        loop {
            let Some(mut reply) = self.element()? else { return Ok(None) };
            // It may be the last element of an array, and that the last one of another.
            loop {
                let Some((elements, lacks)) = self.open.last_mut() else { return Ok(Some(reply)) };
                elements.push(reply);
                *lacks -= 1;
                if *lacks > 0 {
                    break;
                }
                let (elements, _) = self.open.pop().expect("it was looked at");
                reply = Reply::Array(elements);
            }
        }
    }

    /// The next reply that is not an array with something in it. Such arrays are opened on the way.
    fn element(&mut self) -> Result<Option<Reply>, NoReply> {
        loop {
            let Some(end) = self.line_end()? else { return Ok(None) };
            let (kind, text) = self.buffer[..end].split_first().ok_or(NoReply("an empty line"))?;
            let reply = match kind {
                b'+' if text == b"OK" => Reply::Ok,
                b'+' => Reply::Simple(Bytes::copy_from_slice(text)),
                b'-' => Reply::Error(Bytes::copy_from_slice(text)),
                b':' => Reply::Int(number(text)?),
                b'$' => match number(text)? {
                    -1 => Reply::Nil,
                    length => return self.bulk(end + 2, length),
                },
                b'*' => match number(text)? {
                    -1 => Reply::Nil,
                    0 => Reply::Array(Vec::new()),
                    1.. if self.open.len() == MAX_DEPTH => {
                        return Err(NoReply("arrays in arrays without end"));
                    }
                    count @ 1.. => {
                        self.open.push((Vec::new(), count));
                        self.buffer.advance(end + 2);
                        continue;
                    }
                    _ => return Err(NoReply("a wrong length")),
                },
                _ => return Err(NoReply("an unknown kind of reply")),
            };
            self.buffer.advance(end + 2);
            return Ok(Some(reply));
        }
    }

    /// How long the line at the front is, without its end.
    fn line_end(&self) -> Result<Option<usize>, NoReply> {
        let window = &self.buffer[..self.buffer.len().min(MAX_LINE_BYTES + 2)];
        match window.iter().position(|&byte| byte == b'\n') {
            Some(end) if window[..end].ends_with(b"\r") => Ok(Some(end - 1)),
            None if window.len() < MAX_LINE_BYTES + 2 => Ok(None),
            _ => Err(NoReply("a line without an end")),
        }
    }

    /// The value behind the first `start` bytes, if it is all there.
    fn bulk(&mut self, start: usize, length: i64) -> Result<Option<Reply>, NoReply> {
        let length = usize::try_from(length).ok().filter(|_| length <= MAX_BULK_BYTES);
        let end = start + length.ok_or(NoReply("a wrong length"))?;
        if self.buffer.len() < end + 2 {
            return Ok(None);
        }
        if self.buffer[end..end + 2] != *b"\r\n" {
            return Err(NoReply("a value without an end"));
        }
        let value = Bytes::copy_from_slice(&self.buffer[start..end]);
        self.buffer.advance(end + 2);
        Ok(Some(Reply::Bulk(value)))
    }
}

fn number(text: &[u8]) -> Result<i64, NoReply> {
    str::from_utf8(text).ok().and_then(|text| text.parse().ok()).ok_or(NoReply("a wrong number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Option<Reply>, NoReply> {
        let mut reader = Reader::default();
        reader.buffer().extend_from_slice(bytes);
        reader.next()
    }

    fn bulk(bytes: &[u8]) -> Reply {
        Reply::Bulk(Bytes::copy_from_slice(bytes))
    }

    fn replies() -> Vec<(&'static [u8], Reply)> {
        let nested = Reply::Array(vec![Reply::Int(1), Reply::Array(vec![Reply::Nil, bulk(b"v")]), Reply::Ok]);
        vec![
            (b"+OK\r\n", Reply::Ok),
            (b"+QUEUED\r\n", Reply::Simple("QUEUED".into())),
            (b"-ERR no\r\n", Reply::error_text("ERR no")),
            (b":-3\r\n", Reply::Int(-3)),
            (b"$-1\r\n", Reply::Nil),
            (b"*-1\r\n", Reply::Nil),
            (b"$0\r\n\r\n", bulk(b"")),
            (b"$5\r\na\r\n\0\xff\r\n", bulk(b"a\r\n\0\xff")),
            (b"*0\r\n", Reply::Array(Vec::new())),
            (b"*3\r\n:1\r\n*2\r\n$-1\r\n$1\r\nv\r\n+OK\r\n", nested),
        ]
    }

    #[test]
    fn replies_are_read_whole_and_no_prefix_is_one() {
        for (bytes, reply) in replies() {
            for end in 0..bytes.len() {
                assert_eq!(read(&bytes[..end]), Ok(None), "{end} bytes of {}", bytes.escape_ascii());
            }
            assert_eq!(read(bytes), Ok(Some(reply)), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn replies_that_come_a_byte_at_a_time_are_those_that_come_at_once() {
        let bytes: Vec<u8> = replies().iter().flat_map(|(bytes, _)| bytes.iter().copied()).collect();
        let (mut reader, mut seen) = (Reader::default(), Vec::new());
        for byte in bytes {
            reader.buffer().extend_from_slice(&[byte]);
            seen.extend(reader.next().unwrap());
        }
        assert_eq!(seen, replies().into_iter().map(|(_, reply)| reply).collect::<Vec<_>>());
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let wrong: [&[u8]; 12] = [
            b"\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\xff\xff\r\n",
            b":\r\n",
            b":1x\r\n",
            b":\xff\r\n",
            b"$-2\r\n",
            b"$536870913\r\n",
            b"$9223372036854775807\r\n",
            b"*-2\r\n",
            b"$1\r\nabc",
            b"+OK\n",
        ];
        for bytes in wrong {
            assert!(read(bytes).is_err(), "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn what_has_no_end_is_not_read_for_ever() {
        assert_eq!(read(&[b'x'; MAX_LINE_BYTES + 1]), Ok(None));
        assert!(read(&[b'x'; MAX_LINE_BYTES + 2]).is_err());
        let deep = b"*1\r\n".repeat(1_000_000);
        assert!(read(&deep).is_err());
        let mut reader = Reader::default();
        reader.buffer().extend_from_slice(b"*9223372036854775807\r\n:1\r\n");
        assert_eq!(reader.next(), Ok(None), "what is announced takes no memory");
    }

    #[test]
    fn a_large_reply_does_not_hold_its_memory_for_ever() {
        let mut reader = Reader::default();
        let value = vec![b'v'; 1 << 20];
        for part in [format!("${}\r\n", value.len()).as_bytes(), &value, b"\r\n"] {
            reader.buffer().extend_from_slice(part);
        }
        assert_eq!(reader.next(), Ok(Some(bulk(&value))));
        let room = reader.buffer().capacity();
        assert!((READ_BYTES..=KEPT_BYTES).contains(&room), "{room}");
    }

    #[test]
    fn arguments_are_sent_as_they_are() {
        let mut out = Vec::new();
        encode([&b"SET"[..], b"k\r\n", b""].iter(), &mut out);
        assert_eq!(out, b"*3\r\n$3\r\nSET\r\n$3\r\nk\r\n\r\n$0\r\n\r\n");
    }
}
