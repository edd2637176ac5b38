//! What a person reads: the seeds' own lines, and the table of many runs.

use std::fmt::Write;
use std::time::Duration;

use bowline_sim::host::DiskKind;

use crate::batch::Job;
use crate::picture::{Heading, Verdict};
use crate::run::{Figures, Outcome};
use crate::scenario::{Line, Scenario};

/// The lines of one run: the title, and what came of it, with the seeds' own figures beside it.
pub fn lines(job: &Job, outcome: &Outcome) -> String {
    let scenario = job.scenario;
    let mut text = format!("{} ...\n", scenario.title);
    let Some(failure) = &outcome.failure else {
        let _ = writeln!(text, "  ... Passed --{}{}", figures(scenario, &outcome.figures), references(job));
        return text;
    };
    let _ = writeln!(text, "  ... FAILED -- after {:.3} s: {}", failure.at.as_secs_f64(), failure.what);
    let _ = writeln!(text, "      again: {}", again(job));
    text
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
    "    seconds, peers, RPCs, bytes, committed; pre-vote calls apart | the same as the seeds print it\n"
}

/// What stands above the picture of a run.
pub fn heading(job: &Job, outcome: &Outcome) -> Heading {
    let verdict = match &outcome.failure {
        None => Verdict::Passed(figures(job.scenario, &outcome.figures)),
        Some(failure) => Verdict::Failed(failure.to_string()),
    };
    Heading { title: job.scenario.title.to_owned(), reproduce: again(job), verdict }
}

fn figures(scenario: &Scenario, figures: &Figures) -> String {
    let Figures { time, rpcs, pre_votes, bytes, committed } = figures;
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

    /// A line of the table.
    pub fn line(&self, scenario: &Scenario, disk: DiskKind) -> String {
        let runs = self.passed.len() + self.failures;
        let mut text = format!("{:<32} {disk} {runs:>6} {:>6}", scenario.name, self.failures);
        let figure = |of: fn(&Figures) -> u64| median_and_worst(self.passed.iter().map(of).collect());
        let seconds = median_and_worst(self.passed.iter().map(|f| f.time).collect());
        let _ = write!(text, "  {:>6.1} {:>6.1}", seconds.0.as_secs_f64(), seconds.1.as_secs_f64());
        if !scenario.has_disks() {
            return text;
        }
        let (rpcs, worst_rpcs) = figure(|f| f.rpcs);
        let reference = scenario.seed_002.filter(|_| disk == DiskKind::Fast).map(|line| line.rpcs);
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
        text
    }

    /// What stands above the table.
    pub fn header() -> String {
        let upper = "                                                         seconds            RPCs          pre-votes  \
                     bytes                committed    no leader/ms";
        let lower = "scenario                         disk   runs failed  median  worst  median  worst ratio  median worst  \
                        median     worst  median worst  median  worst";
        format!("{upper}\n{lower}\n")
    }
}

/// The middle one, and the largest. Zero without any.
fn median_and_worst<T: Ord + Copy + Default>(mut values: Vec<T>) -> (T, T) {
    values.sort_unstable();
    let median = values.get(values.len() / 2).copied().unwrap_or_default();
    (median, values.last().copied().unwrap_or_default())
}
