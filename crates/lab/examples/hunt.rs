//! What the laboratory sees of a mistake: every scenario on both kinds of disk, seed by seed, the short scenarios
//! first, as far as the time reaches.
//!
//! `cargo run -p bowline-lab --example hunt -- --seconds 40` prints a line for each scenario that failed, and for
//! each property that was violated: `CAUGHT name | failing runs of runs | the first of them | what was seen`. With
//! `--parts kv` it keeps to the parts whose names begin so.

use std::time::Duration;

use bowline_lab::batch::Job;
use bowline_lab::run::Outcome;
use bowline_lab::scenario::{self, Body, Scenario};
use bowline_sim::host::DiskKind;
use bowline_sim::hunt::{ASSERTION, Finding, Limits, Run, hunt};

fn main() {
    let (time, parts) = options();
    let is_wanted = |scenario: &&Scenario| scenario.has_disks() && scenario.part.name().starts_with(&parts);
    let mut scenarios: Vec<&'static Scenario> = scenario::all().filter(is_wanted).collect();
    scenarios.sort_by(|a, b| length(a).total_cmp(&length(b)));
    let a_round = 2 * scenarios.len() as u64;
    let limits = Limits { time, enough: (100, 5 * a_round), patience: Duration::from_secs(20) };
    let runs = (0..).flat_map(move |seed| {
        let scenarios = scenarios.clone();
        scenarios.into_iter().flat_map(move |scenario| {
            [DiskKind::Fast, DiskKind::Slow].map(|disk| run(Job { scenario, disk, seed }))
        })
    });
    print!("{}", hunt(runs, limits));
}

/// How long it may take, and how the names of the parts begin.
fn options() -> (Duration, String) {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (seconds, parts) = match words[..] {
        [] => ("40", ""),
        ["--seconds", seconds] => (seconds, ""),
        ["--seconds", seconds, "--parts", parts] => (seconds, parts),
        _ => panic!("{words:?}: only --seconds and then --parts are known"),
    };
    (Duration::from_secs(seconds.parse().expect("a number of seconds")), parts.to_owned())
}

/// About how long the course's own servers take for it.
fn length(scenario: &Scenario) -> f64 {
    if let Body::Kv(kv) = scenario.body {
        return kv.seed_003.iter().map(|line| line.seconds).sum();
    }
    scenario.seed_002.or(scenario.seed_001).map_or(f64::INFINITY, |line| line.seconds)
}

fn run(job: Job) -> Run {
    let Job { scenario, disk, seed } = job;
    let body = move || findings(scenario, job.run());
    Run { kind: scenario.name, label: format!("seed {seed}, {disk} disk"), body: Box::new(body) }
}

/// A violated property is known by its own name, anything else by the scenario's.
fn findings(scenario: &Scenario, outcome: Outcome) -> Vec<Finding> {
    let Some(failure) = outcome.failure else { return Vec::new() };
    let is_assertion = failure.what.starts_with(ASSERTION);
    let name = if is_assertion { ASSERTION } else { outcome.violated.unwrap_or(scenario.name) };
    vec![Finding { name: name.to_owned(), what: format!("{}, {failure}", scenario.name) }]
}
