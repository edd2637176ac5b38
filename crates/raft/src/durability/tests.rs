//! The durable index against a disk that carries out the writes: whatever is called durable stands
//! on the disk as it stands in memory, in the log or in the snapshot, and when every write has
//! finished, all is durable.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::types::{Entry, EntryKind, NodeId};

#[derive(Clone, Debug)]
enum Op {
    Push,
    /// Cuts the log by so many entries; what follows is of a later term.
    Cut(u64),
    Vote(u64),
    /// So many more entries are committed, of those that are there.
    Commit(u64),
    /// A snapshot of what is committed and durable, but for so many entries.
    Compact(u64),
    /// A snapshot that reaches so much farther than what is committed takes the place of the log.
    Install(u64),
    Write,
    /// The oldest so many writes finish, in one report.
    Finish(usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => Just(Op::Push),
        2 => (0u64..5).prop_map(Op::Cut),
        1 => (1u64..4).prop_map(Op::Vote),
        2 => (0u64..5).prop_map(Op::Commit),
        1 => (0u64..3).prop_map(Op::Compact),
        1 => (1u64..5).prop_map(Op::Install),
        5 => Just(Op::Write),
        3 => (1usize..4).prop_map(Op::Finish),
    ]
}

#[derive(Default)]
struct World {
    log: Log,
    hard_state: HardState,
    /// What is committed, by name.
    committed: Vec<LogId>,
    queue: VecDeque<Write>,
    /// Behind the snapshot there.
    disk: Vec<Entry>,
    disk_snapshot: LogId,
    disk_hard_state: HardState,
}

fn place(index: Index) -> usize {
    usize::try_from(index).expect("small")
}

impl World {
    fn make(&mut self, write: Write) {
        self.disk_hard_state = write.hard_state.unwrap_or(self.disk_hard_state);
        if let Some(SnapshotWrite { last, data }) = write.snapshot {
            assert!(last.index > self.disk_snapshot.index, "the snapshot goes back");
            if data.is_some() {
                self.disk.clear();
            }
            self.disk.retain(|entry| entry.id.index > last.index);
            self.disk_snapshot = last;
        }
        if let Some(first) = write.entries.first() {
            let keep = place(first.id.index - self.disk_snapshot.index - 1);
            assert!(keep <= self.disk.len(), "a write leaves a gap");
            self.disk.truncate(keep);
            self.disk.extend(write.entries);
        }
    }

    fn commit(&self) -> Index {
        self.committed.len() as Index
    }

    fn carry_out(&mut self, op: &Op, durability: &mut Durability) {
        match *op {
            Op::Push => {
                let id = LogId::new(self.hard_state.term, self.log.last_index() + 1);
                self.log.push(Entry { id, kind: EntryKind::Empty, payload: Bytes::new() });
            }
            Op::Cut(by) => {
                let keep = self.log.last_index().saturating_sub(by).max(self.commit());
                self.log.truncate(keep);
                durability.truncate(keep);
                self.hard_state = HardState { term: self.hard_state.term + 1, vote: None };
            }
            Op::Vote(whom) => self.hard_state.vote = Some(NodeId(whom)),
            Op::Commit(more) => {
                let commit = (self.commit() + more).min(self.log.last_index());
                let ids = (self.commit() + 1..=commit).filter_map(|index| self.log.get(index)).map(|e| e.id);
                self.committed.extend(ids);
            }
            Op::Compact(less) => {
                let index = self.commit().min(durability.index()).saturating_sub(less);
                if index > self.log.snapshot().index {
                    self.log.compact(index);
                    self.log.drop_front(index, 0);
                    durability.compacted(self.log.snapshot());
                }
            }
            Op::Install(more) => {
                let (committed, term) = (self.commit(), self.hard_state.term + 1);
                let ids = (committed + 1..=committed + more).map(|index| LogId::new(term, index));
                self.committed.extend(ids);
                let last = LogId::new(term, committed + more);
                self.hard_state = HardState { term, vote: None };
                self.log = Log::restore(last, Vec::new());
                durability.installed(last, Bytes::from_static(b"state"), committed);
            }
            Op::Write => {
                self.queue.extend(durability.next_write(&self.log, self.hard_state, Duration::ZERO));
            }
            Op::Finish(count) => {
                let mut last = None;
                for _ in 0..count.min(self.queue.len()) {
                    let write = self.queue.pop_front().expect("counted");
                    last = Some(write.seq);
                    self.make(write);
                }
                if let Some(seq) = last {
                    durability.persisted(seq);
                }
            }
        }
    }

    fn compare(&self, durability: &Durability) -> Result<(), TestCaseError> {
        prop_assert!(durability.index() <= self.log.last_index());
        let snapshot = self.log.snapshot().index;
        prop_assert_eq!(
            durability.index() >= snapshot,
            self.disk_snapshot.index >= snapshot || {
                // Of one that was made here, and is not written yet, the disk has the entries.
                let (ours, end) = (self.log.snapshot(), self.disk_snapshot.index + self.disk.len() as Index);
                end >= snapshot && self.disk[place(snapshot - self.disk_snapshot.index) - 1].id == ours
            }
        );
        for index in self.disk_snapshot.index + 1..=durability.index() {
            let on_disk = self.disk.get(place(index - self.disk_snapshot.index - 1)).map(|e| e.id);
            let in_memory = self.log.get(index).map(|e| e.id);
            let expected = in_memory.or_else(|| self.committed.get(place(index - 1)).copied());
            prop_assert_eq!(expected, on_disk, "entry {} counts as durable", index);
        }
        prop_assert_eq!(durability.hard_state(), self.disk_hard_state);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_durable_is_on_disk(ops in proptest::collection::vec(op(), 0..60)) {
        let mut world = World::default();
        let mut durability = Durability::restored(HardState::default(), 0);
        for op in &ops {
            world.carry_out(op, &mut durability);
            world.compare(&durability)?;
        }
        world.carry_out(&Op::Push, &mut durability);
        world.carry_out(&Op::Write, &mut durability);
        world.carry_out(&Op::Finish(usize::MAX), &mut durability);
        world.compare(&durability)?;
        prop_assert_eq!(durability.index(), world.log.last_index());
        prop_assert_eq!(durability.hard_state(), world.hard_state);
        prop_assert!(durability.next_write(&world.log, world.hard_state, Duration::ZERO).is_none());
    }
}

#[test]
fn the_oldest_write_is_what_a_stall_is_measured_by() {
    let ms = Duration::from_millis;
    let mut durability = Durability::restored(HardState::default(), 0);
    assert_eq!(durability.oldest_age(ms(5)), ms(0));
    let vote = |term| HardState { term, vote: None };
    durability.next_write(&Log::default(), vote(1), ms(10)).expect("a write");
    durability.next_write(&Log::default(), vote(2), ms(30)).expect("another");
    assert_eq!(durability.oldest_age(ms(50)), ms(40));
    durability.persisted(1);
    assert_eq!(durability.oldest_age(ms(50)), ms(20));
    durability.persisted(2);
    assert_eq!(durability.oldest_age(ms(50)), ms(0));
}

#[test]
#[should_panic(expected = "reported durable")]
fn a_write_that_was_never_handed_out_cannot_finish() {
    Durability::restored(HardState::default(), 0).persisted(1);
}
