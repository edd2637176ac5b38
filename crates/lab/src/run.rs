//! One run of one scenario.

use std::cell::OnceCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use bowline_sim::executor::{Failure, First, Sim, race};
use bowline_sim::host::DiskKind;
use bowline_sim::hunt::ASSERTION;
use bowline_sim::random::derive;
use bowline_sim::trace::Trace;
use bowline_sim::tracer::Tracer;

use crate::config::{Edition, Lab, Setting};
use crate::kv::{KvLab, KvSetting};
use crate::scenario::{Body, KvScript, Part, Scenario, Script};

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
    /// How many operations of clerks the script has counted.
    pub operations: u64,
}

impl Figures {
    /// What has come to them since they were `earlier`; how far the log has come stays as it is.
    pub(crate) fn since(&self, earlier: &Self) -> Self {
        Self {
            time: self.time - earlier.time,
            rpcs: self.rpcs - earlier.rpcs,
            pre_votes: self.pre_votes - earlier.pre_votes,
            bytes: self.bytes - earlier.bytes,
            committed: self.committed,
            operations: self.operations - earlier.operations,
        }
    }

    /// Together with those of what came later.
    fn and(&self, later: &Self) -> Self {
        Self {
            time: self.time + later.time,
            rpcs: self.rpcs + later.rpcs,
            pre_votes: self.pre_votes + later.pre_votes,
            bytes: self.bytes + later.bytes,
            committed: later.committed,
            operations: self.operations + later.operations,
        }
    }
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The figures, as far as it came.
    pub figures: Figures,
    /// The same of each test that a script of the key/value service prints, as far as it came; else none.
    pub sections: Vec<Figures>,
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
                // Without servers nothing goes on by itself: the executor sees a script that waits for ever.
                let result = script(sim.clone(), seed).await;
                (sim.now(), result)
            });
            let (time, failure) = match result {
                Ok((time, Ok(()))) => (time, None),
                Ok((at, Err(what))) => (at, Some(Failure { at, what })),
                Err(failure) => (failure.at, Some(failure)),
            };
            let figures = Figures { time, ..Figures::default() };
            (Outcome { figures, sections: Vec::new(), leaderless: Vec::new(), failure, violated: None }, None)
        }
        Body::Raft(script) => {
            let (peers, unreliable, edition) = (scenario.peers, scenario.unreliable, scenario.edition());
            let snapshots = scenario.part == Part::RaftD;
            run_raft(script, Setting { peers, unreliable, edition, snapshots, disk, seed }, traced)
        }
        Body::Kv(body) => {
            let max_raft_state = body.max_raft_state;
            run_kv(body.script, KvSetting { servers: scenario.peers, max_raft_state, disk, seed }, traced)
        }
    }
}

/// What the script comes to, unless it takes too long: it may wait for what never happens.
async fn in_time<T>(sim: &Sim, script: impl Future<Output = T>) -> Result<T, String> {
    match race(script, sim.sleep(LONGEST)).await {
        First::Left(value) => Ok(value),
        First::Right(()) => Err(format!("it took more than {LONGEST:?}")),
    }
}

fn run_kv(script: KvScript, setting: KvSetting, traced: bool) -> (Outcome, Option<Trace>) {
    let made: Rc<OnceCell<(KvLab, Option<Tracer>)>> = Rc::default();
    let kept = made.clone();
    let lived = catch_unwind(AssertUnwindSafe(|| {
        Sim::run(move |sim| async move {
            let tracer = traced.then(|| Tracer::new(&sim, setting.servers));
            let lab = KvLab::new(&sim, setting, tracer.clone());
            let _ = kept.set((lab.clone(), tracer));
            match in_time(&sim, script.run(lab.clone())).await {
                Ok(()) => lab.check_end().await,
                Err(late) => lab.fail(late).await,
            }
        })
    }));
    let (lab, tracer) = made.get().expect("the servers are made first of all");
    let failure = failure_of(lived, || lab.now());
    let sections = lab.sections();
    // What comes before the first printed test and behind the last is left out.
    let figures = match &failure {
        Some(_) => lab.figures(),
        None => sections.iter().fold(Figures::default(), |sum, section| sum.and(section)),
    };
    let violated = lab.watch().borrow().violated();
    lab.clean_up();
    let outcome = Outcome { figures, sections, leaderless: Vec::new(), failure, violated };
    (outcome, tracer.as_ref().map(Tracer::trace))
}

/// What went wrong, if anything did: the run may have panicked too.
fn failure_of(
    lived: std::thread::Result<Result<(), Failure>>,
    now: impl Fn() -> Duration,
) -> Option<Failure> {
    match lived {
        Ok(result) => result.err(),
        Err(panic) => Some(Failure { at: now(), what: format!("{ASSERTION}: {}", panic_text(&*panic)) }),
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
            match setting.edition {
                Edition::Course => {
                    if let Err(late) = in_time(&sim, script(lab.clone())).await {
                        lab.fail(late).await;
                    }
                }
                Edition::Y2016 => script(lab.clone()).await,
            }
        })
    }));
    let (lab, tracer) = made.get().expect("the servers are made first of all");
    let failure = failure_of(lived, || lab.now());
    let figures = Figures {
        time: lab.now(),
        rpcs: lab.rpcs_total(),
        pre_votes: lab.pre_votes_total(),
        bytes: lab.bytes_total(),
        committed: lab.records().borrow().max_index(),
        operations: 0,
    };
    let leaderless = lab.monitor().borrow().times().to_vec();
    let violated = lab.watch().borrow().violated();
    lab.clean_up();
    let outcome = Outcome { figures, sections: Vec::new(), leaderless, failure, violated };
    (outcome, tracer.as_ref().map(Tracer::trace))
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_answers_nobody_fails_its_run() {
        let script = KvScript::Own(|lab| {
            Box::pin(async move {
                lab.all().into_iter().for_each(|i| lab.shutdown_server(i));
                lab.make_clerk(&lab.all()).get("k").await;
            })
        });
        let setting = KvSetting { servers: 3, max_raft_state: None, disk: DiskKind::Fast, seed: 1 };
        let failure = run_kv(script, setting, false).0.failure.expect("nobody answers");
        assert_eq!((failure.at, failure.what.as_str()), (LONGEST, "it took more than 120s"));
    }
}
