//! The segments behind which the log has gone on: how long they are, and for how long they are needed.

use std::collections::{BTreeMap, VecDeque};

use bowline_raft::{GroupId, Index};

use super::format::GroupStates;

/// The segments before the active one, the oldest first.
#[derive(Debug, Default)]
pub(super) struct OlderSegments {
    segments: VecDeque<Older>,
}

#[derive(Debug)]
struct Older {
    segment: u64,
    /// Headers and writes, without the zeros behind them.
    bytes: u64,
    /// For each group that has had entries: of those that count, none above this one is in this segment or an
    /// older one. At least 1.
    ends: BTreeMap<GroupId, Index>,
}

impl OlderSegments {
    /// The log goes on behind that segment; `states` are the groups as they are then.
    pub(super) fn push(&mut self, segment: u64, bytes: u64, states: &GroupStates) {
        let with_entries = states.iter().filter(|(_, state)| state.last_index > 0);
        let ends = with_entries.map(|(group, state)| (*group, state.last_index)).collect();
        self.segments.push_back(Older { segment, bytes, ends });
    }

    /// The entries of `group` from `index` on were replaced, or are gone.
    pub(super) fn replaced(&mut self, group: GroupId, index: Index) {
        for older in &mut self.segments {
            if let Some(end) = older.ends.get_mut(&group) {
                *end = (*end).min(index.max(2) - 1);
            }
        }
    }

    /// The oldest segment, if all that it holds is in snapshots by now. Each group that has had entries has a
    /// snapshot then, and one group at least: so recovery knows a log whose beginning was removed from one whose
    /// beginning was lost.
    pub(super) fn covered(&self, groups: &GroupStates) -> Option<u64> {
        let oldest = self.segments.front()?;
        let snapshot = |group| groups.get(group).map_or(0, |state| state.snapshot.index);
        let covered = oldest.ends.iter().all(|(group, end)| *end <= snapshot(group));
        let any = groups.values().any(|state| state.snapshot.index > 0);
        (covered && any).then_some(oldest.segment)
    }

    /// The oldest segment is not there any more.
    pub(super) fn pop(&mut self) {
        self.segments.pop_front();
    }

    /// How long all of them are together.
    pub(super) fn bytes(&self) -> u64 {
        self.segments.iter().map(|older| older.bytes).sum()
    }
}
