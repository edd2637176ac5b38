//! Snapshots on a real file system, with the real calls.

use bowline_raft::{GroupId, LogId};
use bowline_storage::snapshot::MAX_BLOCK_BYTES;
use bowline_storage::{RealDisk, SnapshotError, SnapshotHeader, SnapshotId, Snapshots};
use proptest::prelude::*;

const GROUP: GroupId = GroupId(1);
const LAST: LogId = LogId::new(3, 1_000_000);
const HEADER: SnapshotHeader =
    SnapshotHeader { group: GROUP, last: LAST, id: SnapshotId(12345), made_us: 1_700_000_000_000_000 };

fn place() -> (tempfile::TempDir, Snapshots<RealDisk>) {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let disk = RealDisk::open(place.path()).expect("it is there");
    (place, Snapshots::new(disk, 1))
}

fn read(snapshots: &Snapshots<RealDisk>) -> Vec<Vec<u8>> {
    let mut reader = snapshots.open(GROUP, LAST).expect("there");
    assert_eq!(*reader.header(), HEADER);
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block().expect("intact") {
        blocks.push(block.to_vec());
    }
    assert_eq!(reader.next_block().expect("still at its end"), None);
    blocks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_back_and_sent_whole(
        blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..3000), 0..40),
        piece in 1..5000_usize,
    ) {
        let (from, here) = place();
        let mut writer = here.create(HEADER).expect("begun");
        for block in &blocks {
            writer.append(block).expect("written");
        }
        prop_assert!(here.open(GROUP, LAST).is_err(), "it is none before it is finished");
        let size = writer.finish().expect("finished");
        prop_assert_eq!(&read(&here), &blocks);
        let (to, there) = place();
        let reader = here.open(GROUP, LAST).expect("there");
        prop_assert_eq!(reader.size_bytes(), size);
        let mut received = there.receive(GROUP, LAST, reader.header().id).expect("begun");
        while !received.is_complete() {
            let offset = received.offset();
            let mut bytes = vec![0; piece.min(usize::try_from(size - offset).expect("small"))];
            reader.read_at(&mut bytes, offset).expect("read");
            received.append(offset, &bytes).expect("intact");
        }
        prop_assert_eq!(received.finish().expect("finished"), size);
        prop_assert_eq!(&read(&there), &blocks);
        let file = |place: &tempfile::TempDir| std::fs::read(place.path().join("1-1000000-3.snapshot"));
        prop_assert_eq!(file(&from).expect("there"), file(&to).expect("there"));
    }
}

#[test]
fn what_is_longer_than_a_block_becomes_several() {
    let (_place, snapshots) = place();
    let mut writer = snapshots.create(HEADER).expect("begun");
    let long: Vec<u8> = (0..=250).cycle().take(2 * MAX_BLOCK_BYTES + 100).collect();
    writer.append(&[]).expect("nothing to write");
    writer.append(&long).expect("written");
    writer.append(&long[..MAX_BLOCK_BYTES]).expect("written");
    writer.finish().expect("finished");
    let blocks = read(&snapshots);
    let lengths: Vec<usize> = blocks.iter().map(Vec::len).collect();
    assert_eq!(lengths, [MAX_BLOCK_BYTES, MAX_BLOCK_BYTES, 100, MAX_BLOCK_BYTES]);
    assert_eq!(blocks[..3].concat(), long);
}

#[test]
fn what_a_file_adds_to_one_block_is_little() {
    let (_place, snapshots) = place();
    let mut writer = snapshots.create(HEADER).expect("begun");
    writer.append(&[1; 90]).expect("written");
    // Header, the block's length and checksum, footer.
    assert_eq!(writer.finish().expect("finished"), 90 + 72 + 8 + 24);
}

#[test]
fn a_second_one_of_the_same_entries_takes_the_place_of_the_first() {
    let (_place, snapshots) = place();
    for content in [b"first", b"other"] {
        let mut writer = snapshots.create(HEADER).expect("begun");
        writer.append(content).expect("written");
        writer.finish().expect("finished");
        assert_eq!(read(&snapshots), [content]);
    }
}

#[test]
fn an_open_one_stays_readable_when_it_is_removed() {
    let (place, snapshots) = place();
    let mut writer = snapshots.create(HEADER).expect("begun");
    let blocks: Vec<Vec<u8>> = (0..40).map(|number| vec![number; 60_000]).collect();
    for block in &blocks {
        writer.append(block).expect("written");
        writer.sync().expect("synced");
    }
    writer.finish().expect("finished");
    let mut reader = snapshots.open(GROUP, LAST).expect("there");
    std::fs::remove_file(place.path().join("1-1000000-3.snapshot")).expect("removed");
    for block in blocks {
        assert_eq!(reader.next_block().expect("intact"), Some(&block[..]));
    }
    assert_eq!(reader.next_block().expect("intact"), None);
    assert!(matches!(snapshots.open(GROUP, LAST), Err(SnapshotError::Missing { .. })));
}
