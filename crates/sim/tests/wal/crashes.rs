//! A crash at every operation: while the log is made, written, rotated and recovered.

use bowline_sim::SimDisk;
use bowline_storage::{Wal, WalError};

use crate::model::{Script, config, reopen};

/// Also the length of the values that need a segment of their own.
const LARGE: usize = 1536;
const SEGMENT: u64 = LARGE as u64;

/// How the node goes down.
#[derive(Clone, Copy, Debug)]
enum Crash {
    Power,
    Kill,
    /// The process first, and the machine before anything else is synced.
    KillThenPower,
}

const CRASHES: [Crash; 3] = [Crash::Power, Crash::Kill, Crash::KillThenPower];

impl Crash {
    fn happen(self, disk: &SimDisk) {
        match self {
            Crash::Power => disk.power_loss(),
            Crash::Kill => disk.kill(),
            Crash::KillThenPower => {
                disk.kill();
                disk.power_loss();
            }
        }
    }
}

/// Makes a log and runs the script; how much of it is acknowledged, or `None` if there is no log yet.
fn run(disk: &SimDisk, script: &Script) -> (Option<usize>, Result<(), WalError>) {
    match Wal::create(disk.clone(), config(SEGMENT)) {
        Ok(mut wal) => {
            let (acknowledged, result) = script.run(&mut wal, 0);
            (Some(acknowledged), result)
        }
        Err(error) => (None, Err(error)),
    }
}

/// A disk on which the script was stopped at `operation`, and which then crashed.
fn crashed(script: &Script, operation: u64, seed: u64, crash: Crash) -> (SimDisk, Option<usize>) {
    let disk = SimDisk::new(seed);
    disk.stop_at(operation);
    let (acknowledged, result) = run(&disk, script);
    assert!(result.is_err(), "operation {operation} was not reached");
    crash.happen(&disk);
    (disk, acknowledged)
}

fn operations(script: &Script) -> u64 {
    let disk = SimDisk::new(0);
    run(&disk, script).1.expect("nothing goes wrong");
    disk.operations()
}

/// Goes on after a crash: the rest of the script is written, the power goes once more, and all is there.
fn finish(disk: &SimDisk, script: &Script, acknowledged: Option<usize>) {
    let from = match acknowledged {
        None => {
            let (made, result) = run(disk, script);
            result.expect("a log that was never finished is made again");
            made.expect("it is made")
        }
        Some(acknowledged) => {
            let (mut wal, from) = reopen(disk, SEGMENT, script, acknowledged);
            let (acknowledged, result) = script.run(&mut wal, from);
            result.expect("nothing goes wrong");
            acknowledged
        }
    };
    assert_eq!(from, script.batches.len());
    disk.power_loss();
    reopen(disk, SEGMENT, script, from);
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_synced() {
    let script = Script::random(1, 24, LARGE);
    let total = operations(&script);
    assert!(total > 100, "{total} operations are no test");
    let (mut lost, mut kept, mut names) = (0, 0, 0);
    for operation in 0..total {
        for seed in 0..10 {
            for crash in CRASHES {
                let (disk, acknowledged) = crashed(&script, operation, seed, crash);
                finish(&disk, &script, acknowledged);
                lost += disk.faults().sectors_lost;
                kept += disk.faults().sectors_kept;
                names += disk.faults().names_lost;
            }
        }
    }
    assert!(lost > 1000 && kept > 1000 && names > 100, "{lost} sectors and {names} names lost, {kept} kept");
}

#[test]
fn a_crash_at_any_operation_of_recovery_loses_nothing_either() {
    let script = Script::random(2, 12, LARGE);
    let mut crashed_again = 0;
    for operation in 0..operations(&script) {
        for crash in CRASHES {
            let (disk, acknowledged) = crashed(&script, operation, operation, crash);
            let Some(acknowledged) = acknowledged else { continue };
            for step in 0.. {
                for again in CRASHES {
                    let disk = disk.fork(step);
                    disk.stop_at(disk.operations() + step);
                    let opened = Wal::open(disk.clone(), config(SEGMENT));
                    if opened.is_ok() {
                        continue;
                    }
                    assert_eq!(disk.faults().stops, 2, "{:?}", opened.err());
                    again.happen(&disk);
                    crashed_again += 1;
                    finish(&disk, &script, Some(acknowledged));
                }
                if step > 30 {
                    break;
                }
            }
        }
    }
    assert!(crashed_again > 1000, "{crashed_again}");
}

#[test]
fn what_recovery_returned_is_durable() {
    let script = Script::random(3, 16, LARGE);
    let mut in_flight = 0;
    for operation in 0..operations(&script) {
        for seed in 0..4 {
            let (disk, acknowledged) = crashed(&script, operation, seed, Crash::Kill);
            let Some(acknowledged) = acknowledged else { continue };
            let (_, seen) = reopen(&disk, SEGMENT, &script, acknowledged);
            in_flight += seen - acknowledged;
            // Others have been told by now. It may not go back, even if the write was never acknowledged.
            disk.power_loss();
            let (_, again) = reopen(&disk, SEGMENT, &script, seen);
            assert_eq!(again, seen);
        }
    }
    assert!(in_flight > 10, "only {in_flight} writes were read back that had not been synced");
}

#[test]
fn recovery_twice_gives_the_same_and_does_not_grow() {
    let script = Script::random(4, 30, LARGE);
    let disk = SimDisk::new(4);
    run(&disk, &script).1.expect("nothing goes wrong");
    let mut bytes = None;
    for _ in 0..5 {
        disk.kill();
        let (wal, _) = reopen(&disk, SEGMENT, &script, script.batches.len());
        // The second time, what the first one wrote again is gone from where it was.
        let now = (wal.total_bytes(), bowline_storage::Disk::list(&disk).expect("listed").len());
        if let Some(before) = bytes.replace(now)
            && before != now
        {
            panic!("{before:?} became {now:?}");
        }
    }
}
