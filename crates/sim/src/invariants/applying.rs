//! A state machine is handed every entry once in each life, in order, from the first on (paper section 5.3), and
//! none before it is on the node's own disk: what was applied must not be missing after a restart.

use bowline_raft::{Entry, Index, LogId, NodeId};

use super::durability::Ledger;
use super::{Verdict, ensure};

/// How far a state machine has come in its present life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applying {
    last: Index,
}

impl Applying {
    /// A state machine that begins with what a snapshot holds.
    pub fn begin(snapshot: LogId) -> Self {
        Self { last: snapshot.index }
    }

    /// The state machine is handed a snapshot, which takes it further.
    pub fn restored(&mut self, id: NodeId, snapshot: LogId, ledger: &Ledger) -> Verdict {
        let last = std::mem::replace(&mut self.last, snapshot.index);
        ensure(snapshot.index > last, "applied once and in order", || {
            format!("node {id} is set back from index {last} by a snapshot up to {snapshot}")
        })?;
        ensure(ledger.has(snapshot), "applied before durable", || {
            format!("node {id} restores a snapshot up to {snapshot}, which its own disk does not hold")
        })
    }

    /// The state machine is handed the next entry.
    pub fn handed(&mut self, id: NodeId, entry: &Entry, ledger: &Ledger) -> Verdict {
        let last = std::mem::replace(&mut self.last, entry.id.index);
        ensure(entry.id.index == last + 1, "applied once and in order", || {
            format!("node {id} applies {} behind index {last}", entry.id)
        })?;
        ensure(ledger.has(entry.id), "applied before durable", || {
            format!("node {id} applies {}, which its own disk does not hold", entry.id)
        })
    }
}
