//! What really happened; a run without it would have tested nothing.

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Happened(BTreeMap<&'static str, u64>);

/// What must have happened, and in all runs together at least so often.
const MUST_HAPPEN: [(&str, u64); 20] = [
    ("messages lost", 1000),
    ("messages repeated", 1000),
    ("messages overtaken", 1000),
    ("power losses", 500),
    ("writes lost", 500),
    ("leaders", 300),
    ("entries committed", 3000),
    ("reads granted", 500),
    ("logs cut", 100),
    ("compactions", 1000),
    ("compactions in vain", 1000),
    ("entries retained", 1000),
    ("snapshots sent", 150),
    ("snapshots said to be lost", 100),
    ("snapshots restored", 150),
    ("snapshots too late", 100),
    ("snapshots on a log that has their end", 10),
    ("snapshots newer than the log", 30),
    ("snapshots under load", 200),
    ("crashes behind an installation", 300),
];

impl Happened {
    pub(crate) fn count(&mut self, what: &'static str, times: u64) {
        assert!(MUST_HAPPEN.iter().any(|&(name, _)| name == what), "nobody expects '{what}'");
        *self.0.entry(what).or_default() += times;
    }

    pub(crate) fn add_all(&mut self, other: Self) {
        other.0.into_iter().for_each(|(what, times)| self.count(what, times));
    }

    pub(crate) fn must_be_enough(&self) {
        for (what, least) in MUST_HAPPEN {
            let times = self.0.get(what).copied().unwrap_or(0);
            assert!(times >= least, "too little happened: {what}, {times} times");
        }
    }
}
