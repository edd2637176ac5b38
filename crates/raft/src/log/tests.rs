//! The log against a `Vec` of all entries that there ever were, operation by operation.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::types::EntryKind;

#[derive(Clone, Debug)]
enum Op {
    /// Appends an entry of a term so much later, with a payload of so many bytes.
    Push(u64, usize),
    /// Cuts to this index, modulo what may be cut and one more.
    Truncate(u64),
    /// The snapshot reaches so many entries farther, if there are any.
    Compact(u64),
    /// Drops what is in the snapshot, but for so many entries or so many bytes.
    Drop(u64, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let kept = (0u64..10, prop_oneof![Just(u64::MAX), 0u64..500]);
    prop_oneof![
        8 => (prop_oneof![3 => Just(0u64), 1 => 1u64..4], 0usize..40).prop_map(|(t, n)| Op::Push(t, n)),
        2 => any::<u64>().prop_map(Op::Truncate),
        2 => (1u64..6).prop_map(Op::Compact),
        1 => kept.prop_map(|(entries, bytes)| Op::Drop(entries, bytes)),
    ]
}

/// All entries from index 1 on, and how far the log and the snapshot reach back.
#[derive(Default)]
struct Model {
    all: Vec<Entry>,
    start: usize,
    snapshot: usize,
}

impl Model {
    fn id_at(&self, index: usize) -> LogId {
        index.checked_sub(1).map_or(LogId::ZERO, |at| self.all[at].id)
    }

    /// What the log holds.
    fn held(&self) -> &[Entry] {
        &self.all[self.start..]
    }

    fn last(&self) -> Index {
        self.all.len() as Index
    }
}

fn weight<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> u64 {
    entries.into_iter().map(|entry| entry.weight() as u64).sum()
}

fn place(index: Index) -> usize {
    usize::try_from(index).expect("small")
}

/// Applies the operation to both.
fn carry_out(op: Op, log: &mut Log, model: &mut Model) {
    match op {
        Op::Push(later, size) => {
            let term = model.all.last().map_or(1, |e| e.id.term) + later;
            let id = LogId::new(term, model.last() + 1);
            let entry = Entry { id, kind: EntryKind::Command, payload: Bytes::from(vec![7; size]) };
            log.push(entry.clone());
            model.all.push(entry);
        }
        Op::Truncate(at) => {
            let at = model.snapshot + place(at % (model.last() - model.snapshot as Index + 2));
            log.truncate(at as Index);
            model.all.truncate(at);
        }
        Op::Compact(by) => {
            let to = (model.snapshot + place(by)).min(model.all.len());
            if to > model.snapshot {
                log.compact(to as Index);
                model.snapshot = to;
            }
        }
        Op::Drop(entries, bytes) => {
            log.drop_front((model.snapshot as Index).saturating_sub(entries), bytes);
            let keep = model.snapshot.saturating_sub(place(entries));
            let too_much = |start: usize| weight(&model.all[start..model.snapshot]) > bytes;
            model.start = (model.start..model.snapshot)
                .find(|&start| start >= keep && !too_much(start))
                .unwrap_or(model.snapshot);
        }
    }
}

/// The longest prefix of `entries` within the budget, but at least one entry.
fn within(entries: &[Entry], max_bytes: usize) -> &[Entry] {
    let fits = |n: &usize| entries[..*n].iter().map(Entry::weight).sum::<usize>() <= max_bytes;
    let most = (0..=entries.len()).rev().find(fits).expect("nothing fits always");
    &entries[..most.max(1).min(entries.len())]
}

fn compare(log: &Log, model: &Model) -> Result<(), TestCaseError> {
    let (last, start) = (model.last(), model.start as Index);
    prop_assert_eq!(log.start(), model.id_at(model.start));
    prop_assert_eq!(log.snapshot(), model.id_at(model.snapshot));
    prop_assert_eq!((log.last_index(), log.last()), (last, model.id_at(model.all.len())));
    prop_assert_eq!(log.bytes(), weight(&model.all[model.snapshot..]));
    prop_assert_eq!(log.retained_bytes(), weight(&model.all[model.start..model.snapshot]));
    for index in 0..=last + 2 {
        let held = model.held().iter().find(|e| e.id.index == index);
        prop_assert_eq!(log.get(index), held);
        let known = held.map(|e| e.id.term).or((index == start).then(|| model.id_at(model.start).term));
        prop_assert_eq!(log.term_at(index), known);
        // In front of the start anything may have been.
        let id = LogId::new(known.unwrap_or(3), index);
        prop_assert_eq!(log.contains(id), index <= last);
        prop_assert_eq!(log.contains(LogId::new(id.term + 1, index)), index < start);
        if let Some(entry) = held {
            let first = model.held().iter().find(|e| e.id.term == entry.id.term).map(|e| e.id.index);
            prop_assert_eq!(Some(log.first_of_term_at(index)), first);
        }
    }
    for term in 0..=model.all.last().map_or(0, |e| e.id.term) + 1 {
        let from_start = model.all[model.start.saturating_sub(1)..].iter();
        let expected = from_start.rev().find(|e| e.id.term == term).map(|e| e.id.index);
        prop_assert_eq!(log.last_of_term(term), expected);
    }
    for behind in 0..=last + 1 {
        let behind_it = model.held().iter().filter(|e| e.id.index > behind);
        prop_assert_eq!(log.weight_behind(behind) as u64, weight(behind_it));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_vec(ops in proptest::collection::vec(op(), 0..60)) {
        let (mut log, mut model) = (Log::default(), Model::default());
        for op in ops {
            carry_out(op, &mut log, &mut model);
            compare(&log, &model)?;
        }
        // What a restart reads back begins behind the snapshot.
        let log = Log::restore(log.snapshot(), model.all[model.snapshot..].to_vec());
        compare(&log, &Model { start: model.snapshot, ..model })?;
    }

    #[test]
    fn slices_keep_to_their_budget(
        ops in proptest::collection::vec(op(), 0..30),
        first in 0usize..32,
        count in 0usize..32,
        max_bytes in 0usize..600,
    ) {
        let (mut log, mut model) = (Log::default(), Model::default());
        for op in ops {
            carry_out(op, &mut log, &mut model);
        }
        let end = (first + count).min(model.held().len());
        let wanted = model.held().get(first..end).unwrap_or(&[]);
        let first = (model.start + first + 1) as Index;
        let slice = log.slice(first, first + count as Index - 1, max_bytes);
        prop_assert_eq!(&slice[..], within(wanted, max_bytes));
    }
}

fn entry(term: Term, index: Index) -> Entry {
    Entry { id: LogId::new(term, index), kind: EntryKind::Empty, payload: Bytes::new() }
}

#[test]
fn a_log_beside_a_newer_snapshot_is_what_follows_on_it() {
    let log = || vec![entry(1, 3), entry(2, 4), entry(2, 5)];
    let behind = |term, index| entries_behind_snapshot(LogId::new(term, index), log());
    assert_eq!(behind(1, 2), log(), "directly behind it");
    assert_eq!(behind(1, 3), log()[1..]);
    assert_eq!(behind(2, 5), []);
    assert_eq!(behind(3, 4), [], "another entry stands there");
    assert_eq!(behind(2, 6), [], "the log ends in front of it");
    assert_eq!(entries_behind_snapshot(LogId::ZERO, Vec::new()), []);
}

#[test]
#[should_panic(expected = "leaves a gap")]
fn a_log_that_begins_too_late_is_nothing_to_begin_with() {
    entries_behind_snapshot(LogId::new(1, 3), vec![entry(1, 5)]);
}

#[test]
fn what_is_dropped_gives_back_its_memory() {
    let mut log = Log::default();
    let payloads: Vec<_> = (0..10_000).map(|_| Bytes::from(vec![7; 100])).collect();
    for (index, payload) in (1..).zip(&payloads) {
        log.push(Entry { payload: payload.clone(), ..entry(1, index) });
    }
    log.compact(9_000);
    let held = |payloads: &[Bytes]| payloads.iter().filter(|payload| !payload.is_unique()).count();
    assert_eq!(held(&payloads), 10_000, "what nobody dropped is there");
    log.drop_front(Index::MAX, u64::MAX);
    assert_eq!(held(&payloads), 1_000);
    assert!(log.entries.capacity() <= 1_000 + SPARE_ENTRIES, "room for {}", log.entries.capacity());
}

#[test]
#[should_panic(expected = "does not follow")]
fn a_gap_is_our_own_mistake() {
    Log::default().push(entry(1, 2));
}

#[test]
#[should_panic(expected = "does not follow")]
fn a_gap_behind_the_snapshot_is_our_own_mistake() {
    Log::restore(LogId::new(1, 5), vec![entry(1, 7)]);
}

#[test]
#[should_panic(expected = "goes back")]
fn a_term_that_goes_back_is_our_own_mistake() {
    Log::restore(LogId::ZERO, vec![entry(2, 1), entry(1, 2)]);
}

#[test]
#[should_panic(expected = "goes back")]
fn a_term_in_front_of_the_snapshots_is_our_own_mistake() {
    Log::restore(LogId::new(2, 5), vec![entry(1, 6)]);
}

#[test]
#[should_panic(expected = "is in the snapshot")]
fn what_is_in_the_snapshot_is_not_cut_off() {
    let mut log = Log::restore(LogId::ZERO, vec![entry(1, 1), entry(1, 2)]);
    log.compact(2);
    log.truncate(1);
}
