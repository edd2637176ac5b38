use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::command::{Command, MAX_KEY_BYTES, MAX_VALUE_BYTES};
use crate::reply::Reply;
use crate::session::once::{Limits, OnceTable};
use crate::session::{Origin, Verdict};
use crate::slot::{Slots, slot_of};
use crate::store::{KeyMark, SlotMark};

mod hashes;
mod hostile;
mod nested;

use hostile::with_items;

const ONE: Origin = Origin { node: 1, life: 1 };

/// A request as it comes out of the log.
#[derive(Clone, Debug)]
struct Request {
    origin: Origin,
    floor: u64,
    number: u64,
    words: Vec<Vec<u8>>,
}

/// Carries it out as a replica does. None if it is refused.
fn carry_out(image: &mut Image, request: &Request) -> Option<Reply> {
    let Request { origin, floor, number, words } = request;
    image.last.index += 1;
    image.stamp_ms += 7;
    image.sessions.begin(*origin, *floor);
    match image.sessions.check(*origin, *number) {
        Verdict::Done(reply) => return Some(reply.clone()),
        Verdict::Refused | Verdict::Crowded => return None,
        Verdict::Fresh => {}
    }
    let words: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
    let command = Command::parse(&words).expect("a valid command");
    let reply = image.store.execute(&command, image.last.index);
    image.sessions.complete(*origin, *number, reply.clone(), Slots::of(&command));
    Some(reply)
}

fn request(number: u64, line: &str) -> Request {
    let words = line.split(' ').map(|word| word.as_bytes().to_vec()).collect();
    Request { origin: ONE, floor: 1, number, words }
}

fn after(lines: &[&str]) -> Image {
    let mut image = Image::empty(1);
    for (number, line) in (1..).zip(lines) {
        carry_out(&mut image, &request(number, line));
    }
    image
}

/// The same state, out of bytes.
fn restored(image: &Image, seed: u64) -> Image {
    Image::decode(&image.clone().encode(), seed).expect("it was written here")
}

fn assert_same(one: &Image, other: &Image) {
    assert_eq!((one.last, one.stamp_ms, one.digest()), (other.last, other.stamp_ms, other.digest()));
    assert_eq!((one.store.len(), one.store.memory_bytes()), (other.store.len(), other.store.memory_bytes()));
    assert_eq!(one.sessions.records(), other.sessions.records());
    assert_eq!(one.sessions.open_bytes(), other.sessions.open_bytes());
    assert_eq!(one.sessions.earliest_expiry_ms(), other.sessions.earliest_expiry_ms());
}

#[test]
fn an_empty_image_is_a_few_bytes() {
    let mut image = Image::empty(1);
    assert!(image.clone().encode().len() < 50);
    assert_same(&restored(&image, 2), &image);
    // A store that was filled and emptied is empty too.
    for (number, line) in (1..).zip(["set a 1", "flushall"]) {
        carry_out(&mut image, &request(number, line));
    }
    image.sessions.begin(ONE, 3);
    assert!(image.clone().encode().len() < 100);
    assert_same(&restored(&image, 2), &image);
}

/// The bytes are in files, and go between nodes of different versions.
#[test]
fn the_format_stays_as_it_is() {
    let mut image = Image::empty(1);
    (image.last, image.stamp_ms) = (LogId::new(3, 300), 7);
    image.store.set_marks(5..6, SlotMark { deleted: 9, epoch: 2 });
    let slot = slot_of(b"foo").into();
    let mark = KeyMark { changed: 200, expires_ms: Some(0) };
    assert!(image.store.put_kept(slot, b"foo", Bytes::from_static(b"bar").into(), mark));
    image.sessions.begin(Origin { node: 4, life: 6 }, 8);
    let mut done = |number, reply, slots| {
        image.sessions.complete(Origin { node: 4, life: 6 }, number, reply, slots);
    };
    done(8, Reply::Ok, Slots::All);
    done(9, Reply::Array(vec![Reply::Nil, Reply::Int(1)]), Slots::Many([3, 5].into()));
    done(300, Reply::Bulk(vec![b'x'; 4097].into()), Slots::One(12182));
    done(301, Reply::Error(Bytes::new()), Slots::One(0));
    let once = &mut image.sessions.once;
    assert_eq!((once.open(5), once.open(5)), (1, 2));
    once.touch(2, 6);
    once.complete(2, 7, Reply::Ok, Slots::One(3));
    let mut expected = b"\x01\x02\x03\xac\x02\x07".to_vec();
    expected.extend(b"\x02\x05\x00\x00\x02\x01\x09\x02\x02\xfa\x7f\x00\x00");
    expected.extend(b"\x03\xc8\x01\x01\x03foo\x03bar");
    expected.extend(b"\x07\x04\x06\x08");
    expected.extend(b"\x08\x08\x00\x00\x09\x01\x01");
    expected.extend(b"\x08\x09\x02\x02\x03\x02\x03\x09\x01\x02\x09\x09\x03\x01\x00\x00\x00\x00\x00\x00\x00");
    expected.extend(b"\x08\xac\x02\x01\x96\x5f\x00\x04\x81\x20");
    expected.extend([b'x'; 4097]);
    expected.extend(b"\x0a\x05");
    expected.extend(b"\x08\xad\x02\x01\x00\x00\x09\x02\x07\x00");
    expected.extend(b"\x0d\x02\x03\x80\x80\x04\x80\xdd\xdb\x01");
    expected.extend(b"\x0e\x01\x01\x05\x0e\x02\x03\x06\x08\x07\x01\x03\x00\x09\x01\x01");
    expected.extend(b"\x0c\x01\x05");
    let blocks: Vec<_> = image.clone().into_blocks().collect();
    assert_eq!(blocks, [expected]);
    assert_same(&restored(&image, 9), &image);
}

#[test]
fn a_later_format_is_refused_and_said_to_be_one() {
    let mut reader = ImageReader::new(1);
    let error = reader.push(b"\x01\x03what this version cannot know").unwrap_err();
    assert_eq!(error, ImageError::NewerFormat { found: 3, known: 2 });
    assert!(error.to_string().contains("update this node"));
}

fn blob(length: usize, salt: u64) -> Vec<u8> {
    (0..length as u64).map(|at| (at * 31 + salt).to_le_bytes()[0]).collect()
}

/// Keys and values at and around what fits into one block, and as long as they may be.
#[test]
fn what_is_too_long_for_a_block_is_cut_and_comes_back() {
    let mut image = Image::empty(1);
    let mut number = 0;
    for key in [0, 1, 30_000, MAX_KEY_BYTES - 1, MAX_KEY_BYTES] {
        for value in [0, 1, 5000, 35_000, BLOCK_BYTES - 50, BLOCK_BYTES, 3 * BLOCK_BYTES + 1] {
            number += 1;
            let key = blob(key, value as u64);
            let words = vec![b"SET".to_vec(), key, blob(value, number), b"GET".to_vec()];
            carry_out(&mut image, &Request { origin: ONE, floor: 1, number, words: words.clone() });
            number += 1;
            carry_out(&mut image, &Request { origin: ONE, floor: 1, number, words });
        }
    }
    let words = vec![b"SET".to_vec(), b"longest".to_vec(), blob(MAX_VALUE_BYTES, 1)];
    carry_out(&mut image, &Request { origin: ONE, floor: 1, number: number + 1, words });
    let blocks: Vec<_> = image.clone().into_blocks().collect();
    assert!(blocks.iter().all(|block| (1..=BLOCK_BYTES).contains(&block.len())));
    assert_same(&restored(&image, 2), &image);
}

#[test]
fn a_slot_that_was_cut_comes_back() {
    let mut image = Image::empty(1);
    for number in 1..=20_000 {
        let key = if number % 2 == 0 { format!("{{tag}}{number}") } else { number.to_string() };
        carry_out(&mut image, &request(number, &format!("set {key} {number}")));
    }
    assert_same(&restored(&image, 2), &image);
}

/// A long value that a thousand requests were answered with is in memory once, and in an image once.
#[test]
fn replies_that_share_a_text_go_on_sharing_it() {
    let value = "v".repeat(100_000);
    let mut image = after(&[&format!("set a {value}"), &format!("set b {value}")]);
    for number in 3..1000 {
        let key = if number % 2 == 0 { "a" } else { "b" };
        carry_out(&mut image, &request(number, &format!("get {key}")));
        carry_out(&mut image, &request(number + 1000, &format!("mget {key} none {key}")));
    }
    let bytes = image.clone().encode();
    assert!((400_000..500_000).contains(&bytes.len()), "{} bytes", bytes.len());
    let restored = Image::decode(&bytes, 2).unwrap();
    assert_same(&restored, &image);
    let mut places = BTreeSet::new();
    for (_, reply) in restored.sessions.done_by(ONE) {
        let Some((_, text)) = reply.text() else { continue };
        places.insert(text.as_ptr());
        assert_eq!(text.len(), value.len());
    }
    assert_eq!(places.len(), 2);
}

#[test]
fn an_image_stays_as_it_was_while_commands_go_on() {
    let mut image = Image::empty(1);
    for number in 1..=5000 {
        carry_out(&mut image, &request(number, &format!("set {} {}", number, "v".repeat(100))));
    }
    let (taken, before) = (image.clone(), image.digest());
    let mut reader = ImageReader::new(2);
    let mut number = 5000;
    let mut blocks = 0;
    for block in taken.clone().into_blocks() {
        blocks += 1;
        for line in ["append 17 x", "del 18", "incr count", "set 19 new", "mset {tag}a 1 {tag}b 2"] {
            number += 1;
            carry_out(&mut image, &request(number, line));
        }
        if blocks == 3 {
            number += 1;
            carry_out(&mut image, &request(number, "flushall"));
            image.sessions.begin(ONE, number);
            while image.store.collect_garbage(1000) {}
        }
        reader.push(&block).unwrap();
    }
    assert!(blocks > 5, "{blocks} blocks");
    assert_ne!(image.digest(), before);
    assert_eq!(taken.digest(), before);
    let restored = reader.finish().unwrap();
    assert_same(&restored, &taken);
}

#[test]
fn an_image_may_be_encoded_on_another_thread() {
    fn sendable<T: Send + 'static>(_: &T) {}
    sendable(&after(&["set a 1"]));
}

#[test]
fn every_kind_of_difference_is_in_the_image() {
    let marked = |mark| {
        let mut image = Image::empty(1);
        image.store.set_marks(77..78, mark);
        image
    };
    let kept = |changed, expires_ms| {
        let mut image = Image::empty(1);
        let mark = KeyMark { changed, expires_ms };
        assert!(image.store.put_kept(slot_of(b"a").into(), b"a", Bytes::new().into(), mark));
        image
    };
    let begun = |origin, floor| {
        let mut image = Image::empty(1);
        image.sessions.begin(origin, floor);
        image
    };
    let timed = Image { stamp_ms: 1, ..Image::empty(1) };
    let open = |change: fn(&mut OnceTable)| {
        let mut image = Image::empty(1);
        assert_eq!((image.sessions.once.open(5), image.sessions.once.open(5)), (1, 2));
        change(&mut image.sessions.once);
        image
    };
    let images = [
        open(|_| ()),
        open(|once| assert!(once.close(2))),
        open(|once| assert!(once.close(1) && once.close(2))),
        open(|once| once.touch(2, 5)),
        open(|once| once.touch(1, 5)),
        open(|once| once.touch(1, 6)),
        open(|once| once.complete(1, 1, Reply::Nil, Slots::One(4))),
        open(|once| once.complete(2, 1, Reply::Nil, Slots::One(4))),
        open(|once| once.complete(2, 2, Reply::Nil, Slots::One(4))),
        open(|once| once.complete(2, 2, Reply::Ok, Slots::One(4))),
        open(|once| once.complete(2, 2, Reply::Ok, Slots::All)),
        open(|once| once.complete(2, u64::MAX, Reply::Array(Vec::new()), Slots::All)),
        open(|once| once.complete(2, 2, Reply::Bulk(blob(300_000, 1).into()), Slots::All)),
        open(|once| once.set_limits(Limits { most: 2, idle_ms: 1 })),
        open(|once| once.set_limits(Limits { most: 2, idle_ms: 2 })),
        Image::empty(1),
        timed,
        marked(SlotMark { deleted: 1, epoch: 0 }),
        marked(SlotMark { deleted: 0, epoch: 1 }),
        kept(1, None),
        kept(2, None),
        kept(1, Some(0)),
        kept(1, Some(1)),
        begun(ONE, 0),
        begun(ONE, 1),
        begun(Origin { node: 1, life: 2 }, 1),
        begun(Origin { node: u64::MAX, life: 1 }, 1),
        after(&["get a"]),
        after(&["get b"]),
        after(&["flushall"]),
    ];
    let digests: BTreeSet<u64> = images.iter().map(Image::digest).collect();
    assert_eq!(digests.len(), images.len());
    for image in images {
        assert_same(&restored(&image, 5), &image);
    }
}

/// A request of one of a few origins, about few keys of very different lengths.
fn any_request() -> impl Strategy<Value = Request> {
    let key = prop_oneof![
        (0u8..6).prop_map(|k| format!("k{k}").into_bytes()),
        (0u8..6).prop_map(|k| format!("{{tag}}{k}").into_bytes()),
        (0usize..3).prop_map(|k| blob(60_000 + k, 3)),
    ];
    let value = prop_oneof![
        8 => vec(any::<u8>(), 0..40),
        1 => (0usize..200_000, any::<u64>()).prop_map(|(length, salt)| blob(length, salt)),
        1 => any::<i32>().prop_map(|n| n.to_string().into_bytes()),
    ];
    let words = (0usize..16, key.clone(), key, value).prop_map(|(name, key, other, value)| {
        let word = |text: &str| text.as_bytes().to_vec();
        match name {
            0 | 1 => vec![word("SET"), key, value, word("GET")],
            2 => vec![word("APPEND"), key, value],
            3 => vec![word("MSET"), key, value.clone(), other, value],
            4 | 5 => vec![word("DEL"), key, other],
            6 => vec![word("INCR"), key],
            7 => vec![word("GET"), key],
            8 => vec![word("MGET"), key.clone(), other, key],
            9 => vec![word("SET"), key, value, word("NX")],
            10 => vec![word("EXISTS"), key],
            11 | 12 => vec![word("HSET"), key, other, value.clone(), word("f"), value],
            13 => vec![word("HDEL"), key, other],
            14 => vec![word("HGETALL"), key],
            _ => vec![word(if value.len() % 3 == 0 { "FLUSHALL" } else { "DBSIZE" })],
        }
    });
    let origin = (1u64..4, 1u64..3, 1u64..40, 0u64..40);
    (origin, words).prop_map(|((node, life, number, behind), words)| Request {
        origin: Origin { node, life },
        floor: number.saturating_sub(behind).max(1),
        number,
        words,
    })
}

proptest! {
    #![proptest_config(proptest::test_runner::Config { cases: 100, ..crate::fixed_cases() })]

    #[test]
    fn a_restored_state_goes_on_as_the_original(
        before in vec(any_request(), 0..60),
        behind in vec(any_request(), 0..60),
    ) {
        let mut original = Image::empty(1);
        for request in &before {
            carry_out(&mut original, request);
        }
        let mut copy = restored(&original, 2);
        assert_same(&copy, &original);
        // What was done before may come again, too.
        for request in behind.iter().chain(&before) {
            prop_assert_eq!(carry_out(&mut copy, request), carry_out(&mut original, request));
            prop_assert_eq!(copy.digest(), original.digest());
        }
        assert_same(&copy, &original);
        assert_same(&restored(&copy, 3), &original);
    }

    #[test]
    fn damaged_blocks_make_no_panic(
        requests in vec(any_request(), 0..30),
        damage in vec((any::<[prop::sample::Index; 2]>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
    ) {
        let mut image = Image::empty(1);
        for request in &requests {
            carry_out(&mut image, request);
        }
        let mut blocks: Vec<_> = image.into_blocks().collect();
        let mut damaged = blocks.clone();
        for ([block, at], byte) in damage {
            *at.get_mut(block.get_mut(&mut damaged[..]).as_mut_slice()) = byte;
        }
        let mut short = blocks.clone();
        short.truncate(cut.index(blocks.len()) + 1);
        let last = short.last_mut().expect("there is a block");
        last.truncate(other.index(last.len()));
        for blocks in [damaged, short] {
            let mut reader = ImageReader::new(1);
            let taken = blocks.iter().try_for_each(|block| reader.push(block));
            // What is an image all the same can be written as one.
            if let Ok(image) = taken.and_then(|()| reader.finish()) {
                assert_same(&restored(&image, 2), &image);
            }
        }
        // Blocks in another order, or one twice.
        let (one, two) = (cut.index(blocks.len()), other.index(blocks.len()));
        blocks.swap(one, two);
        blocks.push(blocks[one].clone());
        let mut reader = ImageReader::new(1);
        prop_assert!(blocks.iter().try_for_each(|block| reader.push(block)).is_err());
    }

    #[test]
    fn any_bytes_at_all_make_no_panic(bytes in vec(prop_oneof![0u8..14, any::<u8>()], 0..60)) {
        let items = with_items(|block| block.extend(&bytes), [0, 0]);
        if let Ok(image) = items {
            assert_same(&restored(&image, 2), &image);
        }
        let _ = Image::decode(&bytes, 1).map(|image| image.digest());
    }
}
