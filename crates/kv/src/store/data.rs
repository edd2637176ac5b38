//! What a key holds: a string or a hash.

use std::sync::Arc;

use bytes::Bytes;

use super::hash::Hash;
use crate::digest::Digest;
use crate::reply::Reply;

/// What a key holds. A hash lies where no string could be, so that a value takes no more room than a string
/// alone would.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// The bytes. They are part of no larger buffer.
    String(Bytes),
    /// At least one field. Shared with snapshots until it is written.
    Hash(Arc<Hash>),
}

const _: () = assert!(size_of::<Data>() == size_of::<Bytes>());

impl From<Bytes> for Data {
    fn from(text: Bytes) -> Self {
        Self::String(text)
    }
}

impl From<Hash> for Data {
    fn from(hash: Hash) -> Self {
        Self::Hash(hash.into())
    }
}

impl Data {
    /// What TYPE says of it.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Self::String(_) => "string",
            Self::Hash(_) => "hash",
        }
    }

    /// The bytes of a string.
    ///
    /// # Errors
    ///
    /// The reply to whoever expects a string and finds something else.
    pub(super) fn string(&self) -> Result<&Bytes, Reply> {
        match self {
            Self::String(text) => Ok(text),
            Self::Hash(_) => Err(Reply::WRONG_TYPE),
        }
    }

    /// The hash.
    ///
    /// # Errors
    ///
    /// The reply to whoever expects a hash and finds something else.
    pub(super) fn hash(&self) -> Result<&Hash, Reply> {
        match self {
            Self::Hash(hash) => Ok(hash),
            Self::String(_) => Err(Reply::WRONG_TYPE),
        }
    }

    /// About how many bytes of memory it takes beside its place in the table.
    pub(super) fn memory_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Hash(hash) => hash.memory_bytes(),
        }
    }

    /// Puts a key with this into a digest of its own, which nothing of another type has.
    pub(super) fn digest(&self, key: &[u8]) -> Digest {
        match self {
            Self::String(text) => Digest::new(1).bytes(key).bytes(text),
            Self::Hash(hash) => hash.digest(Digest::new(5).bytes(key)),
        }
    }
}
