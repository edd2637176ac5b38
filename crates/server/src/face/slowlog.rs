//! SLOWLOG: the commands that took long, with the beginning of their arguments.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bowline_kv::integer;

use super::{NodeInfo, quoted};
use crate::resp::Value;

/// Of so many arguments something is kept, as in Redis.
const MAX_ARGUMENTS: usize = 32;

/// So much of one argument is, in bytes, as in Redis.
const MAX_ARGUMENT_BYTES: usize = 128;

/// What is kept of a command, in bytes: less than all that the two limits above allow, since every command that is
/// under way may turn out to be slow.
const MAX_BRIEF_BYTES: usize = 256;

/// So many are shown unless it is said.
const SHOWN: usize = 10;

/// The slow commands, the last one first.
#[derive(Debug, Default)]
pub(super) struct SlowLog {
    entries: VecDeque<Entry>,
    next_id: i64,
}

#[derive(Debug)]
struct Entry {
    id: i64,
    /// When it was answered, in seconds since 1970.
    at_s: u64,
    took_us: u64,
    brief: Box<[u8]>,
    peer: SocketAddr,
    name: Box<[u8]>,
}

impl SlowLog {
    pub(super) fn add(&mut self, slow: &Slow<'_>, max_len: usize) {
        let Slow { at_us, took_us, brief, peer, name } = *slow;
        let entry = Entry {
            id: self.next_id,
            at_s: at_us / 1_000_000,
            took_us,
            brief: brief.into(),
            peer,
            name: name.into(),
        };
        self.next_id += 1;
        self.entries.push_front(entry);
        self.entries.truncate(max_len);
    }

    pub(super) fn len(&self) -> Value {
        Value::Int(i64::try_from(self.entries.len()).unwrap_or(i64::MAX))
    }

    pub(super) fn reset(&mut self) {
        self.entries.clear();
    }

    fn show(&self, count: usize) -> Value {
        let entry = |entry: &Entry| {
            let int = |number: u64| Value::Int(i64::try_from(number).unwrap_or(i64::MAX));
            Value::Array(vec![
                Value::Int(entry.id),
                int(entry.at_s),
                int(entry.took_us),
                Value::Array(arguments(&entry.brief).map(Value::bulk).collect()),
                Value::bulk(entry.peer.to_string()),
                Value::bulk(entry.name.to_vec()),
            ])
        };
        Value::Array(self.entries.iter().take(count).map(entry).collect())
    }
}

/// A command that took long.
#[derive(Clone, Copy, Debug)]
pub struct Slow<'a> {
    /// When it was answered, in microseconds since 1970.
    pub at_us: u64,
    /// How long that took, in microseconds.
    pub took_us: u64,
    /// Its arguments, from [`Connection::put_brief`](super::Connection::put_brief).
    pub brief: &'a [u8],
    /// Who sent it.
    pub peer: SocketAddr,
    /// The name of the connection.
    pub name: &'a [u8],
}

/// `SLOWLOG GET [count]`.
pub(super) fn get(args: &[&[u8]], node: &NodeInfo) -> Value {
    if args.len() > 3 {
        return Value::error(format!(
            "ERR unknown subcommand or wrong number of arguments for '{}'. Try SLOWLOG HELP.",
            quoted(args[1])
        ));
    }
    let count = match args.get(2) {
        None => Some(SHOWN),
        Some(count) => match integer::parse(count) {
            Some(-1) => Some(usize::MAX),
            Some(count) => usize::try_from(count).ok(),
            None => None,
        },
    };
    match count {
        Some(count) => node.record.slow().show(count),
        None => Value::error("ERR count should be greater than or equal to -1"),
    }
}

/// `SLOWLOG RESET`.
pub(super) fn reset(node: &NodeInfo) -> Value {
    node.record.reset_slow();
    Value::ok()
}

/// Appends to `out` what is kept of a command's arguments: at most [`MAX_BRIEF_BYTES`].
pub(super) fn put_brief(args: &[&[u8]], out: &mut Vec<u8>) {
    let end = out.len() + MAX_BRIEF_BYTES;
    for (n, arg) in args.iter().enumerate() {
        let left = args.len() - n;
        // Behind this argument there must be room to say how many more there were.
        let room = end.saturating_sub(out.len() + 2 * MORE_BYTES);
        if left > 1 && (n + 1 == MAX_ARGUMENTS || room < MORE_BYTES) {
            put_text(out, format_args!("... ({left} more arguments)"));
            return;
        }
        let kept = arg.len().min(MAX_ARGUMENT_BYTES).min(room);
        if kept == arg.len() {
            out.push(u8::try_from(kept).expect("128 at most"));
            out.extend_from_slice(arg);
            continue;
        }
        let at = out.len();
        out.push(0);
        out.extend_from_slice(&arg[..kept]);
        put_more(out, arg.len() - kept);
        out[at] = u8::try_from(out.len() - at - 1).expect("128 and a few");
    }
}

/// `... (16777216 more arguments)` is as long, or nearly.
const MORE_BYTES: usize = 32;

fn put_more(out: &mut Vec<u8>, bytes: usize) {
    out.extend_from_slice(format!("... ({bytes} more bytes)").as_bytes());
}

fn put_text(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let text = text.to_string();
    out.push(u8::try_from(text.len()).expect("a short text"));
    out.extend_from_slice(text.as_bytes());
}

/// The arguments as they are shown.
fn arguments(mut brief: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    std::iter::from_fn(move || {
        let (length, rest) = brief.split_first()?;
        let (text, rest) = rest.split_at(usize::from(*length));
        brief = rest;
        Some(text.to_vec())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&[u8]]) -> Vec<String> {
        let mut out = b"before".to_vec();
        put_brief(args, &mut out);
        assert!(out.len() <= 6 + MAX_BRIEF_BYTES, "{} bytes", out.len() - 6);
        arguments(&out[6..]).map(|text| String::from_utf8(text).expect("text")).collect()
    }

    #[test]
    fn the_beginning_of_the_arguments_is_kept() {
        assert_eq!(shown(&[b"SET", b"", b"v"]), ["SET", "", "v"]);
        let long = [b'x'; 1000];
        let cut = format!("{}... (872 more bytes)", "x".repeat(128));
        assert_eq!(shown(&[b"SET", b"k", &long]), ["SET", "k", &cut]);
        let at_the_limit = [b'x'; 128];
        assert_eq!(shown(&[b"GET", &at_the_limit])[1].len(), 128);
        let many = [&b"MGET"[..], b"aa", b"b", b"c"].repeat(10);
        let kept = shown(&many);
        assert_eq!((kept.len(), kept[31].as_str()), (32, "... (9 more arguments)"));
        let large: Vec<&[u8]> = vec![&long; 1000];
        let kept = shown(&large);
        assert!(kept.last().expect("something").ends_with(" more arguments)"), "{kept:?}");
        for count in 0..40 {
            for length in 0..200 {
                let arg = vec![b'y'; length];
                shown(&vec![&arg[..]; count]);
            }
        }
    }
}
