//! A Redis client, blocking and small, that tells a lost connection from an error that was answered.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// How long one reply may take. A server holds a command for 5 s and then says why there is no better answer, so
/// what takes longer than this has been forgotten.
const REPLY_PATIENCE: Duration = Duration::from_secs(15);

/// The connection could not be made, or ended. What was sent and not answered may have happened or not.
#[derive(Debug)]
pub struct Lost(pub io::Error);

/// A reply of RESP2.
#[derive(Clone, PartialEq, Eq)]
pub enum Reply {
    /// A status, such as `OK`.
    Simple(String),
    /// An error, whole.
    Error(String),
    /// A number.
    Integer(i64),
    /// A value, or none; and no array.
    Bulk(Option<Vec<u8>>),
    /// Several.
    Array(Vec<Reply>),
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Simple(text) => write!(f, "+{text}"),
            Self::Error(text) => write!(f, "-{text}"),
            Self::Integer(number) => write!(f, ":{number}"),
            Self::Bulk(None) => write!(f, "nil"),
            Self::Bulk(Some(bytes)) => write!(f, "\"{}\"", bytes[..bytes.len().min(100)].escape_ascii()),
            Self::Array(items) => f.debug_list().entries(items).finish(),
        }
    }
}

impl Reply {
    /// Whether it is `+OK`.
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Simple(text) if text == "OK")
    }

    /// The number that it is, or that its bytes spell.
    pub fn number(&self) -> Option<i64> {
        match self {
            Self::Integer(number) => Some(*number),
            Self::Bulk(Some(bytes)) => std::str::from_utf8(bytes).ok()?.parse().ok(),
            _ => None,
        }
    }

    /// The text of a value; empty where there is none.
    pub fn text(&self) -> String {
        match self {
            Self::Bulk(None) => String::new(),
            Self::Bulk(Some(bytes)) => String::from_utf8(bytes.clone()).expect("tests write text"),
            other => panic!("not a value: {other:?}"),
        }
    }
}

/// A connection to one node.
pub struct Client {
    addr: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects to `addr`, HOST:PORT.
    pub fn connect(addr: &str) -> Result<Self, Lost> {
        let target = addr.parse().expect("an address of the harness");
        let stream = TcpStream::connect_timeout(&target, REPLY_PATIENCE).map_err(Lost)?;
        stream.set_nodelay(true).map_err(Lost)?;
        let mut client = Self { addr: addr.to_owned(), stream: BufReader::new(stream) };
        client.set_patience(REPLY_PATIENCE);
        Ok(client)
    }

    /// How long a reply may take from now on.
    pub fn set_patience(&mut self, patience: Duration) {
        let stream = self.stream.get_mut();
        stream.set_read_timeout(Some(patience)).expect("a time that is not zero");
        stream.set_write_timeout(Some(patience)).expect("a time that is not zero");
    }

    /// Sends bytes as they are.
    pub fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Lost> {
        self.stream.get_mut().write_all(bytes).map_err(|error| self.lost(error))
    }

    /// Reads exactly so many bytes.
    pub fn receive_bytes(&mut self, count: usize) -> Result<Vec<u8>, Lost> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).map_err(|error| self.lost(error))?;
        Ok(bytes)
    }

    /// Sends commands in one piece, and waits for nothing.
    pub fn send(&mut self, commands: &[&[&str]]) -> Result<(), Lost> {
        self.send_bytes(&encode(commands))
    }

    /// Waits for the next reply.
    ///
    /// # Panics
    ///
    /// When it does not come in time: whoever is connected is owed a reply or the end of the connection.
    pub fn receive(&mut self) -> Result<Reply, Lost> {
        read_reply(&mut self.stream).map_err(|error| self.lost(error))
    }

    /// The next reply; `None` when it does not come in time, after which the connection is of no more use.
    pub fn try_receive(&mut self) -> Option<Result<Reply, Lost>> {
        match read_reply(&mut self.stream) {
            Err(error) if is_timeout(&error) => None,
            result => Some(result.map_err(Lost)),
        }
    }

    /// Sends a command and waits for its reply.
    pub fn call(&mut self, command: &[&str]) -> Result<Reply, Lost> {
        self.send(&[command])?;
        self.receive()
    }

    /// Sends commands in one piece and waits for all replies.
    pub fn pipeline(&mut self, commands: &[&[&str]]) -> Result<Vec<Reply>, Lost> {
        self.send(commands)?;
        commands.iter().map(|_| self.receive()).collect()
    }

    fn lost(&self, error: io::Error) -> Lost {
        assert!(!is_timeout(&error), "{} gives no answer, and keeps the connection", self.addr);
        assert!(error.kind() != io::ErrorKind::InvalidData, "{} does not speak RESP: {error}", self.addr);
        Lost(error)
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Commands as arrays of bulk strings, one behind the other.
pub fn encode(commands: &[&[&str]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for command in commands {
        bytes.extend_from_slice(format!("*{}\r\n", command.len()).as_bytes());
        for word in *command {
            bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
    }
    bytes
}

fn read_reply(stream: &mut impl BufRead) -> io::Result<Reply> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    if line.is_empty() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let Some(line) = line.strip_suffix("\r\n") else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, format!("{line:?}"));
    let (kind, rest) = line.split_at_checked(1).ok_or_else(wrong)?;
    let number = || rest.parse::<i64>().map_err(|_| wrong());
    match kind {
        "+" => Ok(Reply::Simple(rest.to_owned())),
        "-" => Ok(Reply::Error(rest.to_owned())),
        ":" => number().map(Reply::Integer),
        "$" => match usize::try_from(number()?) {
            Err(_) => Ok(Reply::Bulk(None)),
            Ok(length) => {
                let mut bytes = vec![0; length + 2];
                stream.read_exact(&mut bytes)?;
                bytes.truncate(length);
                Ok(Reply::Bulk(Some(bytes)))
            }
        },
        "*" => match number()? {
            // EXEC that was stopped by WATCH.
            -1 => Ok(Reply::Bulk(None)),
            count => (0..count).map(|_| read_reply(stream)).collect::<io::Result<_>>().map(Reply::Array),
        },
        _ => Err(wrong()),
    }
}
