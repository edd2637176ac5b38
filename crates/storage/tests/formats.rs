//! Directories as earlier formats left them are opened, and go on in the present one.

use std::path::Path;

use bowline_raft::{Entry, EntryKind, GroupId, HardState, LogId, NodeId, SnapshotWrite, Write};
use bowline_storage::{
    DirectoryId, RealDisk, Recovered, SnapshotHeader, SnapshotId, Snapshots, Wal, WalConfig,
};
use bytes::Bytes;

const ONE: GroupId = GroupId(1);
const CONFIG: WalConfig =
    WalConfig { cluster: 7, directory: DirectoryId(0x0123_4567_89ab_cdef), segment_bytes: 1024 };

/// The directory that was written by the version before there were snapshots, as a copy: two groups, entries that
/// were replaced by those of a later term, a write longer than a segment, a restart.
fn version_1() -> tempfile::TempDir {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/formats/version_1");
    for file in std::fs::read_dir(from).expect("it is there") {
        let file = file.expect("a file");
        let bytes = std::fs::read(file.path()).expect("read");
        assert_eq!(bytes[8], 1, "{:?} is of another format", file.path());
        std::fs::write(place.path().join(file.file_name()), bytes).expect("written");
    }
    place
}

fn disk(place: &tempfile::TempDir) -> RealDisk {
    RealDisk::open(place.path()).expect("it is there")
}

fn entry(term: u64, index: u64) -> Entry {
    if index.is_multiple_of(7) {
        return Entry { id: LogId::new(term, index), kind: EntryKind::Empty, payload: Bytes::new() };
    }
    let payload =
        format!("entry {index} of term {term}, ").repeat(usize::try_from(index % 5).expect("small"));
    Entry { id: LogId::new(term, index), kind: EntryKind::Command, payload: Bytes::from(payload) }
}

fn is_what_was_written(found: &Recovered) {
    let state = |group| &found.groups[&GroupId(group)];
    let voted = |term, vote| HardState { term, vote: Some(NodeId(vote)) };
    assert_eq!(found.torn_tail, None);
    assert_eq!((state(1).hard_state, state(2).hard_state), (voted(3, 1), voted(4, 3)));
    assert_eq!((state(1).snapshot, state(2).snapshot), (LogId::ZERO, LogId::ZERO));
    let first = (1..15).map(|index| entry(1, index));
    let entries: Vec<Entry> = first.chain((15..34).map(|index| entry(3, index))).collect();
    assert_eq!(state(1).entries, entries);
    assert_eq!(state(2).entries, [entry(4, 1)]);
}

#[test]
fn a_log_without_snapshots_is_opened_again_and_again() {
    let place = version_1();
    for _ in 0..3 {
        let (_, found) = Wal::open(disk(&place), CONFIG).expect("it is understood");
        is_what_was_written(&found);
    }
}

#[test]
fn a_log_without_snapshots_gets_one_and_loses_its_old_segments() {
    let place = version_1();
    let (mut wal, found) = Wal::open(disk(&place), CONFIG).expect("it is understood");
    is_what_was_written(&found);
    let old = || (1..=6).any(|number| place.path().join(format!("{number:016x}.wal")).exists());
    assert!(old());
    for (group, last) in [(ONE, LogId::new(3, 33)), (GroupId(2), LogId::new(4, 1))] {
        let header = SnapshotHeader { group, last, id: SnapshotId(u128::from(group.0)), made_us: 0 };
        let mut writer = Snapshots::new(disk(&place), CONFIG.cluster).create(header).expect("begun");
        writer.append(b"all of it").expect("written");
        writer.finish().expect("finished");
        let snapshot = Some(SnapshotWrite { last, data: None });
        let write = Write { seq: 0, hard_state: None, snapshot, entries: Vec::new() };
        wal.append(&[(group, &write)]).and_then(|()| wal.sync()).expect("named");
    }
    while wal.remove_replaced().expect("nothing goes wrong") {}
    assert!(!old(), "a segment of the old format is left");
    drop(wal);
    let (_, found) = Wal::open(disk(&place), CONFIG).expect("it is understood");
    assert_eq!(found.groups[&ONE].snapshot, LogId::new(3, 33));
    assert_eq!(found.groups[&ONE].hard_state, HardState { term: 3, vote: Some(NodeId(1)) });
    assert!(found.groups.values().all(|group| group.entries.is_empty()));
}

#[test]
fn a_bit_that_flips_in_an_old_header_is_noticed() {
    let place = version_1();
    for number in [1, 2, 3] {
        let path = place.path().join(format!("{number:016x}.wal"));
        let good = std::fs::read(&path).expect("read");
        let length = usize::from(good[12]);
        for (offset, bit) in (0..length).flat_map(|offset| (0..8).map(move |bit| (offset, bit))) {
            let mut bad = good.clone();
            bad[offset] ^= 1 << bit;
            std::fs::write(&path, &bad).expect("written");
            let error = Wal::open(disk(&place), CONFIG).expect_err("damaged").to_string();
            assert!(error.contains("the log is damaged"), "{number}: {offset}.{bit}: {error}");
        }
        std::fs::write(&path, &good).expect("written");
    }
}
