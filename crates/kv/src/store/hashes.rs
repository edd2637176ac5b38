//! The commands about hashes.
//!
//! A hash without fields is no key: a command that takes the last field out removes the key with it.

use std::sync::Arc;

use bowline_raft::Index;
use bytes::Bytes;

use super::data::Data;
use super::hash::{Field, Hash};
use super::hashes_read::{one_of, scan, some_of};
use super::scan::DRAW_STEPS;
use super::{Store, length, too_large};
use crate::command::{HashCommand, MAX_ARGUMENTS, MAX_COMMAND_BYTES, MAX_HASH_BYTES, MAX_HASH_FIELDS, Pair};
use crate::integer;
use crate::long_double::LongDouble;
use crate::reply::{MAX_REPLY_BYTES, Reply};

/// A reply, or the error to send instead.
type Done = Result<Reply, Reply>;

impl Store {
    /// Executes a command about a hash, of either kind.
    pub(super) fn execute_hash(&mut self, key: &[u8], command: &HashCommand<'_>, index: Index) -> Done {
        match command {
            HashCommand::Set { pairs, counts } => {
                let new = self.set_fields(key, pairs, index)?;
                Ok(if *counts { count(new) } else { Reply::Ok })
            }
            HashCommand::SetNx { field, value } => {
                let is_absent = self.hash(key)?.is_none_or(|hash| hash.get(field).is_none());
                if is_absent {
                    self.set_fields(key, &[(field, value)], index)?;
                }
                Ok(Reply::Int(is_absent.into()))
            }
            HashCommand::Del { fields } => self.remove_fields(key, fields.as_slice(), index),
            HashCommand::IncrBy { field, delta } => self.increment_field(key, field, *delta, index),
            HashCommand::IncrByFloat { field, text } => {
                self.increment_field_by_float(key, field, text, index)
            }
            HashCommand::Get { .. }
            | HashCommand::GetMany { .. }
            | HashCommand::Len
            | HashCommand::StrLen { .. }
            | HashCommand::Exists { .. }
            | HashCommand::GetAll
            | HashCommand::Fields
            | HashCommand::Values
            | HashCommand::Random { .. }
            | HashCommand::Scan { .. } => self.read_hash(key, command, &mut 0),
        }
    }

    /// Answers a command about a hash that does not write. Steps are added as [`Store::read_counted`] says.
    pub(super) fn read_hash(&self, key: &[u8], command: &HashCommand<'_>, steps: &mut u64) -> Done {
        let hash = self.look(key).map(|value| value.data.hash()).transpose()?;
        let value = |field| hash.and_then(|hash| hash.get(field));
        let fields = || hash.into_iter().flat_map(Hash::fields);
        Ok(match command {
            HashCommand::Get { field } => bulk(value(field)),
            HashCommand::GetMany { fields } => {
                let mut room = MAX_REPLY_BYTES;
                let shown = fields.as_slice().iter().map(|field| {
                    let value = value(field);
                    room = room.checked_sub(value.map_or(0, Bytes::len))?;
                    Some(bulk(value))
                });
                Reply::Array(shown.collect::<Option<_>>().ok_or(too_large("reply", MAX_REPLY_BYTES))?)
            }
            HashCommand::Len => count(hash.map_or(0, Hash::len)),
            HashCommand::StrLen { field } => Reply::Int(value(field).map_or(0, |value| length(value))),
            HashCommand::Exists { field } => Reply::Int(value(field).is_some().into()),
            HashCommand::GetAll => {
                Reply::Map(fields().flat_map(|field| [name_of(field), bulk(Some(&field.value))]).collect())
            }
            HashCommand::Fields => Reply::Array(fields().map(name_of).collect()),
            HashCommand::Values => Reply::Array(fields().map(|field| bulk(Some(&field.value))).collect()),
            HashCommand::Random { draw, sample: None } => one_of(hash, *draw),
            HashCommand::Random { draw, sample: Some(sample) } => {
                let draws = sample.count.min(0).unsigned_abs().min(MAX_ARGUMENTS as u64);
                *steps += hash.map_or(0, Hash::len) as u64 + DRAW_STEPS * draws;
                some_of(hash, *draw, *sample)?
            }
            HashCommand::Scan { cursor, count, pattern } => scan(hash, *cursor, *count, pattern, steps)?,
            write => panic!("not a read: {write:?}"),
        })
    }

    /// The hash of a key, if there is one.
    fn hash(&self, key: &[u8]) -> Result<Option<&Hash>, Reply> {
        self.find(key).map(|value| value.data.hash()).transpose()
    }

    /// Gives fields their values, or none of them; returns how many are new.
    fn set_fields(&mut self, key: &[u8], pairs: &[Pair<'_>], index: Index) -> Result<usize, Reply> {
        match self.hash(key)? {
            None => {
                const { assert!(MAX_COMMAND_BYTES <= MAX_HASH_BYTES && MAX_ARGUMENTS / 2 <= MAX_HASH_FIELDS) };
                let mut hash = Hash::default();
                let new = set_all(&mut hash, pairs);
                self.put(key, hash, None, index);
                Ok(new)
            }
            Some(hash) => {
                if !has_room(hash, pairs) {
                    // What is given another value may be smaller then.
                    let mut tried = hash.clone();
                    set_all(&mut tried, pairs);
                    check(&tried)?;
                }
                Ok(self.change_hash(key, index, |hash| set_all(hash, pairs)))
            }
        }
    }

    fn remove_fields(&mut self, key: &[u8], fields: &[&[u8]], index: Index) -> Done {
        let Some(hash) = self.hash(key)? else { return Ok(count(0)) };
        if fields.iter().all(|field| hash.get(field).is_none()) {
            return Ok(count(0));
        }
        let (removed, left) = self.change_hash(key, index, |hash| {
            (fields.iter().filter(|field| hash.remove(field)).count(), hash.len())
        });
        if left == 0 {
            self.take_out(key, index);
        }
        Ok(count(removed))
    }

    fn increment_field(&mut self, key: &[u8], field: &[u8], delta: i64, index: Index) -> Done {
        let held = self.hash(key)?.and_then(|hash| hash.get(field));
        let old = held.map_or(Some(0), |value| integer::parse(value));
        let old = old.ok_or(Reply::error_text("ERR hash value is not an integer"))?;
        let new = old.checked_add(delta);
        let new = new.ok_or(Reply::error_text("ERR increment or decrement would overflow"))?;
        self.set_fields(key, &[(field, itoa::Buffer::new().format(new).as_bytes())], index)?;
        Ok(Reply::Int(new))
    }

    fn increment_field_by_float(&mut self, key: &[u8], field: &[u8], more: &[u8], index: Index) -> Done {
        let held = self.hash(key)?.and_then(|hash| hash.get(field));
        let old = held.map_or(Some(LongDouble::ZERO), |value| LongDouble::parse(value));
        let old = old.ok_or(Reply::error_text("ERR hash value is not a float"))?;
        let more = LongDouble::parse(more).ok_or(Reply::error_text("ERR value is not a valid float"))?;
        let sum = old.plus(more);
        let sum = sum.ok_or(Reply::error_text("ERR increment would produce NaN or Infinity"))?;
        let text = sum.to_string();
        self.set_fields(key, &[(field, text.as_bytes())], index)?;
        Ok(Reply::Bulk(text.into()))
    }

    /// Changes a hash that is there, and takes note of that.
    fn change_hash<R>(&mut self, key: &[u8], index: Index, change: impl FnOnce(&mut Hash) -> R) -> R {
        let value = self.value_mut(key).expect("the key is there");
        value.changed = index;
        let Data::Hash(hash) = &mut value.data else { panic!("the key is a hash") };
        let hash = Arc::make_mut(hash);
        let before = hash.memory_bytes();
        let result = change(hash);
        let after = hash.memory_bytes();
        self.memory_bytes = self.memory_bytes + after - before;
        result
    }
}

/// Gives fields their values; returns how many are new.
fn set_all(hash: &mut Hash, pairs: &[Pair<'_>]) -> usize {
    pairs.iter().filter(|(name, value)| hash.set(name, Bytes::copy_from_slice(value))).count()
}

/// Whether the pairs certainly fit.
fn has_room(hash: &Hash, pairs: &[Pair<'_>]) -> bool {
    let new: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
    hash.len() + pairs.len() <= MAX_HASH_FIELDS && hash.bytes() + new <= MAX_HASH_BYTES
}

/// Refuses a hash that is larger than one may be.
fn check(hash: &Hash) -> Result<(), Reply> {
    if hash.len() > MAX_HASH_FIELDS {
        return Err(Reply::error(format!("ERR hash exceeds maximum of {MAX_HASH_FIELDS} fields")));
    }
    if hash.bytes() > MAX_HASH_BYTES {
        return Err(too_large("hash", MAX_HASH_BYTES));
    }
    Ok(())
}

pub(super) fn name_of(field: &Field) -> Reply {
    Reply::Bulk(Bytes::copy_from_slice(field.name()))
}

pub(super) fn bulk(value: Option<&Bytes>) -> Reply {
    value.map_or(Reply::Nil, |value| Reply::Bulk(value.clone()))
}

fn count(fields: usize) -> Reply {
    Reply::Int(i64::try_from(fields).expect("fewer fields than bytes of memory"))
}

#[cfg(test)]
mod tests;
