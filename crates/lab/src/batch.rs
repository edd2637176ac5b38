//! Many runs, on all cores, with results in an order that does not depend on the machine.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use bowline_sim::host::DiskKind;
use bowline_sim::trace::Trace;

use crate::run::{Outcome, run, run_traced};
use crate::scenario::Scenario;

/// One run to be made.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// Of which scenario.
    pub scenario: &'static Scenario,
    /// On which kind of disk.
    pub disk: DiskKind,
    /// With which seed.
    pub seed: u64,
}

impl Job {
    /// Makes the run.
    pub fn run(&self) -> Outcome {
        run(self.scenario, self.disk, self.seed)
    }

    /// Makes the same run, and writes it down; nothing of a scenario without servers.
    pub fn run_traced(&self) -> (Outcome, Option<Trace>) {
        run_traced(self.scenario, self.disk, self.seed)
    }
}

/// Every scenario on every disk that it can have, `runs` times with the seeds from `seed` on.
pub fn jobs(scenarios: &[&'static Scenario], disks: &[DiskKind], seed: u64, runs: u64) -> Vec<Job> {
    let mut jobs = Vec::new();
    for &scenario in scenarios {
        // Without a server there is no disk: once is enough.
        let disks = if scenario.has_disks() { disks } else { &disks[..1] };
        for &disk in disks {
            jobs.extend((0..runs).map(|run| Job { scenario, disk, seed: seed.wrapping_add(run) }));
        }
    }
    jobs
}

/// Makes all runs. `done` is told of each as soon as it and all before it are there, and says whether to go on.
pub fn run_all(jobs: &[Job], mut done: impl FnMut(&Job, Outcome) -> bool) {
    let next = AtomicUsize::new(0);
    let stopped = AtomicBool::new(false);
    let (sender, results) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            let (next, stopped, sender) = (&next, &stopped, sender.clone());
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(job) = jobs.get(at) else { break };
                    // Nobody listens any more when the others were stopped.
                    let _ = sender.send((at, job.run()));
                }
            });
        }
        drop(sender);
        let mut early = BTreeMap::new();
        let mut told = 0;
        for (at, outcome) in results {
            early.insert(at, outcome);
            while let Some(outcome) = early.remove(&told) {
                if !stopped.load(Ordering::Relaxed) && !done(&jobs[told], outcome) {
                    stopped.store(true, Ordering::Relaxed);
                }
                told += 1;
            }
        }
    });
}
