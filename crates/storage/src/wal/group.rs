//! One group, as far as the log has been read.

use std::collections::BTreeMap;

use bowline_raft::{Entry, GroupId, HardState, Index, LogId};

use super::format::{GroupState, GroupStates};

pub(super) type Groups = BTreeMap<GroupId, Group>;

/// What the log says of a group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) hard_state: HardState,
    pub(super) snapshot: LogId,
    /// So many entries right behind the snapshot stood in segments that are no longer there.
    missing: Index,
    /// There were such entries, or others that were replaced since: the group must have a snapshot.
    begun: bool,
    /// What stands behind those.
    entries: Vec<Entry>,
}

/// The state of each group, as a segment's header has it.
pub(super) fn states(groups: &Groups) -> GroupStates {
    groups.iter().map(|(id, group)| (*id, group.state())).collect()
}

impl Group {
    /// What a segment's header says of it, when the segments before that one are not there.
    pub(super) fn beginning(state: &GroupState) -> Option<Self> {
        let missing = state.last_index.checked_sub(state.snapshot.index)?;
        let GroupState { hard_state, snapshot, .. } = *state;
        Some(Self { hard_state, snapshot, missing, begun: state.last_index > 0, entries: Vec::new() })
    }

    fn state(&self) -> GroupState {
        GroupState { hard_state: self.hard_state, snapshot: self.snapshot, last_index: self.last_index() }
    }

    fn first_known(&self) -> Index {
        self.snapshot.index + self.missing + 1
    }

    pub(super) fn last_index(&self) -> Index {
        self.first_known() - 1 + self.entries.len() as Index
    }

    /// The entries that should be there and are not: the first and the last.
    pub(super) fn gap(&self) -> Option<(Index, Index)> {
        let gap = self.missing > 0 || (self.begun && self.snapshot == LogId::ZERO);
        gap.then(|| (self.snapshot.index + 1, self.snapshot.index + self.missing.max(1)))
    }

    pub(super) fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// Where the entry with that index is among those that are known.
    fn place(&self, index: Index) -> Option<usize> {
        let place = usize::try_from(index.checked_sub(self.first_known())?).ok()?;
        (place < self.entries.len()).then_some(place)
    }

    /// Takes an entry, which replaces what stood there and everything behind that. False if it is in the snapshot
    /// or would leave a gap.
    #[must_use]
    pub(super) fn put(&mut self, entry: Entry) -> bool {
        let index = entry.id.index;
        if index <= self.snapshot.index || index > self.last_index() + 1 {
            return false;
        }
        self.missing = self.missing.min(index - self.snapshot.index - 1);
        let kept = usize::try_from(index - self.first_known()).expect("in memory");
        self.entries.truncate(kept);
        self.entries.push(entry);
        true
    }

    /// The entries up to `last` are in a snapshot, and those behind it stay. False if there is no such entry.
    #[must_use]
    pub(super) fn compact(&mut self, last: LogId) -> bool {
        if last.index <= self.snapshot.index || last.index > self.last_index() {
            return false;
        }
        match self.place(last.index) {
            Some(place) if self.entries[place].id != last => return false,
            Some(place) => {
                self.entries.drain(..=place);
                self.missing = 0;
            }
            None => self.missing = self.first_known() - 1 - last.index,
        }
        self.snapshot = last;
        true
    }

    /// A snapshot up to `last` stands in place of the whole log. False if it is older than the present one.
    #[must_use]
    pub(super) fn install(&mut self, last: LogId) -> bool {
        if last.index <= self.snapshot.index {
            return false;
        }
        self.snapshot = last;
        self.missing = 0;
        self.entries.clear();
        true
    }

    /// Whether the log has the entry of that name; none if it may have stood in what is no longer there.
    pub(super) fn contains(&self, id: LogId) -> Option<bool> {
        if (self.snapshot.index + 1..self.first_known()).contains(&id.index) {
            return None;
        }
        Some(id == self.snapshot || self.place(id.index).is_some_and(|place| self.entries[place].id == id))
    }
}
