//! A hash: fields, each with a name and a value, under one key.
//!
//! A hash begins as a list of its fields in the order in which they came, which is the order in which HGETALL and
//! its like show them, as with Redis's small hashes. One that gets more than [`MAX_LISTED_FIELDS`] is put in
//! order: its fields then stand by their *place*, a number made of the name, and stay so as long as the key
//! is there. The place depends on nothing but the name, so the order is the same on every replica and after a
//! restart, and HSCAN's cursor is a place.
//!
//! A hash in order is cut into *leaves* of some [`LEAF_FIELDS`] fields, each behind an `Arc`: a write to a hash
//! that a snapshot holds too copies the list of its leaves and one of them.

use std::sync::Arc;

use bytes::Bytes;

use super::key::Key;
use super::rank::spread;
use crate::digest::Digest;

/// The most fields of a hash that keeps the order in which they came: Redis's `hash-max-listpack-entries`. A
/// constant of the format.
pub(crate) const MAX_LISTED_FIELDS: usize = 512;

/// A leaf with more fields than this is cut in two.
const LEAF_FIELDS: usize = 256;

/// How many bits a place has: few enough for a client that reads a cursor as a floating-point number.
const PLACE_BITS: u32 = 53;

/// About what a field costs beside the bytes of its name and value, in memory. A constant of the format, since MEMORY
/// USAGE shows it, whose reply may be recorded.
const FIELD_OVERHEAD_BYTES: usize = 96;

/// About what a hash costs beside its fields, in memory. A constant of the format, too.
const HASH_OVERHEAD_BYTES: usize = 64;

const _: () = assert!(size_of::<Placed>() + 32 <= FIELD_OVERHEAD_BYTES);
const _: () = assert!(size_of::<Hash>() + 16 <= HASH_OVERHEAD_BYTES);

/// A name and its value.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    name: Key,
    /// The bytes. They are part of no larger buffer.
    pub(crate) value: Bytes,
}

impl Field {
    fn new(name: &[u8], value: Bytes) -> Self {
        Self { name: name.into(), value }
    }

    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    fn bytes(&self) -> usize {
        self.name.len() + self.value.len()
    }
}

/// A field with its place, which it is found by.
type Placed = (u64, Field);
type Leaf = Vec<Placed>;

/// The fields of one key.
#[derive(Clone, Debug)]
pub(crate) struct Hash {
    form: Form,
    /// How many fields there are.
    len: usize,
    /// How many bytes their names and values have together.
    bytes: usize,
}

#[derive(Clone, Debug)]
enum Form {
    /// In the order in which they came.
    Listed(Vec<Field>),
    /// By place and name, none of the leaves empty.
    Ordered(Vec<Arc<Leaf>>),
}

/// Where a field is, or would be put, in a hash in order.
struct Spot {
    leaf: usize,
    at: usize,
    /// Whether it is there.
    is_taken: bool,
}

impl Default for Hash {
    /// Without fields, as no key's hash is for long.
    fn default() -> Self {
        Self { form: Form::Listed(Vec::new()), len: 0, bytes: 0 }
    }
}

impl Hash {
    /// A hash in order, without fields.
    pub(crate) fn ordered() -> Self {
        Self { form: Form::Ordered(Vec::new()), ..Self::default() }
    }

    /// How many fields there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many bytes the names and values have together.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the fields stand by their places, and not as they came.
    pub(crate) fn is_ordered(&self) -> bool {
        matches!(self.form, Form::Ordered(_))
    }

    /// About how many bytes of memory it takes.
    pub(crate) fn memory_bytes(&self) -> usize {
        HASH_OVERHEAD_BYTES + self.len * FIELD_OVERHEAD_BYTES + self.bytes
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<&Bytes> {
        let field = match &self.form {
            Form::Listed(fields) => fields.iter().find(|field| *field.name == *name),
            Form::Ordered(leaves) => {
                let spot = spot(leaves, name);
                spot.is_taken.then(|| &leaves[spot.leaf][spot.at].1)
            }
        };
        field.map(|field| &field.value)
    }

    /// Gives a field a value; says whether it is new.
    pub(crate) fn set(&mut self, name: &[u8], value: Bytes) -> bool {
        self.bytes += value.len();
        let old = match &mut self.form {
            Form::Listed(fields) => match fields.iter_mut().find(|field| *field.name == *name) {
                Some(field) => Some(std::mem::replace(&mut field.value, value)),
                None => {
                    fields.push(Field::new(name, value));
                    None
                }
            },
            Form::Ordered(leaves) => set_in_order(leaves, name, value),
        };
        match &old {
            Some(old) => self.bytes -= old.len(),
            None => {
                self.len += 1;
                self.bytes += name.len();
                self.put_in_order_if_long();
            }
        }
        old.is_none()
    }

    /// Takes a field out; says whether it was there.
    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        let old = match &mut self.form {
            Form::Listed(fields) => {
                fields.iter().position(|field| *field.name == *name).map(|at| fields.remove(at))
            }
            Form::Ordered(leaves) => remove_in_order(leaves, name),
        };
        if let Some(old) = &old {
            self.len -= 1;
            self.bytes -= old.bytes();
        }
        old.is_some()
    }

    /// The fields in the hash's order, from the `skipped`-th on.
    pub(crate) fn fields_from(&self, skipped: usize) -> impl Iterator<Item = &Field> {
        let (listed, leaves): (&[Field], &[Arc<Leaf>]) = match &self.form {
            Form::Listed(fields) => (&fields[skipped.min(fields.len())..], &[]),
            Form::Ordered(leaves) => (&[], leaves),
        };
        let mut left = skipped;
        let mut whole = 0;
        while whole < leaves.len() && leaves[whole].len() <= left {
            left -= leaves[whole].len();
            whole += 1;
        }
        let placed = leaves[whole..].iter().flat_map(|leaf| leaf.iter()).skip(left);
        listed.iter().chain(placed.map(|(_, field)| field))
    }

    /// All fields in the hash's order.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.fields_from(0)
    }

    /// The `at`-th field in the hash's order.
    pub(super) fn nth(&self, at: usize) -> Option<&Field> {
        self.fields_from(at).next()
    }

    /// The fields from a place on, each with its place, which is also how one goes on behind it; none for a hash
    /// that is not in order.
    pub(super) fn placed_from(&self, place: u64) -> Option<impl Iterator<Item = (u64, &Field)>> {
        let Form::Ordered(leaves) = &self.form else { return None };
        let first = leaves.partition_point(|leaf| leaf[0].0 < place).saturating_sub(1);
        let placed = leaves[first..].iter().flat_map(|leaf| leaf.iter());
        Some(placed.skip_while(move |(other, _)| *other < place).map(|(place, field)| (*place, field)))
    }

    /// Puts a field behind all others, as an image brings them. Says whether that is where it belongs; of a
    /// hash that is not in order only [`Hash::has_each_name_once`] can tell.
    pub(crate) fn push(&mut self, name: &[u8], value: Bytes) -> bool {
        let field = Field::new(name, value);
        (self.len, self.bytes) = (self.len + 1, self.bytes + field.bytes());
        match &mut self.form {
            Form::Listed(fields) => fields.push(field),
            Form::Ordered(leaves) => {
                let place = place_of(name);
                let last = leaves.last().and_then(|leaf| leaf.last());
                if last.is_some_and(|(other, last)| (*other, last.name()) >= (place, name)) {
                    return false;
                }
                match leaves.last_mut().filter(|leaf| leaf.len() < LEAF_FIELDS) {
                    Some(leaf) => Arc::make_mut(leaf).push((place, field)),
                    None => leaves.push(Arc::new(vec![(place, field)])),
                }
            }
        }
        true
    }

    /// Whether no two fields have the same name.
    pub(crate) fn has_each_name_once(&self) -> bool {
        match &self.form {
            Form::Listed(fields) => {
                let mut names: Vec<&[u8]> = fields.iter().map(Field::name).collect();
                names.sort_unstable();
                names.windows(2).all(|pair| pair[0] != pair[1])
            }
            Form::Ordered(_) => true,
        }
    }

    /// Puts everything that can be seen of it into the digest.
    pub(crate) fn digest(&self, digest: Digest) -> Digest {
        let head = digest.word(self.is_ordered().into()).word(self.len as u64);
        self.fields().fold(head, |digest, field| digest.bytes(&field.name).bytes(&field.value))
    }

    /// Gives up some of its fields, if it has many; returns how many. The hash is no longer good for anything
    /// but being freed.
    pub(crate) fn discard_leaf(&mut self) -> Option<usize> {
        match &mut self.form {
            Form::Listed(_) => None,
            Form::Ordered(leaves) => leaves.pop().map(|leaf| leaf.len()),
        }
    }

    fn put_in_order_if_long(&mut self) {
        let Form::Listed(fields) = &mut self.form else { return };
        if fields.len() <= MAX_LISTED_FIELDS {
            return;
        }
        let mut placed: Vec<Placed> = fields.drain(..).map(|field| (place_of(&field.name), field)).collect();
        placed.sort_unstable_by(|(one, a), (other, b)| (one, &a.name).cmp(&(other, &b.name)));
        let mut leaves = Vec::new();
        while !placed.is_empty() {
            let rest = placed.split_off(placed.len().min(LEAF_FIELDS));
            leaves.push(Arc::new(std::mem::replace(&mut placed, rest)));
        }
        self.form = Form::Ordered(leaves);
    }
}

/// A field's place in a hash in order. A constant of the format: images hold fields in this order, and clients
/// hold cursors.
fn place_of(name: &[u8]) -> u64 {
    spread(name) >> (u64::BITS - PLACE_BITS)
}

fn spot(leaves: &[Arc<Leaf>], name: &[u8]) -> Spot {
    let place = place_of(name);
    let is_in_front = |(other, field): &Placed| (*other, field.name()) < (place, name);
    let is_behind = |(other, field): &Placed| (*other, field.name()) > (place, name);
    // The last leaf that does not begin behind it.
    let leaf = leaves.partition_point(|leaf| !is_behind(&leaf[0])).saturating_sub(1);
    let Some(placed) = leaves.get(leaf) else { return Spot { leaf, at: 0, is_taken: false } };
    let at = placed.partition_point(is_in_front);
    Spot { leaf, at, is_taken: placed.get(at).is_some_and(|found| !is_behind(found)) }
}

/// Returns the old value.
fn set_in_order(leaves: &mut Vec<Arc<Leaf>>, name: &[u8], value: Bytes) -> Option<Bytes> {
    let Spot { leaf: number, at, is_taken } = spot(leaves, name);
    if leaves.is_empty() {
        leaves.push(Arc::default());
    }
    let leaf = Arc::make_mut(&mut leaves[number]);
    if is_taken {
        return Some(std::mem::replace(&mut leaf[at].1.value, value));
    }
    leaf.insert(at, (place_of(name), Field::new(name, value)));
    if leaf.len() > LEAF_FIELDS {
        let behind = leaf.split_off(LEAF_FIELDS / 2);
        leaves.insert(number + 1, Arc::new(behind));
    }
    None
}

fn remove_in_order(leaves: &mut Vec<Arc<Leaf>>, name: &[u8]) -> Option<Field> {
    let Spot { leaf: number, at, is_taken } = spot(leaves, name);
    if !is_taken {
        return None;
    }
    let (_, field) = Arc::make_mut(&mut leaves[number]).remove(at);
    join_if_short(leaves, number);
    Some(field)
}

/// Puts a leaf that has become short together with a neighbour, so that what a hash once grew to is no measure
/// of what it takes.
fn join_if_short(leaves: &mut Vec<Arc<Leaf>>, number: usize) {
    if leaves[number].is_empty() {
        leaves.remove(number);
        return;
    }
    let first = if number + 1 < leaves.len() { number } else { number.saturating_sub(1) };
    let joined = |pair: &[Arc<Leaf>]| pair[0].len() + pair[1].len();
    if leaves.get(first..first + 2).is_some_and(|pair| joined(pair) <= LEAF_FIELDS / 2) {
        let behind = leaves.remove(first + 1);
        Arc::make_mut(&mut leaves[first]).extend(Arc::unwrap_or_clone(behind));
    }
}

#[cfg(test)]
mod tests;
