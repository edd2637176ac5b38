//! What has really happened in a run: a fault that was planned and never came tests nothing.

use std::collections::BTreeMap;
use std::fmt;

/// Counts by name.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    counts: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// It has happened so many times more.
    pub fn add(&mut self, name: &'static str, times: u64) {
        *self.counts.entry(name).or_default() += times;
    }

    /// What another run counted.
    pub fn merge(&mut self, other: &Tally) {
        for (name, times) in &other.counts {
            self.add(name, *times);
        }
    }

    /// What was thought of and never happened.
    pub fn never(&self) -> Vec<&'static str> {
        self.counts.iter().filter(|(_, times)| **times == 0).map(|(name, _)| *name).collect()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.counts.iter().try_for_each(|(name, times)| writeln!(f, "{times:>10}  {name}"))
    }
}
