//! The simulated disk does what it says, so that what survives it means something.

use bowline_sim::SimDisk;
use bowline_storage::{Disk, DiskFile};

const SECTORS: usize = 8;

fn contents(disk: &SimDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name).expect("it is there");
    let mut bytes = vec![0; usize::try_from(file.size_bytes().expect("a length")).expect("small")];
    file.read_at(&mut bytes, 0).expect("read");
    bytes
}

/// A disk with a file of zeros, all durable.
fn prepared(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    let file = disk.create("a").expect("made");
    file.write_at(&[0; SECTORS * 512], 0).expect("written");
    file.sync_data().expect("synced");
    disk.sync_dir().expect("synced");
    disk
}

/// What is left of two unsynced writes over one another after a power loss: one letter a sector.
fn torn(seed: u64) -> String {
    let disk = prepared(seed);
    let file = disk.open("a").expect("open");
    file.write_at(&[1; SECTORS * 512], 0).expect("written");
    file.write_at(&[2; 4 * 512], 0).expect("written");
    disk.power_loss();
    let bytes = contents(&disk, "a");
    assert_eq!(bytes.len(), SECTORS * 512);
    bytes
        .chunks(512)
        .map(|sector| {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "a sector is whole");
            char::from(b'0' + sector[0])
        })
        .collect()
}

#[test]
fn a_power_loss_keeps_any_sectors_in_any_version_and_the_same_for_the_same_seed() {
    let outcomes: Vec<String> = (0..400).map(torn).collect();
    assert_eq!(outcomes, (0..400).map(torn).collect::<Vec<_>>());
    for wanted in ["00000000", "22221111"] {
        assert!(outcomes.iter().any(|outcome| outcome == wanted), "never {wanted}");
    }
    for sector in 0..SECTORS {
        let versions = if sector < 4 { "012" } else { "01" };
        for version in versions.chars() {
            assert!(
                outcomes.iter().any(|outcome| outcome.chars().nth(sector) == Some(version)),
                "{sector}: {version}"
            );
        }
    }
    assert!(outcomes.iter().collect::<std::collections::BTreeSet<_>>().len() > 50, "{outcomes:?}");
}

#[test]
fn what_was_synced_survives_and_what_a_kill_left_in_the_cache_does_not_have_to() {
    let mut lost = 0;
    for seed in 0..50 {
        let disk = prepared(seed);
        let file = disk.open("a").expect("open");
        file.write_at(b"synced", 0).expect("written");
        file.sync_data().expect("synced");
        file.write_at(b"cached", 600).expect("written");
        disk.kill();
        file.write_at(b"x", 0).expect_err("the process is gone");
        assert_eq!(&contents(&disk, "a")[600..606], b"cached");
        disk.power_loss();
        assert_eq!(&contents(&disk, "a")[..6], b"synced");
        lost += usize::from(&contents(&disk, "a")[600..606] != b"cached");
    }
    assert!((10..40).contains(&lost), "{lost}");
}

#[test]
fn names_come_and_go_until_the_directory_is_synced() {
    let (mut lost, mut undone, mut back) = (0, 0, 0);
    for seed in 0..100 {
        let disk = prepared(seed);
        disk.create("b").expect("made").sync_data().expect("synced");
        let created = disk.fork(seed);
        created.power_loss();
        lost += usize::from(created.open("b").is_err());
        disk.sync_dir().expect("synced");
        let renamed = disk.fork(seed);
        renamed.rename("b", "a").expect("renamed");
        renamed.power_loss();
        assert!(renamed.open("a").is_ok(), "one of the two is there");
        undone += usize::from(renamed.open("b").is_ok());
        disk.remove("b").expect("removed");
        disk.power_loss();
        back += usize::from(disk.open("b").is_ok());
    }
    for count in [lost, undone, back] {
        assert!((20..80).contains(&count), "{lost} {undone} {back}");
    }
}

#[test]
fn a_failed_sync_leaves_in_the_cache_what_no_later_sync_writes() {
    let mut missing = 0;
    for seed in 0..50 {
        let disk = prepared(seed);
        let file = disk.open("a").expect("open");
        file.write_at(b"failed", 0).expect("written");
        disk.fail_next_sync();
        file.sync_data().expect_err("it fails");
        file.sync_data().expect("and then does not");
        assert_eq!(&contents(&disk, "a")[..6], b"failed");
        disk.power_loss();
        missing += usize::from(&contents(&disk, "a")[..6] != b"failed");
        assert_eq!(disk.faults().failed_syncs, 1);
    }
    assert!((10..40).contains(&missing), "{missing}");
}

#[test]
fn room_is_taken_by_what_grows_and_given_back() {
    let disk = prepared(1);
    disk.set_free(1000);
    let file = disk.open("a").expect("open");
    file.write_at(&[1; 512], 0).expect("overwriting needs no room");
    let error = file.write_at(&[1; 2000], SECTORS as u64 * 512).expect_err("too much");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!((disk.free_bytes().expect("known"), disk.faults().full), (0, 1));
    file.truncate(SECTORS as u64 * 512).expect("cut");
    assert_eq!(disk.free_bytes().expect("known"), 1000);
    disk.remove("a").expect("removed");
    assert_eq!(disk.free_bytes().expect("known"), 1000 + SECTORS as u64 * 512);
}

#[test]
fn the_operation_to_stop_at_is_half_done_and_nothing_after_it() {
    let mut halves = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let disk = prepared(seed);
        let file = disk.open("a").expect("open");
        disk.stop_at(disk.operations());
        file.write_at(&[1; SECTORS * 512], 0).expect_err("stopped");
        file.sync_data().expect_err("stopped");
        disk.create("b").expect_err("stopped");
        disk.open("a").expect_err("stopped");
        disk.kill();
        halves.insert(contents(&disk, "a").iter().filter(|byte| **byte == 1).count() / 512);
    }
    assert_eq!(halves, (0..=SECTORS).collect());
}
