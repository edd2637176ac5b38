//! Hashes: each client has one, whose fields it alone writes.
//!
//! - A read shows each field as the last command in front of it has left it, or one that may have been executed.
//! - A command that writes several fields is seen whole.
//!
//! Some clients write many fields at a time, so that their hashes become large. That a hash is the same on each
//! replica, in its order too, is seen by the digests.

use std::collections::BTreeMap;

use bowline_kv::Reply;

use crate::history::{Action, Fate, Operation, number};
use crate::tally::Tally;

/// What a client does with its hash, as its command of this number. The number is what it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HashAction {
    Set(u64),
    Delete(u64),
    Get(u64),
    GetAll,
}

/// How many fields a command names, and out of how many. One client in four has a large hash.
fn sizes(client: u64) -> (u64, u64) {
    if client.is_multiple_of(4) { (200, 700) } else { (5, 30) }
}

/// The fields that the command of this number names. The first two go together.
fn fields(n: u64, client: u64) -> impl Iterator<Item = u64> {
    let (named, all) = sizes(client);
    (0..named).map(move |at| (n * 37 + at) % all)
}

fn field_name(field: u64) -> String {
    format!("f{field}")
}

impl HashAction {
    /// Whether it can be answered so when it was done.
    pub(crate) fn fits(self, client: u64, reply: &Reply) -> bool {
        let is_value = |reply: &Reply| matches!(reply, Reply::Nil | Reply::Bulk(_));
        match (self, reply) {
            (Self::Set(_) | Self::Delete(_), reply) => matches!(reply, Reply::Int(0..)),
            (Self::Get(_), Reply::Array(values)) => {
                values.len() + 2 == self.words(client).len() && values.iter().all(is_value)
            }
            (Self::GetAll, Reply::Map(pairs)) => pairs.iter().all(|part| matches!(part, Reply::Bulk(_))),
            _ => false,
        }
    }

    /// The fields that it writes.
    fn written(self, client: u64) -> Vec<String> {
        let named = |n| fields(n, client).map(field_name);
        match self {
            Self::Set(n) => ["a", "b"].map(str::to_owned).into_iter().chain(named(n)).collect(),
            Self::Delete(n) => named(n).collect(),
            Self::Get(_) | Self::GetAll => Vec::new(),
        }
    }

    /// The command as a client says it.
    pub(crate) fn words(self, client: u64) -> Vec<String> {
        let key = format!("h{client}");
        let command = |name: &str, rest: Vec<String>| [vec![name.to_owned(), key], rest].concat();
        match self {
            Self::Set(n) => {
                let pairs = self.written(client).into_iter().flat_map(|name| [name, n.to_string()]);
                command("HSET", pairs.collect())
            }
            Self::Delete(_) => command("HDEL", self.written(client)),
            Self::Get(n) => {
                let names = ["a".to_owned(), "b".to_owned()].into_iter();
                command("HMGET", names.chain(fields(n, client).map(field_name)).collect())
            }
            Self::GetAll => command("HGETALL", Vec::new()),
        }
    }
}

/// A field by the numbers of the commands that wrote it; with each whether that one deleted it.
struct Field {
    /// The last that is sure to have been executed.
    certain: (u64, bool),
    /// Behind it, those that may have been.
    possible: BTreeMap<u64, bool>,
}

impl Default for Field {
    fn default() -> Self {
        Self { certain: (0, true), possible: BTreeMap::new() }
    }
}

impl Field {
    /// Whether it is there; none if it is not sure.
    fn is_there(&self) -> Option<bool> {
        let deletes = self.certain.1;
        self.possible.values().all(|possible| *possible == deletes).then_some(!deletes)
    }

    fn write(&mut self, n: u64, deletes: bool, fate: Fate) {
        match fate {
            Fate::Done => *self = Self { certain: (n, deletes), possible: BTreeMap::new() },
            Fate::Uncertain => {
                self.possible.insert(n, deletes);
            }
            Fate::Undone => {}
        }
    }

    /// `shown` is the number that is its value, or 0 if it is not there.
    fn read(&mut self, shown: u64, context: &str) {
        let is_gone = shown == 0;
        if self.certain.1 == is_gone && (is_gone || self.certain.0 == shown) {
            return;
        }
        let found =
            self.possible.iter().find(|(n, deletes)| **deletes == is_gone && (is_gone || **n == shown));
        let (&n, _) = found.unwrap_or_else(|| {
            panic!("{context} is {shown}; certain is {:?}, possible {:?}", self.certain, self.possible)
        });
        self.certain = (n, is_gone);
        self.possible = self.possible.split_off(&(n + 1));
    }
}

/// What a connection saw of its own hash.
pub(crate) fn check_hash(operations: &[Operation], client: u64, tally: &mut Tally) {
    let mut hash: BTreeMap<String, Field> = BTreeMap::new();
    for (at, operation) in operations.iter().enumerate() {
        let Action::Hash(action) = operation.action else { continue };
        let fate = operation.fate();
        let context = |name: &str| format!("client {client}, command {at}: field {name}");
        let reply = operation.reply.as_ref().filter(|_| fate == Fate::Done);
        if let HashAction::Set(n) | HashAction::Delete(n) = action {
            let deletes = matches!(action, HashAction::Delete(_));
            let names = action.written(client);
            if let Some(reply) = reply {
                check_count(&hash, &names, deletes, number(reply), &format!("client {client}, command {at}"));
            }
            for name in names {
                hash.entry(name).or_default().write(n, deletes, fate);
            }
            continue;
        }
        let shown: BTreeMap<String, u64> = match (action, reply) {
            (_, None) => continue,
            (HashAction::Get(_), Some(Reply::Array(values))) => {
                action.words(client).into_iter().skip(2).zip(values.iter().map(number)).collect()
            }
            (HashAction::GetAll, Some(Reply::Map(pairs))) => {
                tally.large_hashes_read += u64::from(pairs.len() > 2 * 512);
                let (pairs, _) = pairs.as_chunks::<2>();
                let shown: BTreeMap<_, _> =
                    pairs.iter().map(|[name, value]| (text(name), number(value))).collect();
                assert_eq!(shown.len(), pairs.len(), "client {client}, command {at}: a field comes twice");
                hash.keys().map(|name| (name.clone(), shown.get(name).copied().unwrap_or(0))).collect()
            }
            (_, Some(other)) => panic!("client {client}, command {at}: {other:?}"),
        };
        tally.hashes_read += 1;
        assert_eq!(shown.get("a"), shown.get("b"), "client {client}, command {at} saw half of an HSET");
        for (name, n) in shown {
            hash.entry(name.clone()).or_default().read(n, &context(&name));
        }
    }
}

/// HSET says how many fields there are now that were not, and HDEL how many are gone that were there.
fn check_count(hash: &BTreeMap<String, Field>, names: &[String], deletes: bool, told: u64, context: &str) {
    let absent = Field::default();
    let was_there = || names.iter().map(|name| hash.get(name).unwrap_or(&absent).is_there());
    let least = was_there().filter(|was_there| *was_there == Some(deletes)).count() as u64;
    let most = was_there().filter(|was_there| was_there.is_none_or(|was| was == deletes)).count() as u64;
    assert!((least..=most).contains(&told), "{context} changed {told} fields, of {least} to {most}");
}

fn text(reply: &Reply) -> String {
    match reply {
        Reply::Bulk(text) => String::from_utf8(text.to_vec()).expect("text"),
        other => panic!("no name: {other:?}"),
    }
}
