//! What is done to a string beside reading, replacing and lengthening it.

use bowline_raft::Index;
use bytes::{Bytes, BytesMut};

use super::{Data, Store, bulk, length, too_large};
use crate::command::{Comparison, MAX_VALUE_BYTES, Pair};
use crate::long_double::LongDouble;
use crate::reply::Reply;

impl Store {
    /// Whether a key's value compares so; a key without one has another value than any.
    ///
    /// # Errors
    ///
    /// The reply if it holds no string.
    pub(super) fn compares(&self, key: &[u8], comparison: Comparison<'_>) -> Result<bool, Reply> {
        let held = self.find(key).map(|value| value.data.string()).transpose()?;
        let is_equal = held.is_some_and(|text| text == comparison.value());
        Ok(is_equal == matches!(comparison, Comparison::Equal(_)))
    }

    pub(super) fn set_new(&mut self, pairs: &[Pair<'_>], index: Index) -> Reply {
        let is_done = pairs.iter().all(|(key, _)| self.find(key).is_none());
        if is_done {
            for (key, value) in pairs {
                self.put(key, Bytes::copy_from_slice(value), None, index);
            }
        }
        Reply::Int(is_done.into())
    }

    pub(super) fn get_range(&self, key: &[u8], start: i64, end: i64) -> Result<Reply, Reply> {
        let Some(value) = self.look(key) else { return Ok(Reply::Bulk(Bytes::new())) };
        let text = value.data.string()?;
        // A copy: a small part should not hold a large value in memory.
        Ok(Reply::Bulk(Bytes::copy_from_slice(range(text, start, end))))
    }

    pub(super) fn set_range(
        &mut self,
        key: &[u8],
        offset: u64,
        patch: &[u8],
        index: Index,
    ) -> Result<Reply, Reply> {
        let old = self.find(key).map(|value| value.data.string()).transpose()?;
        if patch.is_empty() {
            return Ok(Reply::Int(old.map_or(0, |text| length(text))));
        }
        let offset = usize::try_from(offset).ok().filter(|offset| *offset <= MAX_VALUE_BYTES - patch.len());
        let offset = offset.ok_or_else(|| too_large("string", MAX_VALUE_BYTES))?;
        let old_bytes = old.map_or(0, Bytes::len);
        if old.is_none() {
            self.put(key, patched(Bytes::new(), offset, patch), None, index);
            return Ok(Reply::Int(length(patch) + i64::try_from(offset).expect("it fits into memory")));
        }
        let value = self.value_mut(key).expect("the key is there");
        let Data::String(text) = &mut value.data else { panic!("it was a string a moment ago") };
        *text = patched(std::mem::take(text), offset, patch);
        value.changed = index;
        let new_length = length(text);
        let new_bytes = text.len();
        self.memory_bytes += new_bytes - old_bytes;
        Ok(Reply::Int(new_length))
    }

    pub(super) fn increment_by_float(
        &mut self,
        key: &[u8],
        more: &[u8],
        index: Index,
    ) -> Result<Reply, Reply> {
        let held = self.find(key);
        let expires_ms = held.and_then(|value| value.expires_ms);
        let old = match held {
            Some(value) => LongDouble::parse(value.data.string()?),
            None => Some(LongDouble::ZERO),
        };
        let both = old.zip(LongDouble::parse(more));
        let (old, more) = both.ok_or(Reply::error_text("ERR value is not a valid float"))?;
        let sum = old.plus(more);
        let sum = sum.ok_or(Reply::error_text("ERR increment would produce NaN or Infinity"))?;
        let text = Bytes::from(sum.to_string());
        self.put(key, text.clone(), expires_ms, index);
        Ok(Reply::Bulk(text))
    }

    pub(super) fn get_del(&mut self, key: &[u8], index: Index) -> Reply {
        let reply = bulk(self.find(key));
        if let Reply::Bulk(_) = reply {
            self.take_out(key, index);
        }
        reply
    }

    pub(super) fn del_if(&mut self, key: &[u8], comparison: Comparison<'_>, index: Index) -> Reply {
        match self.compares(key, comparison) {
            Ok(compares) => Reply::Int((compares && self.remove(key, index)).into()),
            Err(_) => Reply::error_text("ERR Key should be of string type if conditions are specified"),
        }
    }
}

/// From the byte at `start` up to that at `end`, as GETRANGE counts them. (Redis 7, `getrangeCommand`.)
fn range(text: &[u8], start: i64, end: i64) -> &[u8] {
    if start < 0 && end < 0 && start > end {
        return &[];
    }
    let size = length(text);
    let from_front = |place: i64| if place < 0 { size.saturating_add(place).max(0) } else { place };
    let (start, end) = (from_front(start), from_front(end).min(size - 1));
    let place = |place: i64| usize::try_from(place).expect("it is in the text");
    if start > end { &[] } else { &text[place(start)..=place(end)] }
}

/// `data` with `patch` at `offset`: in the same memory if nobody else holds it.
fn patched(data: Bytes, offset: usize, patch: &[u8]) -> Bytes {
    let end = offset + patch.len();
    let mut text = data.try_into_mut().unwrap_or_else(|shared| {
        let mut copy = BytesMut::with_capacity(shared.len().max(end));
        copy.extend_from_slice(&shared);
        copy
    });
    if text.len() < end {
        text.resize(end, 0);
    }
    text[offset..end].copy_from_slice(patch);
    text.freeze()
}

#[cfg(test)]
mod tests;
