//! Syncs that fail, and disks that are full.

use bowline_sim::SimDisk;
use bowline_storage::{Disk, Wal, WalError};

use crate::model::{Script, config, reopen};

/// Also the length of the values that need a segment of their own.
const LARGE: usize = 1536;
const SEGMENT: u64 = LARGE as u64;

#[test]
fn a_failed_sync_is_final_and_the_next_start_writes_again() {
    let script = Script::random(21, 16, LARGE);
    let (mut failed, mut read_back) = (0, 0);
    for fail_at in 0..script.batches.len() {
        for seed in 0..16 {
            let disk = SimDisk::new(seed);
            let mut wal = Wal::create(disk.clone(), config(SEGMENT)).expect("made");
            let before =
                Script { batches: script.batches[..fail_at].to_vec(), states: script.states.clone() };
            before.run(&mut wal, 0).1.expect("nothing goes wrong");
            disk.fail_next_sync();
            let (acknowledged, result) = script.run(&mut wal, fail_at);
            assert!(matches!(result, Err(WalError::Sync { .. })), "{result:?}");
            assert!(result.unwrap_err().to_string().contains("this process must end"));
            assert!(matches!(wal.sync(), Err(WalError::Failed { .. })), "a sync that failed was tried again");
            assert!(matches!(wal.append_marker(), Err(WalError::Failed { .. })));
            assert!(matches!(wal.prepare_next(), Err(WalError::Failed { .. })));
            failed += disk.faults().failed_syncs;
            // The cache shows what the disk may lack, and only what is written again is there to stay.
            disk.kill();
            let (_, seen) = reopen(&disk, SEGMENT, &script, acknowledged);
            read_back += seen - acknowledged;
            disk.power_loss();
            assert_eq!(reopen(&disk, SEGMENT, &script, seen).1, seen);
        }
    }
    assert!(failed == 256 && read_back > 20, "{failed} {read_back}");
}

#[test]
fn a_full_disk_is_known_before_the_log_is_full_and_loses_nothing() {
    let script = Script::random(22, 40, 200);
    let disk = SimDisk::new(22);
    let mut wal = Wal::create(disk.clone(), config(SEGMENT)).expect("made");
    disk.set_free(SEGMENT + 100);
    assert!((SEGMENT..2 * SEGMENT).contains(&wal.room().expect("known")), "{:?}", wal.room());
    while wal.prepare_next().expect("there is room for one") {}
    let mut rooms = vec![wal.room().expect("known")];
    let (acknowledged, error) = loop {
        let number = rooms.len() - 1;
        let one = Script { batches: script.batches[..=number].to_vec(), states: script.states.clone() };
        match script_step(&mut wal, &one, number) {
            Ok(()) => rooms.push(wal.room().expect("known")),
            Err(error) => break (number, error),
        }
    };
    assert!(rooms.is_sorted_by(|before, after| before >= after), "{rooms:?}");
    let last = rooms.last().expect("one at least");
    assert!(*last < SEGMENT, "{last} bytes of room were promised");
    let WalError::NoSpace { needed_bytes, free_bytes, .. } = &error else { panic!("{error}") };
    assert!(needed_bytes > free_bytes, "{error}");
    for part in ["simulated disk: no space left", &format!("{needed_bytes} bytes are needed"), "Make room"] {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
    // With no room the node ends, and does not start.
    disk.set_free(0);
    disk.kill();
    let error = Wal::open(disk.clone(), config(SEGMENT)).expect_err("no room");
    assert!(matches!(error, WalError::NoSpace { .. }), "{error}");
    // With room it does, and goes on.
    disk.set_free(1 << 20);
    disk.kill();
    let (mut wal, from) = reopen(&disk, SEGMENT, &script, acknowledged);
    script.run(&mut wal, from).1.expect("nothing goes wrong");
    disk.power_loss();
    reopen(&disk, SEGMENT, &script, script.batches.len());
    assert!(disk.faults().full > 1);
}

#[test]
fn a_log_that_found_no_room_goes_on_when_there_is_some() {
    let script = Script::random(23, 20, 200);
    let disk = SimDisk::new(23);
    let mut wal = Wal::create(disk.clone(), config(SEGMENT)).expect("made");
    disk.set_free(1000);
    let mut acknowledged = 0;
    let mut refused = 0;
    while acknowledged < script.batches.len() {
        match script_step(&mut wal, &script, acknowledged) {
            Ok(()) => acknowledged += 1,
            Err(WalError::NoSpace { .. }) => {
                refused += 1;
                disk.set_free(SEGMENT - 500);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(refused > 1, "{refused}");
    disk.set_free(1 << 20);
    disk.power_loss();
    reopen(&disk, SEGMENT, &script, acknowledged);
}

/// One batch, without filling ahead.
fn script_step(wal: &mut Wal<SimDisk>, script: &Script, number: usize) -> Result<(), WalError> {
    let batch: Vec<_> = script.batches[number].iter().map(|(group, write)| (*group, write)).collect();
    wal.append(&batch)?;
    wal.sync()
}

#[test]
fn every_restart_leaves_one_file_at_most_and_gives_back_the_zeros() {
    let script = Script::random(24, 4, 100);
    let disk = SimDisk::new(24);
    let segment = 1 << 20;
    let mut wal = Wal::create(disk.clone(), config(segment)).expect("made");
    script.run(&mut wal, 0).1.expect("nothing goes wrong");
    disk.set_free(3 << 20);
    for _ in 0..10 {
        disk.kill();
        reopen(&disk, segment, &script, 4);
        assert!(disk.list().expect("listed").len() <= 2);
    }
    assert!(disk.free_bytes().expect("known") > 1 << 20, "restarts fill the disk");
}
