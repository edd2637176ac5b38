//! Three replicas, crashes of one, of a majority and of all at once: no acknowledged write is lost, and nothing
//! goes back that was durable or that another node was told.
//!
//! A thousand fixed seeds. `BOWLINE_SEED=17 cargo test -p bowline-sim --test crash` runs the world of seed 17
//! alone, and prints how it went.

use std::collections::BTreeMap;
use std::fmt::Write;

use bowline_sim::tally::Tally;
use bowline_sim::world::{Report, run};

const SEEDS: u64 = 1000;
const PARTS: u64 = 4;
/// How much of a timeline is printed.
const LINES: usize = 80;

fn part(number: u64) {
    if let Ok(seed) = std::env::var("BOWLINE_SEED") {
        if number == 0 {
            one(seed.parse().expect("BOWLINE_SEED is a number"));
        }
        return;
    }
    let reports: Vec<Report> =
        (0..SEEDS).filter(|seed| seed % PARTS == number).map(|seed| run(seed, 0)).collect();
    let mut tally = Tally::default();
    reports.iter().for_each(|report| tally.merge(&report.tally));
    let bad: Vec<&Report> = reports.iter().filter(|report| !report.violations.is_empty()).collect();
    if let Some(first) = bad.first() {
        let timeline = run(first.seed, LINES).timeline;
        panic!("{timeline}\n{}", summary(&bad));
    }
    println!("what really happened in {} worlds:\n{tally}", reports.len());
    assert_eq!(tally.never(), Vec::<&str>::new(), "these faults never came, and nothing was tested by them");
}

/// A line for each property: in how many worlds it was violated, and the first of them.
fn summary(bad: &[&Report]) -> String {
    let mut properties: BTreeMap<&str, (usize, &Report)> = BTreeMap::new();
    for report in bad {
        for violation in &report.violations {
            properties.entry(violation.property).or_insert((0, report)).0 += 1;
        }
    }
    let mut text = format!("{} worlds went wrong:\n", bad.len());
    for (property, (count, report)) in properties {
        let what = report.violations.iter().find(|violation| violation.property == property).map(|v| &v.what);
        let what = what.expect("it is one of its violations");
        let seed = report.seed;
        writeln!(text, "VIOLATED {property} | {count} worlds | BOWLINE_SEED={seed} | {what}")
            .expect("a string");
    }
    text += "The first of them again, with its timeline: BOWLINE_SEED=";
    writeln!(text, "{} cargo test -p bowline-sim --test crash -- --nocapture", bad[0].seed)
        .expect("a string");
    text
}

fn one(seed: u64) {
    let Report { violations, tally, timeline, .. } = run(seed, LINES);
    println!("{timeline}\n{tally}");
    assert_eq!(violations, []);
}

#[test]
fn worlds_0() {
    part(0);
}

#[test]
fn worlds_1() {
    part(1);
}

#[test]
fn worlds_2() {
    part(2);
}

#[test]
fn worlds_3() {
    part(3);
}

#[test]
fn a_world_is_the_same_every_time() {
    for seed in 0..3 {
        assert_eq!(run(seed, 5000).timeline, run(seed, 5000).timeline);
    }
}
