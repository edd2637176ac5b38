//! Turns an image into blocks, one at a time.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::format::{
    END, HEAD, INNER, KEY, LIFE, LONG, MAX_INLINE_TEXT_BYTES, ONCE, PART, PIECE_OVERHEAD_BYTES, RECORD, SAME,
    SESSION, SMALL_ITEM_BYTES, VALUE, VERSION, entry_bytes, put_entry, put_key_mark, put_piece, put_run,
    put_slots, slots_bytes,
};
use super::{BLOCK_BYTES, Image};
use crate::codec::{put_bytes, put_varint};
use crate::reply::Reply;
use crate::session::RecordPlace;
use crate::session::once::{Counters, Limits, Use};
use crate::slot::SLOT_COUNT;
use crate::store::Kept;

/// An image's blocks: each item is one, of 1 to [`BLOCK_BYTES`] bytes. It lets go of what it has put into blocks, slot
/// by slot. Beside the image, which it owns, it holds
/// one block, and a few words for each long text of the completion records.
pub struct ImageWriter {
    image: Image,
    place: Place,
    /// What is too long for one block, and the items that belong to it.
    long: VecDeque<Long>,
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

#[derive(Clone, Copy, Default)]
struct PartPlace {
    part: usize,
    /// If the part is an array: how many items of it have been written, the one that says so included.
    inner: usize,
}

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
        Self { image, place: Place::Head, long: VecDeque::new(), texts: BTreeMap::new() }
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
                    let most = entry_bytes(&kept);
                    if most > BLOCK_BYTES {
                        self.long.extend(long_entry(&kept));
                        place.written += 1;
                        self.place = Place::Keys(place);
                        return Put::Done;
                    }
                    if let Put::Full = block.put(most, |out| put_entry(out, &kept)) {
                        self.place = Place::Keys(place);
                        return Put::Full;
                    }
                    place.written += 1;
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
        let PartPlace { part, inner } = at;
        let Some(reply) = parts(reply).get(part) else {
            self.place = match place {
                RecordPlace::Life { node, at } => Place::Record(RecordPlace::Life { node, at: at + 1 }),
                RecordPlace::Session(_) => behind_records(place),
            };
            return Put::Done;
        };
        let is_over = match reply {
            Reply::Array(replies) => inner == replies.len(),
            _ => true,
        };
        let next = if is_over { (part + 1, 0) } else { (part, inner + 1) };
        let next = Place::Part(place, PartPlace { part: next.0, inner: next.1 });
        let flat = match reply {
            Reply::Array(replies) if inner == 0 => {
                let count = replies.len() as u64;
                return self.put_small(block, next, INNER, &[count]);
            }
            Reply::Array(replies) => replies[inner - 1].clone(),
            flat => flat.clone(),
        };
        self.put_flat(block, next, &flat)
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

fn long_entry(kept: &Kept<'_>) -> [Long; 4] {
    let mut key = vec![KEY];
    put_key_mark(&mut key, kept.mark);
    [
        Long::Text(Bytes::copy_from_slice(kept.key)),
        Long::Item(key),
        Long::Text(kept.data.clone()),
        Long::Item(vec![VALUE]),
    ]
}

/// The replies that an array is made of, or the one that is none.
fn parts(reply: &Reply) -> &[Reply] {
    match reply {
        Reply::Array(replies) => replies,
        flat => std::slice::from_ref(flat),
    }
}
