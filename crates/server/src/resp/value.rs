//! A reply before it knows its dialect.

use bowline_kv::Reply;
use bytes::Bytes;

use super::Protocol;

/// What a command answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Nothing there.
    Nil,
    /// No array, as EXEC answers when nothing was done.
    NilArray,
    /// A number.
    Int(i64),
    /// A short status such as `OK`. CR and LF in it are sent as blanks.
    Simple(Bytes),
    /// An error: its code in capitals, a blank, and what went wrong. CR and LF in it are sent as blanks.
    Error(Bytes),
    /// Any bytes.
    Bulk(Bytes),
    /// Text for people, which RESP3 marks as such.
    Verbatim(String),
    /// In order.
    Array(Vec<Value>),
    /// In the order given; RESP2 clients see keys and values in turn.
    Map(Vec<(Value, Value)>),
    /// In the order given: to RESP3 clients an array of two each; RESP2 clients see them in turn.
    Pairs(Vec<(Value, Value)>),
    /// Without meaning in its order.
    Set(Vec<Value>),
}

impl Value {
    /// A status.
    pub const fn simple(text: &'static str) -> Self {
        Self::Simple(Bytes::from_static(text.as_bytes()))
    }

    /// `+OK`.
    pub const fn ok() -> Self {
        Self::simple("OK")
    }

    /// An error with that text.
    pub fn error(text: impl Into<Bytes>) -> Self {
        Self::Error(text.into())
    }

    /// A bulk string known beforehand.
    pub const fn text(text: &'static str) -> Self {
        Self::Bulk(Bytes::from_static(text.as_bytes()))
    }

    /// A bulk string made for this reply.
    pub fn bulk(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Bulk(bytes.into().into())
    }

    /// What is wrong, if it is an error.
    pub(crate) fn error_text(&self) -> Option<&[u8]> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }

    /// About how many bytes of memory it holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        let sum = |items: &[Self]| items.iter().map(Self::memory_bytes).sum();
        let held = match self {
            Self::Nil | Self::NilArray | Self::Int(_) => 0,
            Self::Simple(bytes) | Self::Error(bytes) | Self::Bulk(bytes) => bytes.len(),
            Self::Verbatim(text) => text.len(),
            Self::Array(items) | Self::Set(items) => sum(items),
            Self::Map(pairs) | Self::Pairs(pairs) => {
                pairs.iter().map(|(key, value)| key.memory_bytes() + value.memory_bytes()).sum()
            }
        };
        size_of::<Self>() + held
    }

    /// Appends it to `out` as a client of that protocol expects it.
    pub fn write(&self, protocol: Protocol, out: &mut Vec<u8>) {
        let is_3 = protocol == Protocol::Resp3;
        match self {
            Self::Nil => nil(protocol, out),
            Self::NilArray if is_3 => nil(protocol, out),
            Self::NilArray => out.extend_from_slice(b"*-1\r\n"),
            Self::Int(number) => int(*number, out),
            Self::Simple(text) => line(b'+', text, out),
            Self::Error(text) => line(b'-', text, out),
            Self::Bulk(bytes) => bulk(bytes, out),
            Self::Verbatim(text) if is_3 => {
                header(b'=', text.len() + 4, out);
                out.extend_from_slice(b"txt:");
                out.extend_from_slice(text.as_bytes());
                out.extend_from_slice(b"\r\n");
            }
            Self::Verbatim(text) => bulk(text.as_bytes(), out),
            Self::Array(items) => {
                header(b'*', items.len(), out);
                items.iter().for_each(|item| item.write(protocol, out));
            }
            Self::Set(items) => {
                header(if is_3 { b'~' } else { b'*' }, items.len(), out);
                items.iter().for_each(|item| item.write(protocol, out));
            }
            Self::Map(pairs) => {
                match protocol {
                    Protocol::Resp2 => header(b'*', 2 * pairs.len(), out),
                    Protocol::Resp3 => header(b'%', pairs.len(), out),
                }
                for (key, value) in pairs {
                    key.write(protocol, out);
                    value.write(protocol, out);
                }
            }
            Self::Pairs(pairs) => {
                header(b'*', if is_3 { pairs.len() } else { 2 * pairs.len() }, out);
                for (key, value) in pairs {
                    if is_3 {
                        header(b'*', 2, out);
                    }
                    key.write(protocol, out);
                    value.write(protocol, out);
                }
            }
        }
    }
}

impl From<Reply> for Value {
    /// The store's answer, whose bytes it goes on sharing.
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Ok => Self::ok(),
            Reply::Nil => Self::Nil,
            Reply::Int(number) => Self::Int(number),
            Reply::Simple(text) => Self::Simple(text),
            Reply::Bulk(bytes) => Self::Bulk(bytes),
            Reply::Array(replies) => Self::Array(replies.into_iter().map(Self::from).collect()),
            Reply::Map(replies) => Self::Map(pairs(replies)),
            Reply::Pairs(replies) => Self::Pairs(pairs(replies)),
            Reply::Error(text) => Self::Error(text),
        }
    }
}

/// Names and values that come in turn.
fn pairs(replies: Vec<Reply>) -> Vec<(Value, Value)> {
    let mut items = replies.into_iter().map(Value::from);
    std::iter::from_fn(|| Some((items.next()?, items.next()?))).collect()
}

fn nil(protocol: Protocol, out: &mut Vec<u8>) {
    out.extend_from_slice(match protocol {
        Protocol::Resp2 => b"$-1\r\n",
        Protocol::Resp3 => b"_\r\n",
    });
}

fn int(number: i64, out: &mut Vec<u8>) {
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// The text may repeat what the client sent: a line end in it would begin a reply of the client's making.
fn line(kind: u8, text: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    out.extend(text.iter().map(|&byte| if matches!(byte, b'\r' | b'\n') { b' ' } else { byte }));
    out.extend_from_slice(b"\r\n");
}

fn bulk(bytes: &[u8], out: &mut Vec<u8>) {
    header(b'$', bytes.len(), out);
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

fn header(kind: u8, length: usize, out: &mut Vec<u8>) {
    out.push(kind);
    out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
    out.extend_from_slice(b"\r\n");
}
