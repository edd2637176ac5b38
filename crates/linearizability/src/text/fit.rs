//! Where in the shown values the bytes of an append can have come from.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bytes::Bytes;

use super::values::{Prefix, Values};

/// Where the bytes of an append are found in the values that answers show, between the ends of others or the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// Nowhere: no answer shows them.
    Nowhere,
    /// In one place only; the text that ends with them there.
    Once(Prefix),
    /// Maybe in several.
    Often,
}

/// Where the bytes of appends fit.
pub(crate) struct Fits {
    by_piece: HashMap<Bytes, Fit>,
    /// Whether every value falls into pieces in one way only.
    pub(crate) is_plain: bool,
}

impl Fits {
    /// Of what nothing is known.
    pub(crate) fn unknown() -> Self {
        Self { by_piece: HashMap::new(), is_plain: false }
    }

    pub(crate) fn of(&self, piece: &Bytes) -> Fit {
        self.by_piece.get(piece).copied().unwrap_or(Fit::Often)
    }
}

/// The fit of each of `pieces`, where texts begin with `bases`.
pub(crate) fn fits(values: &Values, bases: &[Prefix], pieces: &BTreeSet<Bytes>) -> Fits {
    let mut fits: HashMap<&[u8], Fit> = pieces.iter().map(|piece| (piece.as_ref(), Fit::Nowhere)).collect();
    if let Some(empty) = fits.get_mut(b"".as_slice()) {
        *empty = Fit::Often;
    }
    let lengths: BTreeSet<usize> = pieces.iter().map(Bytes::len).filter(|len| *len > 0).collect();
    let longest = lengths.last().copied().unwrap_or(0);
    let mut bases_by_place: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for base in bases {
        bases_by_place.entry(base.from).or_default().push(base.len);
    }
    // Where, in the present value, something ends; and the pieces that end there.
    let mut ends: BTreeMap<usize, Vec<&[u8]>> = BTreeMap::new();
    let mut last: &[u8] = b"";
    let mut is_plain = true;
    for (place, value) in values.sorted().iter().enumerate() {
        // What it has in common with the one before has been looked at there.
        let known = if place == 0 { None } else { Some(common(last, value)) };
        close(&mut fits, ends.split_off(&known.map_or(0, |known| known + 1)), place);
        for base in bases_by_place.get(&place).into_iter().flatten() {
            ends.entry(*base).or_default();
        }
        let mut at = known.map_or(0, |known| (known + 1).saturating_sub(longest));
        while let Some((&start, _)) = ends.range(at..).next() {
            for end in lengths.iter().map(|len| start + len).take_while(|end| *end <= value.len()) {
                if known.is_some_and(|known| end <= known) {
                    continue;
                }
                if let Some((piece, _)) = fits.get_key_value(&value[start..end]) {
                    let piece = *piece;
                    let here = Fit::Once(Prefix { from: place, to: values.sorted().len(), len: end });
                    fits.entry(piece).and_modify(|fit| {
                        *fit = if *fit == Fit::Nowhere { here } else { Fit::Often };
                    });
                    ends.entry(end).or_default().push(piece);
                }
            }
            is_plain &= is_plain_at(&ends, start);
            at = start + 1;
        }
        last = value;
    }
    let by_piece = fits.into_iter().map(|(piece, fit)| (Bytes::copy_from_slice(piece), fit)).collect();
    Fits { by_piece, is_plain }
}

/// Whether no piece reaches over `start`, and at most one begins there.
fn is_plain_at(ends: &BTreeMap<usize, Vec<&[u8]>>, start: usize) -> bool {
    let behind = ends.range(start + 1..);
    let starts = behind.flat_map(|(end, pieces)| pieces.iter().map(move |piece| end - piece.len()));
    let mut begun = 0;
    starts.filter(|begin| *begin <= start).all(|begin| {
        begun += 1;
        begin == start && begun == 1
    })
}

/// The value at `place` does not have these ends any more.
fn close(fits: &mut HashMap<&[u8], Fit>, ends: BTreeMap<usize, Vec<&[u8]>>, place: usize) {
    for piece in ends.into_values().flatten() {
        if let Some(Fit::Once(prefix)) = fits.get_mut(piece) {
            prefix.to = place;
        }
    }
}

/// How many bytes the two begin with alike.
fn common(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}
