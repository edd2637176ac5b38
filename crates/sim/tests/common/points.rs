//! The crash points that a test has tried, as docs/crash-points.md lists them.

use std::collections::BTreeMap;
use std::fmt;

use bowline_sim::disk::Operation;

/// How many crash points there are of each kind, and how many states of the disk were tried there: by what was under
/// way, and the operation that the crash has stopped.
pub(crate) struct Table<Step>(BTreeMap<(Step, Operation), (usize, usize)>);

impl<Step: Copy + Ord + fmt::Display> Table<Step> {
    pub(crate) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// One crash point.
    pub(crate) fn count(&mut self, step: Step, operation: Operation, states: usize) {
        let (points, tried) = self.0.entry((step, operation)).or_default();
        *points += 1;
        *tried += states;
    }

    /// How many states were tried in all.
    pub(crate) fn states(&self) -> usize {
        self.0.values().map(|(_, states)| states).sum()
    }

    /// The steps that have crash points.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps: Vec<Step> = self.0.keys().map(|(step, _)| *step).collect();
        steps.dedup();
        steps
    }

    pub(crate) fn print(&self, title: &str) {
        println!(
            "\n## {title}\n\n| under way | stopped at | crash points | states tried |\n|---|---|---:|---:|"
        );
        for ((step, operation), (points, tried)) in &self.0 {
            println!("| {step} | {operation} | {points} | {tried} |");
        }
        let points: usize = self.0.values().map(|(points, _)| points).sum();
        println!("| in all | | {points} | {} |", self.states());
    }
}
