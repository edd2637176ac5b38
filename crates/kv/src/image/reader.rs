//! Builds a state from an image's blocks. It believes nothing that they say.

mod hashes;

use std::ops::Range;

use bowline_raft::LogId;
use bytes::Bytes;
use hashes::OpenHash;

use super::format::{
    END, ENTRY, FIELD, FIRST_VERSION, HASH, HASH_KEY, HEAD, INNER, KEY, LIFE, LONG, MAP, NAME, ONCE, PAIRS,
    PART, PIECE, RECORD, RUN, SAME, SESSION, VALUE, VERSION, read_key_mark, read_slots,
};
use super::{BLOCK_BYTES, Image, ImageError};
use crate::codec::{DecodeError, Reader};
use crate::command::{MAX_ARGUMENTS, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::reply::{MAX_DEPTH, Reply};
use crate::session::Origin;
use crate::session::once::{Counters, Limits, Use};
use crate::slot::{SLOT_COUNT, Slots, slot_of};
use crate::store::{Data, KeyMark, SlotMark};

/// Takes an image's blocks one by one, in their order. The memory that it takes is what the blocks hold, and a
/// small multiple of it at most, whatever they say.
pub struct ImageReader {
    image: Image,
    place: Place,
    /// The slots that were noted last and in which keys may be: from that of the last key on.
    run: Range<usize>,
    /// The pieces so far of what is too long for one block.
    pieces: Vec<u8>,
    /// The long texts of replies.
    texts: Vec<Bytes>,
    /// How many blocks there were.
    blocks: u64,
}

/// What may come next.
enum Place {
    Head,
    /// Keys of the run, the next run, or, behind the last slot, an origin.
    Slots,
    /// The value of this key.
    Value {
        key: Vec<u8>,
        mark: KeyMark,
    },
    /// Fields of this hash.
    Fields(OpenHash),
    /// The value of the field of this name.
    FieldValue(OpenHash, Vec<u8>),
    /// Records of this origin from this number on, or another origin, or what is about all sessions.
    Records {
        origin: Origin,
        from: Option<u64>,
    },
    /// The record of this session if it may have one, or another session, or the end.
    Session {
        id: u64,
        has_record: bool,
    },
    /// Parts of the reply of this record.
    Parts {
        whose: Whose,
        record: OpenRecord,
    },
    Nothing,
    /// There was an error.
    Failed,
}

/// Whose record it is.
#[derive(Clone, Copy)]
enum Whose {
    Origin(Origin),
    Session(u64),
}

struct OpenRecord {
    number: u64,
    slots: Slots,
    /// The arrays that are not complete, each in the one in front of it. The last one may be a map.
    open: Vec<OpenArray>,
}

struct OpenArray {
    /// What makes a reply of it.
    shape: fn(Vec<Reply>) -> Reply,
    /// Whether arrays and maps may be in it.
    may_nest: bool,
    /// The replies so far.
    replies: Vec<Reply>,
    /// How many there will be.
    size: usize,
}

/// What is wrong with an item.
enum Fault {
    Malformed(DecodeError),
    Misplaced(&'static str),
    NewerFormat(u8),
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}

impl ImageReader {
    /// Nothing has been read. `seed` is [`Store::new`](crate::Store::new)'s, and need not be that of whoever wrote
    /// the image.
    pub fn new(seed: u64) -> Self {
        Self {
            image: Image::empty(seed),
            place: Place::Head,
            run: 0..0,
            pieces: Vec::new(),
            texts: Vec::new(),
            blocks: 0,
        }
    }

    /// How many blocks have been taken.
    pub fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Takes the next block.
    ///
    /// # Errors
    ///
    /// [`ImageError`]. Nothing more can be taken then, and there will be no image.
    pub fn push(&mut self, block: &[u8]) -> Result<(), ImageError> {
        let number = self.blocks;
        self.take_items(block).map_err(|fault| {
            self.place = Place::Failed;
            match fault {
                Fault::Malformed(error) => ImageError::Malformed { block: number, error },
                Fault::Misplaced(item) => ImageError::Misplaced { block: number, item },
                Fault::NewerFormat(found) => ImageError::NewerFormat { found, known: VERSION },
            }
        })?;
        self.blocks += 1;
        Ok(())
    }

    /// The image, whole.
    ///
    /// # Errors
    ///
    /// [`ImageError::Incomplete`] if more should have come.
    pub fn finish(self) -> Result<Image, ImageError> {
        match self.place {
            Place::Nothing => Ok(self.image),
            _ => Err(ImageError::Incomplete { blocks: self.blocks }),
        }
    }

    fn take_items(&mut self, block: &[u8]) -> Result<(), Fault> {
        if block.len() > BLOCK_BYTES {
            let (size, limit) = (block.len() as u64, BLOCK_BYTES);
            return Err(DecodeError::TooLarge { what: "block", size, limit }.into());
        }
        let mut reader = Reader::new(block);
        while !reader.is_empty() {
            let tag = reader.byte()?;
            if !self.pieces.is_empty() && !matches!(tag, PIECE | KEY | HASH_KEY | NAME | VALUE | LONG) {
                return Err(Fault::Misplaced("an item behind pieces"));
            }
            self.take_item(tag, &mut reader)?;
        }
        Ok(())
    }

    fn take_item(&mut self, tag: u8, reader: &mut Reader<'_>) -> Result<(), Fault> {
        match tag {
            HEAD => self.take_head(reader),
            RUN => self.take_run(reader),
            ENTRY => self.take_entry(reader),
            PIECE => self.take_piece(reader),
            KEY => self.take_key(reader),
            HASH => self.take_hash(reader),
            HASH_KEY => self.take_hash_key(reader),
            FIELD => self.take_field(reader),
            NAME => self.take_name(),
            VALUE => self.take_value(),
            LIFE => self.take_life(reader),
            ONCE => self.take_once(reader),
            SESSION => self.take_session(reader),
            RECORD => self.take_record(reader),
            PART => self.take_part(reader),
            INNER => self.take_inner(reader),
            MAP => self.take_pairs(Reply::Map, reader),
            PAIRS => self.take_pairs(Reply::Pairs, reader),
            LONG => self.take_long(reader),
            SAME => self.take_same(reader),
            END => self.take_end(reader),
            other => Err(DecodeError::UnknownOpcode(other).into()),
        }
    }

    fn take_head(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let Place::Head = self.place else { return Err(Fault::Misplaced("a second head")) };
        let version = reader.byte()?;
        if version > VERSION {
            return Err(Fault::NewerFormat(version));
        }
        if version < FIRST_VERSION {
            return Err(DecodeError::UnknownOpcode(version).into());
        }
        self.image.last = LogId::new(reader.varint()?, reader.varint()?);
        self.image.stamp_ms = reader.varint()?;
        self.image.store.begin_at(self.image.last.index, self.image.stamp_ms);
        self.place = Place::Slots;
        Ok(())
    }

    fn take_run(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let Place::Slots = self.place else { return Err(Fault::Misplaced("a run of slots")) };
        let (first, slots) = (self.run.end, reader.varint()?);
        let left = SLOT_COUNT - first;
        let count = usize::try_from(slots).ok().filter(|count| (1..=left).contains(count));
        let count = count.ok_or(DecodeError::TooLarge { what: "run of slots", size: slots, limit: left })?;
        let mark = SlotMark { deleted: reader.varint()?, epoch: reader.varint()? };
        self.run = first..first + count;
        self.image.store.set_marks(self.run.clone(), mark);
        Ok(())
    }

    fn take_entry(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let mark = read_key_mark(reader)?;
        let key = reader.bytes("key", MAX_KEY_BYTES)?;
        let data = reader.bytes("value", MAX_VALUE_BYTES)?;
        let Place::Slots = self.place else { return Err(Fault::Misplaced("a key")) };
        self.put_key(key, Bytes::copy_from_slice(data).into(), mark)
    }

    fn put_key(&mut self, key: &[u8], data: Data, mark: KeyMark) -> Result<(), Fault> {
        let slot = slot_of(key).into();
        if !self.run.contains(&slot) {
            return Err(Fault::Misplaced("a key of another slot"));
        }
        if !self.image.store.put_kept(slot, key, data, mark) {
            return Err(Fault::Misplaced("a key that was there before"));
        }
        // What is left of the run: slots come in their order.
        self.run.start = slot;
        Ok(())
    }

    fn take_piece(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (Place::Slots
        | Place::Value { .. }
        | Place::Fields(_)
        | Place::FieldValue(..)
        | Place::Parts { .. }) = self.place
        else {
            return Err(Fault::Misplaced("a piece"));
        };
        let piece = reader.bytes("piece", BLOCK_BYTES)?;
        let size = self.pieces.len() + piece.len();
        if size > MAX_VALUE_BYTES {
            let (size, limit) = (size as u64, MAX_VALUE_BYTES);
            return Err(DecodeError::TooLarge { what: "text in pieces", size, limit }.into());
        }
        self.pieces.extend_from_slice(piece);
        Ok(())
    }

    fn take_key(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let mark = read_key_mark(reader)?;
        let Place::Slots = self.place else { return Err(Fault::Misplaced("a key in pieces")) };
        let key = self.take_short("key", MAX_KEY_BYTES)?;
        self.place = Place::Value { key, mark };
        Ok(())
    }

    /// The pieces as a key or a name.
    fn take_short(&mut self, what: &'static str, limit: usize) -> Result<Vec<u8>, DecodeError> {
        let short = std::mem::take(&mut self.pieces);
        if short.len() > limit {
            return Err(DecodeError::TooLarge { what, size: short.len() as u64, limit });
        }
        Ok(short)
    }

    fn take_value(&mut self) -> Result<(), Fault> {
        match std::mem::replace(&mut self.place, Place::Slots) {
            Place::Value { key, mark } => {
                let data = self.take_pieces().into();
                self.put_key(&key, data, mark)
            }
            Place::FieldValue(open, name) => {
                let value = self.take_pieces();
                self.put_field(open, &name, value)
            }
            _ => Err(Fault::Misplaced("a value")),
        }
    }

    /// The pieces together, without room to spare.
    fn take_pieces(&mut self) -> Bytes {
        std::mem::take(&mut self.pieces).into_boxed_slice().into()
    }

    fn take_life(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let origin = Origin { node: reader.varint()?, life: reader.varint()? };
        let floor = reader.varint()?;
        let is_next = match &self.place {
            Place::Slots => self.run.end == SLOT_COUNT,
            Place::Records { origin: last, .. } => last.node < origin.node,
            _ => false,
        };
        if !is_next {
            return Err(Fault::Misplaced("an origin"));
        }
        self.image.sessions.begin(origin, floor);
        self.place = Place::Records { origin, from: Some(floor) };
        Ok(())
    }

    fn take_once(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (last_id, last_use) = (reader.varint()?, reader.varint()?);
        let limits = Limits { most: reader.varint()?, idle_ms: reader.varint()? };
        let is_next = match &self.place {
            Place::Slots => self.run.end == SLOT_COUNT,
            Place::Records { .. } => true,
            _ => false,
        };
        if !is_next {
            return Err(Fault::Misplaced("what is about all sessions"));
        }
        let counters = Counters { last_id, last_use, limits };
        self.image.sessions.once.set_counters(counters, self.image.stamp_ms);
        // No session has the id 0.
        self.place = Place::Session { id: 0, has_record: true };
        Ok(())
    }

    fn take_session(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let id = reader.varint()?;
        let last_use = Use { number: reader.varint()?, stamp_ms: reader.varint()? };
        let is_next = matches!(self.place, Place::Session { id: last, .. } if last < id);
        if !is_next || !self.image.sessions.once.restore(id, last_use) {
            return Err(Fault::Misplaced("a session"));
        }
        self.place = Place::Session { id, has_record: false };
        Ok(())
    }

    fn take_record(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (number, slots) = (reader.varint()?, read_slots(reader)?);
        let parts = reader.varint()?.checked_sub(1);
        let whose = match self.place {
            Place::Records { origin, from: Some(from) } if number >= from => Whose::Origin(origin),
            Place::Records { .. } => return Err(Fault::Misplaced("a record of a lower number")),
            Place::Session { id, has_record: false } if number > 0 => Whose::Session(id),
            _ => return Err(Fault::Misplaced("a record")),
        };
        self.place = Place::Parts { whose, record: OpenRecord { number, slots, open: Vec::new() } };
        match parts {
            Some(size) => self.open(Reply::Array, true, size),
            None => Ok(()),
        }
    }

    fn complete(&mut self, whose: Whose, number: u64, slots: Slots, reply: Reply) {
        let sessions = &mut self.image.sessions;
        self.place = match whose {
            Whose::Origin(origin) => {
                sessions.complete(origin, number, reply, slots);
                Place::Records { origin, from: number.checked_add(1) }
            }
            Whose::Session(id) => {
                sessions.once.complete(id, number, reply, slots);
                Place::Session { id, has_record: true }
            }
        };
    }

    fn take_part(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let encoded = reader.bytes("reply", BLOCK_BYTES)?;
        let reply = Reply::decode(&Bytes::copy_from_slice(encoded))?;
        if let Reply::Array(_) | Reply::Map(_) | Reply::Pairs(_) = reply {
            return Err(DecodeError::NestedArray.into());
        }
        self.put_part(reply)
    }

    fn take_long(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let text = self.take_pieces();
        let reply = Reply::from_text(reader.byte()?, text.clone())?;
        self.texts.push(text);
        self.put_part(reply)
    }

    fn take_same(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (tag, number) = (reader.byte()?, reader.varint()?);
        let text = usize::try_from(number).ok().and_then(|number| self.texts.get(number));
        let text = text.ok_or(Fault::Misplaced("a text that was not there before"))?;
        self.put_part(Reply::from_text(tag, text.clone())?)
    }

    fn take_inner(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let size = reader.varint()?;
        // A reply that is an array says so itself.
        match &self.place {
            Place::Parts { record, .. } if !record.open.is_empty() => self.open(Reply::Array, true, size),
            _ => Err(Fault::Misplaced("an inner array")),
        }
    }

    /// A map, or pairs: which of both `shape` makes.
    fn take_pairs(&mut self, shape: fn(Vec<Reply>) -> Reply, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let pairs = reader.varint()?;
        match &self.place {
            Place::Parts { .. } => self.open(shape, false, pairs.saturating_mul(2)),
            _ => Err(Fault::Misplaced("a map")),
        }
    }

    /// Begins an array or a map of that many replies in the record that is open.
    fn open(&mut self, shape: fn(Vec<Reply>) -> Reply, may_nest: bool, size: u64) -> Result<(), Fault> {
        let limit = MAX_ARGUMENTS;
        let size = usize::try_from(size).ok().filter(|size| *size <= limit).ok_or(DecodeError::TooLarge {
            what: if may_nest { "array" } else { "map" },
            size,
            limit,
        })?;
        let Place::Parts { record, .. } = &mut self.place else { return Err(Fault::Misplaced("an array")) };
        if record.open.len() == MAX_DEPTH || record.open.last().is_some_and(|last| !last.may_nest) {
            return Err(DecodeError::NestedArray.into());
        }
        let array = OpenArray { shape, may_nest, replies: Vec::new(), size };
        if size == 0 {
            return self.put_part(array.complete());
        }
        record.open.push(array);
        Ok(())
    }

    fn put_part(&mut self, mut reply: Reply) -> Result<(), Fault> {
        let Place::Parts { whose, mut record } = std::mem::replace(&mut self.place, Place::Failed) else {
            return Err(Fault::Misplaced("a reply"));
        };
        while let Some(mut array) = record.open.pop() {
            array.replies.push(reply);
            if array.replies.len() < array.size {
                record.open.push(array);
                self.place = Place::Parts { whose, record };
                return Ok(());
            }
            reply = array.complete();
        }
        self.complete(whose, record.number, record.slots, reply);
        Ok(())
    }

    fn take_end(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (keys, records) = (reader.varint()?, reader.varint()?);
        let is_next = matches!(self.place, Place::Session { .. });
        let image = &self.image;
        let has_all = keys == image.store.held() as u64 && records == image.sessions.records() as u64;
        if !is_next || !has_all {
            return Err(Fault::Misplaced("the end"));
        }
        self.place = Place::Nothing;
        Ok(())
    }
}

impl OpenArray {
    fn complete(self) -> Reply {
        (self.shape)(self.replies)
    }
}
