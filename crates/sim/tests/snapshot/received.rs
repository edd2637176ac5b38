//! Snapshots from another node: in pieces of any length, damaged on the way, interrupted, without room.

use bowline_raft::{GroupId, LogId, Write};
use bowline_sim::SimDisk;
use bowline_storage::{Disk, SnapshotError, SnapshotHeader, SnapshotId, Snapshots, Wal};

use crate::model::{
    CLUSTER, CONFIG, entries, file_of, header, image, named, read, save, snapshots, try_reopen,
};
use crate::script::{ONE, TWO};

type Received = bowline_storage::ReceivedSnapshot<SimDisk>;

const LAST: LogId = LogId::new(3, 21);
const FILE: &str = "1-21-3.snapshot";
const PART: &str = "1-21-3.snapshot.part";

fn receive(disk: &SimDisk) -> Received {
    snapshots(disk).receive(ONE, LAST, header(ONE, LAST).id).expect("nothing goes wrong")
}

fn at(received: &Received) -> usize {
    usize::try_from(received.offset()).expect("small")
}

/// Sends the rest in pieces of that length, and finishes.
fn send(disk: &SimDisk, mut received: Received, file: &[u8], piece: usize) {
    for bytes in file[at(&received)..].chunks(piece) {
        assert!(!received.is_complete());
        received.append(received.offset(), bytes).expect("intact");
    }
    assert!(received.is_complete());
    assert_eq!(received.finish().expect("whole"), file.len() as u64);
    assert_eq!(read(disk, ONE, LAST).expect("intact"), image(ONE, LAST));
    assert_eq!(disk.list().expect("listed"), [FILE]);
}

#[test]
fn pieces_of_any_length_make_the_same_file() {
    let file = file_of(ONE, LAST);
    for piece in (1..150).chain([511, 512, 513, file.len() - 1, file.len()]) {
        let disk = SimDisk::new(0);
        let received = receive(&disk);
        send(&disk, received, &file, piece);
        let mut bytes = vec![0; file.len()];
        snapshots(&disk).open(ONE, LAST).expect("there").read_at(&mut bytes, 0).expect("read");
        assert_eq!(bytes, file);
    }
}

#[test]
fn a_bit_that_flips_on_the_way_is_refused_and_sent_again() {
    let file = file_of(ONE, LAST);
    let (mut refused, mut overlong) = (0, 0);
    for (offset, bit) in (0..file.len()).flat_map(|offset| (0..8).map(move |bit| (offset, bit))) {
        let disk = SimDisk::new(0);
        let mut received = receive(&disk);
        let mut bad = file.clone();
        bad[offset] ^= 1 << bit;
        match bad.chunks(100).find_map(|bytes| received.append(received.offset(), bytes).err()) {
            Some(SnapshotError::BadBytes { offset: from, .. }) => {
                assert!(from == received.offset() && from <= offset as u64, "{offset}.{bit}: {from}");
                send(&disk, received, &file, 300);
                refused += 1;
            }
            Some(other) => panic!("{offset}.{bit}: {other}"),
            None => {
                // A length that promises more than there is.
                assert!(matches!(received.finish(), Err(SnapshotError::BadBytes { .. })), "{offset}.{bit}");
                send(&disk, receive(&disk), &file, 300);
                overlong += 1;
            }
        }
    }
    assert!(refused > 11_000 && overlong < 100, "{refused} {overlong}");
}

#[test]
fn what_belongs_elsewhere_is_refused() {
    let file = file_of(ONE, LAST);
    let disk = SimDisk::new(0);
    let mut received = receive(&disk);
    received.append(0, &file[..400]).expect("intact");
    for offset in [0, 399, 401, 5000] {
        let error = received.append(offset, &file[400..450]).expect_err("it belongs elsewhere");
        assert!(matches!(error, SnapshotError::BadBytes { offset: 400, .. }), "{error}");
    }
    received.append(400, &file[400..]).expect("intact");
    let more = received.append(file.len() as u64, &[0]).expect_err("it is complete");
    assert!(more.to_string().contains("more came behind its end"), "{more}");
    send(&disk, received, &file, 1);
}

#[test]
fn somebody_elses_snapshot_is_refused_by_its_header() {
    let other_cluster = {
        let disk = SimDisk::new(0);
        let mut writer = Snapshots::new(disk.clone(), CLUSTER + 1).create(header(ONE, LAST)).expect("made");
        writer.append(b"x").expect("written");
        writer.finish().expect("finished");
        let mut bytes = vec![0; 72];
        let reader = Snapshots::new(disk, CLUSTER + 1).open(ONE, LAST).expect("there");
        reader.read_at(&mut bytes, 0).expect("read");
        bytes
    };
    let mut newer = file_of(ONE, LAST);
    newer[8] = 2;
    let crc = crc32c::crc32c_append(crc32c::crc32c(&newer[..12]), &newer[16..72]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    let cases = [
        (other_cluster, "it is of cluster 0000000000000008"),
        (file_of(TWO, LAST), "it is of group 2"),
        (file_of(ONE, LogId::new(3, 22)), "it ends with entry 22@3"),
        (newer, "its format is 2"),
    ];
    for (bytes, part) in cases {
        let disk = SimDisk::new(0);
        let mut received = receive(&disk);
        let error = received.append(0, &bytes[..72]).expect_err("it is another");
        assert!(matches!(error, SnapshotError::Foreign { .. } | SnapshotError::Newer { .. }), "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert_eq!(received.offset(), 0);
        received.discard().expect("removed");
        assert_eq!(disk.list().expect("listed"), [""; 0]);
    }
    // The right entries in another file: its blocks would not go together with those that are here.
    let disk = SimDisk::new(0);
    let id = SnapshotId(99);
    let mut received = snapshots(&disk).receive(ONE, LAST, id).expect("begun");
    let error = received.append(0, &file_of(ONE, LAST)).expect_err("it is another file");
    assert!(matches!(error, SnapshotError::BadBytes { offset: 0, .. }), "{error}");
}

#[test]
fn an_interrupted_one_goes_on_where_its_last_whole_block_ended() {
    let file = file_of(ONE, LAST);
    let mut resumed = 0;
    for sent in 0..=file.len() {
        let disk = SimDisk::new(sent as u64);
        let mut received = receive(&disk);
        received.append(0, &file[..sent]).expect("intact");
        drop(received);
        disk.kill();
        let again = receive(&disk);
        assert!(at(&again) <= sent, "{} of {sent}", again.offset());
        resumed += usize::from(again.offset() > 0);
        let middle = at(&again);
        send(&disk, again, &file, 700);
        // Nothing but the block under way is lost: header, and then the longest block.
        assert!(sent - middle <= 72 + 708, "{middle} of {sent}");
    }
    assert!(resumed >= file.len() - 72, "{resumed}");
}

#[test]
fn another_file_of_the_same_entries_begins_anew() {
    let disk = SimDisk::new(0);
    let file = file_of(ONE, LAST);
    receive(&disk).append(0, &file[..1000]).expect("intact");
    let other = SnapshotHeader { id: SnapshotId(77), ..header(ONE, LAST) };
    let received = snapshots(&disk).receive(ONE, LAST, other.id).expect("begun");
    assert_eq!(received.offset(), 0);
    drop(received);
    // And one of later entries takes the place of the earlier one, in its own group only.
    let later = LogId::new(3, 30);
    snapshots(&disk).receive(TWO, LAST, header(TWO, LAST).id).expect("begun");
    snapshots(&disk).receive(ONE, later, header(ONE, later).id).expect("begun");
    assert_eq!(disk.list().expect("listed"), ["1-30-3.snapshot.part", "2-21-3.snapshot.part"]);
}

fn log(wal: &mut Wal<SimDisk>, group: GroupId, term: u64, range: std::ops::RangeInclusive<u64>) {
    let write = Write { seq: 0, hard_state: None, snapshot: None, entries: entries(term, range) };
    wal.append(&[(group, &write)]).and_then(|()| wal.sync()).expect("nothing goes wrong");
}

#[test]
fn one_that_the_log_has_overtaken_is_removed_and_can_not_be_finished() {
    let disk = SimDisk::new(0);
    let mut wal = Wal::create(disk.clone(), CONFIG).expect("made");
    log(&mut wal, ONE, 3, 1..=25);
    let file = file_of(ONE, LAST);
    let mut received = receive(&disk);
    received.append(0, &file[..1000]).expect("intact");
    save(&disk, ONE, LAST).expect("written");
    wal.append(&[(ONE, &named(LAST, false, Vec::new()))]).and_then(|()| wal.sync()).expect("named");
    while wal.remove_replaced().expect("nothing goes wrong") {}
    assert!(!disk.list().expect("listed").contains(&PART.to_string()));
    received.append(1000, &file[1000..]).expect("intact");
    assert!(matches!(received.finish(), Err(SnapshotError::Missing { .. })));
    // A start removes what an earlier process was receiving, too, and keeps what is newer.
    receive(&disk).append(0, &file[..100]).expect("intact");
    disk.kill();
    drop(wal);
    try_reopen(&disk).expect("opens");
    let later = LogId::new(3, 22);
    assert!(!disk.list().expect("listed").contains(&PART.to_string()));
    snapshots(&disk).receive(ONE, later, header(ONE, later).id).expect("begun");
    snapshots(&disk).create(header(ONE, later)).expect("begun");
    disk.kill();
    try_reopen(&disk).expect("opens");
    let mut left = disk.list().expect("listed");
    left.retain(|name| !name.ends_with(".wal"));
    assert_eq!(left, [FILE, "1-22-3.snapshot.part"]);
}

#[test]
fn a_full_disk_stops_the_snapshot_and_not_the_log() {
    let disk = SimDisk::new(0);
    let mut wal = Wal::create(disk.clone(), CONFIG).expect("made");
    log(&mut wal, ONE, 3, 1..=3);
    while wal.prepare_next().expect("there is room") {}
    let file = file_of(ONE, LAST);
    let mut own = snapshots(&disk).create(header(ONE, LogId::new(3, 3))).expect("begun");
    let mut received = receive(&disk);
    own.append(&[1; 500]).expect("there is room");
    received.append(0, &file[..500]).expect("there is room");
    disk.set_free(50);
    let no_room = |error: SnapshotError| {
        assert!(matches!(error, SnapshotError::NoSpace { .. }), "{error}");
        for part in ["nothing is lost", "the log grows", "Make room"] {
            assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
        }
    };
    no_room(own.append(&[2; 500]).expect_err("there is no room"));
    disk.set_free(50);
    no_room(received.append(500, &file[500..]).expect_err("there is no room"));
    log(&mut wal, ONE, 3, 4..=5);
    // With room both go on where they were.
    disk.set_free(1 << 20);
    own.append(&[2; 500]).expect("there is room");
    own.finish().expect("there is room");
    assert_eq!(read(&disk, ONE, LogId::new(3, 3)).expect("intact"), [vec![1; 500], vec![2; 500]]);
    received.append(received.offset(), &file[at(&received)..]).expect("there is room");
    received.finish().expect("there is room");
    assert_eq!(read(&disk, ONE, LAST).expect("intact"), image(ONE, LAST));
}

#[test]
fn one_that_is_given_up_gives_its_room_back() {
    let disk = SimDisk::new(0);
    disk.set_free(10_000);
    let mut own = snapshots(&disk).create(header(ONE, LAST)).expect("begun");
    own.append(&[7; 4000]).expect("there is room");
    let mut received = receive(&disk);
    received.append(0, &file_of(ONE, LAST)).expect("there is room");
    own.discard().expect("removed");
    received.discard().expect("removed");
    assert_eq!((disk.free_bytes().expect("known"), disk.list().expect("listed").len()), (10_000, 0));
}
