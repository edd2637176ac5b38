//! Replies as they came, of RESP2 and RESP3, and a connection that reads them.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long a reply may take: longer than a server holds a command.
const PATIENCE: Duration = Duration::from_secs(20);

/// One reply. Two are equal if their bytes were.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reply {
    /// The type and what stands behind it on the line.
    pub(crate) head: Vec<u8>,
    /// The bytes of a bulk string or text.
    pub(crate) bytes: Vec<u8>,
    /// The elements of an array, a set or a map, keys and values in turn.
    pub(crate) items: Vec<Reply>,
}

impl Reply {
    pub(crate) fn kind(&self) -> u8 {
        self.head[0]
    }

    /// The number that an integer is.
    pub(crate) fn number(&self) -> Option<i64> {
        let digits = self.head.strip_prefix(b":")?;
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    pub(crate) fn is(&self, head: &str) -> bool {
        self.head == head.as_bytes()
    }

    fn read(stream: &mut impl BufRead) -> io::Result<Self> {
        let mut head = Vec::new();
        stream.read_until(b'\n', &mut head)?;
        if !head.ends_with(b"\r\n") {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        head.truncate(head.len() - 2);
        let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("{:?}", head.escape_ascii()));
        let (kind, rest) = head.split_first().ok_or_else(wrong)?;
        let (mut bytes, mut items) = (Vec::new(), Vec::new());
        let count = || -> io::Result<usize> {
            let number: i64 =
                std::str::from_utf8(rest).ok().and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
            // The old form of nil is a length of -1.
            Ok(usize::try_from(number).unwrap_or(0))
        };
        match kind {
            b'+' | b'-' | b':' | b',' | b'#' | b'(' | b'_' => {}
            b'$' | b'=' | b'!' if rest == b"-1" => {}
            b'$' | b'=' | b'!' => {
                bytes = vec![0; count()? + 2];
                stream.read_exact(&mut bytes)?;
                if !bytes.ends_with(b"\r\n") {
                    return Err(wrong());
                }
                bytes.truncate(bytes.len() - 2);
            }
            b'*' | b'~' | b'>' => items = Self::read_many(stream, count()?)?,
            b'%' => items = Self::read_many(stream, 2 * count()?)?,
            _ => return Err(wrong()),
        }
        Ok(Self { head, bytes, items })
    }

    fn read_many(stream: &mut impl BufRead, count: usize) -> io::Result<Vec<Self>> {
        (0..count).map(|_| Self::read(stream)).collect()
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.head.escape_ascii())?;
        if !self.bytes.is_empty() {
            write!(f, " \"{}\"", self.bytes.escape_ascii())?;
        }
        if !self.items.is_empty() {
            f.debug_list().entries(&self.items).finish()?;
        }
        Ok(())
    }
}

/// A connection to one server.
pub(crate) struct Connection {
    stream: BufReader<TcpStream>,
    addr: String,
}

impl Connection {
    pub(crate) fn open(addr: &str) -> Self {
        let stream = TcpStream::connect(addr).unwrap_or_else(|error| panic!("{addr}: {error}"));
        stream.set_nodelay(true).expect("a socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("a time that is not zero");
        Self { stream: BufReader::new(stream), addr: addr.to_owned() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap_or_else(|error| panic!("{}: {error}", self.addr));
    }

    pub(crate) fn receive(&mut self) -> Reply {
        Reply::read(&mut self.stream).unwrap_or_else(|error| panic!("{}: {error}", self.addr))
    }

    pub(crate) fn call(&mut self, words: &[&[u8]]) -> Reply {
        let mut bytes = Vec::new();
        encode(words, &mut bytes);
        self.send(&bytes);
        self.receive()
    }
}

/// Appends a command as an array of bulk strings.
pub(crate) fn encode<W: AsRef<[u8]>>(words: &[W], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}
