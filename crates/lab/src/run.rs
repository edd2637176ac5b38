//! One run of one scenario.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use bowline_sim::executor::{Failure, Sim};
use bowline_sim::host::DiskKind;
use bowline_sim::hunt::ASSERTION;
use bowline_sim::random::derive;
use bowline_sim::trace::Trace;
use bowline_sim::tracer::Tracer;

use crate::config::{Edition, Lab, Setting};
use crate::scenario::{Body, Part, Scenario, Script};

/// The seeds' limit for each test, from the making of its servers on.
const LONGEST: Duration = Duration::from_secs(120);

/// What the seeds print behind "Passed", and more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How long it took, in virtual time.
    pub time: Duration,
    /// How many calls, pre-votes apart.
    pub rpcs: u64,
    /// How many pre-votes were asked for.
    pub pre_votes: u64,
    /// The arguments of all calls and the replies that arrived, in bytes.
    pub bytes: u64,
    /// How far the log has come.
    pub committed: u64,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The figures, as far as it came.
    pub figures: Figures,
    /// How long it took until there was a leader, each time that a connected majority had none.
    pub leaderless: Vec<Duration>,
    /// What went wrong and when; none if it passed.
    pub failure: Option<Failure>,
    /// Which safety property was violated, if that is what went wrong.
    pub violated: Option<&'static str>,
}

/// Runs a scenario. The same arguments give the same outcome, on every machine.
pub fn run(scenario: &Scenario, disk: DiskKind, seed: u64) -> Outcome {
    run_and_look(scenario, disk, seed, false).0
}

/// The same run, written down.
pub fn run_traced(scenario: &Scenario, disk: DiskKind, seed: u64) -> (Outcome, Option<Trace>) {
    run_and_look(scenario, disk, seed, true)
}

fn run_and_look(scenario: &Scenario, disk: DiskKind, seed: u64, traced: bool) -> (Outcome, Option<Trace>) {
    let seed = derive(seed, scenario.name, 0);
    match scenario.body {
        Body::Network(script) => {
            let result = Sim::run(move |sim| async move {
                let result = script(sim.clone(), seed).await;
                (sim.now(), result)
            });
            let (time, failure) = match result {
                Ok((time, Ok(()))) => (time, None),
                Ok((at, Err(what))) => (at, Some(Failure { at, what })),
                Err(failure) => (failure.at, Some(failure)),
            };
            let figures = Figures { time, ..Figures::default() };
            (Outcome { figures, leaderless: Vec::new(), failure, violated: None }, None)
        }
        Body::Raft(script) => {
            let (peers, unreliable, edition) = (scenario.peers, scenario.unreliable, scenario.edition());
            let snapshots = scenario.part == Part::RaftD;
            run_raft(script, Setting { peers, unreliable, edition, snapshots, disk, seed }, traced)
        }
    }
}

fn run_raft(script: fn(Lab) -> Script<()>, setting: Setting, traced: bool) -> (Outcome, Option<Trace>) {
    // What is left of the world when it has ended, in whatever way.
    let made: Rc<OnceCell<(Lab, Option<Tracer>)>> = Rc::default();
    let kept = made.clone();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        Sim::run(move |sim| async move {
            let tracer = traced.then(|| Tracer::new(&sim, setting.peers));
            let lab = Lab::new(&sim, setting, tracer.clone());
            let _ = kept.set((lab.clone(), tracer));
            script(lab.clone()).await;
            let in_time = lab.now() <= LONGEST || setting.edition == Edition::Y2016;
            lab.ensure(in_time, || format!("it took more than {LONGEST:?}")).await;
        })
    }));
    let (lab, tracer) = made.get().expect("the servers are made first of all");
    let failure = match lived {
        Ok(result) => result.err(),
        Err(panic) => Some(Failure { at: lab.now(), what: format!("{ASSERTION}: {}", panic_text(&*panic)) }),
    };
    let figures = Figures {
        time: lab.now(),
        rpcs: lab.rpcs_total(),
        pre_votes: lab.pre_votes_total(),
        bytes: lab.bytes_total(),
        committed: lab.records().borrow().max_index(),
    };
    let leaderless = lab.monitor().borrow().times().to_vec();
    let violated = lab.watch().borrow().violated();
    lab.clean_up();
    (Outcome { figures, leaderless, failure, violated }, tracer.as_ref().map(Tracer::trace))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}
