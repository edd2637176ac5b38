//! What was saved comes back as it was, and nothing else is taken for it.

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

const PEERS: usize = 3;

fn config() -> ProptestConfig {
    ProptestConfig { rng_seed: RngSeed::Fixed(11), failure_persistence: None, ..ProptestConfig::default() }
}

/// One change of a log: cut it to some index, raise the term by so much, vote, append these.
#[derive(Clone, Debug)]
struct Change {
    keep: usize,
    later: Term,
    vote: Option<u64>,
    payloads: Vec<Vec<u8>>,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let payload = proptest::collection::vec(any::<u8>(), 0..300);
    let payloads = proptest::collection::vec(payload, 0..5);
    let vote = proptest::option::of(1..=PEERS as u64);
    let change = (0usize..30, 0u64..200, vote, payloads);
    let change = change.prop_map(|(keep, later, vote, payloads)| Change { keep, later, vote, payloads });
    proptest::collection::vec(change, 1..20)
}

/// What a node's writes would make of these changes, and the bytes that were saved for the last one.
fn carry_out(changes: Vec<Change>) -> (HardState, Vec<Entry>, Bytes) {
    let mut state = SavedState::default();
    let (mut hard_state, mut log, mut saved) = (HardState { term: 1, vote: None }, Vec::new(), Bytes::new());
    for (seq, Change { keep, later, vote, payloads }) in (1..).zip(changes) {
        hard_state = HardState { term: hard_state.term + later, vote: vote.map(NodeId) };
        let mut entries = Vec::new();
        if !payloads.is_empty() {
            log.truncate(keep);
        }
        for payload in payloads {
            let kind = if payload.is_empty() { EntryKind::Empty } else { EntryKind::Command };
            let id = LogId::new(hard_state.term, log.len() as Index + 1);
            entries.push(Entry { id, kind, payload: Bytes::from(payload) });
            log.push(entries[entries.len() - 1].clone());
        }
        saved = state.change(&Write { seq, hard_state: Some(hard_state), entries });
    }
    (hard_state, log, saved)
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

fn sound() -> wire::State {
    wire::State { version: 1, term: 4, vote: Some(2), last_index: Some(2), entries: vec![entry(1), entry(3)] }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn what_was_saved_comes_back(changes in changes()) {
        let (hard_state, log, saved) = carry_out(changes);
        let (mut state, hard_state_read, log_read) = SavedState::decode(&saved, PEERS).expect("a sound state");
        prop_assert_eq!(hard_state_read, hard_state);
        prop_assert_eq!(log_read, log);
        // And the next life goes on from it.
        let nothing = Write { seq: 1, hard_state: None, entries: Vec::new() };
        prop_assert_eq!(state.change(&nothing), saved);
    }

    #[test]
    fn a_state_that_lost_its_end_is_not_taken_for_a_shorter_log(changes in changes()) {
        let (_, _, saved) = carry_out(changes);
        for end in 1..saved.len() {
            error(&saved[..end]);
        }
    }

    #[test]
    fn damaged_bytes_are_an_error_or_a_state_that_a_node_begins_with(
        changes in changes(), at in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let mut bytes = carry_out(changes).2.to_vec();
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
    let mut persister = crate::peer::Persister::new();
    persister.save(Bytes::copy_from_slice(bytes), Bytes::new());
    if let Ok(mut peer) = crate::peer::Peer::make(PEERS, 0, &persister, 1) {
        peer.tick(std::time::Duration::from_secs(1));
        let _ = peer.effects();
    }
}

#[test]
fn an_empty_state_is_the_first_boot() {
    let (_, hard_state, entries) = SavedState::decode(&[], PEERS).expect("the first boot");
    assert_eq!((hard_state, entries), (HardState::default(), Vec::new()));
}

#[test]
fn a_payload_holds_no_memory_but_its_own() {
    let state = wire::State { entries: vec![entry(1), entry(3)], ..sound() };
    let bytes = Bytes::from(bytes_of(&state));
    let (_, _, entries) = SavedState::decode(&bytes, PEERS).expect("a sound state");
    let range = bytes.as_ptr_range();
    assert!(entries.iter().all(|e| !range.contains(&e.payload.as_ptr())));
}

#[test]
fn what_contradicts_itself_is_an_error() {
    assert!(SavedState::decode(&bytes_of(&sound()), PEERS).is_ok());
    let cases = [
        (wire::State { version: 0, ..sound() }, StateError::FrontMissing),
        (wire::State { version: 2, ..sound() }, StateError::NewerVersion(2)),
        (wire::State { term: u64::MAX, ..sound() }, StateError::Absurd(u64::MAX)),
        (wire::State { vote: Some(4), ..sound() }, StateError::VoteForStranger(NodeId(4))),
        (wire::State { vote: Some(0), ..sound() }, StateError::VoteForStranger(NodeId(0))),
        (wire::State { last_index: None, ..sound() }, StateError::FrontMissing),
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
fn a_field_of_a_later_version_is_passed_over() {
    let mut bytes = bytes_of(&sound());
    encode_key(900, WireType::Varint, &mut bytes);
    encode_varint(7, &mut bytes);
    assert!(SavedState::decode(&bytes, PEERS).is_ok());
}
