//! Nodes that do anything in any order, and crash anywhere, again and again.
//!
//! There is one history that all agree on, and a log is a part of it, with an end that may be another one's. A
//! snapshot, whoever made it, is of the history.

use bowline_raft::{GroupId, HardState, Index, LogId, Term, Write};
use bowline_sim::SimDisk;
use bowline_storage::RecoveredGroup;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::model::{Expected, entries, header, named, snapshots};
use crate::script::{Action, ONE, Run, Stage, TWO};

/// The term of an entry of the history.
fn term(index: Index) -> Term {
    2 + index / 12 * 2
}

fn of_history(index: Index) -> LogId {
    LogId::new(term(index), index)
}

/// What a node may do next.
struct Chance {
    random: StdRng,
    /// No entry up to here is ever replaced: it is in a snapshot, or in one that is being made.
    settled: [Index; 2],
    /// The own snapshot under way: how many of its blocks are written.
    own: Option<(GroupId, LogId, usize)>,
    receiving: Option<(GroupId, LogId, usize)>,
    /// One that is finished, and that the log does not name yet.
    unnamed: Option<(GroupId, LogId)>,
}

impl Chance {
    fn actions(&mut self, state: &Expected) -> Vec<Action> {
        let id = if self.random.random_bool(0.7) { ONE } else { TWO };
        let group = state.acknowledged.get(&id).cloned().unwrap_or_default();
        match self.random.random_range(0..20) {
            0..7 => vec![self.log(id, &group)],
            7 => vec![Action::FillAhead],
            8..12 => self.own(id, &group),
            12..15 => self.receive(id, &group),
            15..18 => vec![Action::Delete; 3],
            _ => self.name(state),
        }
    }

    /// Entries of the history, in place of an end that is not, or an end that is not.
    fn log(&mut self, id: GroupId, group: &RecoveredGroup) -> Action {
        let agrees = group.entries.iter().take_while(|entry| entry.id == of_history(entry.id.index)).count();
        let agreed = group.snapshot.index + agrees as Index;
        let settled = self.settled[usize::from(id == TWO)].clamp(group.snapshot.index, agreed);
        let first = self.random.random_range(settled..=agreed) + 1;
        let count = self.random.random_range(1..6);
        let astray = if self.random.random_bool(0.3) { 1 } else { 0 };
        // A run of entries of one term.
        let end = (first..first + count).take_while(|index| term(*index) == term(first)).last().expect("one");
        let entries = entries(term(first) - astray, first..=end);
        let hard_state = self.random.random_bool(0.3).then(|| HardState { term: term(end) + 1, vote: None });
        Action::Write(Stage::WritingTheLog, vec![(id, Write { seq: 0, hard_state, snapshot: None, entries })])
    }

    fn own(&mut self, id: GroupId, group: &RecoveredGroup) -> Vec<Action> {
        match self.own.take() {
            Some((id, last, written @ 0..4)) => {
                self.own = Some((id, last, written + 1));
                vec![Action::Block(written), Action::Sync]
            }
            Some((id, last, _)) => {
                self.unnamed = Some((id, last));
                vec![Action::Finish]
            }
            None => {
                let of_history =
                    group.entries.iter().take_while(|entry| entry.id == of_history(entry.id.index));
                let count = of_history.count();
                if count == 0 {
                    return Vec::new();
                }
                let last = group.entries[self.random.random_range(0..count)].id;
                let settled = &mut self.settled[usize::from(id == TWO)];
                *settled = last.index.max(*settled);
                self.own = Some((id, last, 0));
                vec![Action::Begin(id, last)]
            }
        }
    }

    fn receive(&mut self, id: GroupId, group: &RecoveredGroup) -> Vec<Action> {
        match self.receiving.take() {
            Some((id, last, pieces @ 0..4)) => {
                self.receiving = Some((id, last, pieces + 1));
                vec![Action::Chunk(self.random.random_range(1..300)), Action::SyncReceived]
            }
            Some((id, last, _)) => {
                self.unnamed = Some((id, last));
                let settled = &mut self.settled[usize::from(id == TWO)];
                *settled = last.index.max(*settled);
                vec![Action::Rest, Action::FinishReceived]
            }
            None => {
                let last = of_history(group.snapshot.index + self.random.random_range(1..20));
                self.receiving = Some((id, last, 0));
                vec![Action::Receive(id, last)]
            }
        }
    }

    /// The log names what was finished last, if it is newer than what it names.
    fn name(&mut self, state: &Expected) -> Vec<Action> {
        let Some((id, last)) = self.unnamed.take() else { return Vec::new() };
        let group = state.acknowledged.get(&id).cloned().unwrap_or_default();
        if last.index <= group.snapshot.index {
            return Vec::new();
        }
        let installed = !group.entries.iter().any(|entry| entry.id == last);
        let behind =
            if installed { entries(term(last.index), last.index + 1..=last.index + 2) } else { Vec::new() };
        // The next term of the history may begin there.
        let behind = behind.into_iter().take_while(|entry| entry.id == of_history(entry.id.index)).collect();
        let term = group.hard_state.term.max(last.term);
        let hard_state = Some(HardState { term, vote: None });
        let write = Write { hard_state, ..named(last, installed, behind) };
        vec![Action::Write(Stage::NamingIt, vec![(id, write)])]
    }
}

/// Some lives of one node; how often a snapshot was found that the log did not name, and how many files went.
fn lives(seed: u64) -> (usize, usize) {
    let disk = SimDisk::new(seed);
    let mut random = StdRng::seed_from_u64(seed);
    let (mut adopted, mut removed) = (0, 0);
    let mut run = Run::new(disk.clone());
    run.all(&[]).expect("nothing goes wrong");
    for _ in 0..6 {
        let mut chance = Chance {
            random: StdRng::seed_from_u64(random.random()),
            settled: [0; 2],
            own: None,
            receiving: None,
            unnamed: None,
        };
        disk.stop_at(disk.operations() + random.random_range(20..160));
        while chance.actions(&run.expected).iter().try_for_each(|action| run.step(action)).is_ok() {}
        let expected = run.expected;
        removed += run.removed;
        if random.random_bool(0.5) {
            disk.kill();
        } else {
            disk.power_loss();
        }
        let named: Vec<LogId> = expected.acknowledged.values().map(|group| group.snapshot).collect();
        run = Run::again(&disk, &expected);
        let found: Vec<LogId> = run.expected.acknowledged.values().map(|group| group.snapshot).collect();
        adopted += usize::from(named != found);
    }
    for id in [ONE, TWO] {
        // Nobody goes on with what was being received.
        let last = LogId::new(1, 1);
        let received = snapshots(&disk).receive(id, last, header(id, last).id).expect("nothing goes wrong");
        received.discard().expect("nothing goes wrong");
    }
    run.go_on(None);
    (adopted, removed)
}

#[test]
fn any_order_and_any_crash_loses_nothing_that_was_acknowledged() {
    let seeds = match std::env::var("SNAPSHOT_SEED") {
        Ok(seed) => {
            let seed: u64 = seed.parse().expect("a number");
            seed..seed + 1
        }
        Err(_) => 0..400,
    };
    let many = seeds.end - seeds.start > 1;
    let (mut adopted, mut removed) = (0, 0);
    for seed in seeds {
        println!("SNAPSHOT_SEED={seed} cargo test -p bowline-sim --test snapshot any_order");
        let (more, gone) = lives(seed);
        (adopted, removed) = (adopted + more, removed + gone);
    }
    assert!(!many || (adopted > 100 && removed > 100), "{adopted} adopted, {removed} files deleted");
}
