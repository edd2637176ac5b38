//! The values that answers show, sorted, so that those with a common beginning stand together.

use std::ops::Range;

use bytes::Bytes;

/// All values that answers of a part show, each once.
pub(crate) struct Values {
    sorted: Vec<Bytes>,
}

/// Those of the values that begin with a text, at least one, and how long that text is. It is known by them: its bytes
/// are the first ones of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Prefix {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) len: usize,
}

impl Prefix {
    pub(crate) fn range(self) -> Range<usize> {
        self.from..self.to
    }
}

impl Values {
    pub(crate) fn new(values: impl Iterator<Item = Bytes>) -> Self {
        let mut sorted: Vec<_> = values.collect();
        sorted.sort_unstable();
        sorted.dedup();
        Self { sorted }
    }

    pub(crate) fn sorted(&self) -> &[Bytes] {
        &self.sorted
    }

    /// Where a value stands, if an answer shows it.
    pub(crate) fn place(&self, value: &[u8]) -> Option<usize> {
        self.sorted.binary_search_by(|shown| shown.as_ref().cmp(value)).ok()
    }

    /// The values that begin with a text.
    pub(crate) fn prefix(&self, text: &[u8]) -> Option<Prefix> {
        self.longer(Prefix { from: 0, to: self.sorted.len(), len: 0 }, text)
    }

    /// Those of them that go on with `more`.
    pub(crate) fn longer(&self, prefix: Prefix, more: &[u8]) -> Option<Prefix> {
        let next = |value: &Bytes| {
            let rest = &value[prefix.len..];
            rest[..rest.len().min(more.len())].cmp(more)
        };
        let candidates = &self.sorted[prefix.range()];
        let from = candidates.partition_point(|value| next(value).is_lt());
        let count = candidates[from..].partition_point(|value| next(value).is_eq());
        let from = prefix.from + from;
        (count > 0).then_some(Prefix { from, to: from + count, len: prefix.len + more.len() })
    }

    /// The text itself.
    pub(crate) fn text(&self, prefix: Prefix) -> &[u8] {
        &self.sorted[prefix.from][..prefix.len]
    }

    /// Whether the text is the value at this place.
    pub(crate) fn is(&self, prefix: Prefix, place: usize) -> bool {
        prefix.range().contains(&place) && self.sorted[place].len() == prefix.len
    }
}
