//! Messages as bytes: every message comes back as it was, and no bytes at all make the decoder panic.

use bowline_raft::codec::{DecodeError, Header, WIRE_VERSION, decode, encode};
use bowline_raft::{
    AppendEntries, AppendReply, Body, Conflict, Entry, EntryKind, GroupId, InstallSnapshot, LogId, Message,
    NodeId, Outcome,
};
use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const HEADER: Header =
    Header { cluster: 0x1122_3344_5566_7788, group: GroupId(1), from: NodeId(2), to: NodeId(3) };

fn log_id() -> impl Strategy<Value = LogId> {
    (any::<u64>(), any::<u64>()).prop_map(|(term, index)| LogId::new(term, index))
}

fn append() -> impl Strategy<Value = Body> {
    let kind = prop_oneof![Just(EntryKind::Empty), Just(EntryKind::Command), Just(EntryKind::Configuration)];
    let entry = (any::<u64>(), kind, proptest::collection::vec(any::<u8>(), 0..40));
    let entries = proptest::collection::vec(entry, 0..6);
    // An entry's index does not travel: it follows from that of the previous entry.
    let prev = (any::<u64>(), 0..=Message::MAX_NUMBER).prop_map(|(term, index)| LogId::new(term, index));
    (any::<u64>(), prev, any::<u64>(), entries).prop_map(|(round, prev, commit, entries)| {
        let entry = |(index, (term, kind, payload)): (u64, (u64, EntryKind, Vec<u8>))| Entry {
            id: LogId::new(term, index),
            kind,
            payload: Bytes::from(payload),
        };
        let entries = (prev.index + 1..).zip(entries).map(entry).collect();
        Body::AppendEntries(AppendEntries { round, prev, entries, commit })
    })
}

fn body() -> impl Strategy<Value = Body> {
    let conflict =
        (any::<Option<u64>>(), any::<u64>(), any::<u64>()).prop_map(|(term, first_index, last_index)| {
            Outcome::Refused(Conflict { term, first_index, last_index })
        });
    let outcome = prop_oneof![any::<u64>().prop_map(|matched| Outcome::Accepted { matched }), conflict];
    let data = proptest::collection::vec(any::<u8>(), 0..100);
    let install = (any::<u64>(), log_id(), data).prop_map(|(round, last, data)| {
        Body::InstallSnapshot(InstallSnapshot { round, last, data: Bytes::from(data) })
    });
    prop_oneof![
        install,
        log_id().prop_map(|last| Body::PreVote { last }),
        log_id().prop_map(|last| Body::RequestVote { last }),
        any::<bool>().prop_map(|granted| Body::PreVoteReply { granted }),
        any::<bool>().prop_map(|granted| Body::VoteReply { granted }),
        append(),
        (any::<u64>(), outcome, any::<u64>()).prop_map(|(round, outcome, clock_ms)| Body::AppendReply(
            AppendReply { round, outcome, clock_ms }
        )),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    (any::<u64>(), body()).prop_map(|(term, body)| Message { term, body })
}

fn bytes_of(header: Header, message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(header, message, &mut bytes);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { rng_seed: RngSeed::Fixed(7), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_message_comes_back(
        numbers in any::<[u64; 4]>(),
        message in message(),
    ) {
        let [cluster, group, from, to] = numbers;
        let header = Header { cluster, group: GroupId(group), from: NodeId(from), to: NodeId(to) };
        prop_assert_eq!(decode(&bytes_of(header, &message)), Ok((header, message)));
    }

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn damaged_messages_are_survived(
        message in message(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = bytes_of(HEADER, &message);
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = decode(&bytes);
        bytes.truncate(cut.index(bytes.len()));
        let _ = decode(&bytes);
    }
}

#[test]
fn a_snapshot_holds_no_memory_but_its_own() {
    let install = InstallSnapshot { round: 1, last: LogId::new(1, 1), data: Bytes::from_static(b"state") };
    let bytes = bytes_of(HEADER, &Message { term: 1, body: Body::InstallSnapshot(install) });
    let (_, message) = decode(&bytes).expect("a message");
    let Body::InstallSnapshot(install) = message.body else { panic!("{message:?}") };
    assert!(!bytes.as_ptr_range().contains(&install.data.as_ptr()), "the snapshot is a part of the buffer");
}

#[test]
fn the_tags_are_for_ever() {
    let install = InstallSnapshot { round: 4, last: LogId::new(5, 6), data: Bytes::from_static(b"x") };
    let bytes = bytes_of(HEADER, &Message { term: 3, body: Body::InstallSnapshot(install) });
    // Field 13: the message; in it 1 to 4: round, term, index, data.
    assert!(bytes.ends_with(&[0x30, 3, 0x6a, 9, 0x08, 4, 0x10, 5, 0x18, 6, 0x22, 1, b'x']), "{bytes:x?}");
    let reply = AppendReply { round: 4, outcome: Outcome::Accepted { matched: 5 }, clock_ms: 6 };
    let bytes = bytes_of(HEADER, &Message { term: 3, body: Body::AppendReply(reply) });
    // Field 12; in it 1, 2 and 4: round, matched, the clock.
    assert!(bytes.ends_with(&[0x30, 3, 0x62, 6, 0x08, 4, 0x10, 5, 0x20, 6]), "{bytes:x?}");
}

#[test]
fn a_payload_holds_no_memory_but_its_own() {
    let entry =
        Entry { id: LogId::new(1, 1), kind: EntryKind::Command, payload: Bytes::from_static(b"value") };
    let append = AppendEntries { round: 1, prev: LogId::ZERO, entries: vec![entry], commit: 0 };
    let bytes = bytes_of(HEADER, &Message { term: 1, body: Body::AppendEntries(append) });
    let (_, message) = decode(&bytes).expect("a message");
    let Body::AppendEntries(append) = message.body else { panic!("{message:?}") };
    let buffer = bytes.as_ptr_range();
    assert!(!buffer.contains(&append.entries[0].payload.as_ptr()), "the payload is a part of the buffer");
}

#[test]
fn a_later_version_is_refused_by_name() {
    // Field 1, the version, as a varint.
    let later = u8::try_from(WIRE_VERSION + 1).expect("small");
    assert_eq!(decode(&[0x08, later]), Err(DecodeError::NewerVersion(WIRE_VERSION + 1)));
    let text = DecodeError::NewerVersion(WIRE_VERSION + 1).to_string();
    assert!(text.contains("update this node first"), "{text}");
}

#[test]
fn a_later_field_is_passed_over() {
    let message = Message { term: 3, body: Body::VoteReply { granted: true } };
    let mut bytes = bytes_of(HEADER, &message);
    // Field 100, of two bytes.
    bytes.extend([0xa2, 0x06, 0x02, 1, 2]);
    assert_eq!(decode(&bytes), Ok((HEADER, message)));
}

#[test]
fn what_this_version_does_not_know_is_refused() {
    assert_eq!(decode(&[]), Err(DecodeError::UnknownBody));
    assert!(matches!(decode(&[0xff]), Err(DecodeError::Malformed(_))));
    // AppendEntries (field 11) with an entry (field 5) of kind (field 2) 9.
    let unknown_kind = [0x5a, 0x04, 0x2a, 0x02, 0x10, 9];
    let id = LogId::new(0, 1);
    assert_eq!(decode(&unknown_kind), Err(DecodeError::UnknownEntryKind { id, kind: 9 }));
    // The same with a kind that is a known one only in its last byte: 256 + 1.
    let wide_kind = [0x5a, 0x05, 0x2a, 0x03, 0x10, 0x81, 0x02];
    assert_eq!(decode(&wide_kind), Err(DecodeError::UnknownEntryKind { id, kind: 257 }));
}

#[test]
fn an_index_that_cannot_be_counted_on_from_is_refused() {
    let prev = LogId::new(1, Message::MAX_NUMBER + 1);
    let append = AppendEntries { round: 1, prev, entries: Vec::new(), commit: 0 };
    let bytes = bytes_of(HEADER, &Message { term: 1, body: Body::AppendEntries(append) });
    assert_eq!(decode(&bytes), Err(DecodeError::Absurd));
}
