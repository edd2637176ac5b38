//! Hashes: each is in the store when its last field has come.

use bytes::Bytes;

use super::super::format::read_hash_head;
use super::{Fault, ImageReader, Place};
use crate::codec::{DecodeError, Reader};
use crate::command::{MAX_FIELD_BYTES, MAX_HASH_BYTES, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::store::{Hash, KeyMark};

/// A hash whose fields are being read.
pub(super) struct OpenHash {
    key: Vec<u8>,
    mark: KeyMark,
    /// The fields so far.
    hash: Hash,
    /// How many there will be.
    size: usize,
}

impl ImageReader {
    pub(super) fn take_hash(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (mark, hash, size) = read_hash_head(reader)?;
        let key = reader.bytes("key", MAX_KEY_BYTES)?.to_vec();
        let Place::Slots = self.place else { return Err(Fault::Misplaced("a hash")) };
        self.place = Place::Fields(OpenHash { key, mark, hash, size });
        Ok(())
    }

    pub(super) fn take_hash_key(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let (mark, hash, size) = read_hash_head(reader)?;
        let Place::Slots = self.place else { return Err(Fault::Misplaced("a hash in pieces")) };
        let key = self.take_short("key", MAX_KEY_BYTES)?;
        self.place = Place::Fields(OpenHash { key, mark, hash, size });
        Ok(())
    }

    pub(super) fn take_field(&mut self, reader: &mut Reader<'_>) -> Result<(), Fault> {
        let name = reader.bytes("field", MAX_FIELD_BYTES)?;
        let value = reader.bytes("value", MAX_VALUE_BYTES)?;
        match std::mem::replace(&mut self.place, Place::Failed) {
            Place::Fields(open) => self.put_field(open, name, Bytes::copy_from_slice(value)),
            _ => Err(Fault::Misplaced("a field")),
        }
    }

    pub(super) fn take_name(&mut self) -> Result<(), Fault> {
        let name = self.take_short("field", MAX_FIELD_BYTES)?;
        match std::mem::replace(&mut self.place, Place::Failed) {
            Place::Fields(open) => self.place = Place::FieldValue(open, name),
            _ => return Err(Fault::Misplaced("a name")),
        }
        Ok(())
    }

    pub(super) fn put_field(&mut self, mut open: OpenHash, name: &[u8], value: Bytes) -> Result<(), Fault> {
        if !open.hash.push(name, value) {
            return Err(Fault::Misplaced("a field out of order"));
        }
        if open.hash.bytes() > MAX_HASH_BYTES {
            let (size, limit) = (open.hash.bytes() as u64, MAX_HASH_BYTES);
            return Err(DecodeError::TooLarge { what: "hash", size, limit }.into());
        }
        if open.hash.len() < open.size {
            self.place = Place::Fields(open);
            return Ok(());
        }
        if !open.hash.has_each_name_once() {
            return Err(Fault::Misplaced("a field that was there before"));
        }
        self.place = Place::Slots;
        self.put_key(&open.key, open.hash.into(), open.mark)
    }
}
