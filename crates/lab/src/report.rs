//! What a person reads: the seeds' own lines, and the table of many runs.

use std::fmt::Write;
use std::time::Duration;

use bowline_sim::executor::Failure;
use bowline_sim::host::DiskKind;

use crate::batch::Job;
use crate::picture::{Heading, Verdict};
use crate::run::{Figures, Outcome};
use crate::scenario::{Body, KvLine, Line, Scenario};

/// The lines of one run: the title, and what came of it, with the seeds' own figures beside it.
pub fn lines(job: &Job, outcome: &Outcome) -> String {
    let scenario = job.scenario;
    if let Body::Kv(kv) = scenario.body {
        return kv_lines(job, outcome, kv.seed_003);
    }
    let mut text = format!("{} ...\n", scenario.title);
    let Some(failure) = &outcome.failure else {
        let _ = writeln!(text, "  ... Passed --{}{}", figures(scenario, &outcome.figures), references(job));
        return text;
    };
    put_failure(&mut text, job, failure);
    text
}

fn put_failure(text: &mut String, job: &Job, failure: &Failure) {
    let _ = writeln!(text, "  ... FAILED -- after {:.3} s: {}", failure.at.as_secs_f64(), failure.what);
    let _ = writeln!(text, "      again: {}", again(job));
}

/// A script of the key/value service may print several tests. What went wrong did so in the one that had not
/// ended.
fn kv_lines(job: &Job, outcome: &Outcome, tests: &[KvLine]) -> String {
    let mut text = String::new();
    let own = KvLine { title: job.scenario.title, seconds: 0.0, rpcs: 0, operations: 0 };
    let tests = if tests.is_empty() { std::slice::from_ref(&own) } else { tests };
    for (at, test) in tests.iter().enumerate() {
        let _ = writeln!(text, "{} ...", test.title);
        // What holds of the whole run is looked at behind the last of them.
        let may_have_failed = outcome.failure.is_some() && at + 1 == tests.len();
        if let Some(section) = outcome.sections.get(at).filter(|_| !may_have_failed) {
            let mine = kv_figures(job.scenario, section);
            let _ = writeln!(text, "  ... Passed --{mine}{}", kv_reference(job, test));
        } else {
            let failure = outcome.failure.as_ref().expect("a script that passes ends all its tests");
            put_failure(&mut text, job, failure);
            break;
        }
    }
    text
}

fn kv_figures(scenario: &Scenario, figures: &Figures) -> String {
    let Figures { time, rpcs, operations, pre_votes, .. } = figures;
    format!(" {:5.1} {:2} {rpcs:6} {operations:5}  +{pre_votes:<4}", time.as_secs_f64(), scenario.peers)
}

fn kv_reference(job: &Job, test: &KvLine) -> String {
    let KvLine { seconds, rpcs, operations, .. } = test;
    if job.disk == DiskKind::Slow || *rpcs == 0 {
        return String::new();
    }
    format!(" | seed 003: {seconds} {} {rpcs} {operations}", job.scenario.peers)
}

/// The command that makes this run again.
pub fn again(job: &Job) -> String {
    let disk = match job.disk {
        DiskKind::Fast => "",
        DiskKind::Slow => " --disk slow",
    };
    format!("bowline lab {} --seed {}{disk}", job.scenario.name, job.seed)
}

/// What stands above the lines of single runs.
pub fn legend() -> &'static str {
    "    seconds, peers, RPCs, bytes, committed (key/value: seconds, peers, RPCs, operations); pre-vote calls apart | the \
     same as the seeds print it\n"
}

/// What stands above the picture of a run.
pub fn heading(job: &Job, outcome: &Outcome) -> Heading {
    let verdict = match &outcome.failure {
        None if outcome.sections.is_empty() => Verdict::Passed(figures(job.scenario, &outcome.figures)),
        None => Verdict::Passed(kv_figures(job.scenario, &outcome.figures)),
        Some(failure) => Verdict::Failed(failure.to_string()),
    };
    Heading { title: job.scenario.title.to_owned(), reproduce: again(job), verdict }
}

fn figures(scenario: &Scenario, figures: &Figures) -> String {
    let Figures { time, rpcs, pre_votes, bytes, committed, .. } = figures;
    let seconds = time.as_secs_f64();
    if !scenario.has_disks() {
        return format!(" {seconds:5.1}");
    }
    let peers = scenario.peers;
    format!(" {seconds:5.1} {peers:2} {rpcs:6} {bytes:9} {committed:5}  +{pre_votes:<4}")
}

/// There are none for a slow disk: the seeds' persister takes no time.
fn references(job: &Job) -> String {
    let named = [("002", job.scenario.seed_002), ("001", job.scenario.seed_001)];
    let mut text = String::new();
    for (seed, line) in named {
        if let Some(Line { seconds, peers, rpcs, bytes, committed }) =
            line.filter(|_| job.disk == DiskKind::Fast)
        {
            let _ = write!(text, " | seed {seed}: {seconds} {peers} {rpcs} {bytes} {committed}");
        }
    }
    text
}

/// All runs of one scenario on one kind of disk.
#[derive(Debug, Default)]
pub struct Summary {
    passed: Vec<Figures>,
    failures: usize,
    leaderless: Vec<Duration>,
}

impl Summary {
    /// Counts a run.
    pub fn add(&mut self, outcome: &Outcome) {
        if outcome.failure.is_some() {
            self.failures += 1;
        } else {
            self.passed.push(outcome.figures);
        }
        self.leaderless.extend(&outcome.leaderless);
    }

    /// How many runs failed.
    pub fn failures(&self) -> usize {
        self.failures
    }

    /// A line of the table, with the name in a column of this width.
    pub fn line(&self, scenario: &Scenario, disk: DiskKind, width: usize) -> String {
        let runs = self.passed.len() + self.failures;
        let mut text = format!("{:<width$} {disk} {runs:>6} {:>6}", scenario.name, self.failures);
        let figure = |of: fn(&Figures) -> u64| median_and_worst(self.passed.iter().map(of).collect());
        let seconds = median_and_worst(self.passed.iter().map(|f| f.time).collect());
        let _ = write!(text, "  {:>6.1} {:>6.1}", seconds.0.as_secs_f64(), seconds.1.as_secs_f64());
        if !scenario.has_disks() {
            return text;
        }
        let (rpcs, worst_rpcs) = figure(|f| f.rpcs);
        let reference = scenario.reference_rpcs().filter(|_| disk == DiskKind::Fast);
        let ratio = reference.map_or("-".to_string(), |of| format!("{:.2}", rpcs as f64 / of as f64));
        let _ = write!(text, "  {rpcs:>6} {worst_rpcs:>6} {ratio:>5}");
        let (pre_votes, worst_pre_votes) = figure(|f| f.pre_votes);
        let _ = write!(text, "  {pre_votes:>5} {worst_pre_votes:>5}");
        let (bytes, worst_bytes) = figure(|f| f.bytes);
        let _ = write!(text, "  {bytes:>9} {worst_bytes:>9}");
        let (committed, worst_committed) = figure(|f| f.committed);
        let _ = write!(text, "  {committed:>5} {worst_committed:>5}");
        let (leaderless, longest) = median_and_worst(self.leaderless.clone());
        let _ = write!(text, "  {:>6} {:>6}", leaderless.as_millis(), longest.as_millis());
        let (operations, _) = figure(|f| f.operations);
        if operations > 0 {
            let (rpcs, _) = figure(|f| 100 * f.rpcs / f.operations.max(1));
            let reference = scenario.reference_rpcs_per_operation().filter(|_| disk == DiskKind::Fast);
            let of_seed = reference.map_or("-".to_string(), |rpcs| format!("{rpcs:.2}"));
            let _ = write!(text, "  {operations:>6} {:>5.2} {of_seed:>5}", rpcs as f64 / 100.0);
        }
        text
    }

    /// What stands above the table.
    pub fn header(width: usize) -> String {
        let (none, scenario) = ("", "scenario");
        let upper = "                        seconds            RPCs          pre-votes  bytes                committed    no leader/ms     \
                     operations, RPCs each";
        let lower = "disk   runs failed  median  worst  median  worst ratio  median worst  median     worst  median worst  median  \
                     worst  median  here  seed";
        format!("{none:<width$} {upper}\n{scenario:<width$} {lower}\n")
    }
}

/// How wide the column of the names must be.
pub fn name_width(jobs: &[Job]) -> usize {
    jobs.iter().map(|job| job.scenario.name.len()).max().unwrap_or(0).max(32)
}

/// The middle one, and the largest. Zero without any.
fn median_and_worst<T: Ord + Copy + Default>(mut values: Vec<T>) -> (T, T) {
    values.sort_unstable();
    let median = values.get(values.len() / 2).copied().unwrap_or_default();
    (median, values.last().copied().unwrap_or_default())
}
