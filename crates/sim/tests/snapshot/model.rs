//! What log and snapshots must hold, kept the simple way.

use std::collections::{BTreeMap, BTreeSet};

use bowline_raft::{Entry, EntryKind, GroupId, HardState, Index, LogId, SnapshotWrite, Term, Write};
use bowline_sim::SimDisk;
use bowline_storage::{
    DirectoryId, Recovered, RecoveredGroup, SnapshotError, SnapshotHeader, SnapshotId, Snapshots, Wal,
    WalConfig, WalError,
};
use bytes::Bytes;

pub(crate) const CLUSTER: u64 = 7;
pub(crate) const CONFIG: WalConfig =
    WalConfig { cluster: CLUSTER, directory: DirectoryId(0x1234_5678_9abc_def0), segment_bytes: 1024 };

pub(crate) type Groups = BTreeMap<GroupId, RecoveredGroup>;
pub(crate) type Names = BTreeSet<(GroupId, LogId)>;

pub(crate) fn entries(term: Term, range: std::ops::RangeInclusive<Index>) -> Vec<Entry> {
    let payload = |index: Index| {
        let length = usize::try_from(20 + index * 37 % 90).expect("short");
        Bytes::from(vec![u8::try_from((index * 16 + term) % 256).expect("a byte"); length])
    };
    range
        .map(|index| Entry { id: LogId::new(term, index), kind: EntryKind::Command, payload: payload(index) })
        .collect()
}

/// What a service's state would be after `last`: some blocks, all different from those of any other snapshot.
pub(crate) fn image(group: GroupId, last: LogId) -> Vec<Vec<u8>> {
    let lengths = [1, 700, 90 + usize::try_from(last.index).expect("small"), 512];
    let begins = format!("group {group}, {last}");
    let blocks = (0_u8..).zip(lengths).map(|(number, length)| {
        begins.bytes().chain([number]).cycle().skip(usize::from(number)).take(length).collect()
    });
    blocks.collect()
}

pub(crate) fn header(group: GroupId, last: LogId) -> SnapshotHeader {
    let id = SnapshotId(u128::from(group.0 * 1_000_000 + last.index * 1000 + last.term));
    SnapshotHeader { group, last, id, made_us: 1_700_000_000_000_000 + last.index }
}

pub(crate) fn snapshots(disk: &SimDisk) -> Snapshots<SimDisk> {
    Snapshots::new(disk.clone(), CLUSTER)
}

/// Makes a whole snapshot.
pub(crate) fn save(disk: &SimDisk, group: GroupId, last: LogId) -> Result<u64, SnapshotError> {
    let mut writer = snapshots(disk).create(header(group, last))?;
    for block in image(group, last) {
        writer.append(&block)?;
    }
    writer.finish()
}

/// The file of a snapshot as another node has it.
pub(crate) fn file_of(group: GroupId, last: LogId) -> Vec<u8> {
    let disk = SimDisk::new(0);
    let size = save(&disk, group, last).expect("nothing goes wrong");
    let reader = snapshots(&disk).open(group, last).expect("it is there");
    let mut bytes = vec![0; usize::try_from(size).expect("small")];
    reader.read_at(&mut bytes, 0).expect("read");
    bytes
}

/// Reads a snapshot to its end.
pub(crate) fn read(disk: &SimDisk, group: GroupId, last: LogId) -> Result<Vec<Vec<u8>>, SnapshotError> {
    let mut reader = snapshots(disk).open(group, last)?;
    let mut blocks = Vec::new();
    while let Some(block) = reader.next_block()? {
        blocks.push(block.to_vec());
    }
    Ok(blocks)
}

/// A write that names a snapshot, with what is to be known behind it.
pub(crate) fn named(last: LogId, installed: bool, entries: Vec<Entry>) -> Write {
    let data = installed.then(Bytes::new);
    Write { seq: 0, hard_state: None, snapshot: Some(SnapshotWrite { last, data }), entries }
}

/// What a disk holds after a write.
pub(crate) fn apply(groups: &mut Groups, (id, write): &(GroupId, Write)) {
    let group = groups.entry(*id).or_default();
    group.hard_state = write.hard_state.unwrap_or(group.hard_state);
    if let Some(SnapshotWrite { last, data }) = &write.snapshot {
        group.snapshot = *last;
        group.entries.retain(|entry| data.is_none() && entry.id.index > last.index);
    }
    if let Some(first) = write.entries.first() {
        group.entries.retain(|entry| entry.id.index < first.id.index);
        group.entries.extend(write.entries.iter().cloned());
    }
}

/// What a start makes of a snapshot that the log does not name.
pub(crate) fn adopt(groups: &mut Groups, id: GroupId, last: LogId) {
    let group = groups.entry(id).or_default();
    if last.index <= group.snapshot.index {
        return;
    }
    let installed = !group.entries.iter().any(|entry| entry.id == last);
    let hard_state = (group.hard_state.term < last.term).then_some(HardState { term: last.term, vote: None });
    apply(groups, &(id, Write { hard_state, ..named(last, installed, Vec::new()) }));
}

/// What a disk must give back when it is started again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expected {
    /// As of the last write that was synced.
    pub(crate) acknowledged: Groups,
    /// With the write that is under way.
    pub(crate) under_way: Option<Groups>,
    /// Snapshots that are finished, whether the log names them or not.
    pub(crate) finished: Names,
    /// One that is being finished.
    pub(crate) finishing: Option<(GroupId, LogId)>,
}

impl Expected {
    /// All that a start may find.
    pub(crate) fn states(&self) -> Vec<Groups> {
        let mut states = Vec::new();
        for base in [Some(&self.acknowledged), self.under_way.as_ref()].into_iter().flatten() {
            let mut sure = base.clone();
            self.finished.iter().for_each(|(group, last)| adopt(&mut sure, *group, *last));
            if let Some((group, last)) = self.finishing {
                let mut more = base.clone();
                adopt(&mut more, group, last);
                self.finished.iter().for_each(|(group, last)| adopt(&mut more, *group, *last));
                states.push(more);
            }
            states.push(sure);
        }
        states
    }
}

/// Starts again, and checks that what was acknowledged is there, with every snapshot that is needed for it.
pub(crate) fn reopen(disk: &SimDisk, expected: &Expected) -> (Wal<SimDisk>, Groups) {
    let (wal, found) = try_reopen(disk).unwrap_or_else(|error| panic!("{error}"));
    let states = expected.states();
    assert!(states.contains(&found.groups), "{:#?}\nis none of {states:#?}", found.groups);
    assert_eq!(found.unusable_snapshots, []);
    for (group, RecoveredGroup { snapshot, .. }) in &found.groups {
        if *snapshot != LogId::ZERO {
            let blocks = read(disk, *group, *snapshot).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(blocks, image(*group, *snapshot));
        }
    }
    (wal, found.groups)
}

pub(crate) fn try_reopen(disk: &SimDisk) -> Result<(Wal<SimDisk>, Recovered), WalError> {
    Wal::open(disk.clone(), CONFIG)
}
