//! Bits that flip, files that are cut, missing or somebody else's, after everything was synced.

use bowline_raft::{GroupId, HardState, LogId, Write};
use bowline_sim::SimDisk;
use bowline_storage::{
    Disk, DiskFile, Recovered, SnapshotError, SnapshotHeader, SnapshotId, Snapshots, Wal, WalError,
};

use crate::model::{
    CLUSTER, CONFIG, Groups, entries, file_of, header, image, named, read, save, snapshots, try_reopen,
};
use crate::script::{ONE, TWO};

const OWN: LogId = LogId::new(2, 9);
const OWN_FILE: &str = "1-9-2.snapshot";

fn append(wal: &mut Wal<SimDisk>, group: GroupId, write: &Write) {
    wal.append(&[(group, write)]).and_then(|()| wal.sync()).expect("nothing goes wrong");
}

fn log(wal: &mut Wal<SimDisk>, group: GroupId, term: u64, range: std::ops::RangeInclusive<u64>) {
    let write = Write { seq: 0, hard_state: None, snapshot: None, entries: entries(term, range) };
    append(wal, group, &write);
}

/// A node with a snapshot in force, and the log behind it.
fn node() -> SimDisk {
    let disk = SimDisk::new(1);
    let mut wal = Wal::create(disk.clone(), CONFIG).expect("made");
    let vote = Write {
        seq: 0,
        hard_state: Some(HardState { term: 2, vote: None }),
        snapshot: None,
        entries: Vec::new(),
    };
    append(&mut wal, ONE, &vote);
    for first in [1, 4, 7, 10, 13] {
        log(&mut wal, ONE, 2, first..=first + 2);
    }
    save(&disk, ONE, OWN).expect("written");
    append(&mut wal, ONE, &named(OWN, false, Vec::new()));
    while wal.remove_replaced().expect("nothing goes wrong") {}
    log(&mut wal, ONE, 2, 16..=17);
    wal.append_marker().and_then(|()| wal.sync()).expect("nothing goes wrong");
    disk
}

/// The error that a start ends with, which has changed nothing.
fn refused(disk: &SimDisk) -> WalError {
    let before = disk.operations();
    let error = try_reopen(disk).expect_err("it must be refused");
    assert_eq!(disk.operations(), before, "something was changed: {error}");
    error
}

fn recovered(disk: &SimDisk) -> Recovered {
    try_reopen(disk).unwrap_or_else(|error| panic!("{error}")).1
}

fn contents(disk: &SimDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name).expect("it is there");
    let mut bytes = vec![0; usize::try_from(file.size_bytes().expect("a length")).expect("small")];
    file.read_at(&mut bytes, 0).expect("read");
    bytes
}

/// Puts a file there, in the place of the one that had its name.
fn put(disk: &SimDisk, name: &str, bytes: &[u8]) {
    let _ = disk.remove(name);
    let file = disk.create(name).expect("created");
    file.write_at(bytes, 0).and_then(|()| file.sync_data()).expect("written");
    disk.sync_dir().expect("synced");
}

fn says(error: &dyn std::fmt::Display, parts: &[&str]) {
    for part in parts {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn a_bit_that_flips_anywhere_is_noticed_before_its_block_is_given_out() {
    let disk = node();
    let size = contents(&disk, OWN_FILE).len();
    let all = image(ONE, OWN);
    let (mut at_start, mut when_read) = (0, 0);
    for (offset, bit) in (0..size).flat_map(|offset| (0..8).map(move |bit| (offset, bit))) {
        let disk = disk.fork(0);
        disk.flip(OWN_FILE, offset, bit);
        // Header and end are looked at before anything is changed, the blocks when they are read.
        let outside_blocks = !(72..size - 24).contains(&offset);
        let error = if outside_blocks {
            at_start += 1;
            match refused(&disk) {
                WalError::Snapshot(error) => error,
                other => panic!("{offset}.{bit}: {other}"),
            }
        } else {
            when_read += 1;
            try_reopen(&disk).expect("the blocks are not read yet");
            let mut reader = snapshots(&disk).open(ONE, OWN).expect("header and end are intact");
            let mut given_out = 0;
            loop {
                match reader.next_block() {
                    Ok(Some(block)) => assert_eq!(block, all[given_out], "{offset}.{bit}"),
                    Ok(None) => panic!("{offset}.{bit} was not noticed"),
                    Err(error) => break error,
                }
                given_out += 1;
            }
        };
        match &error {
            SnapshotError::Damaged { file, offset: from, .. } => {
                assert!(file == OWN_FILE && *from <= offset as u64, "{offset}.{bit}: {error}");
            }
            // Only where the length in the end's own place says that more should follow.
            SnapshotError::CutShort { offset: from, .. } => {
                assert!(*from == size as u64 - 24 && offset < size - 20, "{offset}.{bit}: {error}");
            }
            other => panic!("{offset}.{bit}: {other}"),
        }
        says(&error, &[OWN_FILE, "Nothing was changed", "replace the node"]);
    }
    println!("flipped bits: {at_start} refused at the start, {when_read} when the block was read");
    assert_eq!((at_start, when_read), (96 * 8, (size - 96) * 8));
}

/// The file of a snapshot with that id, whose four blocks are of one length.
fn even(id: SnapshotId) -> Vec<u8> {
    let disk = SimDisk::new(0);
    let mut writer = snapshots(&disk).create(SnapshotHeader { id, ..header(ONE, OWN) }).expect("begun");
    (0..4).for_each(|number| writer.append(&[number; 100]).expect("written"));
    writer.finish().expect("finished");
    contents(&disk, OWN_FILE)
}

#[test]
fn an_intact_block_that_belongs_elsewhere_is_noticed() {
    let id = header(ONE, OWN).id;
    let (own, other) = (even(id), even(SnapshotId(id.0 + 1)));
    let place = |number: usize| 72 + number * 108..72 + (number + 1) * 108;
    let disk = node();
    for (at, from) in (0..4).flat_map(|at| (0..4).map(move |from| (at, from))) {
        let mut bytes = own.clone();
        // One of this file in another place, or that of another file in its own.
        let block = if at == from { &other[place(at)] } else { &own[place(from)] };
        bytes[place(at)].copy_from_slice(block);
        put(&disk, OWN_FILE, &bytes);
        let mut reader = snapshots(&disk).open(ONE, OWN).expect("header and end are intact");
        for number in 0..at {
            let block = reader.next_block().expect("it is in its place");
            assert_eq!(block, Some(&[u8::try_from(number).expect("small"); 100][..]));
        }
        let offset = place(at).start as u64;
        match reader.next_block() {
            Err(SnapshotError::Damaged { offset: from, .. }) => assert_eq!(from, offset),
            other => panic!("{from} in the place of {at}: {other:?}"),
        }
        let mut received = snapshots(&SimDisk::new(0)).receive(ONE, OWN, id).expect("begun");
        match received.append(0, &bytes) {
            Err(SnapshotError::BadBytes { offset: from, .. }) => assert_eq!(from, offset),
            other => panic!("{from} in the place of {at}: {other:?}"),
        }
    }
}

#[test]
fn a_file_that_is_cut_at_any_length_is_refused_and_nothing_is_changed() {
    let disk = node();
    let whole = contents(&disk, OWN_FILE);
    for size in 0..whole.len() {
        let disk = disk.fork(0);
        put(&disk, OWN_FILE, &whole[..size]);
        let error = refused(&disk);
        let WalError::Snapshot(SnapshotError::CutShort { offset, size_bytes, .. }) = &error else {
            panic!("{size}: {error}")
        };
        assert!(*offset <= size as u64 && *size_bytes == size as u64, "{size}: {error}");
        says(&error, &[OWN_FILE, "is cut short", "Nothing was changed", "replace the node"]);
    }
    println!("cut at {} lengths", whole.len());
    for more in [1, 7, 8, 24, 600] {
        let disk = disk.fork(0);
        let longer: Vec<u8> = whole.iter().copied().chain(std::iter::repeat_n(0, more)).collect();
        put(&disk, OWN_FILE, &longer);
        says(&refused(&disk), &["is damaged", "there is something behind its end"]);
    }
}

#[test]
fn a_snapshot_that_the_log_names_and_that_is_gone_is_refused() {
    let disk = node();
    disk.rename(OWN_FILE, "elsewhere").expect("moved");
    let error = refused(&disk);
    assert!(matches!(error, WalError::Snapshot(SnapshotError::Missing { .. })), "{error}");
    says(&error, &[OWN_FILE, "is missing", "move it back", "replace the node"]);
    disk.rename("elsewhere", OWN_FILE).expect("moved back");
    assert_eq!(recovered(&disk).groups[&ONE].snapshot, OWN);
}

/// Another header in front of the same blocks, with a checksum that holds.
fn with_header(file: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = file.to_vec();
    change(&mut bytes);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..72]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn somebody_elses_snapshot_and_a_newer_format_are_refused() {
    let disk = node();
    let own = contents(&disk, OWN_FILE);
    let newer = "its format is 2, and this program reads 1";
    let cases: [(Vec<u8>, [&str; 2]); 5] = [
        (with_header(&own, |bytes| bytes[16] = 8), ["of cluster 0000000000000008", "from elsewhere"]),
        (file_of(TWO, OWN), ["it is of group 2, not 1", "from elsewhere"]),
        (file_of(ONE, LogId::new(2, 8)), ["it ends with entry 8@2, not 9@2", "from elsewhere"]),
        (file_of(ONE, LogId::new(1, 9)), ["it ends with entry 9@1, not 9@2", "from elsewhere"]),
        (with_header(&own, |bytes| bytes[8] = 2), [newer, "Start the version that wrote it"]),
    ];
    for (bytes, parts) in cases {
        put(&disk, OWN_FILE, &bytes);
        says(&refused(&disk), &parts);
        // A name that the log does not know yet: still somebody has put it there.
        let named_newer = disk.fork(0);
        put(&named_newer, OWN_FILE, &own);
        put(&named_newer, "1-17-2.snapshot", &bytes);
        assert!(matches!(
            refused(&named_newer),
            WalError::Snapshot(SnapshotError::Foreign { .. } | SnapshotError::Newer { .. })
        ));
    }
    let other = Snapshots::new(disk.clone(), CLUSTER + 1);
    put(&disk, OWN_FILE, &own);
    says(&other.open(ONE, OWN).expect_err("foreign"), &["of cluster 0000000000000007, not 0000000000000008"]);
}

#[test]
fn a_damaged_snapshot_that_the_log_does_not_need_is_passed_over_and_reported() {
    let disk = node();
    let before = recovered(&disk.fork(0)).groups;
    let whole = file_of(ONE, LogId::new(2, 16));
    for (at, change) in [(200, "flip"), (whole.len() - 1, "flip"), (150, "cut"), (0, "cut")] {
        let disk = disk.fork(0);
        let mut bytes = whole.clone();
        if change == "flip" {
            bytes[at] ^= 4;
        } else {
            bytes.truncate(at);
        }
        put(&disk, "1-16-2.snapshot", &bytes);
        let Recovered { groups, unusable_snapshots, .. } = recovered(&disk);
        assert_eq!(groups, before);
        let [unusable] = &unusable_snapshots[..] else { panic!("{unusable_snapshots:?}") };
        assert_eq!(unusable.file, "1-16-2.snapshot");
        says(unusable, &["cannot be used, and is not needed", "look at the disk"]);
        // The one before it is taken, if it is newer than the log's own.
        save(&disk, ONE, LogId::new(2, 12)).expect("written");
        let found = recovered(&disk);
        assert_eq!((found.groups[&ONE].snapshot, found.unusable_snapshots.len()), (LogId::new(2, 12), 1));
        assert_eq!(found.groups[&ONE].entries, entries(2, 13..=17));
    }
}

/// A node whose log begins with the segment in which its snapshot is named.
fn shortened(installed: bool) -> (SimDisk, Groups) {
    let disk = node();
    let (mut wal, _) = try_reopen(&disk).expect("opens");
    for first in [18, 21, 24, 27] {
        log(&mut wal, ONE, 2, first..=first + 2);
    }
    let last = if installed { LogId::new(3, 40) } else { LogId::new(2, 29) };
    save(&disk, ONE, last).expect("written");
    append(&mut wal, ONE, &named(last, installed, Vec::new()));
    let segments = |disk: &SimDisk| names(disk).len();
    let many = segments(&disk);
    while wal.remove_replaced().expect("nothing goes wrong") {}
    assert!(segments(&disk) < many, "nothing was removed");
    let groups = recovered(&disk.fork(0)).groups;
    (disk, groups)
}

fn names(disk: &SimDisk) -> Vec<String> {
    let mut names = disk.list().expect("listed");
    names.sort();
    names.retain(|name| name.ends_with(".wal"));
    names
}

#[test]
fn a_flip_in_a_log_without_its_beginning_is_refused_also_in_what_names_the_snapshot() {
    for installed in [false, true] {
        let (disk, groups) = shortened(installed);
        let (mut refusals, mut torn) = (0, 0);
        for name in names(&disk) {
            let used = contents(&disk, &name).iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            for (offset, bit) in (0..used).flat_map(|offset| (0..8).map(move |bit| (offset, bit))) {
                let disk = disk.fork(0);
                disk.flip(&name, offset, bit);
                match try_reopen(&disk) {
                    Ok((_, found)) => {
                        // The very last write is the empty one, and takes nothing with it.
                        assert!(found.torn_tail.is_some(), "{name} {offset}.{bit} was not noticed");
                        assert_eq!(found.groups, groups, "{name} {offset}.{bit}");
                        torn += 1;
                    }
                    Err(WalError::Corrupt { .. }) => refusals += 1,
                    Err(other) => panic!("{name} {offset}.{bit}: {other}"),
                }
            }
        }
        assert!(refusals > 1000 && torn == 32 * 8, "{refusals} refused, {torn} torn");
    }
}

#[test]
fn a_beginning_that_was_lost_is_told_from_one_that_was_removed() {
    let (disk, _) = shortened(false);
    let (mut wal, _) = try_reopen(&disk).expect("opens");
    for first in (30..66).step_by(3) {
        log(&mut wal, ONE, 2, first..=first + 2);
    }
    wal.append_marker().and_then(|()| wal.sync()).expect("nothing goes wrong");
    let names = names(&disk);
    assert!(names.len() > 3, "{names:?}");
    let whole = recovered(&disk.fork(0)).groups;
    let mut refusals = 0;
    for lost in 1..names.len() - 1 {
        let disk = disk.fork(0);
        names[..lost].iter().for_each(|name| disk.remove(name).expect("removed"));
        if let Ok((_, found)) = try_reopen(&disk.fork(0)) {
            // It only held what the snapshot has.
            assert_eq!(found.groups, whole);
            continue;
        }
        refusals += 1;
        let error = refused(&disk);
        says(&error, &["the files before this one are missing", "of group 1 are in no snapshot"]);
        // With a snapshot of all that is in them, they are not needed.
        save(&disk, ONE, LogId::new(2, 65)).expect("written");
        assert_eq!(recovered(&disk).groups[&ONE].entries.len(), 0);
    }
    assert!(refusals > 1, "{refusals}");
}

#[test]
fn a_damaged_last_write_that_names_a_snapshot_is_made_good_by_the_snapshot() {
    for installed in [false, true] {
        let disk = node();
        let (mut wal, _) = try_reopen(&disk).expect("opens");
        let last = if installed { LogId::new(3, 40) } else { LogId::new(2, 15) };
        save(&disk, ONE, last).expect("written");
        let (before, at) = (names(&disk).pop().expect("a segment"), wal.total_bytes());
        let earlier = contents(&disk, &before);
        append(&mut wal, ONE, &named(last, installed, Vec::new()));
        assert!(wal.total_bytes() > at);
        let whole = recovered(&disk.fork(0));
        let now = contents(&disk, &before);
        let offset =
            (0..now.len()).find(|offset| earlier[*offset] != now[*offset]).expect("in the same segment");
        disk.flip(&before, offset + 33, 2);
        let found = recovered(&disk);
        assert!(found.torn_tail.is_some(), "the record was not damaged");
        assert_eq!(found.groups[&ONE].snapshot, last);
        assert_eq!(found.groups[&ONE].entries, whole.groups[&ONE].entries);
        assert_eq!(read(&disk, ONE, last).expect("intact"), image(ONE, last));
    }
}

#[test]
fn the_log_names_no_snapshot_that_is_not_there_whole() {
    let disk = node();
    let (mut wal, found) = try_reopen(&disk).expect("opens");
    let last = LogId::new(2, 12);
    let name = named(last, false, Vec::new());
    let missing = wal.append(&[(ONE, &name)]).expect_err("there is none");
    assert!(matches!(missing, WalError::Snapshot(SnapshotError::Missing { .. })), "{missing}");
    let bytes = file_of(ONE, last);
    put(&disk, "1-12-2.snapshot", &bytes[..bytes.len() - 1]);
    let cut = wal.append(&[(ONE, &name)]).expect_err("it is not whole");
    assert!(matches!(cut, WalError::Snapshot(SnapshotError::CutShort { .. })), "{cut}");
    // The log is as it was, and goes on.
    assert_eq!(recovered(&disk.fork(0)).groups, found.groups);
    put(&disk, "1-12-2.snapshot", &bytes);
    append(&mut wal, ONE, &name);
    assert_eq!(recovered(&disk).groups[&ONE].snapshot, last);
}

#[test]
fn a_new_log_is_not_made_where_a_snapshot_is() {
    let disk = SimDisk::new(3);
    save(&disk, ONE, OWN).expect("written");
    let error = Wal::create(disk, CONFIG).expect_err("somebody's state is there");
    assert!(matches!(error, WalError::AlreadyThere { .. }), "{error}");
    says(&error, &[OWN_FILE, "open it instead"]);
}

#[test]
fn a_snapshot_says_what_it_is() {
    let disk = node();
    let reader = snapshots(&disk).open(ONE, OWN).expect("there");
    assert_eq!(*reader.header(), header(ONE, OWN));
    assert_eq!(reader.size_bytes(), contents(&disk, OWN_FILE).len() as u64);
}
