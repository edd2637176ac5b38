//! Hashes in an image.

use super::hostile::{error_of, with_items};
use super::*;
use crate::codec::put_varint;
use crate::command::{MAX_FIELD_BYTES, MAX_HASH_FIELDS};
use crate::store::{Hash, MAX_LISTED_FIELDS};

fn put(image: &mut Image, key: &[u8], hash: Hash) {
    let mark = KeyMark { changed: 1, expires_ms: None };
    assert!(image.store.put_kept(slot_of(key).into(), key, hash.into(), mark));
}

fn hash(fields: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Hash {
    let mut hash = Hash::default();
    for (name, value) in fields {
        hash.set(&name, value.into());
    }
    hash
}

fn numbered(count: usize) -> Hash {
    hash((0..count).map(|number| (format!("field{number}").into_bytes(), number.to_string().into_bytes())))
}

/// The bytes are in files, and go between nodes of different versions.
#[test]
fn the_format_stays_as_it_is() {
    let mut image = Image::empty(1);
    let mark = KeyMark { changed: 200, expires_ms: Some(0) };
    let mut fields = Hash::default();
    fields.set(b"b", Bytes::from_static(b"1"));
    fields.set(b"a", Bytes::from_static(b""));
    assert!(image.store.put_kept(slot_of(b"foo").into(), b"foo", fields.into(), mark));
    let mut large = numbered(MAX_LISTED_FIELDS + 1);
    for number in 2..=MAX_LISTED_FIELDS {
        large.remove(format!("field{number}").as_bytes());
    }
    assert!(image.store.put_kept(slot_of(b"{foo}2").into(), b"{foo}2", large.into(), mark));
    let blocks: Vec<_> = image.clone().into_blocks().collect();
    let small = b"\x0f\xc8\x01\x01\x00\x02\x03foo\x10\x01b\x011\x10\x01a\x00";
    let ordered = b"\x0f\xc8\x01\x01\x01\x02\x06{foo}2\x10\x06field1\x011\x10\x06field0\x010";
    let [block] = &blocks[..] else { panic!("{} blocks", blocks.len()) };
    for item in [&small[..], ordered] {
        assert!(block.windows(item.len()).any(|bytes| bytes == item), "{}", block.escape_ascii());
    }
    assert_same(&restored(&image, 2), &image);
}

#[test]
fn hashes_of_every_size_come_back() {
    let mut image = Image::empty(1);
    for count in [1, 2, MAX_LISTED_FIELDS, MAX_LISTED_FIELDS + 1, 5000, 100_000] {
        put(&mut image, format!("{{one}}{count}").as_bytes(), numbered(count));
        put(&mut image, count.to_string().as_bytes(), numbered(count));
    }
    let mut shrunk = numbered(5000);
    for number in 3..5000 {
        shrunk.remove(format!("field{number}").as_bytes());
    }
    put(&mut image, b"shrunk", shrunk);
    assert!(image.clone().into_blocks().count() > 30);
    assert_same(&restored(&image, 2), &image);
}

#[test]
fn what_is_too_long_for_a_block_is_cut_and_comes_back() {
    let names = [0, 1, 30_000, MAX_FIELD_BYTES - 1, MAX_FIELD_BYTES];
    let values = [0, 1, 35_000, BLOCK_BYTES - 50, BLOCK_BYTES, 3 * BLOCK_BYTES + 1];
    let mut image = Image::empty(1);
    for key in [0, 1, 30_000, BLOCK_BYTES - 50, MAX_KEY_BYTES] {
        let fields = names.iter().flat_map(|name| values.iter().map(move |value| (*name, *value)));
        put(
            &mut image,
            &blob(key, 5),
            hash(fields.map(|(name, value)| (blob(name, value as u64), blob(value, 1)))),
        );
        put(
            &mut image,
            &[b"{}", &blob(key.min(MAX_KEY_BYTES - 2), 6)[..]].concat(),
            hash([(blob(MAX_FIELD_BYTES, 1), blob(MAX_VALUE_BYTES, 2))]),
        );
    }
    let blocks: Vec<_> = image.clone().into_blocks().collect();
    assert!(blocks.iter().all(|block| (1..=BLOCK_BYTES).contains(&block.len())));
    assert_same(&restored(&image, 2), &image);
}

#[test]
fn a_restored_hash_goes_on_as_the_original() {
    let mut original = Image::empty(1);
    for count in [3, MAX_LISTED_FIELDS, 2000] {
        put(&mut original, format!("h{count}").as_bytes(), numbered(count));
    }
    let mut copy = restored(&original, 2);
    let mut number = 0;
    for round in 0..40 {
        for key in ["h3", "h512", "h2000"] {
            for line in [
                format!("hset {key} new{round} {round} field1 {round}"),
                format!("hdel {key} field{} field2", 7 * round),
                format!("hincrby {key} new{} 3", round / 2),
                format!("hgetall {key}"),
            ] {
                number += 1;
                let reply = carry_out(&mut copy, &request(number, &line));
                assert_eq!(reply, carry_out(&mut original, &request(number, &line)), "{line}");
            }
        }
    }
    assert_same(&copy, &original);
    assert_same(&restored(&copy, 3), &original);
}

#[test]
fn every_kind_of_difference_is_in_the_image() {
    let with = |hash| {
        let mut image = Image::empty(1);
        put(&mut image, b"k", hash);
        image
    };
    let pairs = |pairs: &[(&str, &str)]| {
        hash(pairs.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())))
    };
    let mut ordered = Hash::ordered();
    ordered.set(b"a", Bytes::from_static(b"1"));
    let mut string = Image::empty(1);
    assert!(string.store.put_kept(
        slot_of(b"k").into(),
        b"k",
        Bytes::new().into(),
        KeyMark { changed: 1, expires_ms: None }
    ));
    let images = [
        string,
        with(pairs(&[("", "")])),
        with(pairs(&[("a", "1")])),
        with(ordered),
        with(pairs(&[("a", "2")])),
        with(pairs(&[("a", "1"), ("b", "2")])),
        with(pairs(&[("b", "2"), ("a", "1")])),
    ];
    let digests: BTreeSet<u64> = images.iter().map(Image::digest).collect();
    assert_eq!(digests.len(), images.len());
    for image in images {
        assert_same(&restored(&image, 5), &image);
    }
}

#[test]
fn what_stands_in_a_wrong_place_is_refused() {
    let head: &[u8] = b"\x01\x02\x00\x00\x00";
    let slots: &[u8] = b"\x02\x80\x80\x01\x00\x00";
    let (one, two): (&[u8], &[u8]) = (b"\x0f\x00\x00\x00\x01\x03foo", b"\x0f\x00\x00\x00\x02\x03foo");
    let ordered: &[u8] = b"\x0f\x00\x00\x01\x02\x03foo";
    let (a, b): (&[u8], &[u8]) = (b"\x10\x01a\x00", b"\x10\x01b\x00");
    let (piece, name, value): (&[u8], &[u8], &[u8]) = (b"\x04\x01x", b"\x12", b"\x06");
    let end: &[u8] = b"\x0c\x01\x00";
    let misplaced: [(&[&[u8]], &str); 18] = [
        (&[head, one, a], "a key of another slot"),
        (&[head, slots, a], "a field"),
        (&[head, slots, one, one], "a hash"),
        (&[head, slots, one, end], "the end"),
        (&[head, slots, one, slots], "a run of slots"),
        (&[head, slots, one, b"\x03\x00\x00\x01k\x00"], "a key"),
        (&[head, slots, one, a, a], "a field"),
        (&[head, slots, one, a, one, a], "a key that was there before"),
        (&[head, slots, two, a, a], "a field that was there before"),
        (&[head, slots, two, a, end], "the end"),
        (&[head, slots, ordered, a, a], "a field out of order"),
        (&[head, slots, one, value], "a value"),
        (&[head, slots, name], "a name"),
        (&[head, slots, one, piece, a], "an item behind pieces"),
        (&[head, slots, one, piece, name, a], "a field"),
        (&[head, slots, one, piece, name, piece, name], "a name"),
        (&[head, slots, one, piece, b"\x11\x00\x00\x00\x01"], "a hash in pieces"),
        (&[head, b"\x02\x01\x00\x00", one, a], "a key of another slot"),
    ];
    for (blocks, item) in misplaced {
        let block = blocks.len() as u64 - 1;
        assert_eq!(error_of(blocks), ImageError::Misplaced { block, item }, "{blocks:?}");
    }
    // One of both orders is the wrong one.
    let swapped = [[a, b], [b, a]].map(|[first, second]| error_of(&[head, slots, ordered, first, second]));
    assert!(swapped.contains(&ImageError::Misplaced { block: 4, item: "a field out of order" }));
    assert!(swapped.contains(&ImageError::Incomplete { blocks: 5 }));
}

#[test]
fn a_size_is_not_believed() {
    let of_size = |ordered: u8, size: usize| {
        let mut item = vec![15, 0, 0, ordered];
        put_varint(&mut item, size as u64);
        item.extend(b"\x03foo");
        with_items(|block| block.extend(item), [1, 0]).unwrap_err()
    };
    let malformed = |error| ImageError::Malformed { block: 0, error };
    for (ordered, limit) in [(0, MAX_LISTED_FIELDS), (1, MAX_HASH_FIELDS)] {
        assert_eq!(of_size(ordered, 0), malformed(DecodeError::EmptyList));
        let size = limit as u64 + 1;
        assert_eq!(
            of_size(ordered, limit + 1),
            malformed(DecodeError::TooLarge { what: "fields", size, limit })
        );
        assert_eq!(
            of_size(ordered, limit),
            ImageError::Misplaced { block: 0, item: "what is about all sessions" }
        );
    }
    assert_eq!(of_size(2, 1), malformed(DecodeError::UnknownFlags(2)));

    let mut reader = ImageReader::new(1);
    reader.push(b"\x01\x02\x00\x00\x00\x02\x80\x80\x01\x00\x00\x0f\x00\x00\x00\x09\x03foo").unwrap();
    let mut piece = vec![4];
    put_varint(&mut piece, 32_768);
    piece.extend([7; 32_768]);
    let mut push_value = |name: u8| {
        reader.push(&[4, 1, name, 18]).unwrap();
        for _ in 0..MAX_VALUE_BYTES / 32_768 {
            reader.push(&piece).unwrap();
        }
        reader.push(b"\x06")
    };
    for name in 1..4 {
        push_value(name).unwrap();
    }
    assert!(matches!(
        push_value(4),
        Err(ImageError::Malformed { error: DecodeError::TooLarge { what: "hash", .. }, .. })
    ));
}

/// What the version in front of this one has written.
#[test]
fn an_image_without_hashes_is_read_in_its_old_form() {
    let old = b"\x01\x01\x03\x07\x05\x02\x80\x80\x01\x00\x00\x03\x02\x00\x03foo\x03bar\x0d\x00\x00\x01\x01\x0c\x01\x00";
    let mut reader = ImageReader::new(1);
    reader.push(old).unwrap();
    let image = reader.finish().unwrap();
    assert_eq!((image.last, image.keys()), (LogId::new(3, 7), 1));
    assert_same(&restored(&image, 2), &image);
}
