//! As many runs as there is time for, on all cores, and what went wrong in them how often.
//!
//! For the ledger of deliberate mistakes: there it is not asked whether all is well, but what sees the mistake.
//! A mistake may also keep a run from ever ending. So the time here is real time: a hunt ends when it is up,
//! and leaves behind what is still running, to end with the process.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The name under which a panic is counted: the core checks itself, and stops when something is wrong.
pub const ASSERTION: &str = "assertion";

/// The name under which a run is counted that takes longer than [`Limits::patience`].
pub const ENDLESS: &str = "a run ends";

/// One thing to run.
pub struct Run {
    /// What kind of run it is, such as the name of a scenario.
    pub kind: &'static str,
    /// What runs it again, such as its seed.
    pub label: String,
    /// Runs it; gives back what went wrong.
    pub body: Box<dyn FnOnce() -> Vec<Finding> + Send>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("kind", &self.kind).field("label", &self.label).finish_non_exhaustive()
    }
}

/// Something that went wrong in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What saw it: a property, or the kind of the run.
    pub name: String,
    /// What was seen.
    pub what: String,
}

/// When a hunt ends, if it does not run out of runs before.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// After this real time.
    pub time: Duration,
    /// After so many findings, in at least so many runs.
    pub enough: (u64, u64),
    /// A run that takes longer than this real time counts as a finding. Far more than any takes.
    pub patience: Duration,
}

/// What was found under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catch {
    /// What saw it.
    pub name: String,
    /// In how many runs.
    pub failing: u64,
    /// Of how many: those of the kind that has this name, or all.
    pub runs: u64,
    /// The earliest of those runs.
    pub first: String,
    /// What was seen there.
    pub what: String,
}

impl fmt::Display for Catch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, failing, runs, first, what } = self;
        let what = what.replace(['\n', '|'], " ");
        write!(f, "CAUGHT {name} | {failing} of {runs} | {first} | {what}")
    }
}

/// What came of a hunt.
#[derive(Clone, Debug)]
pub struct Bag {
    /// How many runs have ended.
    pub runs: u64,
    /// What was found, the most frequent first.
    pub catches: Vec<Catch>,
}

impl fmt::Display for Bag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.catches.iter().try_for_each(|found| writeln!(f, "{found}"))?;
        writeln!(f, "RUNS {}", self.runs)
    }
}

type Runs = Arc<Mutex<dyn Iterator<Item = Run> + Send>>;

enum Event {
    Began { number: u64, kind: &'static str, label: String },
    Ended { number: u64, findings: Vec<Finding> },
}

/// Takes the runs one after the other.
pub fn hunt(runs: impl Iterator<Item = Run> + Send + 'static, limits: Limits) -> Bag {
    let began = Instant::now();
    let numbered: Arc<Mutex<u64>> = Arc::default();
    let runs: Runs = Arc::new(Mutex::new(runs));
    let (sender, events) = channel();
    for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
        let (numbered, runs, sender) = (numbered.clone(), runs.clone(), sender.clone());
        thread::spawn(move || work(&numbered, &runs, &sender));
    }
    drop(sender);
    let mut found = Found::default();
    while found.findings < limits.enough.0 || found.runs() < limits.enough.1 {
        let left = limits.time.saturating_sub(began.elapsed());
        match events.recv_timeout(left) {
            Ok(Event::Began { number, kind, label }) => {
                found.under_way.insert(number, (kind, label, Instant::now()));
            }
            Ok(Event::Ended { number, findings }) => found.ended(number, findings),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
        }
    }
    found.give_up(limits.patience);
    found.bag()
}

/// Runs one after the other, until there are none or nobody listens.
fn work(numbered: &Mutex<u64>, runs: &Runs, events: &Sender<Event>) {
    loop {
        let (number, run) = {
            let mut runs = runs.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(run) = runs.next() else { return };
            let mut number = numbered.lock().unwrap_or_else(PoisonError::into_inner);
            *number += 1;
            (*number, run)
        };
        let Run { kind, label, body } = run;
        if events.send(Event::Began { number, kind, label }).is_err() {
            return;
        }
        let findings = catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
            vec![Finding { name: ASSERTION.into(), what: text.unwrap_or_default() }]
        });
        if events.send(Event::Ended { number, findings }).is_err() {
            return;
        }
    }
}

#[derive(Default)]
struct Found {
    under_way: BTreeMap<u64, (&'static str, String, Instant)>,
    runs_of: BTreeMap<&'static str, u64>,
    findings: u64,
    /// By name: in how many runs, the earliest of them, and what was seen there.
    names: BTreeMap<String, (u64, u64, String, String)>,
}

impl Found {
    fn runs(&self) -> u64 {
        self.runs_of.values().sum()
    }

    fn ended(&mut self, number: u64, findings: Vec<Finding>) {
        let (kind, label, _) = self.under_way.remove(&number).expect("it began");
        *self.runs_of.entry(kind).or_default() += 1;
        self.findings += findings.len() as u64;
        for Finding { name, what } in findings {
            let (failing, first, its_label, its_what) =
                self.names.entry(name).or_insert((0, u64::MAX, String::new(), String::new()));
            *failing += 1;
            if number < *first {
                (*first, *its_label, *its_what) = (number, label.clone(), what);
            }
        }
    }

    /// What has been running for too long will never end.
    fn give_up(&mut self, patience: Duration) {
        let endless = self.under_way.iter().filter(|(_, (_, _, since))| since.elapsed() > patience);
        let endless: Vec<(u64, &'static str)> =
            endless.map(|(number, (kind, _, _))| (*number, *kind)).collect();
        for (number, kind) in endless {
            let what = format!("{kind} has not ended after {patience:?}");
            self.ended(number, vec![Finding { name: ENDLESS.into(), what }]);
        }
    }

    fn bag(self) -> Bag {
        let runs = self.runs();
        let runs_of = self.runs_of;
        let catches = self.names.into_iter().map(|(name, (failing, _, first, what))| {
            let runs = runs_of.get(name.as_str()).copied().unwrap_or(runs);
            Catch { name, failing, runs, first, what }
        });
        let mut catches: Vec<Catch> = catches.collect();
        catches.sort_by_key(|found| std::cmp::Reverse(found.failing));
        Bag { runs, catches }
    }
}

#[cfg(test)]
mod tests;
