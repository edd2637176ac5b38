//! The image of a replicated state at one index: what a snapshot holds, what a follower that is too far behind
//! is sent, and what a replica is started with.
//!
//! Everything that decides how an entry is carried out is in it: keys with their values, the index of their
//! last change and their expiry; of each slot the index of its last deletion and its epoch; the completion
//! records with their replies and slots; each origin's life and floor; the sessions, their limits and the next id; the log's time. So a replica that begins
//! with an image and one that has carried out every entry up to its index cannot be told apart. (Raft,
//! extended version, section 7; the records are the filter for duplicates of section 8.)
//!
//! [`Replica::image`](crate::Replica::image) takes one: it copies pointers and shares keys and values
//! with the store, where a slot that is written from then on is copied first. [`ImageWriter`] turns
//! it into blocks one by one, [`ImageReader`] takes blocks one by one; each block holds whole *items*:
//!
//! ```text
//! image  := block*
//! block  := item*                                        at most 64 KiB
//! item   := HEAD   version:u8 term index stamp_ms        first of all
//!         | RUN    slots deleted epoch                   the same is noted about so many slots, the next ones
//!         | ENTRY  changed expiry key data               a key with a string, in one of the slots of the last run
//!         | HASH   changed expiry ordered:u8 fields key  a key with a hash of so many fields, which come next
//!         | FIELD  name data                             a field of it
//!         | PIECE  bytes                                 a part of what is too long for one block
//!         | KEY    changed expiry                        the pieces in front are a key,
//!         | HASH_KEY changed expiry ordered:u8 fields    the same of a key with a hash
//!         | NAME                                         the pieces in front are a field's name,
//!         | VALUE                                        and those behind a key or a name are its value
//!         | LIFE   node life floor                       an origin, behind all slots
//!         | ONCE   last_id last_use most idle_ms         about all sessions, behind all origins
//!         | SESSION id use stamp_ms                      a session: its last use
//!         | RECORD number slots shape                    an origin's or a session's record, and behind it
//!         | PART   reply                                 its reply, or each of an array's,
//!         | INNER  replies                               an array in it, of so many, which come next
//!         | MAP    pairs                                 a map, of so many names and values, which come next
//!         | PAIRS  pairs                                 or names and values that are shown as pairs
//!         | LONG   tag                                   or the pieces in front are such a reply's text,
//!         | SAME   tag text                              or a text that an earlier record has brought
//!         | END    keys records                          last of all: how many there were
//! ```
//!
//! Unnamed widths are varints; `key`, `data`, `bytes` and `reply` have their length before them. `expiry` is
//! 0 for none, or one more than the time. The fields of a hash come in its order. The items of slots, of origins, of an origin's records and of
//! sessions come in ascending order; keys within a slot come in any. A version that another one cannot read has another number.
//!
//! Replies share their texts, with each other and with the store: a connection that asks a thousand times for a
//! long value behind a write leaves a thousand records that hold it once. An image writes such a text once too.

mod format;
mod reader;
mod writer;

#[cfg(test)]
mod tests;

use bowline_raft::LogId;
use bytes::Bytes;
use thiserror::Error;

use crate::codec::{DecodeError, Reader, put_bytes};
use crate::digest::Digest;
use crate::session::Sessions;
use crate::store::Store;

pub use reader::ImageReader;
pub use writer::ImageWriter;

/// The most bytes of one block.
pub const BLOCK_BYTES: usize = 64 * 1024;

/// The state of a replica at one index of the log. See the module's own page.
///
/// It holds memory that the replica's store may have let go of since. To drop it may take long, about a second
/// for ten million keys: not in the loop that serves clients.
#[derive(Clone)]
pub struct Image {
    pub(crate) last: LogId,
    pub(crate) stamp_ms: u64,
    pub(crate) store: Store,
    pub(crate) sessions: Sessions,
}

/// Why blocks are no image. They come from a file or a peer whose checksums hold, so a version of another
/// time or a defect made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ImageError {
    /// A later version wrote it.
    #[error("format {found} of the image; this version reads up to {known}: update this node")]
    NewerFormat {
        /// The number in it.
        found: u8,
        /// The number of this version.
        known: u8,
    },
    /// An item is malformed.
    #[error("block {block} of the image: {error}")]
    Malformed {
        /// Counted from 0.
        block: u64,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// An item stands where none of its kind can be, as when a block is missing or repeated.
    #[error("block {block} of the image: {item} does not belong here")]
    Misplaced {
        /// Counted from 0.
        block: u64,
        /// The kind of item.
        item: &'static str,
    },
    /// The blocks end, and the image does not.
    #[error("the image ends early, behind {blocks} blocks")]
    Incomplete {
        /// How many there were.
        blocks: u64,
    },
}

impl Image {
    /// The state of nothing yet, at index 0. `seed` is [`Store::new`]'s.
    pub fn empty(seed: u64) -> Self {
        let (store, sessions) = (Store::new(seed), Sessions::new());
        Self { last: LogId::ZERO, stamp_ms: 0, store, sessions }
    }

    /// The last entry whose effect is in it.
    pub fn last(&self) -> LogId {
        self.last
    }

    /// How many keys are in it.
    pub fn keys(&self) -> usize {
        self.store.held()
    }

    /// A number that is the same for the same state, and the same as [`Replica::digest`](crate::Replica::digest)
    /// of a replica in that state. It reads every byte.
    pub fn digest(&self) -> u64 {
        digest(&self.store, &self.sessions, self.stamp_ms)
    }

    /// Its blocks, made one by one.
    pub fn into_blocks(self) -> ImageWriter {
        ImageWriter::new(self)
    }

    /// All blocks in one, each with its length before it: for where a snapshot is one message.
    pub fn encode(self) -> Bytes {
        let mut out = Vec::new();
        for block in self.into_blocks() {
            put_bytes(&mut out, &block);
        }
        out.into()
    }

    /// Reads what [`Image::encode`] has made. `seed` is [`Store::new`]'s.
    ///
    /// # Errors
    ///
    /// Anything else.
    pub fn decode(bytes: &[u8], seed: u64) -> Result<Self, ImageError> {
        let mut reader = ImageReader::new(seed);
        let mut rest = Reader::new(bytes);
        while !rest.is_empty() {
            let block = rest.bytes("block", BLOCK_BYTES);
            let block = block.map_err(|error| ImageError::Malformed { block: reader.blocks(), error })?;
            reader.push(block)?;
        }
        reader.finish()
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { last, stamp_ms, store, sessions } = self;
        f.debug_struct("Image")
            .field("last", last)
            .field("stamp_ms", stamp_ms)
            .field("keys", &store.held())
            .field("records", &sessions.records())
            .finish()
    }
}

/// See [`Image::digest`].
pub(crate) fn digest(store: &Store, sessions: &Sessions, stamp_ms: u64) -> u64 {
    Digest::new(3).word(store.digest()).word(sessions.digest()).word(stamp_ms).finish()
}
