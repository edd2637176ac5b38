//! Blocks that no writer makes.

use super::*;
use crate::codec::put_varint;
use crate::command::MAX_ARGUMENTS;
use crate::slot::SLOT_COUNT;

/// A head, all slots but what `put` puts in front of the end, and the end.
pub(super) fn with_items(put: impl FnOnce(&mut Vec<u8>), end: [u8; 2]) -> Result<Image, ImageError> {
    let mut block = b"\x01\x01\x00\x00\x00\x02\x80\x80\x01\x00\x00".to_vec();
    put(&mut block);
    block.extend(b"\x0d\x00\x00\x01\x01");
    block.push(12);
    block.extend(end);
    let mut reader = ImageReader::new(1);
    reader.push(&block)?;
    reader.finish()
}

/// Takes the blocks, and says what is wrong.
pub(super) fn error_of(blocks: &[&[u8]]) -> ImageError {
    let mut reader = ImageReader::new(1);
    for block in blocks {
        if let Err(error) = reader.push(block) {
            assert!(reader.push(b"\x01\x01\x00\x00\x00").is_err(), "it goes on behind {error}");
            assert!(reader.finish().is_err(), "an image in spite of {error}");
            return error;
        }
    }
    reader.finish().unwrap_err()
}

#[test]
fn what_stands_in_a_wrong_place_is_refused() {
    let head: &[u8] = b"\x01\x01\x00\x00\x00";
    let slots: &[u8] = b"\x02\x80\x80\x01\x00\x00";
    let foo: &[u8] = b"\x03\x00\x00\x03foo\x00";
    let life: &[u8] = b"\x07\x01\x01\x05";
    let record: &[u8] = b"\x08\x05\x00\x00";
    let ok: &[u8] = b"\x09\x01\x01";
    let once: &[u8] = b"\x0d\x02\x02\x01\x01";
    let (first, second): (&[u8], &[u8]) = (b"\x0e\x01\x02\x00", b"\x0e\x02\x01\x00");
    let (piece, end): (&[u8], &[u8]) = (b"\x04\x01x", b"\x0c\x00\x00");
    let misplaced: [(&[&[u8]], &str); 38] = [
        (&[slots], "a run of slots"),
        (&[end], "the end"),
        (&[head, head], "a second head"),
        (&[head, foo], "a key of another slot"),
        (&[head, b"\x02\x01\x00\x00", end], "the end"),
        (&[head, b"\x02\x01\x00\x00", life], "an origin"),
        (&[head, slots, foo, foo], "a key that was there before"),
        // foo is in slot 12182, bar in 5061.
        (&[head, slots, foo, b"\x03\x00\x00\x03bar\x00"], "a key of another slot"),
        (&[head, b"\x02\x85\x27\x00\x00", b"\x03\x00\x00\x03bar\x00"], "a key of another slot"),
        (&[head, slots, piece, end], "an item behind pieces"),
        (&[head, slots, life, piece], "a piece"),
        (&[head, slots, b"\x06"], "a value"),
        (&[head, slots, piece, b"\x05\x00\x00", end], "the end"),
        (&[head, slots, piece, b"\x05\x00\x00", foo], "a key"),
        (&[head, slots, record], "a record"),
        (&[head, slots, life, life], "an origin"),
        (&[head, slots, life, b"\x08\x04\x00\x00"], "a record of a lower number"),
        (&[head, slots, life, record, ok, record], "a record of a lower number"),
        (&[head, slots, life, record, record], "a record"),
        (&[head, slots, life, ok], "a reply"),
        (&[head, slots, life, record, end], "the end"),
        (&[head, slots, life, record, b"\x0b\x05\x00"], "a text that was not there before"),
        (&[head, slots, life, record, ok, once, end], "the end"),
        (&[head, slots, life, slots], "a run of slots"),
        (&[head, slots, life, record, foo], "a key"),
        (&[head, slots, once, end, end], "the end"),
        (&[head, slots, end], "the end"),
        (&[head, once], "what is about all sessions"),
        (&[head, slots, once, once], "what is about all sessions"),
        (&[head, slots, once, life], "an origin"),
        (&[head, slots, life, first], "a session"),
        (&[head, slots, once, second, first], "a session"),
        (&[head, slots, once, first, first], "a session"),
        (&[head, slots, once, b"\x0e\x03\x01\x00"], "a session"),
        (&[head, slots, once, b"\x0e\x01\x03\x00"], "a session"),
        (&[head, slots, once, first, b"\x0e\x02\x02\x00"], "a session"),
        (&[head, slots, once, record], "a record"),
        (&[head, slots, once, first, record, ok, record], "a record"),
    ];
    for (blocks, item) in misplaced {
        let block = blocks.len() as u64 - 1;
        assert_eq!(error_of(blocks), ImageError::Misplaced { block, item }, "{blocks:?}");
        // Where the blocks are cut makes no difference.
        assert_eq!(error_of(&[&blocks.concat()]), ImageError::Misplaced { block: 0, item }, "{blocks:?}");
    }
    let complete: [&[u8]; 11] =
        [head, slots, foo, life, record, ok, once, first, record, ok, b"\x0c\x01\x02"];
    for end in 0..complete.len() {
        assert_eq!(error_of(&complete[..end]), ImageError::Incomplete { blocks: end as u64 });
    }
    let mut reader = ImageReader::new(1);
    complete.iter().for_each(|block| reader.push(block).unwrap());
    assert_eq!(reader.finish().unwrap().sessions.records(), 2);
}

#[test]
fn a_length_is_not_believed() {
    let claim = |tag: &[u8], size: u64| {
        let mut item = tag.to_vec();
        put_varint(&mut item, size);
        item
    };
    let record = b"\x07\x01\x01\x01\x08\x01";
    let items: [(Vec<u8>, &str); 7] = [
        (claim(b"\x03\x00\x00", 1 << 40), "key"),
        (claim(b"\x03\x00\x00\x00", 1 << 40), "value"),
        (claim(b"\x04", 1 << 40), "piece"),
        (claim(&[&record[..], b"\x02"].concat(), 1 << 40), "slots"),
        (claim(&[&record[..], b"\x01"].concat(), SLOT_COUNT as u64), "slot"),
        (claim(&[&record[..], b"\x00"].concat(), MAX_ARGUMENTS as u64 + 2), "array"),
        (claim(&[&record[..], b"\x00\x00\x09"].concat(), 1 << 40), "reply"),
    ];
    for (item, named) in items {
        let error = with_items(|block| block.extend(&item), [0, 0]).unwrap_err();
        let ImageError::Malformed { error: DecodeError::TooLarge { what, .. }, .. } = error else {
            panic!("{named}: {error}");
        };
        assert_eq!(what, named);
    }
    // As many as there may be, of which none comes.
    let array = claim(&[&record[..], b"\x00"].concat(), MAX_ARGUMENTS as u64 + 1);
    let error = with_items(|block| block.extend(array), [0, 0]).unwrap_err();
    assert_eq!(error, ImageError::Misplaced { block: 0, item: "what is about all sessions" });
    let mut reader = ImageReader::new(1);
    let error = reader.push(&vec![4; BLOCK_BYTES + 1]).unwrap_err();
    assert!(matches!(
        error,
        ImageError::Malformed { error: DecodeError::TooLarge { what: "block", .. }, .. }
    ));
}

#[test]
fn pieces_are_no_longer_than_what_they_may_make() {
    let start = |count: usize| {
        let mut reader = ImageReader::new(1);
        reader.push(b"\x01\x01\x00\x00\x00\x02\x80\x80\x01\x00\x00").unwrap();
        let mut piece = vec![4];
        put_varint(&mut piece, 32_768);
        piece.extend([7; 32_768]);
        let last = (0..count).map(|_| reader.push(&piece)).find(Result::is_err);
        (reader, last.unwrap_or(Ok(())))
    };
    let (mut reader, pieces) = start(3);
    pieces.unwrap();
    let error = reader.push(b"\x05\x00\x00").unwrap_err();
    assert!(matches!(error, ImageError::Malformed { error: DecodeError::TooLarge { what: "key", .. }, .. }));
    assert_eq!(start(MAX_VALUE_BYTES / 32_768).1, Ok(()));
    assert!(start(MAX_VALUE_BYTES / 32_768 + 1).1.is_err());
}
