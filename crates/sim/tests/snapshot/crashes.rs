//! A crash at every operation of the disk: while a snapshot is written, received, named, installed, and what it has
//! replaced deleted; and at every operation of the start after that.

use bowline_sim::SimDisk;
use bowline_sim::disk::{Keep, Operation};

use crate::model::try_reopen;
use crate::points::Table;
use crate::script::{Action, Run, Stage, script};

/// How a node goes down. What was pending of names and of contents is lost, kept, or torn.
#[derive(Clone, Copy, Debug)]
enum Crash {
    Kill,
    Power(Keep, Keep),
}

const TORN: Keep = Keep::Some(0.5);

impl Crash {
    /// Each, with so many different ways to tear.
    fn all(tears: u64) -> Vec<(Self, u64)> {
        let mut all = vec![(Self::Kill, 0), (Self::Kill, 1)];
        for names in [Keep::Nothing, Keep::Everything, TORN] {
            for contents in [Keep::Nothing, Keep::Everything, TORN] {
                let torn = matches!(names, Keep::Some(_)) || matches!(contents, Keep::Some(_));
                let seeds = if torn { tears } else { 2 };
                all.extend((0..seeds).map(|seed| (Self::Power(names, contents), seed)));
            }
        }
        all
    }

    fn happen(self, disk: &SimDisk) {
        match self {
            Self::Kill => disk.kill(),
            Self::Power(names, contents) => disk.power_loss_keeping(names, contents),
        }
    }
}

/// Every operation of the disk, and what was under way.
fn points(actions: &[Action]) -> Vec<(Stage, Operation)> {
    let mut run = Run::new(SimDisk::new(0));
    run.all(actions).expect("nothing goes wrong");
    let stage = |number| *run.stages.range(..=number).next_back().expect("it begins at 0").1;
    (0..).zip(run.disk.history()).map(|(number, operation)| (stage(number), operation)).collect()
}

/// A process that was stopped in the middle of an operation, before the crash.
fn stopped(actions: &[Action], operation: u64, seed: u64) -> Run {
    let disk = SimDisk::new(seed);
    disk.stop_at(operation);
    let mut run = Run::new(disk);
    let result = run.all(actions);
    assert!(result.is_err(), "operation {operation} was not reached");
    run
}

#[test]
fn a_crash_at_any_operation_loses_nothing_that_was_acknowledged() {
    let actions = script();
    let mut table = Table::new();
    let (mut lost, mut kept, mut names) = (0, 0, 0);
    for (number, (stage, operation)) in (0..).zip(points(&actions)) {
        let mut states = 0;
        for (crash, seed) in Crash::all(6) {
            let run = stopped(&actions, number, seed);
            crash.happen(&run.disk);
            states += 1;
            if run.is_made() {
                Run::again(&run.disk, &run.expected).go_on(run.receiving());
            }
            let faults = run.disk.faults();
            (lost, kept) = (lost + faults.sectors_lost, kept + faults.sectors_kept);
            names += faults.names_lost;
        }
        table.count(stage, operation, states);
    }
    table.print("Snapshots: a crash, and a start");
    assert_eq!(table.steps().len(), 9, "every stage has its crashes");
    assert!(table.states() > 5000, "{}", table.states());
    assert!(lost > 1000 && kept > 1000 && names > 1000, "{lost} sectors and {names} names lost, {kept} kept");
}

#[test]
fn a_crash_at_any_operation_of_the_start_after_it_loses_nothing_either() {
    let actions = script();
    let mut table = Table::new();
    let torn = Crash::Power(TORN, TORN);
    for (operation, (stage, _)) in (0..).zip(points(&actions)) {
        for first in [Crash::Kill, Crash::Power(Keep::Everything, Keep::Nothing), torn] {
            let run = stopped(&actions, operation, operation);
            if !run.is_made() {
                continue;
            }
            first.happen(&run.disk);
            for step in 0.. {
                let disk = run.disk.fork(step);
                disk.stop_at(disk.operations() + step);
                if try_reopen(&disk).is_ok() {
                    break;
                }
                let mut states = 0;
                for second in [Crash::Kill, Crash::Power(Keep::Nothing, Keep::Nothing), torn] {
                    let disk = disk.fork(step);
                    second.happen(&disk);
                    Run::again(&disk, &run.expected).go_on(run.receiving());
                    states += 1;
                }
                table.count(stage, *disk.history().last().expect("it was stopped there"), states);
            }
        }
    }
    table.print("Snapshots: a crash, a start that a crash interrupts, and another start");
    assert!(table.states() > 5000, "{}", table.states());
}

#[test]
fn what_a_start_gave_back_is_durable() {
    let actions = script();
    let mut read_back = 0;
    for operation in 0..points(&actions).len() as u64 {
        for seed in 0..4 {
            let run = stopped(&actions, operation, seed);
            if !run.is_made() {
                continue;
            }
            run.disk.kill();
            let again = Run::again(&run.disk, &run.expected);
            // Others have been told by now. It may not go back, even if nobody had acknowledged it.
            let found = again.expected;
            read_back += usize::from(found.acknowledged != run.expected.acknowledged);
            run.disk.power_loss_keeping(Keep::Nothing, Keep::Nothing);
            Run::again(&run.disk, &found);
        }
    }
    assert!(read_back > 20, "only {read_back} starts found more than what was acknowledged");
}

#[test]
fn a_sync_that_fails_is_final_and_the_next_start_writes_again() {
    let actions = script();
    let mut failed = 0;
    for stop in 0..actions.len() {
        for seed in 0..12 {
            let mut run = Run::new(SimDisk::new(seed));
            run.all(&actions[..stop]).expect("nothing goes wrong");
            run.disk.fail_next_sync();
            if run.more(&actions[stop..]).is_ok() {
                continue;
            }
            failed += run.disk.faults().failed_syncs;
            // The cache shows what the disk may lack, and only what is written again is there to stay.
            run.disk.kill();
            Run::again(&run.disk, &run.expected).go_on(run.receiving());
        }
    }
    assert!(failed > 500, "{failed}");
}

#[test]
fn without_a_crash_only_what_is_needed_is_left() {
    let mut run = Run::new(SimDisk::new(0));
    run.all(&script()).expect("nothing goes wrong");
    let mut names = bowline_storage::Disk::list(&run.disk).expect("listed");
    names.sort_unstable();
    let (log, others): (Vec<String>, Vec<String>) =
        names.into_iter().partition(|name| name.ends_with(".wal"));
    assert_eq!(others, ["1-47-6.snapshot", "2-11-1.snapshot"]);
    assert!(log.len() <= 3 && log[0].as_str() > "0000000000000008.wal", "{log:?}");
}
