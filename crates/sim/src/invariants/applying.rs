//! A state machine is handed every entry once in each life, in order, from the first on (paper section 5.3), and
//! none before it is on the node's own disk: what was applied must not be missing after a restart.

use bowline_raft::{Entry, Index, NodeId};

use super::durability::Ledger;
use super::{Verdict, ensure};

/// How far a state machine has come in its present life.
#[derive(Clone, Copy, Debug, Default)]
pub struct Applying {
    last: Index,
}

impl Applying {
    /// The state machine is handed the next entry.
    pub fn handed(&mut self, id: NodeId, entry: &Entry, ledger: &Ledger) -> Verdict {
        let last = std::mem::replace(&mut self.last, entry.id.index);
        ensure(entry.id.index == last + 1, "applied once and in order", || {
            format!("node {id} applies {} behind index {last}", entry.id)
        })?;
        ensure(ledger.id_at(entry.id.index) == Some(entry.id), "applied before durable", || {
            format!("node {id} applies {}, which its own disk does not hold", entry.id)
        })
    }
}
