//! The log against a `Vec`, operation by operation.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::types::EntryKind;

#[derive(Clone, Debug)]
enum Op {
    /// Appends an entry of a term so much later, with a payload of so many bytes.
    Push(u64, usize),
    /// Cuts to this index, modulo the length and one more.
    Truncate(u64),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        4 => (prop_oneof![3 => Just(0u64), 1 => 1u64..4], 0usize..40).prop_map(|(t, n)| Op::Push(t, n)),
        1 => any::<u64>().prop_map(Op::Truncate),
    ]
}

/// Applies the operation to both.
fn carry_out(op: Op, log: &mut Log, model: &mut Vec<Entry>) {
    match op {
        Op::Push(later, size) => {
            let term = model.last().map_or(1, |e| e.id.term) + later;
            let id = LogId::new(term, model.len() as Index + 1);
            let entry = Entry { id, kind: EntryKind::Command, payload: Bytes::from(vec![7; size]) };
            log.push(entry.clone());
            model.push(entry);
        }
        Op::Truncate(at) => {
            let at = at % (model.len() as Index + 2);
            log.truncate(at);
            model.truncate(usize::try_from(at).expect("small"));
        }
    }
}

/// The longest prefix of `entries` within the budget, but at least one entry.
fn within(entries: &[Entry], max_bytes: usize) -> &[Entry] {
    let fits = |n: &usize| entries[..*n].iter().map(Entry::weight).sum::<usize>() <= max_bytes;
    let most = (0..=entries.len()).rev().find(fits).expect("nothing fits always");
    &entries[..most.max(1).min(entries.len())]
}

fn compare(log: &Log, model: &[Entry]) -> Result<(), TestCaseError> {
    let last = model.len() as Index;
    prop_assert_eq!(log.last_index(), last);
    prop_assert_eq!(log.last(), model.last().map_or(LogId::ZERO, |e| e.id));
    prop_assert_eq!(log.bytes(), model.iter().map(|e| e.weight() as u64).sum::<u64>());
    prop_assert_eq!(log.term_at(0), Some(0));
    prop_assert_eq!(log.get(0), None);
    for index in 1..=last + 2 {
        let expected = model.get(usize::try_from(index - 1).expect("small"));
        prop_assert_eq!(log.get(index), expected);
        prop_assert_eq!(log.term_at(index), expected.map(|e| e.id.term));
        if let Some(entry) = expected {
            prop_assert!(log.contains(entry.id));
            prop_assert!(!log.contains(LogId::new(entry.id.term + 1, index)));
            let first = model.iter().find(|e| e.id.term == entry.id.term).map(|e| e.id.index);
            prop_assert_eq!(Some(log.first_of_term_at(index)), first);
        }
    }
    for term in 0..=model.last().map_or(0, |e| e.id.term) + 1 {
        let expected = model.iter().rfind(|e| e.id.term == term).map(|e| e.id.index);
        prop_assert_eq!(log.last_of_term(term), expected);
    }
    for behind in 0..=last + 1 {
        let weight: usize = model.iter().filter(|e| e.id.index > behind).map(Entry::weight).sum();
        prop_assert_eq!(log.weight_behind(behind), weight);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn behaves_like_a_vec(ops in proptest::collection::vec(op(), 0..40)) {
        let (mut log, mut model) = (Log::default(), Vec::new());
        for op in ops {
            carry_out(op, &mut log, &mut model);
            compare(&log, &model)?;
        }
        compare(&Log::restore(model.clone()), &model)?;
    }

    #[test]
    fn slices_keep_to_their_budget(
        ops in proptest::collection::vec(op(), 0..30),
        first in 1usize..32,
        count in 0usize..32,
        max_bytes in 0usize..600,
    ) {
        let (mut log, mut model) = (Log::default(), Vec::new());
        for op in ops {
            carry_out(op, &mut log, &mut model);
        }
        let end = (first - 1 + count).min(model.len());
        let wanted = model.get(first - 1..end).unwrap_or(&[]);
        let slice = log.slice(first as Index, (first - 1 + count) as Index, max_bytes);
        prop_assert_eq!(&slice[..], within(wanted, max_bytes));
    }
}

#[test]
#[should_panic(expected = "does not follow")]
fn a_gap_is_our_own_mistake() {
    let entry = Entry { id: LogId::new(1, 2), kind: EntryKind::Empty, payload: Bytes::new() };
    Log::default().push(entry);
}

#[test]
#[should_panic(expected = "goes back")]
fn a_term_that_goes_back_is_our_own_mistake() {
    let entry =
        |term, index| Entry { id: LogId::new(term, index), kind: EntryKind::Empty, payload: Bytes::new() };
    Log::restore(vec![entry(2, 1), entry(1, 2)]);
}
