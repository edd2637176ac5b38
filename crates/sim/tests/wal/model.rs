//! What the log must hold, kept the simple way, and something to put into it.

use std::collections::BTreeMap;

use bowline_raft::{Entry, EntryKind, GroupId, HardState, LogId, NodeId, Write};
use bowline_sim::SimDisk;
use bowline_storage::{DirectoryId, Recovered, RecoveredGroup, Wal, WalConfig, WalError};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

pub(crate) type Groups = BTreeMap<GroupId, RecoveredGroup>;
pub(crate) type Batch = Vec<(GroupId, Write)>;

pub(crate) fn config(segment_bytes: u64) -> WalConfig {
    WalConfig { cluster: 7, directory: DirectoryId(0x1234_5678_9abc_def0), segment_bytes }
}

/// What a log holds after each of some batches; the first state is that of the empty log.
#[derive(Clone, Debug)]
pub(crate) struct Script {
    pub(crate) batches: Vec<Batch>,
    pub(crate) states: Vec<Groups>,
}

pub(crate) fn apply(groups: &mut Groups, (id, write): &(GroupId, Write)) {
    if write.hard_state.is_none() && write.entries.is_empty() {
        return;
    }
    let group = groups.entry(*id).or_default();
    if let Some(hard_state) = write.hard_state {
        group.hard_state = hard_state;
    }
    if let Some(first) = write.entries.first() {
        group.entries.retain(|entry| entry.id.index < first.id.index);
        group.entries.extend(write.entries.iter().cloned());
    }
}

impl Script {
    /// Random batches for three groups, with truncations and now and then something longer than `large`.
    pub(crate) fn random(seed: u64, batches: usize, large: usize) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut script = Self { batches: Vec::new(), states: vec![Groups::new()] };
        for _ in 0..batches {
            let mut groups = script.states.last().expect("one at least").clone();
            let mut batch = Batch::new();
            for _ in 0..random.random_range(0..4) {
                let write = (
                    GroupId(random.random_range(1..4)),
                    Write { seq: 0, hard_state: None, snapshot: None, entries: vec![] },
                );
                let write = fill(write, &groups, &mut random, large);
                apply(&mut groups, &write);
                batch.push(write);
            }
            script.batches.push(batch);
            script.states.push(groups);
        }
        script
    }

    /// Runs the batches from `from` on; gives back how many are acknowledged then, and what stopped it.
    pub(crate) fn run(&self, wal: &mut Wal<SimDisk>, from: usize) -> (usize, Result<(), WalError>) {
        for (number, batch) in self.batches.iter().enumerate().skip(from) {
            if let Err(error) = write(wal, batch).and_then(|()| fill_ahead(wal, number)) {
                return (number, Err(error));
            }
        }
        (self.batches.len(), Ok(()))
    }
}

pub(crate) fn write(wal: &mut Wal<SimDisk>, batch: &Batch) -> Result<(), WalError> {
    let borrowed: Vec<(GroupId, &Write)> = batch.iter().map(|(group, write)| (*group, write)).collect();
    wal.append(&borrowed)?;
    wal.sync()
}

/// Sometimes the next segment is filled ahead, sometimes it must be made on the spot.
pub(crate) fn fill_ahead(wal: &mut Wal<SimDisk>, number: usize) -> Result<(), WalError> {
    if number % 3 == 1 {
        while wal.prepare_next()? {}
    }
    Ok(())
}

fn fill(
    (id, mut write): (GroupId, Write),
    groups: &Groups,
    random: &mut StdRng,
    large: usize,
) -> (GroupId, Write) {
    let group = groups.get(&id).cloned().unwrap_or_default();
    if random.random_bool(0.3) {
        let vote = random.random_bool(0.5).then_some(NodeId(random.random_range(1..4)));
        write.hard_state = Some(HardState { term: group.hard_state.term + random.random_range(0..3), vote });
    }
    let last = group.entries.len() as u64;
    let first = random.random_range(last.saturating_sub(2)..=last) + 1;
    for index in first..first + random.random_range(0..4) {
        let size = match random.random_range(0..20) {
            0 => large + random.random_range(0..100),
            1..4 => 0,
            _ => random.random_range(1..120),
        };
        let payload: Vec<u8> = (0..size).map(|_| random.random()).collect();
        let kind = if size == 0 { EntryKind::Empty } else { EntryKind::Command };
        let id = LogId::new(group.hard_state.term, index);
        write.entries.push(Entry { id, kind, payload: Bytes::from(payload) });
    }
    (id, write)
}

/// Opens the log, and checks that it holds the state after `acknowledged` batches, or that after one more.
pub(crate) fn reopen(
    disk: &SimDisk,
    segment_bytes: u64,
    script: &Script,
    acknowledged: usize,
) -> (Wal<SimDisk>, usize) {
    let (wal, Recovered { groups, .. }) =
        Wal::open(disk.clone(), config(segment_bytes)).unwrap_or_else(|error| panic!("{error}"));
    let one_more = script.states.get(acknowledged + 1);
    if groups == script.states[acknowledged] {
        return (wal, acknowledged);
    }
    assert_eq!(Some(&groups), one_more, "neither the acknowledged state nor that of the write in progress");
    (wal, acknowledged + 1)
}
