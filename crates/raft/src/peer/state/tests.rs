//! What was saved comes back as it was, and nothing else is taken for it.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::types::SnapshotWrite;

const PEERS: usize = 3;

fn config() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..ProptestConfig::default() }
}

/// One change of a log: put so much of it into a snapshot, or install one that reaches so much farther than the last
/// one, after which nothing of the log counts; cut it to so many entries, raise the term by so much, vote, append these.
#[derive(Clone, Debug)]
struct Change {
    snapshot: Option<(bool, usize)>,
    keep: usize,
    later: Term,
    vote: Option<u64>,
    payloads: Vec<Vec<u8>>,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    let payloads = proptest::collection::vec(payload, 0..5);
    let vote = proptest::option::of(1..=PEERS as u64);
    let snapshot = proptest::option::weighted(0.3, (any::<bool>(), 1usize..6));
    let change = (snapshot, 0usize..30, 0u64..200, vote, payloads);
    let change = change.prop_map(|(snapshot, keep, later, vote, payloads)| Change {
        snapshot,
        keep,
        later,
        vote,
        payloads,
    });
    proptest::collection::vec(change, 1..20)
}

/// What a node's writes would make of these changes, and the bytes that were saved for the last one.
fn carry_out(changes: Vec<Change>) -> (Recovered, Bytes) {
    let mut state = SavedState::default();
    let (mut hard_state, mut saved) = (HardState { term: 1, vote: None }, Bytes::new());
    let (mut base, mut log) = (LogId::ZERO, Vec::<Entry>::new());
    for (seq, Change { snapshot, keep, later, vote, payloads }) in (1..).zip(changes) {
        hard_state = HardState { term: hard_state.term + later, vote: vote.map(NodeId) };
        let mut write = Write { seq, hard_state: Some(hard_state), snapshot: None, entries: Vec::new() };
        match snapshot {
            Some((true, more)) => {
                base = LogId::new(hard_state.term, base.index + more as Index);
                log.clear();
                let data = Some(Bytes::from_static(b"state"));
                write.snapshot = Some(SnapshotWrite { last: base, data });
            }
            Some((false, count)) if !log.is_empty() => {
                base = log.drain(..count.min(log.len())).next_back().expect("one at least").id;
                write.snapshot = Some(SnapshotWrite { last: base, data: None });
            }
            _ => {}
        }
        let mut entries = Vec::new();
        if !payloads.is_empty() {
            log.truncate(keep);
        }
        for payload in payloads {
            let kind = if payload.is_empty() { EntryKind::Empty } else { EntryKind::Command };
            let id = LogId::new(hard_state.term, base.index + log.len() as Index + 1);
            entries.push(Entry { id, kind, payload: Bytes::from(payload) });
            log.push(entries[entries.len() - 1].clone());
        }
        saved = state.change(&Write { entries, ..write });
    }
    (Recovered { hard_state, snapshot: base, entries: log }, saved)
}

fn error(bytes: &[u8]) -> StateError {
    SavedState::decode(bytes, PEERS).expect_err("it is no state")
}

/// A state as it is encoded, whatever it says.
fn bytes_of(state: &wire::State) -> Vec<u8> {
    state.encode_to_vec()
}

fn entry(term: Term) -> wire::Entry {
    wire::Entry { term, kind: 1, payload: Bytes::from_static(b"x") }
}

fn base(term: Term, index: Index) -> Option<wire::Base> {
    Some(wire::Base { term, index })
}

fn sound() -> wire::State {
    wire::State {
        version: 2,
        term: 4,
        vote: Some(2),
        last_index: Some(2),
        entries: vec![entry(1), entry(3)],
        base: None,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_saved_comes_back(changes in changes()) {
        let (expected, saved) = carry_out(changes);
        let (mut state, recovered) = SavedState::decode(&saved, PEERS).expect("a sound state");
        prop_assert_eq!(recovered, expected);
        // And the next life goes on from it.
        let nothing = Write { seq: 1, hard_state: None, snapshot: None, entries: Vec::new() };
        prop_assert_eq!(state.change(&nothing), saved);
    }

    #[test]
    fn a_state_that_lost_its_end_is_not_taken_for_a_shorter_log(changes in changes()) {
        let (_, saved) = carry_out(changes);
        for end in 1..saved.len() {
            error(&saved[..end]);
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_a_state_that_a_node_begins_with(
        changes in changes(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = carry_out(changes).1.to_vec();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        begin(&bytes);
    }

    #[test]
    fn any_bytes_are_an_error_or_a_state_that_a_node_begins_with(
        bytes in proptest::collection::vec(any::<u8>(), 0..200)
    ) {
        begin(&bytes);
    }
}

/// `Node::new` asserts what it needs; a state that is no error must satisfy it.
fn begin(bytes: &[u8]) {
    for snapshot in [Bytes::new(), Bytes::from_static(b"state")] {
        let mut persister = crate::peer::Persister::new();
        persister.save(Bytes::copy_from_slice(bytes), snapshot);
        if let Ok(mut peer) = crate::peer::Peer::make(PEERS, 0, &persister, 1) {
            peer.tick(std::time::Duration::from_secs(1));
            let _ = peer.effects();
        }
    }
}

#[test]
fn an_empty_state_is_the_first_boot() {
    let (_, Recovered { hard_state, entries, .. }) = SavedState::decode(&[], PEERS).expect("the first boot");
    assert_eq!((hard_state, entries), (HardState::default(), Vec::new()));
}

#[test]
fn a_payload_holds_no_memory_but_its_own() {
    let state = wire::State { entries: vec![entry(1), entry(3)], ..sound() };
    let bytes = Bytes::from(bytes_of(&state));
    let (_, Recovered { entries, .. }) = SavedState::decode(&bytes, PEERS).expect("a sound state");
    let range = bytes.as_ptr_range();
    assert!(entries.iter().all(|e| !range.contains(&e.payload.as_ptr())));
}

#[test]
fn what_contradicts_itself_is_an_error() {
    assert!(SavedState::decode(&bytes_of(&sound()), PEERS).is_ok());
    let cases = [
        (wire::State { version: 0, ..sound() }, StateError::FrontMissing),
        (wire::State { version: 3, ..sound() }, StateError::NewerVersion(3)),
        (wire::State { term: u64::MAX, ..sound() }, StateError::Absurd(u64::MAX)),
        (wire::State { vote: Some(4), ..sound() }, StateError::VoteForStranger(NodeId(4))),
        (wire::State { vote: Some(0), ..sound() }, StateError::VoteForStranger(NodeId(0))),
        (wire::State { last_index: None, ..sound() }, StateError::FrontMissing),
        (wire::State { base: base(1, 1), ..sound() }, StateError::Incomplete { last_index: 2, found: 3 }),
        (wire::State { base: base(1, u64::MAX), ..sound() }, StateError::Absurd(u64::MAX)),
        (
            wire::State { base: base(5, 1), last_index: Some(3), ..sound() },
            StateError::TermOutOfOrder { id: LogId::new(5, 1), previous: 1, term: 4 },
        ),
        (
            wire::State { base: base(0, 1), last_index: Some(3), ..sound() },
            StateError::TermOutOfOrder { id: LogId::new(0, 1), previous: 1, term: 4 },
        ),
        (
            wire::State { base: base(1, 0), ..sound() },
            StateError::TermOutOfOrder { id: LogId::new(1, 0), previous: 1, term: 4 },
        ),
        (
            wire::State { base: base(2, 7), last_index: Some(9), ..sound() },
            StateError::TermOutOfOrder { id: LogId::new(1, 8), previous: 2, term: 4 },
        ),
        (wire::State { last_index: Some(3), ..sound() }, StateError::Incomplete { last_index: 3, found: 2 }),
        (wire::State { last_index: Some(1), ..sound() }, StateError::Incomplete { last_index: 1, found: 2 }),
        (
            wire::State { term: 2, ..sound() },
            StateError::TermOutOfOrder { id: LogId::new(3, 2), previous: 1, term: 2 },
        ),
        (
            wire::State { entries: vec![entry(2), entry(1)], ..sound() },
            StateError::TermOutOfOrder { id: LogId::new(1, 2), previous: 2, term: 4 },
        ),
        (
            wire::State { entries: vec![entry(0), entry(1)], ..sound() },
            StateError::TermOutOfOrder { id: LogId::new(0, 1), previous: 1, term: 4 },
        ),
        (
            wire::State { entries: vec![entry(1), wire::Entry { kind: 2, ..entry(1) }], ..sound() },
            StateError::UnknownEntryKind { id: LogId::new(1, 2), kind: 2 },
        ),
        (
            wire::State { entries: vec![entry(1), wire::Entry { kind: 259, ..entry(1) }], ..sound() },
            StateError::UnknownEntryKind { id: LogId::new(1, 2), kind: 259 },
        ),
    ];
    for (state, expected) in cases {
        assert_eq!(error(&bytes_of(&state)), expected);
    }
}

#[test]
fn a_state_of_the_first_version_begins_with_entry_1() {
    let (_, recovered) = SavedState::decode(&bytes_of(&wire::State { version: 1, ..sound() }), PEERS)
        .expect("a sound state of version 1");
    let ids: Vec<_> = recovered.entries.iter().map(|entry| entry.id).collect();
    assert_eq!((recovered.snapshot, ids), (LogId::ZERO, vec![LogId::new(1, 1), LogId::new(3, 2)]));
}

#[test]
fn what_goes_into_a_snapshot_gives_back_its_memory() {
    let mut state = SavedState::default();
    let entry = |index| Entry {
        id: LogId::new(1, index),
        kind: EntryKind::Command,
        payload: Bytes::from(vec![7; 1000]),
    };
    let hard_state = Some(HardState { term: 1, vote: None });
    let write = Write { seq: 1, hard_state, snapshot: None, entries: (1..=1000).map(entry).collect() };
    assert!(state.change(&write).len() > 1_000_000);
    let snapshot = Some(SnapshotWrite { last: LogId::new(1, 999), data: None });
    let write = Write { seq: 2, hard_state: None, snapshot, entries: Vec::new() };
    assert!(state.change(&write).len() < 1100);
    assert!(state.entries.capacity() < 2000, "room for {} bytes", state.entries.capacity());
}

#[test]
fn a_field_of_a_later_version_is_passed_over() {
    let mut bytes = bytes_of(&sound());
    encode_key(900, WireType::Varint, &mut bytes);
    encode_varint(7, &mut bytes);
    assert!(SavedState::decode(&bytes, PEERS).is_ok());
}
