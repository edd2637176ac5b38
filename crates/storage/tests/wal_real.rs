//! The log on a real file system, with the real calls.

use std::collections::BTreeMap;
use std::path::Path;

use bowline_raft::{Entry, EntryKind, GroupId, HardState, LogId, NodeId, Write};
use bowline_storage::{DirectoryId, RealDisk, Recovered, RecoveredGroup, Wal, WalConfig};
use bytes::Bytes;
use proptest::prelude::*;

type Groups = BTreeMap<GroupId, RecoveredGroup>;

const SEGMENT: u64 = 16 << 10;
const CONFIG: WalConfig = WalConfig { cluster: 1, directory: DirectoryId(2), segment_bytes: SEGMENT };

fn entry(term: u64, index: u64, payload: Vec<u8>) -> Entry {
    Entry { id: LogId::new(term, index), kind: EntryKind::Command, payload: Bytes::from(payload) }
}

fn disk(path: &Path) -> RealDisk {
    RealDisk::open(path).expect("it is there")
}

/// What a test does to one group: how far to go back, term and vote, payloads.
type Step = (u64, usize, Option<(u64, u64)>, Vec<Vec<u8>>);

fn step() -> impl Strategy<Value = Step> {
    let payload = prop_oneof![
        8 => prop::collection::vec(any::<u8>(), 0..200),
        1 => prop::collection::vec(any::<u8>(), 20_000..40_000),
    ];
    (1..4_u64, 0..3_usize, prop::option::of((1..9_u64, 0..4_u64)), prop::collection::vec(payload, 0..5))
}

fn write(groups: &mut Groups, (group, back, hard_state, payloads): Step) -> (GroupId, Write) {
    let id = GroupId(group);
    let mut group = groups.get(&id).cloned().unwrap_or_default();
    let hard_state =
        hard_state.map(|(term, vote)| HardState { term, vote: (vote > 0).then_some(NodeId(vote)) });
    if let Some(hard_state) = hard_state {
        group.hard_state = hard_state;
    }
    let mut entries = Vec::new();
    if !payloads.is_empty() {
        group.entries.truncate(group.entries.len().saturating_sub(back));
        for payload in payloads {
            let entry = entry(group.hard_state.term, group.entries.len() as u64 + 1, payload);
            group.entries.push(entry.clone());
            entries.push(entry);
        }
    }
    if hard_state.is_some() || !entries.is_empty() {
        groups.insert(id, group);
    }
    (id, Write { seq: 0, hard_state, snapshot: None, entries })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn what_was_written_is_read_back(batches in prop::collection::vec(prop::collection::vec(step(), 0..4), 1..24)) {
        let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
        let mut wal = Wal::create(disk(place.path()), CONFIG).expect("made");
        let mut groups = Groups::new();
        for (number, batch) in batches.into_iter().enumerate() {
            let writes: Vec<_> = batch.into_iter().map(|step| write(&mut groups, step)).collect();
            let writes: Vec<_> = writes.iter().map(|(group, write)| (*group, write)).collect();
            wal.append(&writes).expect("appended");
            wal.sync().expect("synced");
            if number % 8 == 7 {
                drop(wal);
                let (opened, recovered) = Wal::open(disk(place.path()), CONFIG).expect("opened");
                prop_assert_eq!(&recovered.groups, &groups);
                prop_assert_eq!(recovered.torn_tail, None);
                wal = opened;
            }
        }
        wal.append_marker().expect("appended");
        wal.sync().expect("synced");
        let bytes = wal.total_bytes();
        drop(wal);
        let (wal, recovered) = Wal::open(disk(place.path()), CONFIG).expect("opened");
        prop_assert_eq!(recovered, Recovered { groups, ..Recovered::default() });
        prop_assert!(wal.total_bytes() < bytes + 1024, "{} after {bytes}", wal.total_bytes());
    }
}

#[test]
fn a_large_value_and_a_segment_of_the_usual_length() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let config = WalConfig { segment_bytes: WalConfig::SEGMENT_BYTES, ..CONFIG };
    let mut wal = Wal::create(disk(place.path()), config).expect("made");
    // Three of the largest in one write, longer than a segment.
    let large = |index: u8| entry(1, u64::from(index), vec![index; 32 << 20]);
    let small =
        Write { seq: 1, hard_state: None, snapshot: None, entries: vec![entry(1, 4, b"small".to_vec())] };
    let write =
        Write { seq: 0, hard_state: None, snapshot: None, entries: vec![large(1), large(2), large(3)] };
    for write in [&write, &small] {
        wal.append(&[(GroupId(1), write)]).expect("appended");
        wal.sync().expect("synced");
    }
    drop(wal);
    let (wal, recovered) = Wal::open(disk(place.path()), config).expect("opened");
    let entries: Vec<Entry> = write.entries.into_iter().chain(small.entries).collect();
    assert!(recovered.groups[&GroupId(1)].entries == entries, "the entries differ");
    assert!(wal.room().expect("known") > 0);
}

#[test]
fn the_next_segment_is_filled_ahead() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let config = WalConfig { segment_bytes: 3 << 20, ..CONFIG };
    let mut wal = Wal::create(disk(place.path()), config).expect("made");
    assert!(wal.behind(), "nothing is filled yet");
    let mut slices = 1;
    while wal.prepare_next().expect("filled") {
        slices += 1;
    }
    assert_eq!(slices, 3, "a slice is a MiB");
    assert!(!wal.behind());
    let mut lengths: Vec<u64> = std::fs::read_dir(place.path())
        .expect("listed")
        .map(|file| file.expect("a file").metadata().expect("known").len())
        .collect();
    lengths.dedup();
    assert_eq!(lengths, [3 << 20]);
}

#[test]
#[should_panic(expected = "leaves a gap")]
fn entries_that_leave_a_gap_are_a_bug() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut wal = Wal::create(disk(place.path()), CONFIG).expect("made");
    let write = Write { seq: 0, hard_state: None, snapshot: None, entries: vec![entry(1, 2, Vec::new())] };
    let _ = wal.append(&[(GroupId(1), &write)]);
}

#[test]
#[should_panic(expected = "begun before the sync of the one before it")]
fn a_write_before_the_sync_of_the_last_is_a_bug() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut wal = Wal::create(disk(place.path()), CONFIG).expect("made");
    wal.append_marker().expect("appended");
    let _ = wal.append_marker();
}

/// Changes the only segment by hand, with checksums that hold: what a newer version might have written.
fn rewritten(place: &Path, change: impl FnOnce(&mut [u8])) -> String {
    let path = place.join("0000000000000001.wal");
    let mut bytes = std::fs::read(&path).expect("read");
    change(&mut bytes);
    std::fs::write(&path, bytes).expect("written");
    Wal::open(disk(place), CONFIG).expect_err("not understood").to_string()
}

fn seed() -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&CONFIG.directory.0.to_le_bytes()), &1_u64.to_le_bytes())
}

#[test]
fn a_newer_format_is_refused() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    drop(Wal::create(disk(place.path()), CONFIG).expect("made"));
    let error = rewritten(place.path(), |bytes| {
        bytes[8] = 3;
        let crc = crc32c::crc32c_append(seed(), &bytes[..72]);
        bytes[72..76].copy_from_slice(&crc.to_le_bytes());
    });
    assert!(error.contains("its format is 3, and this program reads 2"), "{error}");
    assert!(error.contains("Start the version that wrote it"), "{error}");
}

#[test]
fn a_record_of_an_unknown_kind_is_refused_and_never_skipped() {
    let place = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let mut wal = Wal::create(disk(place.path()), CONFIG).expect("made");
    let start = usize::try_from(wal.total_bytes()).expect("small");
    let write = Write { seq: 0, hard_state: None, snapshot: None, entries: vec![entry(1, 1, vec![1; 8])] };
    wal.append(&[(GroupId(1), &write)]).expect("appended");
    wal.sync().expect("synced");
    drop(wal);
    let error = rewritten(place.path(), |bytes| {
        let (header, body) = bytes[start..start + 32 + 40].split_at_mut(32);
        body[28] = 77;
        header[20..24].copy_from_slice(&crc32c::crc32c_append(seed(), body).to_le_bytes());
        let crc = crc32c::crc32c_append(seed(), &header[..28]);
        header[28..32].copy_from_slice(&crc.to_le_bytes());
    });
    assert!(error.contains("is of a newer version"), "{error}");
    assert!(error.contains("a record of the unknown kind 77"), "{error}");
}
