//! What a node does with log and snapshots in its life, in small steps, each of which a crash may interrupt.

use std::collections::BTreeMap;
use std::fmt;

use bowline_raft::{Entry, GroupId, HardState, LogId, NodeId, Write};
use bowline_sim::SimDisk;
use bowline_storage::{ReceivedSnapshot, SnapshotError, SnapshotWriter, Wal, WalError};

use crate::model::{
    CONFIG, Expected, Groups, apply, entries, file_of, header, image, named, reopen, snapshots,
};

/// What is under way when a crash comes: the rows of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    MakingTheLog,
    WritingTheLog,
    WritingASnapshot,
    FinishingIt,
    NamingIt,
    ReceivingASnapshot,
    FinishingWhatWasReceived,
    InstallingIt,
    Deleting,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MakingTheLog => "making the log",
            Self::WritingTheLog => "writing the log",
            Self::WritingASnapshot => "writing a snapshot",
            Self::FinishingIt => "finishing it",
            Self::NamingIt => "naming it in the log",
            Self::ReceivingASnapshot => "receiving a snapshot",
            Self::FinishingWhatWasReceived => "finishing what was received",
            Self::InstallingIt => "installing it",
            Self::Deleting => "deleting what it has replaced",
        })
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Write(Stage, Vec<(GroupId, Write)>),
    FillAhead,
    Begin(GroupId, LogId),
    Block(usize),
    Sync,
    Finish,
    Receive(GroupId, LogId),
    /// So many bytes of the sender's file.
    Chunk(usize),
    /// All that has not come yet.
    Rest,
    SyncReceived,
    FinishReceived,
    Delete,
}

impl Action {
    fn stage(&self) -> Stage {
        match self {
            Self::Write(stage, _) => *stage,
            Self::FillAhead => Stage::WritingTheLog,
            Self::Begin(..) | Self::Block(_) | Self::Sync => Stage::WritingASnapshot,
            Self::Finish => Stage::FinishingIt,
            Self::Receive(..) | Self::Chunk(_) | Self::Rest | Self::SyncReceived => Stage::ReceivingASnapshot,
            Self::FinishReceived => Stage::FinishingWhatWasReceived,
            Self::Delete => Stage::Deleting,
        }
    }
}

pub(crate) const ONE: GroupId = GroupId(1);
pub(crate) const TWO: GroupId = GroupId(2);

fn log(group: GroupId, entries: Vec<Entry>) -> Action {
    let write = Write { seq: 0, hard_state: None, snapshot: None, entries };
    Action::Write(Stage::WritingTheLog, vec![(group, write)])
}

fn vote(group: GroupId, term: u64) -> Action {
    let hard_state = Some(HardState { term, vote: Some(NodeId(term % 3 + 1)) });
    let write = Write { seq: 0, hard_state, snapshot: None, entries: Vec::new() };
    Action::Write(Stage::WritingTheLog, vec![(group, write)])
}

fn name(group: GroupId, last: LogId) -> Action {
    Action::Write(Stage::NamingIt, vec![(group, named(last, false, Vec::new()))])
}

/// An own snapshot, block by block, while the log goes on.
fn own(group: GroupId, last: LogId, meanwhile: [Action; 2]) -> Vec<Action> {
    let [first, second] = meanwhile;
    let mut actions =
        vec![Action::Begin(group, last), Action::Block(0), first, Action::Block(1), Action::Sync];
    actions.extend([second, Action::Block(2), Action::Block(3), Action::Finish]);
    actions
}

/// Another node's, in pieces that end within header, blocks and footer, while the log goes on.
fn received(group: GroupId, last: LogId, meanwhile: Action) -> Vec<Action> {
    let size = file_of(group, last).len();
    let rest = size - (50 + 30 + 600 + 512 + 10);
    let mut actions = vec![Action::Receive(group, last), Action::Chunk(50), Action::Chunk(30)];
    actions.extend([Action::Chunk(600), Action::SyncReceived, meanwhile, Action::Chunk(512)]);
    actions.extend([Action::Chunk(rest), Action::Chunk(10), Action::FinishReceived]);
    actions
}

/// All of it: two groups, own and received snapshots, with the same log and with another one.
pub(crate) fn script() -> Vec<Action> {
    let at = LogId::new;
    let mut all = vec![vote(ONE, 1), log(ONE, entries(1, 1..=4)), log(TWO, entries(1, 1..=3))];
    all.extend([Action::FillAhead, log(ONE, entries(1, 5..=10))]);
    // One's own, and both groups must have one before the log gets shorter.
    all.extend(own(ONE, at(1, 8), [log(ONE, entries(1, 11..=13)), log(TWO, entries(1, 4..=5))]));
    all.extend([name(ONE, at(1, 8)), Action::Delete, log(ONE, entries(1, 14..=18))]);
    all.extend(own(TWO, at(1, 4), [log(ONE, entries(1, 19..=20)), Action::FillAhead]));
    all.extend([name(TWO, at(1, 4)), Action::Delete, Action::Delete, Action::Delete, Action::Delete]);
    // A new leader replaces the end of the log, and another one's snapshot all of it: it is far ahead.
    all.extend([vote(ONE, 2), log(ONE, entries(2, 18..=22)), vote(ONE, 3)]);
    all.extend(received(ONE, at(3, 30), log(TWO, entries(1, 6..=9))));
    let installed = (ONE, named(at(3, 30), true, entries(3, 31..=33)));
    let other = (TWO, Write { seq: 0, hard_state: None, snapshot: None, entries: entries(1, 10..=11) });
    all.push(Action::Write(Stage::InstallingIt, vec![other, installed]));
    all.extend([Action::Delete, Action::Delete, Action::Delete, log(ONE, entries(3, 34..=38))]);
    // One that nobody names: in the meantime the log had all of it. Then one that contradicts the end of the log.
    all.extend(received(ONE, at(3, 36), log(ONE, entries(3, 39..=42))));
    all.extend(received(ONE, at(4, 41), vote(TWO, 5)));
    all.push(Action::Write(Stage::InstallingIt, vec![(ONE, named(at(4, 41), true, Vec::new()))]));
    all.extend([vote(ONE, 6), log(ONE, entries(4, 42..=45))]);
    all.extend(own(TWO, at(1, 11), [log(ONE, entries(6, 46..=49)), log(TWO, entries(5, 12..=13))]));
    all.extend([name(TWO, at(1, 11)), Action::Delete, Action::Delete, Action::Delete, Action::Delete]);
    all.extend(own(ONE, at(6, 47), [log(ONE, entries(6, 50..=51)), Action::FillAhead]));
    all.push(name(ONE, at(6, 47)));
    all.extend(std::iter::repeat_n(Action::Delete, 10));
    all.push(log(ONE, entries(6, 52..=55)));
    all
}

/// A process, and what its disk must hold.
pub(crate) struct Run {
    pub(crate) disk: SimDisk,
    pub(crate) expected: Expected,
    /// None before the log is made.
    wal: Option<Wal<SimDisk>>,
    own: Option<SnapshotWriter<SimDisk>>,
    receiving: Option<Receiving>,
    /// Its name, from before it is begun to when it is finished.
    sent: Option<(GroupId, LogId)>,
    /// How many files were deleted.
    pub(crate) removed: usize,
    /// The operations of the disk before which each stage began.
    pub(crate) stages: BTreeMap<u64, Stage>,
}

struct Receiving {
    group: GroupId,
    last: LogId,
    received: ReceivedSnapshot<SimDisk>,
    file: Vec<u8>,
}

impl Run {
    pub(crate) fn new(disk: SimDisk) -> Self {
        let (wal, own, receiving, sent) = (None, None, None, None);
        let (expected, stages) = (Expected::default(), BTreeMap::new());
        Self { disk, expected, wal, own, receiving, sent, removed: 0, stages }
    }

    /// Makes the log, and carries out the actions.
    pub(crate) fn all(&mut self, actions: &[Action]) -> Result<(), WalError> {
        self.stages.insert(self.disk.operations(), Stage::MakingTheLog);
        self.wal = Some(Wal::create(self.disk.clone(), CONFIG)?);
        self.more(actions)
    }

    /// Carries out more of them.
    pub(crate) fn more(&mut self, actions: &[Action]) -> Result<(), WalError> {
        actions.iter().try_for_each(|action| self.step(action))
    }

    /// Whether the log is made.
    pub(crate) fn is_made(&self) -> bool {
        self.wal.is_some()
    }

    /// The snapshot that is being received.
    pub(crate) fn receiving(&self) -> Option<(GroupId, LogId)> {
        self.sent
    }

    /// Carries out one.
    pub(crate) fn step(&mut self, action: &Action) -> Result<(), WalError> {
        self.stages.insert(self.disk.operations(), action.stage());
        match action {
            Action::Write(_, writes) => self.write(writes)?,
            Action::FillAhead => while self.wal().prepare_next()? {},
            Action::Begin(group, last) => {
                self.own = Some(snapshots(&self.disk).create(header(*group, *last))?);
            }
            Action::Block(number) => {
                let own = self.own.as_mut().expect("begun");
                own.append(&image(own.header().group, own.header().last)[*number])?;
            }
            Action::Sync => self.own.as_mut().expect("begun").sync()?,
            Action::Finish => {
                let own = self.own.take().expect("begun");
                let name = (own.header().group, own.header().last);
                self.expected.finishing = Some(name);
                own.finish()?;
                self.finished();
            }
            Action::Receive(group, last) => {
                self.sent = Some((*group, *last));
                let received = snapshots(&self.disk).receive(*group, *last, header(*group, *last).id)?;
                let (group, last, file) = (*group, *last, file_of(*group, *last));
                self.receiving = Some(Receiving { group, last, received, file });
            }
            Action::Chunk(length) => self.receiving.as_mut().expect("begun").take(*length)?,
            Action::Rest => self.receiving.as_mut().expect("begun").take(usize::MAX)?,
            Action::SyncReceived => self.receiving.as_mut().expect("begun").received.sync()?,
            Action::FinishReceived => {
                let Receiving { group, last, received, .. } = self.receiving.take().expect("begun");
                self.expected.finishing = Some((group, last));
                received.finish()?;
                self.sent = None;
                self.finished();
            }
            Action::Delete => {
                self.removed += usize::from(self.wal().remove_replaced()?);
            }
        }
        Ok(())
    }

    fn wal(&mut self) -> &mut Wal<SimDisk> {
        self.wal.as_mut().expect("made")
    }

    fn finished(&mut self) {
        self.expected.finished.extend(self.expected.finishing.take());
    }

    fn write(&mut self, writes: &[(GroupId, Write)]) -> Result<(), WalError> {
        let mut after = self.expected.acknowledged.clone();
        writes.iter().for_each(|write| apply(&mut after, write));
        self.expected.under_way = Some(after);
        let borrowed: Vec<_> = writes.iter().map(|(group, write)| (*group, write)).collect();
        self.wal().append(&borrowed)?;
        self.wal().sync()?;
        self.expected.acknowledged = self.expected.under_way.take().expect("just put there");
        Ok(())
    }

    /// A process that starts again on this disk after a crash, and finds what it must.
    pub(crate) fn again(disk: &SimDisk, expected: &Expected) -> Self {
        let (wal, found) = reopen(disk, expected);
        let mut run = Self::new(disk.clone());
        run.wal = Some(wal);
        run.expected.acknowledged = found;
        run
    }

    /// What every start can do: goes on with what was being received, makes snapshots of its own, deletes what
    /// they replace, and finds all of it again when the power has gone.
    pub(crate) fn go_on(mut self, receiving: Option<(GroupId, LogId)>) {
        self.try_go_on(receiving).expect("nothing goes wrong");
        let (disk, expected) = (self.disk, self.expected);
        disk.power_loss();
        let (mut wal, found) = reopen(&disk, &expected);
        assert_eq!(found, expected.acknowledged);
        // A file that was removed may be there again.
        while wal.remove_replaced().expect("nothing goes wrong") {}
        let mut left: Vec<String> = bowline_storage::Disk::list(&disk).expect("listed");
        left.retain(|name| !name.ends_with(".wal"));
        let mut needed: Vec<String> =
            found.iter().map(|(id, group)| format!("{id}-{}-9.snapshot", group.snapshot.index)).collect();
        needed.sort_unstable();
        assert_eq!(left, needed);
    }

    fn try_go_on(&mut self, receiving: Option<(GroupId, LogId)>) -> Result<(), WalError> {
        if let Some((group, last)) = receiving {
            self.finish_receiving(group, last)?;
            // Soon a newer one takes its place: it must be whole on the disk before that.
            let disk = self.disk.fork(0);
            disk.power_loss();
            reopen(&disk, &self.expected);
        }
        let groups: Vec<(GroupId, u64)> =
            self.groups().iter().map(|(id, group)| (*id, last_of(group))).collect();
        for (group, last) in groups {
            let hard_state = Some(HardState { term: 9, vote: None });
            let entries = entries(9, last + 1..=last + 6);
            self.write(&[(group, Write { seq: 0, hard_state, snapshot: None, entries })])?;
            let last = LogId::new(9, last + 5);
            let begin = [Action::Begin(group, last), Action::Block(0), Action::Block(1)];
            let end = [Action::Block(2), Action::Block(3), Action::Finish, name(group, last)];
            begin.iter().chain(&end).try_for_each(|action| self.step(action))?;
        }
        while self.wal().remove_replaced()? {}
        Ok(())
    }

    fn groups(&self) -> &Groups {
        &self.expected.acknowledged
    }

    /// Receives what is still missing of a snapshot, and installs it if it is newer than the log.
    fn finish_receiving(&mut self, group: GroupId, last: LogId) -> Result<(), WalError> {
        let known = self.groups().get(&group).cloned().unwrap_or_default();
        if last.index <= known.snapshot.index {
            return Ok(());
        }
        self.step(&Action::Receive(group, last))?;
        self.step(&Action::Rest)?;
        self.step(&Action::FinishReceived)?;
        let installed = !known.entries.iter().any(|entry| entry.id == last);
        let hard_state = Some(HardState { term: known.hard_state.term.max(last.term), vote: None });
        self.write(&[(group, Write { hard_state, ..named(last, installed, Vec::new()) })])
    }
}

impl Receiving {
    fn take(&mut self, length: usize) -> Result<(), SnapshotError> {
        let offset = self.received.offset();
        let from = usize::try_from(offset).expect("small");
        self.received.append(offset, &self.file[from..self.file.len().min(from.saturating_add(length))])
    }
}

fn last_of(group: &bowline_storage::RecoveredGroup) -> u64 {
    group.snapshot.index + group.entries.len() as u64
}
