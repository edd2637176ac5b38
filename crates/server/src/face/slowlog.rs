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

/// What is kept of a command's frame, in bytes: less than all that the two limits above allow, since every command that
/// is under way may turn out to be slow.
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
    brief: Vec<u8>,
    peer: SocketAddr,
    name: Vec<u8>,
}

impl SlowLog {
    pub(super) fn add(&mut self, slow: &Slow<'_>, max_len: usize) {
        let Slow { at_us, took_us, brief, peer, name } = *slow;
        // When the cluster is busy every command is slow: the memory of the entry that leaves serves the one that comes.
        let leaving = if self.entries.len() >= max_len { self.entries.pop_back() } else { None };
        let (mut kept, mut kept_name) =
            leaving.map_or_else(Default::default, |entry| (entry.brief, entry.name));
        kept.clear();
        kept.extend_from_slice(brief);
        kept_name.clear();
        kept_name.extend_from_slice(name);
        let at_s = at_us / 1_000_000;
        self.entries.push_front(Entry {
            id: self.next_id,
            at_s,
            took_us,
            brief: kept,
            peer,
            name: kept_name,
        });
        self.next_id += 1;
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
                Value::Array(arguments(&entry.brief).into_iter().map(Value::bulk).collect()),
                Value::bulk(entry.peer.to_string()),
                Value::bulk(entry.name.clone()),
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

/// Appends to `out` what is kept of a command that came as this frame: it is on the path of every command, so it is the
/// frame's beginning as it is.
pub(super) fn put_frame(frame: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&frame[..frame.len().min(MAX_BRIEF_BYTES)]);
}

/// The same of arguments, as if they had come as a frame.
pub(super) fn put_args(args: &[&[u8]], out: &mut Vec<u8>) {
    let end = out.len() + MAX_BRIEF_BYTES;
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(&arg[..arg.len().min(MAX_BRIEF_BYTES)]);
        out.extend_from_slice(b"\r\n");
        if out.len() >= end {
            out.truncate(end);
            return;
        }
    }
}

/// The arguments as they are shown, of what was kept of them.
fn arguments(mut brief: &[u8]) -> Vec<Vec<u8>> {
    let mut shown = Vec::new();
    // Nothing is kept of a command behind very many others.
    let count = header(&mut brief, b'*').unwrap_or(0);
    while shown.len() < count {
        let left = count - shown.len();
        let has_place = left == 1 || shown.len() + 1 < MAX_ARGUMENTS;
        let Some(length) = has_place.then(|| header(&mut brief, b'$')).flatten() else {
            shown.push(format!("... ({left} more arguments)").into_bytes());
            break;
        };
        let kept = length.min(MAX_ARGUMENT_BYTES).min(brief.len());
        let mut text = brief[..kept].to_vec();
        if kept < length {
            text.extend_from_slice(format!("... ({} more bytes)", length - kept).as_bytes());
        }
        shown.push(text);
        brief = brief.get(length + 2..).unwrap_or_default();
    }
    shown
}

/// The number on a line behind this byte, if the line is there.
fn header(bytes: &mut &[u8], kind: u8) -> Option<usize> {
    let line = bytes.strip_prefix(&[kind])?;
    let end = line.windows(2).position(|end| end == b"\r\n")?;
    let number = integer::parse(&line[..end])?;
    *bytes = &line[end + 2..];
    usize::try_from(number).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(args: &[&[u8]]) -> Vec<String> {
        let mut out = b"before".to_vec();
        put_args(args, &mut out);
        assert!(out.len() <= 6 + MAX_BRIEF_BYTES, "{} bytes", out.len() - 6);
        let mut frame = format!("*{}\r\n", args.len()).into_bytes();
        for arg in args {
            frame.extend([format!("${}\r\n", arg.len()).as_bytes(), arg, b"\r\n"].concat());
        }
        let mut whole = b"before".to_vec();
        put_frame(&frame, &mut whole);
        assert_eq!(out, whole);
        arguments(&out[6..]).into_iter().map(|text| String::from_utf8(text).expect("text")).collect()
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
