//! A client of RESP2, as small as one can be: one connection, one command at a time, one reply.
//!
//! What it takes care of is the difference that matters to somebody who writes: a command that did not leave
//! whole certainly did not happen, and one that did may have, whatever became of its reply.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// The longest value that a reply may have: Redis's own limit, 512 MiB.
const MAX_BULK_BYTES: u64 = 512 << 20;

/// The longest line, without its end, that a reply may have.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// A reply.
#[derive(PartialEq, Eq)]
pub(crate) enum Reply {
    /// A short text, such as `OK`.
    Simple(String),
    /// The command was refused, or failed; the text begins with a word for its kind.
    Error(String),
    /// A number.
    Integer(i64),
    /// Bytes, or that there are none.
    Bulk(Option<Vec<u8>>),
}

impl fmt::Debug for Reply {
    /// Readable and short, for a message.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(None) => write!(f, "nothing"),
            Self::Bulk(Some(bytes)) => write!(f, "{} bytes", bytes.len()),
        }
    }
}

/// Why there is no reply.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The command did not reach the server whole: it did not happen.
    NotSent(io::Error),
    /// The command was sent: it may have happened.
    Unanswered(io::Error),
}

/// A connection to one server.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects to `addr`, HOST:PORT, each address of the host being given `connect_timeout`. Later a reply that
    /// makes no progress for `reply_timeout` is an error.
    pub(crate) fn open(addr: &str, connect_timeout: Duration, reply_timeout: Duration) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for addr in addr.to_socket_addrs()? {
            match TcpStream::connect_timeout(&addr, connect_timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(reply_timeout))?;
                    stream.set_write_timeout(Some(reply_timeout))?;
                    return Ok(Self { stream: BufReader::new(stream) });
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Sends a command and waits for its reply.
    pub(crate) fn call(&mut self, command: &[&[u8]]) -> Result<Reply, CallError> {
        let frame = encode(command);
        // A server takes a command only once it has all of it, so one that was cut short did not happen.
        self.stream.get_mut().write_all(&frame).map_err(|error| CallError::NotSent(plain(error)))?;
        read_reply(&mut self.stream).map_err(|error| CallError::Unanswered(plain(error)))
    }
}

/// A command as an array of bulk strings.
fn encode(command: &[&[u8]]) -> Vec<u8> {
    let mut frame = format!("*{}\r\n", command.len()).into_bytes();
    for argument in command {
        frame.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        frame.extend_from_slice(argument);
        frame.extend_from_slice(b"\r\n");
    }
    frame
}

/// The errors of a socket in words that say what happened.
fn plain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
        }
        io::ErrorKind::UnexpectedEof => {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the connection was closed before the answer")
        }
        _ => error,
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what}: this is not a Redis server's answer"))
}

/// One reply of the kinds that the commands here can have.
fn read_reply(stream: &mut impl BufRead) -> io::Result<Reply> {
    let line = read_line(stream)?;
    let (kind, rest) = line.split_at_checked(1).ok_or_else(|| invalid("an empty line"))?;
    let number = || rest.parse::<i64>().map_err(|_| invalid("a wrong number"));
    match kind {
        "+" => Ok(Reply::Simple(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => number().map(Reply::Integer),
        "$" => match number()? {
            -1 => Ok(Reply::Bulk(None)),
            length => read_bulk(stream, length).map(|bytes| Reply::Bulk(Some(bytes))),
        },
        _ => Err(invalid("an unknown kind of reply")),
    }
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.take(MAX_LINE_BYTES + 2).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let text = line.strip_suffix(b"\r\n").ok_or_else(|| invalid("a line without an end"))?;
    Ok(String::from_utf8_lossy(text).into_owned())
}

fn read_bulk(stream: &mut impl BufRead, length: i64) -> io::Result<Vec<u8>> {
    let length = u64::try_from(length).ok().filter(|length| *length <= MAX_BULK_BYTES);
    let length = length.ok_or_else(|| invalid("a wrong length"))?;
    // The memory grows with what arrives, not with what was announced.
    let mut bytes = Vec::new();
    stream.take(length + 2).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length + 2 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    if !bytes.ends_with(b"\r\n") {
        return Err(invalid("a value without an end"));
    }
    bytes.truncate(bytes.len() - 2);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut bytes: &[u8]) -> io::Result<Reply> {
        read_reply(&mut bytes)
    }

    #[test]
    fn replies_are_read_whole() {
        assert_eq!(read(b"+OK\r\n").unwrap(), Reply::Simple("OK".to_owned()));
        assert_eq!(read(b"-ERR no\r\n").unwrap(), Reply::Error("ERR no".to_owned()));
        assert_eq!(read(b":-3\r\n").unwrap(), Reply::Integer(-3));
        assert_eq!(read(b"$-1\r\n").unwrap(), Reply::Bulk(None));
        assert_eq!(read(b"$0\r\n\r\n").unwrap(), Reply::Bulk(Some(Vec::new())));
        assert_eq!(read(b"$5\r\na\r\n\0\xff\r\n").unwrap(), Reply::Bulk(Some(b"a\r\n\0\xff".to_vec())));
    }

    #[test]
    fn every_prefix_of_a_reply_is_an_error_and_never_another_reply() {
        for whole in [&b"+OK\r\n"[..], b"-ERR no\r\n", b":12\r\n", b"$12\r\nhello\r\nworld\r\n"] {
            for length in 0..whole.len() {
                assert!(read(&whole[..length]).is_err(), "{length} bytes of {}", whole.escape_ascii());
            }
        }
    }

    #[test]
    fn what_is_no_reply_is_refused() {
        let wrong: [&[u8]; 9] = [
            b"\r\n",
            b"HTTP/1.1 400 Bad Request\r\n",
            b"\xff\xff\r\n",
            b":\r\n",
            b":1x\r\n",
            b"$-2\r\n",
            b"$9223372036854775807\r\n",
            b"$1\r\nabc",
            b"+OK\n",
        ];
        for bytes in wrong {
            assert_eq!(
                read(bytes).unwrap_err().kind(),
                io::ErrorKind::InvalidData,
                "{}",
                bytes.escape_ascii()
            );
        }
    }

    #[test]
    fn a_line_without_end_is_not_read_for_ever() {
        let endless = io::repeat(b'x');
        assert_eq!(read_reply(&mut BufReader::new(endless)).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
