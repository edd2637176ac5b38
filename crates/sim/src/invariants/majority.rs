//! What is committed is on the disks of a majority (paper section 5.4), and on none of them is it ever replaced.

use std::collections::BTreeMap;

use bowline_raft::{Entry, LogId, NodeId};

use super::durability::Ledger;
use super::{Verdict, ensure, place};

/// These entries have just been committed.
pub fn committed(new: &[Entry], disks: &BTreeMap<NodeId, Ledger>) -> Verdict {
    for entry in new {
        let copies = disks.values().filter(|disk| disk.has(entry.id)).count();
        ensure(copies > disks.len() / 2, "on a majority of disks", || {
            format!("{} is committed, and on {copies} of {} disks", entry.id, disks.len())
        })?;
    }
    Ok(())
}

/// These entries were on a disk, and are no longer.
pub fn gone(id: NodeId, gone: &[LogId], committed: &[Entry]) -> Verdict {
    for lost in gone {
        let was_committed = committed.get(place(lost.index)).is_some_and(|entry| entry.id == *lost);
        ensure(!was_committed, "committed stays on disk", || {
            format!("node {id} had the committed entry {lost} on its disk, and has it no longer")
        })?;
    }
    Ok(())
}
