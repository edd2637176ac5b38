//! Replies of RESP2, taken out of a stream piece by piece, of which only the kind is kept: values may be long, and
//! nobody looks at them.

use std::borrow::Cow;

use memchr::memchr;

/// What is read at once; also the longest line that a reply may have.
const BUFFER_BYTES: usize = 16 << 10;

/// The longest first word of an error that is told apart from others.
const MAX_WORD_BYTES: usize = 32;

/// What kind of answer came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// A status, such as `OK`.
    Status,
    /// A value.
    Value,
    /// That there is no value.
    Nothing,
    /// An error, by the word that it begins with.
    Error(Cow<'static, str>),
}

/// What came is no reply to a GET or a SET.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The bytes that have come and were not taken yet.
pub(super) struct Reader {
    buffer: Box<[u8]>,
    begin: usize,
    end: usize,
    /// How much of a value, and of the two bytes behind it, is still to come.
    rest: Option<usize>,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { buffer: vec![0; BUFFER_BYTES].into(), begin: 0, end: 0, rest: None }
    }

    /// Where the next bytes go; then tell how many by [`advance`](Self::advance). Not empty after
    /// [`next`](Self::next) has said that there is nothing more.
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        &mut self.buffer[self.end..]
    }

    pub(super) fn advance(&mut self, bytes: usize) {
        self.end += bytes;
    }

    /// The next whole reply; `None` until more bytes have come.
    pub(super) fn next(&mut self) -> Result<Option<Reply>, Malformed> {
        if self.rest.is_none() {
            let unread = &self.buffer[self.begin..self.end];
            let Some(length) = memchr(b'\n', unread) else {
                return if unread.len() == BUFFER_BYTES { Err(Malformed) } else { Ok(None) };
            };
            let line = unread[..length].strip_suffix(b"\r").ok_or(Malformed)?;
            let (kind, rest) = line.split_first().ok_or(Malformed)?;
            let reply = match kind {
                b'+' => Some(Reply::Status),
                b'-' => Some(Reply::Error(word(rest))),
                b'$' if rest == b"-1" => Some(Reply::Nothing),
                b'$' => {
                    self.rest = Some(number(rest).and_then(|length| length.checked_add(2)).ok_or(Malformed)?);
                    None
                }
                _ => return Err(Malformed),
            };
            self.begin += length + 1;
            if reply.is_some() {
                return Ok(reply);
            }
        }
        let rest = self.rest.take().expect("a value is being passed over");
        let taken = rest.min(self.end - self.begin);
        self.begin += taken;
        if taken < rest {
            self.rest = Some(rest - taken);
            return Ok(None);
        }
        Ok(Some(Reply::Value))
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?.parse().ok()
}

/// The word that tells what kind of error it is.
fn word(text: &[u8]) -> Cow<'static, str> {
    let end = memchr(b' ', text).unwrap_or(text.len());
    let is_kind = end > 0 && end <= MAX_WORD_BYTES && text[..end].iter().all(u8::is_ascii_uppercase);
    if !is_kind {
        return Cow::Borrowed("an error without a kind");
    }
    Cow::Owned(String::from_utf8_lossy(&text[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of bytes that come in pieces of that length.
    fn read(bytes: &[u8], piece: usize) -> Result<Vec<Reply>, Malformed> {
        let (mut reader, mut replies) = (Reader::new(), Vec::new());
        for piece in bytes.chunks(piece) {
            let mut piece = piece;
            while !piece.is_empty() {
                let space = reader.space();
                let taken = piece.len().min(space.len());
                space[..taken].copy_from_slice(&piece[..taken]);
                reader.advance(taken);
                piece = &piece[taken..];
                while let Some(reply) = reader.next()? {
                    replies.push(reply);
                }
            }
        }
        Ok(replies)
    }

    #[test]
    fn replies_come_out_in_order_however_they_were_cut() {
        let mut bytes =
            b"+OK\r\n$-1\r\n$0\r\n\r\n-CLUSTERDOWN no majority\r\n$3\r\na\r\n\r\n-err x\r\n".to_vec();
        let long = 3 * BUFFER_BYTES;
        bytes.extend_from_slice(format!("${long}\r\n").as_bytes());
        bytes.resize(bytes.len() + long, b'\n');
        bytes.extend_from_slice(b"\r\n+OK\r\n-ERR\r\n");
        let error = |word: &'static str| Reply::Error(Cow::Borrowed(word));
        let expected = [
            Reply::Status,
            Reply::Nothing,
            Reply::Value,
            error("CLUSTERDOWN"),
            Reply::Value,
            error("an error without a kind"),
            Reply::Value,
            Reply::Status,
            error("ERR"),
        ];
        for piece in (1..60).chain([BUFFER_BYTES - 1, BUFFER_BYTES, bytes.len()]) {
            assert_eq!(read(&bytes, piece).expect("well formed"), expected, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_reply_to_a_get_or_a_set_is_refused() {
        let endless = [b'+'; BUFFER_BYTES];
        let wrong: [&[u8]; 9] = [
            b"\r\n",
            b"+OK\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b":1\r\n",
            b"*0\r\n",
            b"$\r\n",
            b"$-2\r\n",
            b"$18446744073709551615\r\n",
            &endless,
        ];
        for bytes in wrong {
            assert_eq!(read(bytes, bytes.len()), Err(Malformed), "{}", bytes.escape_ascii());
        }
    }
}
