//! Snapshot files that are newer than what the log names.
//!
//! A snapshot becomes durable before the write that names it, so a crash in between leaves such a file. It holds
//! only what is committed, whoever made it, so it is taken as one that was just installed. That also makes good
//! a last write that was damaged, if it was the one that named a snapshot.

use std::collections::BTreeSet;

use bowline_raft::{GroupId, HardState, LogId, SnapshotWrite, Write};
use bytes::Bytes;

use super::WalError;
use super::files::Files;
use super::group::{Group, Groups};
use crate::disk::Disk;
use crate::snapshot::{self, SnapshotError, UnusableSnapshot};

/// What came of it.
#[derive(Default)]
pub(super) struct Adopted {
    /// What the log must say from now on.
    pub(super) writes: Vec<(GroupId, Write)>,
    pub(super) unusable: Vec<UnusableSnapshot>,
}

/// Brings the groups up to the newest snapshots that there are. Whatever is named, by the log or from now on, is
/// there; only what is adopted has been read whole.
pub(super) fn adopt<D: Disk>(files: &Files<D>, groups: &mut Groups) -> Result<Adopted, WalError> {
    let mut adopted = Adopted::default();
    let finished = snapshot::finished(&files.disk)?;
    let ids: BTreeSet<GroupId> =
        groups.keys().copied().chain(finished.iter().map(|(group, _)| *group)).collect();
    for id in ids {
        let named = groups.get(&id).map_or(LogId::ZERO, |group| group.snapshot);
        let mut newer: Vec<LogId> = finished
            .iter()
            .filter(|(group, last)| *group == id && last.index > named.index)
            .map(|(_, last)| *last)
            .collect();
        newer.sort_unstable_by_key(|last| last.index);
        match newest_intact(files, id, newer, &mut adopted.unusable)? {
            Some(last) => {
                let write = bring_up(groups.entry(id).or_default(), last);
                adopted.writes.extend(write.map(|write| (id, write)));
            }
            None if named != LogId::ZERO => snapshot::check(&files.disk, files.config.cluster, id, named)?,
            None => {}
        }
    }
    Ok(adopted)
}

/// The last of `newer` that can be read to its end.
fn newest_intact<D: Disk>(
    files: &Files<D>,
    group: GroupId,
    mut newer: Vec<LogId>,
    unusable: &mut Vec<UnusableSnapshot>,
) -> Result<Option<LogId>, WalError> {
    while let Some(last) = newer.pop() {
        match snapshot::verify(&files.disk, files.config.cluster, group, last) {
            Ok(()) => return Ok(Some(last)),
            Err(SnapshotError::Damaged { file, offset, what, .. }) => {
                unusable.push(UnusableSnapshot { file, what: format!("at offset {offset} {what}") });
            }
            Err(SnapshotError::CutShort { file, offset, size_bytes, .. }) => {
                let what =
                    format!("it has {size_bytes} bytes and ends in the middle of what begins at {offset}");
                unusable.push(UnusableSnapshot { file, what });
            }
            Err(other) => return Err(other.into()),
        }
    }
    Ok(None)
}

/// Takes the snapshot into the group, and gives back the write that does the same to the log; none if it cannot be
/// told whether the log has the snapshot's last entry, which is then missing.
fn bring_up(group: &mut Group, last: LogId) -> Option<Write> {
    let compacts = group.contains(last)?;
    let fits = if compacts { group.compact(last) } else { group.install(last) };
    assert!(fits, "snapshot {last} is newer than {}", group.snapshot);
    // Nothing was promised in a later term than the log's: the vote in it is free.
    let later = last.term > group.hard_state.term;
    if later {
        group.hard_state = HardState { term: last.term, vote: None };
    }
    let data = (!compacts).then(Bytes::new);
    let hard_state = later.then_some(group.hard_state);
    Some(Write { seq: 0, hard_state, snapshot: Some(SnapshotWrite { last, data }), entries: Vec::new() })
}
