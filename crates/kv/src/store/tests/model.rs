//! The store beside the plainest store there is.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::command::Comparison;

/// The same commands on the plainest store there is.
#[derive(Default)]
struct Model(BTreeMap<Vec<u8>, Vec<u8>>);

impl Model {
    fn bulk(&self, key: &[u8]) -> Reply {
        self.0.get(key).map_or(Reply::Nil, |value| Reply::Bulk(value.clone().into()))
    }

    fn compares(&self, key: &[u8], comparison: Comparison<'_>) -> bool {
        let held = self.0.get(key).map(Vec::as_slice);
        match comparison {
            Comparison::Equal(value) => held == Some(value),
            Comparison::NotEqual(value) => held != Some(value),
        }
    }

    /// The commands that were not there from the beginning.
    fn execute_later(&mut self, command: &Command<'_>) -> Reply {
        let count = |count: usize| Reply::Int(i64::try_from(count).unwrap());
        match command {
            Command::MSetNx { pairs } => {
                let absent = pairs.iter().all(|(key, _)| !self.0.contains_key(*key));
                if absent {
                    self.0.extend(pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
                }
                count(absent.into())
            }
            Command::GetRange { key, start, end } => {
                let text = self.0.get(*key).cloned().unwrap_or_default();
                let size = i64::try_from(text.len()).unwrap();
                let [first, last] = [*start, *end].map(|at| if at < 0 { (at + size).max(0) } else { at });
                let crossed = *start < 0 && *end < 0 && start > end;
                let part = (first..=last).map_while(|at| text.get(usize::try_from(at).unwrap()).copied());
                Reply::Bulk(if crossed { Bytes::new() } else { part.collect() })
            }
            Command::SetRange { key, offset, value } => {
                let offset = usize::try_from(*offset).unwrap();
                if value.is_empty() {
                    return count(self.0.get(*key).map_or(0, Vec::len));
                }
                let text = self.0.entry(key.to_vec()).or_default();
                text.resize(text.len().max(offset + value.len()), 0);
                text.splice(offset..offset + value.len(), value.iter().copied());
                count(text.len())
            }
            Command::GetDel { key } => {
                self.0.remove(*key).map_or(Reply::Nil, |value| Reply::Bulk(value.into()))
            }
            Command::DelIf { key, comparison } => {
                let wanted = self.compares(key, *comparison);
                count((wanted && self.0.remove(*key).is_some()).into())
            }
            Command::Rename { key, to, only_new } => {
                if !self.0.contains_key(*key) {
                    return Reply::error_text("ERR no such key");
                }
                if *only_new && self.0.contains_key(*to) {
                    return Reply::Int(0);
                }
                let value = self.0.remove(*key).unwrap();
                self.0.insert(to.to_vec(), value);
                if *only_new { Reply::Int(1) } else { Reply::Ok }
            }
            Command::Copy { key, to, replace } => {
                let value = self.0.get(*key).filter(|_| *replace || !self.0.contains_key(*to)).cloned();
                let is_done = value.is_some();
                self.0.extend(value.map(|value| (to.to_vec(), value)));
                count(is_done.into())
            }
            timed => panic!("the model has no time: {timed:?}"),
        }
    }

    fn execute(&mut self, command: &Command<'_>) -> Reply {
        let count = |count: usize| Reply::Int(i64::try_from(count).unwrap());
        match command {
            Command::Get { key } => self.bulk(key),
            Command::Set { key, value, condition, get, expiry: SetExpiry::Never } => {
                let (old, present) = (self.bulk(key), self.0.contains_key(*key));
                let done = match condition {
                    Condition::Always => true,
                    Condition::IfAbsent => !present,
                    Condition::IfPresent => present,
                    Condition::If(comparison) => self.compares(key, *comparison),
                };
                if done {
                    self.0.insert(key.to_vec(), value.to_vec());
                }
                match (get, done) {
                    (true, _) => old,
                    (false, true) => Reply::Ok,
                    (false, false) => Reply::Nil,
                }
            }
            Command::SetNx { key, value } => {
                let absent = !self.0.contains_key(*key);
                self.0.entry(key.to_vec()).or_insert_with(|| value.to_vec());
                count(absent.into())
            }
            Command::Append { key, value } => {
                let stored = self.0.entry(key.to_vec()).or_default();
                stored.extend_from_slice(value);
                count(stored.len())
            }
            Command::StrLen { key } => count(self.0.get(*key).map_or(0, Vec::len)),
            Command::Del { keys } => {
                count(keys.as_slice().iter().filter_map(|key| self.0.remove(*key)).count())
            }
            Command::Exists { keys } => {
                count(keys.as_slice().iter().filter(|key| self.0.contains_key(**key)).count())
            }
            Command::IncrBy { key, delta } => {
                let text = self.0.get(*key).map_or(&b"0"[..], Vec::as_slice);
                // What is read back as it would be printed is an integer.
                let number = std::str::from_utf8(text).ok().and_then(|text| text.parse::<i64>().ok());
                let Some(number) = number.filter(|number| number.to_string().as_bytes() == text) else {
                    return Reply::NOT_AN_INTEGER;
                };
                let Some(sum) = number.checked_add(*delta) else {
                    return Reply::error_text("ERR increment or decrement would overflow");
                };
                self.0.insert(key.to_vec(), sum.to_string().into_bytes());
                Reply::Int(sum)
            }
            Command::Session(_) => panic!("not the store's: {command:?}"),
            Command::MGet { keys } => {
                Reply::Array(keys.as_slice().iter().map(|key| self.bulk(key)).collect())
            }
            Command::MSet { pairs } => {
                self.0.extend(pairs.iter().map(|(key, value)| (key.to_vec(), value.to_vec())));
                Reply::Ok
            }
            Command::Type { key } => {
                Reply::Simple(if self.0.contains_key(*key) { "string" } else { "none" }.into())
            }
            Command::DbSize => count(self.0.len()),
            Command::FlushAll => {
                self.0.clear();
                Reply::Ok
            }
            later => self.execute_later(later),
        }
    }

    fn memory_bytes(&self) -> usize {
        self.0.iter().map(|(key, value)| key.len() + value.len() + ENTRY_OVERHEAD_BYTES).sum()
    }
}

/// Few keys, so that commands meet.
fn key() -> impl Strategy<Value = String> {
    prop_oneof![8 => "[a-d]", 2 => "\\{t\\}[a-d]", 1 => Just(String::new())]
}

fn value() -> impl Strategy<Value = String> {
    prop_oneof!["-?[0-9]{1,19}", "[a-z]{0,3}", Just(i64::MAX.to_string()), Just(i64::MIN.to_string())]
}

fn request() -> impl Strategy<Value = Vec<String>> {
    let line = |name: &str, rest: Vec<String>| [vec![name.to_owned()], rest].concat();
    let reads = prop_oneof!["GET", "STRLEN", "TYPE", "INCR", "DECR"];
    let lists = prop_oneof!["DEL", "EXISTS", "MGET"];
    let writes = prop_oneof!["SET", "SETNX", "GETSET", "APPEND"];
    let options = vec(prop_oneof!["NX", "XX", "GET"], 0..3);
    let numbers = prop_oneof![any::<i64>(), -10i64..10];
    prop_oneof![
        6 => (reads, key()).prop_map(move |(name, key)| line(&name, vec![key])),
        4 => (lists, vec(key(), 1..4)).prop_map(move |(name, keys)| line(&name, keys)),
        6 => (writes, key(), value()).prop_map(move |(name, key, value)| line(&name, vec![key, value])),
        4 => (key(), value(), options).prop_map(move |(key, value, options)| {
            line("SET", [vec![key, value], options].concat())
        }),
        4 => (prop_oneof!["INCRBY", "DECRBY"], key(), numbers).prop_map(move |(name, key, number)| {
            line(&name, vec![key, number.to_string()])
        }),
        2 => vec((key(), value()), 1..4).prop_map(move |pairs| {
            line("MSET", pairs.into_iter().flat_map(|(key, value)| [key, value]).collect())
        }),
        2 => Just(line("DBSIZE", vec![])),
        3 => later(),
        1 => Just(line("FLUSHALL", vec![])),
    ]
}

/// The commands that were not there from the beginning.
fn later() -> impl Strategy<Value = Vec<String>> {
    let line = |name: &str, rest: Vec<String>| [vec![name.to_owned()], rest].concat();
    let comparison = || prop_oneof!["IFEQ", "IFNE"];
    let two = prop_oneof!["RENAME", "RENAMENX", "COPY"];
    prop_oneof![
        vec((key(), value()), 1..3).prop_map(move |pairs| {
            line("MSETNX", pairs.into_iter().flat_map(|(key, value)| [key, value]).collect())
        }),
        (key(), -25i64..25, -25i64..25).prop_map(move |(key, start, end)| {
            line("GETRANGE", vec![key, start.to_string(), end.to_string()])
        }),
        (key(), 0u8..30, value())
            .prop_map(move |(key, offset, value)| { line("SETRANGE", vec![key, offset.to_string(), value]) }),
        key().prop_map(move |key| line("GETDEL", vec![key])),
        (key(), comparison(), value())
            .prop_map(move |(key, how, value)| { line("DELEX", vec![key, how, value]) }),
        (key(), value(), comparison(), value(), vec(Just("GET".to_owned()), 0..2))
            .prop_map(move |(key, new, how, old, get)| line("SET", [vec![key, new, how, old], get].concat())),
        (two, key(), key()).prop_map(move |(name, key, to)| line(&name, vec![key, to])),
        (key(), key()).prop_map(move |(key, to)| line("COPY", vec![key, to, "REPLACE".to_owned()])),
    ]
}

proptest! {
    #![proptest_config(crate::fixed_cases())]

    #[test]
    fn the_store_does_what_the_model_does(requests in vec(request(), 1..120), seed in any::<u64>()) {
        let (mut store, mut other, mut model) = (Store::new(seed), Store::new(!seed), Model::default());
        for (index, request) in (1..).zip(&requests) {
            let args: Vec<_> = request.iter().map(String::as_bytes).collect();
            // SET NX XX, and DECRBY of the smallest number, are no commands.
            let Ok(command) = Command::parse(&args) else { continue };
            let expected = model.execute(&command);
            if !command.is_write() {
                prop_assert_eq!(store.read(&command, 0), expected.clone(), "{:?}", request);
            }
            prop_assert_eq!(store.execute(&command, index), expected, "{:?}", request);
            prop_assert_eq!(store.len(), model.0.len());
            prop_assert_eq!(store.memory_bytes(), model.memory_bytes());
            other.execute(&command, index);
        }
        prop_assert_eq!(store.digest(), other.digest());
        let mut contents: Vec<_> = store.slots.iter().flat_map(|slot| slot.iter()).collect();
        contents.sort_by(|a, b| a.key.cmp(&b.key));
        let model: Vec<_> = model.0.iter().map(|(key, value)| (key.as_slice(), value.as_slice())).collect();
        let contents: Vec<_> = contents.iter().map(|entry| (&*entry.key, &**entry.value.data.string().unwrap())).collect();
        prop_assert_eq!(contents, model);
    }
}
