//! The same steps to both servers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use crate::compare::{Queue, are_alike};
use crate::differences::is_listed;
use crate::grammar::{CLIENTS, KEYS, Step};
use crate::harness::until;
use crate::wire::{Connection, Reply, encode};

/// How many commands travel in one piece.
const BATCH: usize = 50;

/// How long a key of two milliseconds may take to be gone.
pub(crate) const EXPIRY_PATIENCE: Duration = Duration::from_secs(20);

/// A full iteration takes no more calls than this.
const MAX_CALLS: usize = 10_000;

/// The two servers' addresses.
pub(crate) struct Pair {
    pub(crate) bowline: String,
    pub(crate) redis: String,
}

/// Where they first said something else: Bowline's reply and that of Redis.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) step: usize,
    pub(crate) replies: Box<(Reply, Reply)>,
}

impl Difference {
    fn new(step: usize, ours: Reply, theirs: Reply) -> Self {
        Self { step, replies: Box::new((ours, theirs)) }
    }
}

/// For each command: how often it was answered by something else than an error, and by an error.
#[derive(Default)]
pub(crate) struct Tally(pub(crate) BTreeMap<String, (u64, u64)>);

/// An EXEC that was not carried out.
pub(crate) const WATCH_FAILED: &str = "exec behind a change";

impl Tally {
    fn count(&mut self, name: &[u8], reply: &Reply) {
        let mut name = String::from_utf8_lossy(name).to_ascii_lowercase();
        if name == "exec" && reply.items.is_empty() && reply.kind() != b'-' {
            // Of no commands, or because a watched key has changed.
            name = if reply.is("*0") { "exec of nothing" } else { WATCH_FAILED }.to_owned();
        }
        let counts = self.0.entry(name).or_default();
        let is_error = reply.kind() == b'-';
        *(if is_error { &mut counts.1 } else { &mut counts.0 }) += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (name, (answers, errors)) in other.0 {
            let counts = self.0.entry(name).or_default();
            *counts = (counts.0 + answers, counts.1 + errors);
        }
    }

    /// How many commands were compared.
    pub(crate) fn total(&self) -> u64 {
        self.0.values().map(|(answers, errors)| answers + errors).sum()
    }
}

/// A connection to each of them.
struct Both {
    ours: Connection,
    theirs: Connection,
}

impl Both {
    fn open(pair: &Pair) -> Self {
        Self { ours: Connection::open(&pair.bowline), theirs: Connection::open(&pair.redis) }
    }

    fn send(&mut self, bytes: &[u8]) {
        self.ours.send(bytes);
        self.theirs.send(bytes);
    }

    fn receive(&mut self) -> (Reply, Reply) {
        (self.ours.receive(), self.theirs.receive())
    }

    fn call<W: AsRef<[u8]>>(&mut self, words: &[W]) -> (Reply, Reply) {
        let mut bytes = Vec::new();
        encode(words, &mut bytes);
        self.send(&bytes);
        self.receive()
    }
}

/// Empties both servers and does the steps. `seed` says what the third connection speaks.
pub(crate) fn run(pair: &Pair, seed: u64, steps: &[Step], tally: &mut Tally) -> Result<(), Difference> {
    let mut helper = Both::open(pair);
    let (ours, theirs) = helper.call(&["FLUSHALL"]);
    assert!(ours.is("+OK") && theirs.is("+OK"), "FLUSHALL: {ours:?}, {theirs:?}");
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| (Both::open(pair), Queue::default())).collect();
    for (number, (client, _)) in clients.iter_mut().enumerate() {
        if number == 1 || (number == 2 && seed % 2 == 1) {
            client.call(&["HELLO", "3"]);
        }
    }
    let mut at = 0;
    while at < steps.len() {
        at += match &steps[at] {
            Step::Send { client, .. } => {
                let (connection, queue) = &mut clients[*client];
                batch(connection, queue, *client, &steps[at..], tally)
            }
            Step::LetExpire { key } => let_expire(&mut helper, key).map(|()| 1),
            Step::Iterate { words, cursor } => iterate(&mut helper, words, *cursor, tally).map(|()| 1),
        }
        .map_err(|difference| Difference { step: at + difference.step, ..difference })?;
    }
    let last = steps.len().saturating_sub(1);
    what_is_left(&mut helper).map_err(|difference| Difference { step: last, ..difference })
}

/// In the end there are the same keys, and each holds the same.
fn what_is_left(both: &mut Both) -> Result<(), Difference> {
    // Redis lets go of keys whose time is over when it comes upon them, and in a full iteration it comes upon all.
    let words = [b"SCAN".to_vec(), Vec::new()];
    let (ours, theirs) = (whole(&mut both.ours, &words, 1), whole(&mut both.theirs, &words, 1));
    if ours != theirs {
        return Err(Difference::new(0, ours, theirs));
    }
    let found = ours.items.iter().map(|item| item.items[0].bytes.as_slice());
    let keys: BTreeSet<&[u8]> = KEYS.iter().copied().chain(found).collect();
    for key in keys {
        for name in [&b"TYPE"[..], b"GET", b"HGETALL", b"PTTL"] {
            let (ours, theirs) = both.call(&[name, key]);
            if !are_alike(name, &ours, &theirs) {
                return Err(Difference::new(0, ours, theirs));
            }
        }
    }
    let (ours, theirs) = both.call(&["DBSIZE"]);
    if ours == theirs { Ok(()) } else { Err(Difference::new(0, ours, theirs)) }
}

/// The commands at the beginning of `steps` that are of this client: how many.
fn batch(
    both: &mut Both,
    queue: &mut Queue,
    client: usize,
    steps: &[Step],
    tally: &mut Tally,
) -> Result<usize, Difference> {
    let mut bytes = Vec::new();
    let mut names = Vec::new();
    for step in steps.iter().take(BATCH) {
        match step {
            Step::Send { client: of, words, is_inline } if *of == client => {
                if *is_inline {
                    bytes.extend_from_slice(&words.join(&b' '));
                    bytes.extend_from_slice(b"\r\n");
                } else {
                    encode(words, &mut bytes);
                }
                names.push(&words[0]);
            }
            _ => break,
        }
    }
    both.send(&bytes);
    for (step, name) in names.iter().enumerate() {
        let (ours, theirs) = both.receive();
        if !queue.are_same(name, &ours, &theirs) {
            return Err(Difference::new(step, ours, theirs));
        }
        tally.count(name, &ours);
    }
    Ok(names.len())
}

/// Gives the key two milliseconds, and waits until both have let go of it.
fn let_expire(both: &mut Both, key: &[u8]) -> Result<(), Difference> {
    let (ours, theirs) = both.call(&[&b"PEXPIRE"[..], key, b"2"]);
    if ours != theirs {
        return Err(Difference::new(0, ours, theirs));
    }
    for connection in [&mut both.ours, &mut both.theirs] {
        until("a key to expire", EXPIRY_PATIENCE, || {
            connection.call(&[b"EXISTS", key]).is(":0").then_some(())
        });
    }
    Ok(())
}

/// All that a full iteration finds, in order and once; the error that ends it otherwise.
fn all(connection: &mut Connection, words: &[Vec<u8>], cursor: usize) -> Result<Vec<Reply>, Reply> {
    let mut words = words.to_vec();
    words[cursor] = b"0".to_vec();
    let mut found = Vec::new();
    for _ in 0..MAX_CALLS {
        let parts: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
        let reply = connection.call(&parts);
        if reply.kind() == b'-' {
            return Err(reply);
        }
        let [next, items] = <[Reply; 2]>::try_from(reply.items).expect("a cursor and what was found");
        // Of HSCAN a field and its value belong together.
        let size = if words[0].eq_ignore_ascii_case(b"hscan") { 2 } else { 1 };
        let groups = items.items.chunks(size);
        found.extend(groups.map(|group| Reply {
            head: Vec::new(),
            bytes: Vec::new(),
            items: group.to_vec(),
        }));
        if next.bytes == b"0" {
            found.sort();
            found.dedup();
            return Ok(found);
        }
        words[cursor] = next.bytes;
    }
    panic!("an iteration does not end: {words:?}")
}

/// The same as one reply, which begins as a page of it does.
fn whole(connection: &mut Connection, words: &[Vec<u8>], cursor: usize) -> Reply {
    match all(connection, words, cursor) {
        Ok(items) => Reply { head: b"*2".to_vec(), bytes: Vec::new(), items },
        Err(error) => error,
    }
}

fn iterate(both: &mut Both, words: &[Vec<u8>], cursor: usize, tally: &mut Tally) -> Result<(), Difference> {
    let ours = whole(&mut both.ours, words, cursor);
    let theirs = whole(&mut both.theirs, words, cursor);
    if ours == theirs || is_listed(&words[0], &ours, &theirs) {
        tally.count(&words[0], &ours);
        return Ok(());
    }
    Err(Difference::new(0, ours, theirs))
}

/// Both replies to each of some commands of one connection, and whether they are the same.
pub(crate) fn replies(pair: &Pair, commands: &[&[&str]]) -> Vec<(Reply, Reply, bool)> {
    let mut both = Both::open(pair);
    both.call(&["FLUSHALL"]);
    let answer = |words: &&[&str]| {
        let (ours, theirs) = both.call(words);
        let same = are_alike(words[0].as_bytes(), &ours, &theirs);
        (ours, theirs, same)
    };
    commands.iter().map(answer).collect()
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted = |words: &[Vec<u8>]| {
            let words: Vec<_> = words.iter().map(|word| format!("\"{}\"", word.escape_ascii())).collect();
            words.join(" ")
        };
        match self {
            Self::Send { client, words, is_inline } => {
                write!(f, "client {client}: {}{}", quoted(words), if *is_inline { " (inline)" } else { "" })
            }
            Self::LetExpire { key } => write!(f, "in between: \"{}\" expires", key.escape_ascii()),
            Self::Iterate { words, .. } => write!(f, "in between: all of {}", quoted(words)),
        }
    }
}
