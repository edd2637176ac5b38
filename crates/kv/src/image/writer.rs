//! Turns an image into blocks, one at a time.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;

use super::format::{
    END, HASH, HASH_KEY, HEAD, INNER, KEY, LIFE, LONG, MAP, MAX_INLINE_TEXT_BYTES, NAME, ONCE, PAIRS, PART,
    PIECE_OVERHEAD_BYTES, RECORD, SAME, SESSION, SMALL_ITEM_BYTES, VALUE, VERSION, entry_bytes, put_entry,
    put_field, put_hash_head, put_key_mark, put_piece, put_run, put_slots, slots_bytes,
};
use super::{BLOCK_BYTES, Image};
use crate::codec::{put_bytes, put_varint};
use crate::reply::{MAX_DEPTH, Reply};
use crate::session::RecordPlace;
use crate::session::once::{Counters, Limits, Use};
use crate::slot::SLOT_COUNT;
use crate::store::{Data, Hash, Kept};

/// An image's blocks: each item is one, of 1 to [`BLOCK_BYTES`] bytes. It lets go of what it has put into blocks, slot
/// by slot. Beside the image, which it owns, it holds
/// one block, and a few words for each long text of the completion records.
pub struct ImageWriter {
    image: Image,
    place: Place,
    /// What is too long for one block, and the items that belong to it.
    long: VecDeque<Long>,
    /// A hash, and how many of its fields have been written.
    hash: Option<(Arc<Hash>, usize)>,
    /// The long texts of replies that were written, by where they lie in memory, with their numbers. The image
    /// holds them, so that no other text comes to lie there.
    texts: BTreeMap<(usize, usize), u64>,
}

/// What comes next.
#[derive(Clone, Copy)]
enum Place {
    Head,
    /// A run of slots that begins here.
    Run(usize),
    /// The keys of a run.
    Keys(KeyPlace),
    /// The first origin of this node or one behind it.
    Life(u64),
    /// What is the same for all sessions.
    Once,
    /// The first session with this id or one behind it.
    Session(u64),
    /// A record, if there is one.
    Record(RecordPlace),
    /// A part of its reply.
    Part(RecordPlace, PartPlace),
    End,
    Nothing,
}

/// The number of a part, and if that is an array or a map: how many items of it have been written, the one that says
/// so included; and the same of an array in it.
type PartPlace = [usize; MAX_DEPTH];

#[derive(Clone, Copy)]
struct KeyPlace {
    slot: usize,
    /// Where the run ends.
    end: usize,
    shard: usize,
    /// How many keys of the shard have been written.
    written: usize,
}

enum Long {
    /// What is left to be put into pieces.
    Text(Bytes),
    /// A whole item.
    Item(Vec<u8>),
}

/// What became of the attempt to put something into a block.
enum Put {
    /// It is in, or there was nothing to put.
    Done,
    /// There is no room for it.
    Full,
}

/// A block that is being filled.
struct Block(Vec<u8>);

impl Block {
    fn room(&self) -> usize {
        BLOCK_BYTES - self.0.len()
    }

    /// Lets `put` write an item, if there is room for `most` bytes.
    fn put(&mut self, most: usize, put: impl FnOnce(&mut Vec<u8>)) -> Put {
        assert!(most <= BLOCK_BYTES, "an item of up to {most} bytes, which no block can hold");
        if most > self.room() {
            return Put::Full;
        }
        let before = self.0.len();
        put(&mut self.0);
        assert!(self.0.len() <= before + most, "an item is larger than it may be");
        Put::Done
    }
}

impl Iterator for ImageWriter {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let mut block = Block(Vec::with_capacity(BLOCK_BYTES));
        while !self.is_complete() && matches!(self.put_next(&mut block), Put::Done) {}
        (!block.0.is_empty()).then_some(block.0)
    }
}

impl ImageWriter {
    pub(super) fn new(image: Image) -> Self {
        Self { image, place: Place::Head, long: VecDeque::new(), hash: None, texts: BTreeMap::new() }
    }

    fn is_complete(&self) -> bool {
        matches!(self.place, Place::Nothing)
    }

    fn put_next(&mut self, block: &mut Block) -> Put {
        if let Some(long) = self.long.front_mut() {
            let (put, is_over) = put_long(block, long);
            if is_over {
                self.long.pop_front();
            }
            return put;
        }
        if let Some((hash, written)) = &mut self.hash {
            let (put, long) = put_fields(block, hash, written);
            self.long.extend(long.into_iter().flatten());
            if *written == hash.len() {
                self.hash = None;
            }
            return put;
        }
        match self.place {
            Place::Head => self.put_head(block),
            Place::Run(slot) => self.put_run(block, slot),
            Place::Keys(place) => self.put_keys(block, place),
            Place::Life(node) => self.put_life(block, node),
            Place::Once => self.put_once(block),
            Place::Session(id) => self.put_session(block, id),
            Place::Record(place) => self.put_record(block, place),
            Place::Part(place, at) => self.put_part(block, place, at),
            Place::End => self.put_end(block),
            Place::Nothing => Put::Done,
        }
    }

    /// Puts a small item, and goes on to `next`.
    fn put_small(&mut self, block: &mut Block, next: Place, tag: u8, numbers: &[u64]) -> Put {
        let put = block.put(SMALL_ITEM_BYTES, |out| {
            out.push(tag);
            numbers.iter().for_each(|&number| put_varint(out, number));
        });
        if matches!(put, Put::Done) {
            self.place = next;
        }
        put
    }

    fn put_head(&mut self, block: &mut Block) -> Put {
        let (last, stamp_ms) = (self.image.last, self.image.stamp_ms);
        self.put_small(block, Place::Run(0), HEAD, &[VERSION.into(), last.term, last.index, stamp_ms])
    }

    fn put_run(&mut self, block: &mut Block, slot: usize) -> Put {
        if slot == SLOT_COUNT {
            self.place = Place::Life(0);
            return Put::Done;
        }
        let store = &self.image.store;
        let mark = store.mark(slot);
        let end = (slot..SLOT_COUNT).find(|&other| store.mark(other) != mark).unwrap_or(SLOT_COUNT);
        let put = block.put(SMALL_ITEM_BYTES, |out| put_run(out, end - slot, mark));
        if matches!(put, Put::Done) {
            self.place = Place::Keys(KeyPlace { slot, end, shard: 0, written: 0 });
        }
        put
    }

    fn put_keys(&mut self, block: &mut Block, mut place: KeyPlace) -> Put {
        let store = &mut self.image.store;
        while place.slot < place.end {
            while place.shard < store.shards(place.slot) {
                for kept in store.kept(place.slot, place.shard).skip(place.written) {
                    let written = put_key(block, &kept);
                    if let Written::Nothing = written {
                        self.place = Place::Keys(place);
                        return Put::Full;
                    }
                    place.written += 1;
                    if let Written::Beginning(long, hash) = written {
                        self.long.extend(long);
                        self.hash = hash.map(|hash| (hash, 0));
                        self.place = Place::Keys(place);
                        return Put::Done;
                    }
                }
                (place.shard, place.written) = (place.shard + 1, 0);
            }
            store.release(place.slot);
            (place.slot, place.shard) = (place.slot + 1, 0);
        }
        self.place = Place::Run(place.end);
        Put::Done
    }

    fn put_life(&mut self, block: &mut Block, node: u64) -> Put {
        let Some((origin, floor)) = self.image.sessions.life_from(node) else {
            self.place = Place::Once;
            return Put::Done;
        };
        let first = Place::Record(RecordPlace::Life { node: origin.node, at: 0 });
        self.put_small(block, first, LIFE, &[origin.node, origin.life, floor])
    }

    fn put_once(&mut self, block: &mut Block) -> Put {
        let Counters { last_id, last_use, limits: Limits { most, idle_ms } } =
            self.image.sessions.once.counters();
        self.put_small(block, Place::Session(0), ONCE, &[last_id, last_use, most, idle_ms])
    }

    fn put_session(&mut self, block: &mut Block, id: u64) -> Put {
        let Some((id, Use { number, stamp_ms })) = self.image.sessions.once.session_from(id) else {
            self.place = Place::End;
            return Put::Done;
        };
        self.put_small(block, Place::Record(RecordPlace::Session(id)), SESSION, &[id, number, stamp_ms])
    }

    fn put_record(&mut self, block: &mut Block, place: RecordPlace) -> Put {
        let Some((number, reply, slots)) = self.image.sessions.record(place) else {
            self.place = behind_records(place);
            return Put::Done;
        };
        let shape = match reply {
            Reply::Array(replies) => 1 + replies.len() as u64,
            _ => 0,
        };
        let put = block.put(SMALL_ITEM_BYTES + slots_bytes(slots), |out| {
            out.push(RECORD);
            put_varint(out, number);
            put_slots(out, slots);
            put_varint(out, shape);
        });
        if matches!(put, Put::Done) {
            self.place = Place::Part(place, PartPlace::default());
        }
        put
    }

    fn put_part(&mut self, block: &mut Block, place: RecordPlace, at: PartPlace) -> Put {
        let (_, reply, _) = self.image.sessions.record(place).expect("it was there a moment ago");
        let Some(mut reply) = parts(reply).get(at[0]) else {
            self.place = match place {
                RecordPlace::Life { node, at } => Place::Record(RecordPlace::Life { node, at: at + 1 }),
                RecordPlace::Session(_) => behind_records(place),
            };
            return Put::Done;
        };
        let mut depth = 0;
        let (tag, count) = loop {
            let (tag, inner, count) = match reply {
                Reply::Array(replies) => (INNER, replies, replies.len()),
                Reply::Map(replies) => (MAP, replies, replies.len() / 2),
                Reply::Pairs(replies) => (PAIRS, replies, replies.len() / 2),
                flat => {
                    let flat = flat.clone();
                    return self.put_flat(block, Place::Part(place, next_part(at, depth)), &flat);
                }
            };
            match at[depth + 1].checked_sub(1) {
                None => break (tag, count),
                Some(written) if written == inner.len() => {
                    self.place = Place::Part(place, next_part(at, depth));
                    return Put::Done;
                }
                Some(written) => (reply, depth) = (&inner[written], depth + 1),
            }
        };
        self.put_small(block, Place::Part(place, next_part(at, depth + 1)), tag, &[count as u64])
    }

    /// Puts a reply that is no array, and goes on to `next`.
    fn put_flat(&mut self, block: &mut Block, next: Place, reply: &Reply) -> Put {
        let Some((tag, text)) = reply.text().filter(|(_, text)| text.len() > MAX_INLINE_TEXT_BYTES) else {
            let mut encoded = Vec::new();
            reply.encode(&mut encoded);
            let put = block.put(SMALL_ITEM_BYTES + encoded.len(), |out| {
                out.push(PART);
                put_bytes(out, &encoded);
            });
            if matches!(put, Put::Done) {
                self.place = next;
            }
            return put;
        };
        let count = self.texts.len() as u64;
        let number = *self.texts.entry((text.as_ptr().addr(), text.len())).or_insert(count);
        if number == count {
            self.long.extend([Long::Text(text.clone()), Long::Item(vec![LONG, tag])]);
            self.place = next;
            return Put::Done;
        }
        self.put_small(block, next, SAME, &[tag.into(), number])
    }

    fn put_end(&mut self, block: &mut Block) -> Put {
        let (keys, records) = (self.image.store.held() as u64, self.image.sessions.records() as u64);
        self.put_small(block, Place::Nothing, END, &[keys, records])
    }
}

/// What comes behind all records of an origin, or of a session.
fn behind_records(place: RecordPlace) -> Place {
    match place {
        RecordPlace::Life { node, .. } => node.checked_add(1).map_or(Place::Once, Place::Life),
        RecordPlace::Session(id) => Place::Session(id + 1),
    }
}

/// Puts what fits of it; says whether that was all.
fn put_long(block: &mut Block, long: &mut Long) -> (Put, bool) {
    match long {
        Long::Text(text) => {
            let room = block.room();
            if room <= PIECE_OVERHEAD_BYTES {
                return (Put::Full, false);
            }
            let put = block.put(room, |out| put_piece(out, text, room));
            (put, text.is_empty())
        }
        Long::Item(item) => {
            let put = block.put(item.len(), |out| out.extend_from_slice(item));
            let is_over = matches!(put, Put::Done);
            (put, is_over)
        }
    }
}

/// What has been written of a key.
enum Written {
    /// All of it.
    Whole,
    /// Nothing: there is no room.
    Nothing,
    /// The beginning of it, or nothing; these come next.
    Beginning(Vec<Long>, Option<Arc<Hash>>),
}

fn put_key(block: &mut Block, kept: &Kept<'_>) -> Written {
    match kept.data {
        Data::String(text) => {
            let most = entry_bytes(kept.key, text);
            if most > BLOCK_BYTES {
                let mut head = vec![KEY];
                put_key_mark(&mut head, kept.mark);
                return Written::Beginning(long_pair(kept.key, head, text).into(), None);
            }
            match block.put(most, |out| put_entry(out, kept, text)) {
                Put::Done => Written::Whole,
                Put::Full => Written::Nothing,
            }
        }
        Data::Hash(hash) => {
            let most = entry_bytes(kept.key, b"");
            if most > BLOCK_BYTES {
                let mut head = vec![HASH_KEY];
                put_hash_head(&mut head, kept.mark, hash);
                let key = Long::Text(Bytes::copy_from_slice(kept.key));
                return Written::Beginning(vec![key, Long::Item(head)], Some(Arc::clone(hash)));
            }
            let put = block.put(most, |out| {
                out.push(HASH);
                put_hash_head(out, kept.mark, hash);
                put_bytes(out, kept.key);
            });
            match put {
                Put::Done => Written::Beginning(Vec::new(), Some(Arc::clone(hash))),
                Put::Full => Written::Nothing,
            }
        }
    }
}

/// Puts fields, from the `written`-th on, until the block is full or one is too long for any, which comes next then.
fn put_fields(block: &mut Block, hash: &Hash, written: &mut usize) -> (Put, Option<[Long; 4]>) {
    for field in hash.fields_from(*written) {
        let most = entry_bytes(field.name(), &field.value);
        if most > BLOCK_BYTES {
            *written += 1;
            return (Put::Done, Some(long_pair(field.name(), vec![NAME], &field.value)));
        }
        if let Put::Full = block.put(most, |out| put_field(out, field)) {
            return (Put::Full, None);
        }
        *written += 1;
    }
    (Put::Done, None)
}

/// A key or a name, the item behind it, and its value.
fn long_pair(key: &[u8], item: Vec<u8>, value: &Bytes) -> [Long; 4] {
    [
        Long::Text(Bytes::copy_from_slice(key)),
        Long::Item(item),
        Long::Text(value.clone()),
        Long::Item(vec![VALUE]),
    ]
}

/// What comes behind the part that is written at this depth.
fn next_part(mut at: PartPlace, depth: usize) -> PartPlace {
    at[depth] += 1;
    at[depth + 1..].fill(0);
    at
}

/// The replies that an array is made of, or the one that is none.
fn parts(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(replies) => replies,
        flat => std::slice::from_ref(flat),
    }
}
