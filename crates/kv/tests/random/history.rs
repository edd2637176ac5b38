//! What one connection was told, against what it may be told.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use bowline_kv::Reply;

use crate::clients::{COUNTERS, Client};
use crate::hashes::HashAction;

/// How long the text of an element of a list is.
const ELEMENT_BYTES: usize = 7;

/// What a client may ask for. `k`, `l`, `p`, `q` and `d` are its own keys, and it alone writes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Set(u64),
    Append(u64),
    /// Two keys at once, to the same number.
    SetBoth(u64),
    /// A key that comes and goes.
    Come(u64),
    Go,
    Increment(u64),
    Get,
    List,
    Exists,
    GetBoth,
    /// Its `e`, for so many milliseconds.
    SetFor(u64, u64),
    /// The same key, for as long as it had still, or for ever if it had no time.
    SetKeeping(u64),
    /// The same key, for ever.
    SetLasting(u64),
    GetTimed,
    /// About its `h`.
    Hash(HashAction),
    /// The `k` of any client.
    ReadOf(u64),
    ReadCounters,
    Examine(String),
}

/// A command and what became of it.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) action: Action,
    /// When, in microseconds.
    pub(crate) submitted: u64,
    /// How long the node had stood still by then.
    pub(crate) stood_still: u64,
    /// What was known of its keys then.
    pub(crate) floors: BTreeMap<String, u64>,
    pub(crate) reply: Option<Reply>,
    /// When, in microseconds.
    pub(crate) answered: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Done,
    /// Certainly not executed, says the answer.
    Undone,
    /// May have been; also without any answer.
    Uncertain,
}

impl Fate {
    pub(crate) fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Error(text) if text.starts_with(b"UNCERTAIN ") => Self::Uncertain,
            Reply::Error(text) if text.starts_with(b"CLUSTERDOWN ") || text.starts_with(b"LOGFULL ") => {
                Self::Undone
            }
            Reply::Error(text) => panic!("an error that no command here causes: {text:?}"),
            _ => Self::Done,
        }
    }
}

impl Operation {
    pub(crate) fn fate(&self) -> Fate {
        self.reply.as_ref().map_or(Fate::Uncertain, Fate::of)
    }
}

impl Action {
    /// The commands of the transaction that does the same, for what can be one.
    pub(crate) fn transaction(&self, client: u64) -> Option<Vec<Vec<String>>> {
        let texts = match self {
            Self::SetBoth(n) => vec![format!("SET p{client} {n}"), format!("SET q{client} {n}")],
            Self::GetBoth => vec![format!("GET p{client}"), format!("GET q{client}")],
            Self::Increment(counter) => vec![format!("INCR c{counter}")],
            _ => return None,
        };
        Some(texts.iter().map(|text| text.split(' ').map(str::to_owned).collect()).collect())
    }

    /// Whether a client's command of this number is a transaction, if it can be one.
    pub(crate) fn is_transaction(&self, token: u64) -> bool {
        token.is_multiple_of(2) && self.transaction(0).is_some()
    }

    /// Whether a client's command of this number can be answered so when it was done.
    pub(crate) fn fits(&self, client: u64, token: u64, reply: &Reply) -> bool {
        let is_value = |reply: &Reply| matches!(reply, Reply::Nil | Reply::Bulk(_));
        let is_flag = |reply: &Reply| matches!(reply, Reply::Int(0 | 1));
        let are_values = |reply: &Reply, count: u64| matches!(reply, Reply::Array(all) if all.len() as u64 == count && all.iter().all(is_value));
        match self {
            Self::SetBoth(_) if self.is_transaction(token) => *reply == Reply::Array(vec![Reply::Ok; 2]),
            Self::Set(_) | Self::SetBoth(_) | Self::Come(_) => *reply == Reply::Ok,
            Self::SetFor(..) | Self::SetKeeping(_) | Self::SetLasting(_) => *reply == Reply::Ok,
            Self::Append(_) => matches!(reply, Reply::Int(1..)),
            Self::Increment(_) if self.is_transaction(token) => {
                matches!(reply, Reply::Array(all) if matches!(all[..], [Reply::Int(1..)]))
            }
            Self::Increment(_) => matches!(reply, Reply::Int(1..)),
            Self::Go | Self::Exists => is_flag(reply),
            Self::Get | Self::List | Self::GetTimed | Self::ReadOf(_) | Self::Examine(_) => is_value(reply),
            Self::GetBoth => are_values(reply, 2),
            Self::ReadCounters => are_values(reply, COUNTERS),
            Self::Hash(action) => action.fits(client, reply),
        }
    }

    /// Whether it makes a number greater than anybody can have known it before.
    pub(crate) fn raises(&self) -> bool {
        matches!(self, Self::Set(_) | Self::SetBoth(_) | Self::Append(_) | Self::Increment(_))
    }

    /// The command as a client says it.
    pub(crate) fn words(&self, client: u64) -> Vec<String> {
        let text = match self {
            Self::Set(n) => format!("SET k{client} {n}"),
            Self::Append(n) => format!("APPEND l{client} {}", element(*n)),
            Self::SetBoth(n) => format!("MSET p{client} {n} q{client} {n}"),
            Self::Come(n) => format!("SET d{client} {n}"),
            Self::Go => format!("DEL d{client}"),
            Self::Increment(counter) => format!("INCR c{counter}"),
            Self::Get => format!("GET k{client}"),
            Self::List => format!("GET l{client}"),
            Self::Exists => format!("EXISTS k{client}"),
            Self::GetBoth => format!("MGET p{client} q{client}"),
            Self::SetFor(n, ms) => format!("SET e{client} {n} PX {ms}"),
            Self::SetKeeping(n) => format!("SET e{client} {n} KEEPTTL"),
            Self::SetLasting(n) => format!("SET e{client} {n}"),
            Self::GetTimed => format!("GET e{client}"),
            Self::Hash(action) => return action.words(client),
            Self::ReadOf(other) => format!("GET k{other}"),
            Self::ReadCounters => {
                (0..COUNTERS).fold("MGET".to_owned(), |text, counter| format!("{text} c{counter}"))
            }
            Self::Examine(key) => format!("GET {key}"),
        };
        text.split(' ').map(str::to_owned).collect()
    }
}

fn element(n: u64) -> String {
    format!("{n:0width$},", width = ELEMENT_BYTES - 1)
}

/// A value that is a number, or that of a transaction's only command; none is 0.
pub(crate) fn number(reply: &Reply) -> u64 {
    match reply {
        Reply::Array(replies) if replies.len() == 1 => number(&replies[0]),
        Reply::Nil => 0,
        Reply::Int(n) => u64::try_from(*n).expect("not negative"),
        Reply::Bulk(text) => std::str::from_utf8(text).expect("text").parse().expect("a number"),
        other => panic!("not a number: {other:?}"),
    }
}

fn numbers(reply: &Reply) -> Vec<u64> {
    let Reply::Array(replies) = reply else { panic!("not an array: {reply:?}") };
    replies.iter().map(number).collect()
}

/// The numbers of a list, behind each of which stands a comma.
pub(crate) fn list<T: FromStr>(reply: &Reply) -> Vec<T> {
    let text = match reply {
        Reply::Nil => "",
        Reply::Bulk(text) => std::str::from_utf8(text).expect("text"),
        other => panic!("not a list: {other:?}"),
    };
    let number = |element: &str| element.parse().unwrap_or_else(|_| panic!("not a list: {text}"));
    text.split_terminator(',').map(number).collect()
}

/// Which keys' growing numbers a reply shows.
pub(crate) fn values(action: &Action, reply: &Reply, client: u64) -> Vec<(String, u64)> {
    match action {
        Action::Set(n) => vec![(format!("k{client}"), *n)],
        Action::SetBoth(n) => vec![(format!("p{client}"), *n), (format!("q{client}"), *n)],
        Action::Append(_) => vec![(format!("l{client}"), number(reply) / ELEMENT_BYTES as u64)],
        // One more than anybody knew, or it was done twice.
        Action::Increment(counter) => vec![(format!("c{counter}"), number(reply))],
        Action::Get => vec![(format!("k{client}"), number(reply))],
        Action::List => vec![(format!("l{client}"), list::<u64>(reply).len() as u64)],
        // What is there for a while does not only grow.
        Action::Exists | Action::Come(_) | Action::Go | Action::GetTimed => Vec::new(),
        Action::SetFor(..) | Action::SetKeeping(_) | Action::SetLasting(_) | Action::Hash(_) => Vec::new(),
        Action::GetBoth => {
            let shown = numbers(reply);
            vec![(format!("p{client}"), shown[0]), (format!("q{client}"), shown[1])]
        }
        Action::ReadOf(other) => vec![(format!("k{other}"), number(reply))],
        Action::ReadCounters => {
            let shown = numbers(reply).into_iter();
            shown.enumerate().map(|(counter, n)| (format!("c{counter}"), n)).collect()
        }
        Action::Examine(key) if key.starts_with('l') => vec![(key.clone(), list::<u64>(reply).len() as u64)],
        Action::Examine(key) => vec![(key.clone(), number(reply))],
    }
}

/// A key that only one connection writes, with numbers that grow.
#[derive(Default)]
struct Register {
    /// The last that is sure to have been there.
    certain: u64,
    /// Behind it, those that may have been.
    possible: BTreeSet<u64>,
}

impl Register {
    fn write(&mut self, n: u64, fate: Fate) {
        match fate {
            Fate::Done => *self = Self { certain: n, possible: BTreeSet::new() },
            Fate::Uncertain => {
                self.possible.insert(n);
            }
            Fate::Undone => {}
        }
    }

    fn read(&mut self, shown: u64, context: &str) {
        assert!(
            shown == self.certain || self.possible.contains(&shown),
            "{context} shows {shown}; certain is {}, possible {:?}",
            self.certain,
            self.possible
        );
        self.certain = shown;
        self.possible = self.possible.split_off(&(shown + 1));
    }
}

/// Whether a key is there that only one connection sets and deletes; none if it is not sure.
struct Presence(Option<bool>);

impl Presence {
    /// What was sent would set or delete it.
    fn write(&mut self, there: bool, fate: Fate) {
        match fate {
            Fate::Done => self.0 = Some(there),
            Fate::Uncertain if self.0 != Some(there) => self.0 = None,
            Fate::Uncertain | Fate::Undone => {}
        }
    }

    /// A deletion said whether it was there before.
    fn shown(&self, there: bool, context: &str) {
        assert!(self.0.is_none_or(|sure| sure == there), "{context} shows {there}, and sure is {:?}", self.0);
    }
}

/// The list that only one connection makes longer.
#[derive(Default)]
struct List {
    /// As it was seen last.
    seen: Vec<u64>,
    certain: BTreeSet<u64>,
    possible: BTreeSet<u64>,
    /// Which place each acknowledged element has, says its acknowledgement.
    places: BTreeMap<usize, u64>,
}

impl List {
    fn append(&mut self, n: u64, operation: &Operation) {
        match operation.fate() {
            Fate::Done => {
                let length = number(operation.reply.as_ref().expect("it is done"));
                let length = usize::try_from(length).expect("a small number");
                assert_eq!(length % ELEMENT_BYTES, 0, "part of an element");
                let other = self.places.insert(length / ELEMENT_BYTES - 1, n);
                assert_eq!(other, None, "{n} was put where another one is");
                self.certain.insert(n);
            }
            Fate::Uncertain => {
                self.possible.insert(n);
            }
            Fate::Undone => {}
        }
    }

    fn read(&mut self, shown: Vec<u64>, context: &str) {
        assert!(shown.is_sorted_by(|a, b| a < b), "{context} is out of order: {shown:?}");
        assert!(shown.starts_with(&self.seen), "{context}: {shown:?} does not continue {:?}", self.seen);
        for n in &shown {
            let is_possible = self.certain.contains(n) || self.possible.contains(n);
            assert!(is_possible, "{context} has {n}, which it cannot: {shown:?}");
        }
        for n in &self.certain {
            assert!(shown.contains(n), "{context} lacks {n}: {shown:?}");
        }
        for (&place, n) in &self.places {
            assert_eq!(shown.get(place), Some(n), "{context}: place {place} of {shown:?}");
        }
        self.seen = shown;
    }
}

/// A client's history in its own order, and then what is there in the end.
pub(crate) fn check_client(client: &Client, last: &BTreeMap<String, Reply>) {
    let (mut register, mut pair, mut own) = (Register::default(), Register::default(), List::default());
    let mut presence = Presence(Some(false));
    let mut counters: BTreeMap<u64, u64> = BTreeMap::new();
    let mut others: BTreeMap<u64, u64> = BTreeMap::new();
    let grows = |shown: u64, before: &mut u64, context: &str| {
        assert!(shown >= *before, "{context} goes back from {before} to {shown}");
        *before = shown;
    };
    for (at, operation) in client.operations.iter().enumerate() {
        let context = format!("client {}, command {at}, {:?}", client.number, operation.action);
        let done = operation.reply.as_ref().filter(|_| operation.fate() == Fate::Done);
        match (&operation.action, done) {
            (Action::Set(n), _) => register.write(*n, operation.fate()),
            (Action::SetBoth(n), _) => pair.write(*n, operation.fate()),
            (Action::Append(n), _) => own.append(*n, operation),
            (Action::Come(_), _) => presence.write(true, operation.fate()),
            (Action::Go, reply) => {
                if let Some(reply) = reply {
                    presence.shown(number(reply) == 1, &context);
                }
                presence.write(false, operation.fate());
            }
            (Action::Get, Some(reply)) => register.read(number(reply), &context),
            (Action::List, Some(reply)) => own.read(list(reply), &context),
            (Action::Exists, Some(reply)) => {
                let certainly = register.certain > 0;
                let possibly = certainly || !register.possible.is_empty();
                let shown = number(reply) == 1;
                assert!(shown >= certainly && shown <= possibly, "{context}: {reply:?}");
            }
            (Action::GetBoth, Some(reply)) => {
                let shown = numbers(reply);
                assert_eq!(shown[0], shown[1], "{context} saw half of an MSET");
                pair.read(shown[0], &context);
            }
            (Action::ReadOf(other), Some(reply)) if *other == client.number => {
                register.read(number(reply), &context);
            }
            (Action::ReadOf(other), Some(reply)) => {
                grows(number(reply), others.entry(*other).or_default(), &context);
            }
            (Action::Increment(counter), Some(reply)) => {
                let before = counters.entry(*counter).or_default();
                let n = number(reply);
                assert!(n > *before, "{context} makes {n} of {before}");
                *before = n;
            }
            (Action::ReadCounters, Some(reply)) => {
                for (counter, n) in (0..).zip(numbers(reply)) {
                    grows(n, counters.entry(counter).or_default(), &context);
                }
            }
            (_, None) | (Action::Examine(_) | Action::GetTimed | Action::Hash(_), _) => {}
            (Action::SetFor(..) | Action::SetKeeping(_) | Action::SetLasting(_), _) => {}
        }
    }
    let name = client.number;
    register.read(number(&last[&format!("k{name}")]), &format!("in the end, k{name}"));
    pair.read(number(&last[&format!("p{name}")]), &format!("in the end, p{name}"));
    own.read(list(&last[&format!("l{name}")]), &format!("in the end, l{name}"));
    assert_eq!(last[&format!("p{name}")], last[&format!("q{name}")], "half of an MSET of client {name}");
}

/// Each acknowledged increment gave a number of its own, and each was done at most once.
pub(crate) fn check_counters(histories: &[&[Operation]], last: &BTreeMap<String, Reply>) {
    for counter in 0..COUNTERS {
        let (mut given, mut uncertain) = (BTreeSet::new(), 0);
        let all = histories.iter().flat_map(|history| history.iter());
        for operation in all.filter(|op| op.action == Action::Increment(counter)) {
            match (operation.fate(), &operation.reply) {
                (Fate::Done, Some(reply)) => {
                    assert!(given.insert(number(reply)), "c{counter} was {reply:?} for two increments");
                }
                (Fate::Uncertain, _) => uncertain += 1,
                _ => {}
            }
        }
        let (value, least) = (number(&last[&format!("c{counter}")]), given.len() as u64);
        assert!(
            (least..=least + uncertain).contains(&value),
            "c{counter} is {value}, after {least} increments that were acknowledged and {uncertain} that may be"
        );
    }
}
