//! From bytes to commands.
//!
//! ```text
//!   buf: [ commands handed out | the command being read        | room for the socket ]
//!                              ^ start            ^ at          ^ len
//! ```
//!
//! Everything before `at` has been looked at and is never looked at again, except the line of a length,
//! which is at most [`MAX_LENGTH_DIGITS`] bytes. The buffer grows with what has arrived, never with what
//! a length announces: sixteen megabytes cost a client sixteen megabytes.

use std::ops::Deref;

use bowline_kv::{command, integer};

use super::{Value, inline};

/// The most arguments of one command, its name included.
pub const MAX_ARGUMENTS: usize = command::MAX_ARGUMENTS;

/// The longest argument in bytes: the longest value.
pub const MAX_BULK_BYTES: usize = command::MAX_VALUE_BYTES;

/// The longest command in bytes as it is sent: what the store takes, and the frame of as many arguments as
/// a sane command of that size has. A million empty arguments pass too.
pub const MAX_COMMAND_BYTES: usize = command::MAX_COMMAND_BYTES + 1024 * 1024;

/// The longest inline command in bytes, without its line feed.
pub const MAX_INLINE_BYTES: usize = 64 * 1024;

/// As long as a length can be: a sign and the nineteen digits of 2^63.
const MAX_LENGTH_DIGITS: usize = 20;

/// The most arguments of a command of a client that has not said the password: Redis's own limit.
const MAX_STRANGERS_ARGUMENTS: usize = 10;

/// The longest argument of such a command, in bytes: Redis's own limit.
const MAX_STRANGERS_BULK_BYTES: usize = 16 * 1024;

/// What Redis takes by default. Above it a length is nonsense; below it and above our own limit it is a
/// client that has to be told the limit.
const REDIS_MAX_BULK_BYTES: usize = 512 * 1024 * 1024;

/// An empty connection keeps no more memory than this in each of its buffers.
const KEEP_BYTES: usize = 64 * 1024;

/// An idle connection keeps no more arguments, and no more bytes of an inline command.
const KEEP_SPANS: usize = 32;
const KEEP_WORDS_BYTES: usize = 256;

/// Why the bytes of a connection are not commands. There is no way to find the next one: answer with
/// it and close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The number of arguments is no number, or above [`MAX_ARGUMENTS`].
    #[error("invalid multibulk length")]
    MultibulkLength,
    /// The length of an argument is no number, negative, or beyond anything that Redis takes.
    #[error("invalid bulk length")]
    BulkLength,
    /// The argument is longer than [`MAX_BULK_BYTES`].
    #[error("bulk length {length} is above the limit of {MAX_BULK_BYTES} bytes")]
    BulkTooLong {
        /// What the client announced, in bytes.
        length: usize,
    },
    /// The command is longer than [`MAX_COMMAND_BYTES`].
    #[error("command is above the limit of {MAX_COMMAND_BYTES} bytes")]
    CommandTooLong,
    /// More arguments than a client may send that has not said the password.
    #[error("unauthenticated multibulk length")]
    StrangersMultibulkLength,
    /// A longer argument than a client may send that has not said the password.
    #[error("unauthenticated bulk length")]
    StrangersBulkLength,
    /// An argument that is no bulk string: a nested array, a number, or a client that lost count.
    #[error("expected '$', got '{}'", printable(*.0))]
    ExpectedBulk(u8),
    /// The two bytes behind an argument are not CR LF: its length was wrong.
    #[error("expected CRLF at the end of a bulk string")]
    BulkEnd,
    /// A line longer than [`MAX_INLINE_BYTES`].
    #[error("too big inline request")]
    TooBigInline,
    /// A quote that does not close, or closes within a word.
    #[error("unbalanced quotes in request")]
    UnbalancedQuotes,
}

fn printable(byte: u8) -> String {
    match byte {
        b'\r' | b'\n' => " ".to_owned(),
        b'\'' | b'"' | b'\\' => char::from(byte).to_string(),
        _ => byte.escape_ascii().to_string(),
    }
}

impl From<ProtocolError> for Value {
    fn from(error: ProtocolError) -> Self {
        Value::error(format!("ERR Protocol error: {error}"))
    }
}

/// Where an argument stands, in bytes from the beginning of its command. Half the size of a range: a
/// command may have a million of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// `start..end`, both at most [`MAX_COMMAND_BYTES`].
    pub(super) fn new(start: usize, end: usize) -> Self {
        assert!(start <= end && end <= MAX_COMMAND_BYTES, "span {start}..{end} is longer than any command");
        let narrow = |at| u32::try_from(at).expect("a command is shorter than 4 GiB");
        Self { start: narrow(start), end: narrow(end) }
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}

/// Where the reader stands within a command.
#[derive(Clone, Copy, Debug)]
enum State {
    /// Nothing of it has been believed yet.
    Start,
    /// A line, without a line feed before `at`.
    Inline,
    /// At the `$` of an argument; so many are still to come, at least one.
    Header { left: usize },
    /// At the first of the `length` bytes of an argument; so many are still to come, this one included.
    Body { left: usize, length: usize },
}

/// Reads the commands of one connection.
#[derive(Debug)]
pub struct Reader {
    buf: Vec<u8>,
    start: usize,
    at: usize,
    state: State,
    spans: Vec<Span>,
    /// The words of an inline command, unquoted: then `spans` point in here.
    words: Vec<u8>,
    is_inline: bool,
    /// The client has not said the password: its commands are short.
    is_strangers: bool,
    failed: Option<ProtocolError>,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// Of a connection on which nothing has arrived.
    pub const fn new() -> Self {
        Self {
            buf: Vec::new(),
            start: 0,
            at: 0,
            state: State::Start,
            spans: Vec::new(),
            words: Vec::new(),
            is_inline: false,
            is_strangers: false,
            failed: None,
        }
    }

    /// Says whether the next commands may be as long as any. Those of somebody who has not said the password have ten
    /// arguments of 16 KiB at most, as in Redis.
    pub fn trust(&mut self, is_trusted: bool) {
        self.is_strangers = !is_trusted;
    }

    /// The buffer to append what the socket gives; nothing in it may be changed or taken away. Call it when
    /// [`Reader::next_frame`] has returned `None`: it drops the commands handed out and moves the incomplete rest
    /// to the front, and frees what an unusual command has needed.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        let is_between = matches!(self.state, State::Start);
        let handed_out = if is_between { self.at } else { self.start };
        self.buf.drain(..handed_out);
        self.at -= handed_out;
        self.start = 0;
        if is_between {
            self.spans.clear();
            self.spans.shrink_to(KEEP_BYTES / size_of::<Span>());
            self.words.clear();
            self.words.shrink_to(KEEP_BYTES);
        }
        if self.buf.is_empty() {
            self.buf.shrink_to(KEEP_BYTES);
        }
        &mut self.buf
    }

    /// Takes the memory of `spare`, which must be empty, if it has none of its own: a connection that is idle needs none.
    pub fn take_memory(&mut self, spare: &mut Vec<u8>) {
        if self.buf.capacity() == 0 {
            std::mem::swap(&mut self.buf, spare);
        }
    }

    /// Gives its memory to `spare` if nothing has arrived but what was handed out, and what it needs for long commands
    /// to the system.
    pub fn give_back_memory(&mut self, spare: &mut Vec<u8>) {
        if self.pending_bytes() > 0 || !matches!(self.state, State::Start) {
            return;
        }
        self.buf.clear();
        self.at = 0;
        self.start = 0;
        self.spans.clear();
        self.spans.shrink_to(KEEP_SPANS);
        self.words.clear();
        self.words.shrink_to(KEEP_WORDS_BYTES);
        let buf = std::mem::take(&mut self.buf);
        if spare.capacity() == 0 && buf.capacity() <= KEEP_BYTES {
            *spare = buf;
        }
    }

    /// How many bytes have arrived that no returned command accounts for.
    pub fn pending_bytes(&self) -> usize {
        let handed_out = if matches!(self.state, State::Start) { self.at } else { self.start };
        self.buf.len() - handed_out
    }

    /// The next command, or `None` when it is not all there. Empty lines and empty arrays are passed over,
    /// as in Redis, so a command has at least one argument. After an error there is nothing but that error.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, ProtocolError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.scan() {
            Ok(true) => {
                let bytes = if self.is_inline { &self.words } else { &self.buf[self.start..self.at] };
                Ok(Some(Frame { bytes, spans: &self.spans, is_inline: self.is_inline }))
            }
            Ok(false) => Ok(None),
            Err(error) => {
                self.failed = Some(error);
                Err(error)
            }
        }
    }

    /// Reads on from `at`. True: a command stands in `start..at`.
    fn scan(&mut self) -> Result<bool, ProtocolError> {
        if matches!(self.state, State::Start) {
            self.begin();
        }
        loop {
            match self.state {
                State::Start => match self.buf.get(self.at) {
                    None => return Ok(false),
                    Some(b'*') => match self.length(ProtocolError::MultibulkLength)? {
                        None => return Ok(false),
                        Some(..=0) => self.begin(),
                        Some(count) => {
                            let left = usize::try_from(count).unwrap_or(usize::MAX);
                            if left > MAX_ARGUMENTS {
                                return Err(ProtocolError::MultibulkLength);
                            }
                            if self.is_strangers && left > MAX_STRANGERS_ARGUMENTS {
                                return Err(ProtocolError::StrangersMultibulkLength);
                            }
                            self.is_inline = false;
                            self.state = State::Header { left };
                        }
                    },
                    Some(_) => self.state = State::Inline,
                },
                State::Inline => {
                    if !self.line()? {
                        return Ok(false);
                    }
                    self.state = State::Start;
                    if !self.spans.is_empty() {
                        return Ok(true);
                    }
                    self.begin();
                }
                State::Header { left } => match self.buf.get(self.at) {
                    None => return Ok(false),
                    Some(b'$') => match self.length(ProtocolError::BulkLength)? {
                        None => return Ok(false),
                        Some(announced) => {
                            let length = self.admit(announced)?;
                            self.state = State::Body { left, length };
                        }
                    },
                    Some(&other) => return Err(ProtocolError::ExpectedBulk(other)),
                },
                State::Body { left, length } => {
                    let end = self.at + length;
                    match self.buf.get(end..end + 2) {
                        None => return Ok(false),
                        Some(b"\r\n") => {}
                        Some(_) => return Err(ProtocolError::BulkEnd),
                    }
                    self.spans.push(Span::new(self.at - self.start, end - self.start));
                    self.at = end + 2;
                    if left == 1 {
                        self.state = State::Start;
                        return Ok(true);
                    }
                    self.state = State::Header { left: left - 1 };
                }
            }
        }
    }

    /// A new command begins at `at`.
    fn begin(&mut self) {
        self.start = self.at;
        self.spans.clear();
        self.words.clear();
    }

    /// The number on the line at `at`, behind its type byte, and moves behind the line. `None`: the line
    /// is not all there.
    fn length(&mut self, bad: ProtocolError) -> Result<Option<i64>, ProtocolError> {
        let line = &self.buf[self.at + 1..];
        // Nearly all of them have a digit or two.
        let short = match *line {
            [one @ b'0'..=b'9', b'\r', b'\n', ..] => Some((1, one - b'0')),
            [ten @ b'1'..=b'9', one @ b'0'..=b'9', b'\r', b'\n', ..] => {
                Some((2, 10 * (ten - b'0') + (one - b'0')))
            }
            _ => None,
        };
        if let Some((digits, number)) = short {
            self.at += 1 + digits + 2;
            return Ok(Some(number.into()));
        }
        let window = &line[..line.len().min(MAX_LENGTH_DIGITS + 1)];
        let Some(digits) = window.iter().position(|&byte| byte == b'\r') else {
            return if window.len() > MAX_LENGTH_DIGITS { Err(bad) } else { Ok(None) };
        };
        match line.get(digits + 1) {
            None => return Ok(None),
            Some(b'\n') => {}
            Some(_) => return Err(bad),
        }
        let number = integer::parse(&line[..digits]).ok_or(bad)?;
        self.at += 1 + digits + 2;
        Ok(Some(number))
    }

    /// Whether an argument of so many bytes may follow at `at`.
    fn admit(&self, announced: i64) -> Result<usize, ProtocolError> {
        let length = usize::try_from(announced).map_err(|_| ProtocolError::BulkLength)?;
        if length > REDIS_MAX_BULK_BYTES {
            return Err(ProtocolError::BulkLength);
        }
        if self.is_strangers && length > MAX_STRANGERS_BULK_BYTES {
            return Err(ProtocolError::StrangersBulkLength);
        }
        if length > MAX_BULK_BYTES {
            return Err(ProtocolError::BulkTooLong { length });
        }
        if self.at - self.start + length + 2 > MAX_COMMAND_BYTES {
            return Err(ProtocolError::CommandTooLong);
        }
        Ok(length)
    }

    /// Splits the line at `start` and moves behind it. False: it has no end yet.
    fn line(&mut self) -> Result<bool, ProtocolError> {
        let found = memchr::memchr(b'\n', &self.buf[self.at..]);
        let end = found.map_or(self.buf.len(), |offset| self.at + offset);
        if end - self.start > MAX_INLINE_BYTES {
            return Err(ProtocolError::TooBigInline);
        }
        if found.is_none() {
            self.at = end;
            return Ok(false);
        }
        let line = &self.buf[self.start..end];
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        inline::split(line, &mut self.words, &mut self.spans)?;
        self.is_inline = true;
        self.at = end + 1;
        Ok(true)
    }
}

/// One command: its arguments, the name first. Never empty.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    bytes: &'a [u8],
    spans: &'a [Span],
    is_inline: bool,
}

impl<'a> Frame<'a> {
    /// Its bytes as they came, unless it was a line of words.
    pub fn bytes(&self) -> Option<&'a [u8]> {
        (!self.is_inline).then_some(self.bytes)
    }

    /// The arguments as slices. Up to eight of them cost no allocation.
    pub fn args(&self) -> Args<'a> {
        if self.spans.len() > FEW {
            return Args(Slices::Many(self.spans.iter().map(|span| span.of(self.bytes)).collect()));
        }
        let mut few: [&[u8]; FEW] = [&[]; FEW];
        for (arg, span) in few.iter_mut().zip(self.spans) {
            *arg = span.of(self.bytes);
        }
        Args(Slices::Few(few, self.spans.len()))
    }
}

/// As many arguments as nearly all commands have.
const FEW: usize = 8;

/// The arguments of a [`Frame`]: a slice of slices.
#[derive(Clone, Debug)]
pub struct Args<'a>(Slices<'a>);

#[derive(Clone, Debug)]
enum Slices<'a> {
    /// The first so many of the array.
    Few([&'a [u8]; FEW], usize),
    Many(Vec<&'a [u8]>),
}

impl<'a> Deref for Args<'a> {
    type Target = [&'a [u8]];

    fn deref(&self) -> &Self::Target {
        match &self.0 {
            Slices::Few(args, count) => &args[..*count],
            Slices::Many(args) => args,
        }
    }
}
