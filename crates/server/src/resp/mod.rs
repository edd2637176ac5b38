//! The Redis serialization protocol, both ways.
//!
//! A client sends a command as an array of bulk strings, or as one line of words for a person at a
//! terminal (an "inline command"):
//!
//! ```text
//! *2\r\n$3\r\nGET\r\n$1\r\nk\r\n        GET k\r\n
//! ```
//!
//! [`Reader`] turns the bytes of a connection into [`Frame`]s, the arguments of one command each. It keeps
//! its place, so a command that comes a byte at a time costs no more than one that comes at once; it checks
//! every length before it believes it; it knows no recursion, because a command cannot nest.
//!
//! Replies are richer, and come in two dialects: RESP2, which every client speaks, and RESP3, which a client
//! asks for by `HELLO 3` and which knows maps, sets, nulls and text. [`Value`] is a reply that does not
//! know its dialect; [`Value::write`] speaks it.
//!
//! | value | RESP2 | RESP3 |
//! |---|---|---|
//! | nil | `$-1` | `_` |
//! | map of n pairs | `*2n` | `%n` |
//! | set of n | `*n` | `~n` |
//! | verbatim text | `$len` | `=len`, `txt:` |
//! | everything else | the same | the same |
//!
//! Where the reader is stricter than Redis: the line of a length and a bulk string must end in CR LF (Redis
//! skips two bytes unseen, so a client that miscounts loses data there), and a length line is refused as
//! soon as it is too long for any length. Where it is more lenient: an inline command may hold a zero byte.

mod inline;
mod reader;
mod value;

pub use reader::{
    Args, Frame, MAX_ARGUMENTS, MAX_BULK_BYTES, MAX_COMMAND_BYTES, MAX_INLINE_BYTES, ProtocolError, Reader,
};
pub use value::Value;

/// The dialect of the replies of one connection. The numbers are those of `HELLO`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// Where every connection begins.
    #[default]
    Resp2,
    /// After `HELLO 3`.
    Resp3,
}

impl Protocol {
    /// The number by which `HELLO` and `CLIENT INFO` name it.
    pub const fn number(self) -> i64 {
        match self {
            Self::Resp2 => 2,
            Self::Resp3 => 3,
        }
    }
}
