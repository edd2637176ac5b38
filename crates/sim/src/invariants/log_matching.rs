//! Log Matching: if two logs contain an entry with the same index and term, then the logs are identical in
//! all entries up through the given index (paper, Figure 3; section 5.3).
//!
//! Checked as the paper proves it, by induction: an index and a term name one payload and one entry in front.

use std::collections::BTreeMap;

use bowline_raft::{Entry, LogId, Node, NodeId};
use bytes::Bytes;

use super::{Verdict, ensure};

/// Every entry that was ever in a log.
#[derive(Debug, Default)]
pub struct LogMatching {
    /// What is in front of it, and what it carries.
    entries: BTreeMap<LogId, (LogId, Bytes)>,
}

impl LogMatching {
    /// These entries are now in the node's log.
    pub fn written(&mut self, node: &Node, entries: &[Entry]) -> Verdict {
        let Some(first) = entries.first() else { return Ok(()) };
        let mut previous = node.entry(first.id.index - 1).map_or(node.snapshot(), |entry| entry.id);
        for entry in entries {
            self.holds(node.id(), previous, entry)?;
            previous = entry.id;
        }
        Ok(())
    }

    fn holds(&mut self, id: NodeId, previous: LogId, entry: &Entry) -> Verdict {
        let (front, payload) =
            self.entries.entry(entry.id).or_insert_with(|| (previous, entry.payload.clone()));
        ensure(*front == previous && *payload == entry.payload, "log matching", || {
            format!(
                "node {id} has another {} behind {previous} than one that stands behind {front}",
                entry.id
            )
        })
    }
}
