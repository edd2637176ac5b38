//! A crash at every operation: while the log is made, written, rotated and recovered.

use std::fmt;

use bowline_sim::SimDisk;
use bowline_sim::disk::Operation;
use bowline_storage::{Wal, WalError};

use crate::model::{Script, config, fill_ahead, reopen, write};
use crate::points::Table;

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

/// What is under way when a crash comes: the rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    MakingTheLog,
    Writing,
    WritingIntoTheNextSegment,
    FillingAhead,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MakingTheLog => "making the log",
            Self::Writing => "writing",
            Self::WritingIntoTheNextSegment => "writing into the next segment",
            Self::FillingAhead => "filling the next segment ahead",
        })
    }
}

/// Every operation of the disk, and what was under way.
fn points(script: &Script) -> Vec<(Step, Operation)> {
    let disk = SimDisk::new(0);
    let mut steps = Vec::new();
    let mut wal = Wal::create(disk.clone(), config(SEGMENT)).expect("nothing goes wrong");
    steps.resize(disk.history().len(), Step::MakingTheLog);
    for (number, batch) in script.batches.iter().enumerate() {
        write(&mut wal, batch).expect("nothing goes wrong");
        // A write and a sync are all that it takes where there is room.
        let stays = disk.history().len() == steps.len() + 2;
        let step = if stays { Step::Writing } else { Step::WritingIntoTheNextSegment };
        steps.resize(disk.history().len(), step);
        fill_ahead(&mut wal, number).expect("nothing goes wrong");
        steps.resize(disk.history().len(), Step::FillingAhead);
    }
    steps.into_iter().zip(disk.history()).collect()
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
    let mut table = Table::new();
    let (mut lost, mut kept, mut names) = (0, 0, 0);
    for (number, (step, operation)) in (0..).zip(points(&script)) {
        for seed in 0..10 {
            for crash in CRASHES {
                let (disk, acknowledged) = crashed(&script, number, seed, crash);
                finish(&disk, &script, acknowledged);
                lost += disk.faults().sectors_lost;
                kept += disk.faults().sectors_kept;
                names += disk.faults().names_lost;
            }
        }
        table.count(step, operation, 10 * CRASHES.len());
    }
    table.print("The log: a crash, and a start");
    assert_eq!(table.steps().len(), 4, "every step has its crashes");
    assert!(table.states() > 3000, "{} states are no test", table.states());
    assert!(lost > 1000 && kept > 1000 && names > 100, "{lost} sectors and {names} names lost, {kept} kept");
}

#[test]
fn a_crash_at_any_operation_of_recovery_loses_nothing_either() {
    let script = Script::random(2, 12, LARGE);
    let mut table = Table::new();
    for (operation, (step, _)) in (0..).zip(points(&script)) {
        for crash in CRASHES {
            let (disk, acknowledged) = crashed(&script, operation, operation, crash);
            let Some(acknowledged) = acknowledged else { continue };
            for at in 0.. {
                let disk = disk.fork(at);
                disk.stop_at(disk.operations() + at);
                if Wal::open(disk.clone(), config(SEGMENT)).is_ok() {
                    break;
                }
                assert_eq!(disk.faults().stops, 2, "it failed by itself");
                let stopped_at = *disk.history().last().expect("it was stopped there");
                for again in CRASHES {
                    let disk = disk.fork(at);
                    again.happen(&disk);
                    finish(&disk, &script, Some(acknowledged));
                }
                table.count(step, stopped_at, CRASHES.len());
            }
        }
    }
    table.print("The log: a crash, a start that a crash interrupts, and another start");
    assert!(table.states() > 1000, "{}", table.states());
}

#[test]
fn what_recovery_returned_is_durable() {
    let script = Script::random(3, 16, LARGE);
    let mut in_flight = 0;
    for operation in 0..points(&script).len() as u64 {
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
