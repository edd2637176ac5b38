//! The items of an image; see the page of the module above.

use bytes::Bytes;

use crate::codec::{DecodeError, Reader, put_bytes, put_varint};
use crate::command::MAX_HASH_FIELDS;
use crate::slot::{SLOT_COUNT, Slots};
use crate::store::{Field, Hash, Kept, KeyMark, MAX_LISTED_FIELDS, SlotMark};

/// The version of the format that is written here.
pub(super) const VERSION: u8 = 2;

/// The earliest version that is read here. It had no hashes, and no reply in three arrays or in a map.
pub(super) const FIRST_VERSION: u8 = 1;

pub(super) const HEAD: u8 = 1;
pub(super) const RUN: u8 = 2;
pub(super) const ENTRY: u8 = 3;
pub(super) const PIECE: u8 = 4;
pub(super) const KEY: u8 = 5;
pub(super) const VALUE: u8 = 6;
pub(super) const LIFE: u8 = 7;
pub(super) const RECORD: u8 = 8;
pub(super) const PART: u8 = 9;
pub(super) const LONG: u8 = 10;
pub(super) const SAME: u8 = 11;
pub(super) const END: u8 = 12;
pub(super) const ONCE: u8 = 13;
pub(super) const SESSION: u8 = 14;
pub(super) const HASH: u8 = 15;
pub(super) const FIELD: u8 = 16;
pub(super) const HASH_KEY: u8 = 17;
pub(super) const NAME: u8 = 18;
pub(super) const MAP: u8 = 19;
pub(super) const INNER: u8 = 20;
pub(super) const PAIRS: u8 = 21;

/// The most bytes of an item without a key, a text or a list: a tag and four numbers.
pub(super) const SMALL_ITEM_BYTES: usize = 1 + 4 * MAX_VARINT_BYTES;

/// Tag and length of a piece.
pub(super) const PIECE_OVERHEAD_BYTES: usize = 1 + 3;

/// A reply's text above this is written once, however many records share it.
pub(super) const MAX_INLINE_TEXT_BYTES: usize = 4096;

const MAX_VARINT_BYTES: usize = 10;

/// What stands for each kind of [`Slots`].
const ALL: u8 = 0;
const ONE: u8 = 1;
const MANY: u8 = 2;

/// The most bytes that the item of a key with a string may take, or of a field.
pub(super) fn entry_bytes(key: &[u8], text: &[u8]) -> usize {
    SMALL_ITEM_BYTES + key.len() + text.len()
}

pub(super) fn put_run(out: &mut Vec<u8>, slots: usize, mark: SlotMark) {
    out.push(RUN);
    put_varint(out, slots as u64);
    put_varint(out, mark.deleted);
    put_varint(out, mark.epoch);
}

pub(super) fn put_entry(out: &mut Vec<u8>, kept: &Kept<'_>, text: &[u8]) {
    out.push(ENTRY);
    put_key_mark(out, kept.mark);
    put_bytes(out, kept.key);
    put_bytes(out, text);
}

/// What is said of a hash behind the tag, or in front of its key.
pub(super) fn put_hash_head(out: &mut Vec<u8>, mark: KeyMark, hash: &Hash) {
    put_key_mark(out, mark);
    out.push(hash.is_ordered().into());
    put_varint(out, hash.len() as u64);
}

/// The mark of a hash, the hash without its fields, and how many there will be.
pub(super) fn read_hash_head(reader: &mut Reader<'_>) -> Result<(KeyMark, Hash, usize), DecodeError> {
    let mark = read_key_mark(reader)?;
    let (hash, limit) = match reader.byte()? {
        0 => (Hash::default(), MAX_LISTED_FIELDS),
        1 => (Hash::ordered(), MAX_HASH_FIELDS),
        other => return Err(DecodeError::UnknownFlags(other)),
    };
    match reader.varint()? {
        0 => Err(DecodeError::EmptyList),
        size => match usize::try_from(size) {
            Ok(fields) if fields <= limit => Ok((mark, hash, fields)),
            _ => Err(DecodeError::TooLarge { what: "fields", size, limit }),
        },
    }
}

pub(super) fn put_field(out: &mut Vec<u8>, field: &Field) {
    out.push(FIELD);
    put_bytes(out, field.name());
    put_bytes(out, &field.value);
}

pub(super) fn put_key_mark(out: &mut Vec<u8>, mark: KeyMark) {
    put_varint(out, mark.changed);
    // No time is so late that one more would not be a number: it would be 584 million years away.
    put_varint(out, mark.expires_ms.map_or(0, |at| at + 1));
}

pub(super) fn read_key_mark(reader: &mut Reader<'_>) -> Result<KeyMark, DecodeError> {
    Ok(KeyMark { changed: reader.varint()?, expires_ms: reader.varint()?.checked_sub(1) })
}

/// Puts as much of `text` as fits into `room` bytes, and takes it away from the text.
pub(super) fn put_piece(out: &mut Vec<u8>, text: &mut Bytes, room: usize) {
    let length = text.len().min(room - PIECE_OVERHEAD_BYTES);
    out.push(PIECE);
    put_bytes(out, &text.split_to(length));
}

/// The most bytes that a list of slots takes: what lies between two of them is nearly always below 128.
pub(super) fn slots_bytes(slots: &Slots) -> usize {
    SMALL_ITEM_BYTES + slots.listed().len() + SLOT_COUNT / 128
}

pub(super) fn put_slots(out: &mut Vec<u8>, slots: &Slots) {
    match slots {
        Slots::All => out.push(ALL),
        Slots::One(slot) => {
            out.push(ONE);
            put_varint(out, (*slot).into());
        }
        Slots::Many(slots) => {
            out.push(MANY);
            put_varint(out, slots.len() as u64);
            let mut last = 0;
            for &slot in slots {
                put_varint(out, (slot - last).into());
                last = slot;
            }
        }
    }
}

pub(super) fn read_slots(reader: &mut Reader<'_>) -> Result<Slots, DecodeError> {
    match reader.byte()? {
        ALL => Ok(Slots::All),
        ONE => Ok(Slots::One(read_slot(reader, 0)?)),
        MANY => {
            let count = reader.count("slots", SLOT_COUNT, 1)?;
            let mut slots: Vec<u16> = Vec::with_capacity(count);
            for _ in 0..count {
                let slot = read_slot(reader, slots.last().copied().unwrap_or(0))?;
                if slots.last() == Some(&slot) {
                    return Err(DecodeError::MalformedNumber);
                }
                slots.push(slot);
            }
            // One alone has a form of its own.
            if slots.len() < 2 { Err(DecodeError::EmptyList) } else { Ok(Slots::Many(slots.into())) }
        }
        other => Err(DecodeError::UnknownOpcode(other)),
    }
}

/// The slot that is so far behind `last`.
fn read_slot(reader: &mut Reader<'_>, last: u16) -> Result<u16, DecodeError> {
    let slot = reader.varint()?.saturating_add(last.into());
    let limit = SLOT_COUNT - 1;
    match u16::try_from(slot) {
        Ok(fits) if usize::from(fits) <= limit => Ok(fits),
        _ => Err(DecodeError::TooLarge { what: "slot", size: slot, limit }),
    }
}
