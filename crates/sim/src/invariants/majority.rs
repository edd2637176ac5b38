//! What is committed is on the disks of a majority (paper section 5.4), and on none of them is it ever replaced.

use std::collections::BTreeMap;

use bowline_raft::{Entry, Index, LogId, NodeId};

use super::durability::Ledger;
use super::{Verdict, ensure, place};

/// These entries have just been committed.
pub fn committed(new: &[Entry], disks: &BTreeMap<NodeId, Ledger>) -> Verdict {
    for entry in new {
        let copies = disks.values().filter(|disk| disk.id_at(entry.id.index) == Some(entry.id)).count();
        ensure(copies > disks.len() / 2, "on a majority of disks", || {
            format!("{} is committed, and on {copies} of {} disks", entry.id, disks.len())
        })?;
    }
    Ok(())
}

/// A disk's log is another one than before behind `kept`; `before` were the entries there.
pub fn replaced(id: NodeId, kept: Index, before: &[LogId], now: &Ledger, committed: &[Entry]) -> Verdict {
    for (index, before) in (kept + 1..).zip(before) {
        let was_committed = committed.get(place(index)).is_some_and(|entry| entry.id == *before);
        ensure(!was_committed || now.id_at(index) == Some(*before), "committed stays on disk", || {
            format!("node {id} had the committed entry {before} on its disk, and has it no longer")
        })?;
    }
    Ok(())
}
