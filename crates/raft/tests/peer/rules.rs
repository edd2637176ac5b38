//! One rule each, most of them with a single peer and requests made by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use bowline_raft::peer::{CallEffect, Calls, Effect, Peer, Persister};
use bowline_raft::{
    AppendEntries, AppendReply, Body, Config, Conflict, Entry, EntryKind, Envelope, HardState, Index, LogId,
    Message, Node, NodeId, Outcome, RoleKind, Term,
};
use bytes::Bytes;

use crate::group::{Group, Sent};

/// Server 1 of three, at its first boot.
pub(crate) fn follower() -> Peer {
    Peer::make(3, 1, &Persister::new(), 1).expect("a first boot")
}

pub(crate) fn request_vote(term: Term) -> Message {
    Message { term, body: Body::RequestVote { last: LogId::ZERO } }
}

/// Commands of these terms behind `prev`, from the leader of `term`.
pub(crate) fn append(term: Term, round: u64, prev: LogId, terms: &[Term]) -> Message {
    let entry = |(behind, &term): (u64, &Term)| Entry {
        id: LogId::new(term, prev.index + behind),
        kind: EntryKind::Command,
        payload: Bytes::from_static(b"x"),
    };
    let entries = (1..).zip(terms).map(entry).collect();
    Message { term, body: Body::AppendEntries(AppendEntries { round, prev, entries, commit: 0 }) }
}

fn accepted(term: Term, round: u64, matched: Index) -> Message {
    let reply = AppendReply { round, outcome: Outcome::Accepted { matched }, clock_ms: 0 };
    Message { term, body: Body::AppendReply(reply) }
}

/// A refusal that answers no round, and so can be taken for nothing but its term.
fn refused(term: Term, last_index: Index) -> Message {
    let conflict = Conflict { term: None, first_index: 0, last_index };
    let reply = AppendReply { round: 0, outcome: Outcome::Refused(conflict), clock_ms: 0 };
    Message { term, body: Body::AppendReply(reply) }
}

pub(crate) fn vote(term: Term, granted: bool) -> Message {
    Message { term, body: Body::VoteReply { granted } }
}

/// The replies among what the peer wants done, and the number of its last save.
fn effects(peer: &mut Peer) -> (Vec<(u64, usize, Message)>, Option<u64>) {
    let (mut replies, mut saved) = (Vec::new(), None);
    for effect in peer.effects() {
        match effect {
            Effect::Reply { call, to, reply } => replies.push((call, to, reply)),
            Effect::Save(save) => {
                assert!(replies.is_empty(), "a save stands behind a reply");
                saved = Some(save.seq);
            }
            Effect::Call { .. } | Effect::Apply(_) => {}
        }
    }
    (replies, saved)
}

#[test]
fn a_granted_vote_waits_for_the_save() {
    let mut peer = follower();
    peer.request(0, 7, request_vote(1));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    peer.tick(Duration::from_millis(50));
    assert_eq!(effects(&mut peer), (vec![], None));
    peer.saved(1);
    assert_eq!(effects(&mut peer).0, [(7, 0, vote(1, true))]);
}

#[test]
fn a_repeated_vote_request_gets_its_reply_as_well() {
    let mut peer = follower();
    peer.request(0, 7, request_vote(1));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    peer.request(0, 8, request_vote(1));
    assert_eq!(effects(&mut peer), (vec![], None));
    peer.saved(1);
    assert_eq!(effects(&mut peer).0, [(7, 0, vote(1, true)), (8, 0, vote(1, true))]);
    // And one that comes when the vote is on disk, at once.
    peer.request(0, 9, request_vote(1));
    assert_eq!(effects(&mut peer).0, [(9, 0, vote(1, true))]);
}

#[test]
fn a_refused_vote_is_answered_at_once_and_the_granted_one_goes_on_waiting() {
    let mut peer = follower();
    peer.request(0, 7, request_vote(2));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    // A late one of the same candidate, and one of another.
    peer.request(0, 8, request_vote(1));
    peer.request(2, 9, request_vote(2));
    assert_eq!(effects(&mut peer).0, [(8, 0, vote(2, false)), (9, 2, vote(2, false))]);
    peer.saved(1);
    assert_eq!(effects(&mut peer).0, [(7, 0, vote(2, true))]);
}

#[test]
fn a_later_term_turns_an_open_vote_into_a_refusal_in_that_term() {
    let mut peer = follower();
    peer.request(0, 7, request_vote(1));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    peer.request(2, 8, request_vote(2));
    assert_eq!(effects(&mut peer), (vec![(7, 0, vote(2, false))], Some(2)));
    peer.saved(2);
    assert_eq!(effects(&mut peer).0, [(8, 2, vote(2, true))]);
}

#[test]
fn a_vote_that_lost_its_point_is_refused_in_its_own_term() {
    let mut peer = follower();
    peer.request(0, 7, request_vote(1));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    // Somebody else won the term.
    peer.request(2, 8, append(1, 1, LogId::ZERO, &[]));
    assert_eq!(effects(&mut peer).0, [(8, 2, accepted(1, 1, 0)), (7, 0, vote(1, false))]);
    peer.saved(1);
    assert_eq!(effects(&mut peer), (vec![], None));
}

#[test]
fn a_vote_is_answered_when_the_voter_campaigns_and_gives_up_between_two_effects() {
    let mut peer = follower();
    peer.tick(Duration::ZERO);
    peer.request(0, 7, request_vote(1));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    peer.tick(Duration::from_millis(100));
    peer.tick(Duration::from_millis(900));
    assert_eq!(peer.node().role(), RoleKind::PreCandidate);
    // The disk has hung for so long that it gives up.
    peer.tick(Duration::from_secs(10));
    assert_eq!(peer.node().role(), RoleKind::Follower);
    assert_eq!(effects(&mut peer).0, [(7, 0, vote(1, false))]);
}

#[test]
fn an_append_gets_one_reply_with_its_round_and_all_that_it_covers() {
    let mut peer = follower();
    peer.request(0, 7, append(1, 5, LogId::ZERO, &[1, 1]));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    peer.saved(1);
    assert_eq!(effects(&mut peer).0, [(7, 0, accepted(1, 5, 2))]);
    // What covers nothing that is not on disk is answered at once.
    peer.request(0, 8, append(1, 6, LogId::new(1, 2), &[]));
    assert_eq!(effects(&mut peer), (vec![(8, 0, accepted(1, 6, 2))], None));
    // And what is refused too.
    peer.request(0, 9, append(1, 7, LogId::new(1, 3), &[]));
    let conflict = Conflict { term: None, first_index: 0, last_index: 2 };
    let reply = AppendReply { round: 7, outcome: Outcome::Refused(conflict), clock_ms: 0 };
    let reply = Message { term: 1, body: Body::AppendReply(reply) };
    assert_eq!(effects(&mut peer), (vec![(9, 0, reply)], None));
}

#[test]
fn one_acknowledgement_answers_all_that_came_since_the_last_effects() {
    let mut peer = follower();
    peer.request(0, 7, append(1, 5, LogId::ZERO, &[1, 1]));
    let (replies, seq) = effects(&mut peer);
    assert_eq!(replies, []);
    peer.request(0, 8, append(1, 6, LogId::ZERO, &[1, 1]));
    peer.saved(seq.expect("a save"));
    assert_eq!(effects(&mut peer).0, [(7, 0, accepted(1, 5, 2)), (8, 0, accepted(1, 6, 2))]);
}

#[test]
fn a_later_term_turns_an_open_append_into_a_refusal_that_names_no_round() {
    let mut peer = follower();
    peer.request(0, 7, append(1, 5, LogId::ZERO, &[1]));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    peer.request(2, 8, append(2, 1, LogId::ZERO, &[]));
    assert_eq!(effects(&mut peer), (vec![(8, 2, accepted(2, 1, 0)), (7, 0, refused(2, 1))], Some(2)));
    peer.saved(2);
    assert_eq!(effects(&mut peer).0, []);
}

#[test]
fn of_two_open_appends_the_older_is_answered_by_its_echo() {
    let mut peer = follower();
    peer.request(0, 7, append(1, 5, LogId::ZERO, &[1]));
    assert_eq!(effects(&mut peer).0, []);
    peer.request(0, 8, append(1, 6, LogId::ZERO, &[1, 1]));
    assert_eq!(effects(&mut peer).0, [(7, 0, accepted(1, 5, 0))]);
    // Part of what the newer one covers is no answer yet.
    peer.saved(1);
    assert_eq!(effects(&mut peer).0, []);
    peer.saved(2);
    assert_eq!(effects(&mut peer).0, [(8, 0, accepted(1, 6, 2))]);
}

#[test]
fn a_follower_that_campaigns_answers_by_the_echo_and_is_not_taken_for_one_that_lost_data() {
    let mut group = Group::new(3);
    group.elect(0);
    group.peers[0].start(Bytes::from_static(b"a"));
    group.settle();
    group.pass(200);
    assert!(group.applied.iter().all(|applied| applied.len() == 1));
    // The disk of server 1 hangs with the second command, and its patience ends.
    group.hung.insert(1);
    group.peers[0].start(Bytes::from_static(b"b"));
    group.settle();
    group.sent.clear();
    group.tick(1, 10);
    group.tick(1, 600);
    group.silent.insert(0);
    group.silent.insert(2);
    group.settle();
    assert_eq!(group.peers[1].node().role(), RoleKind::PreCandidate);
    let replies: Vec<_> = group.sent.iter().filter(|s| matches!(s, Sent::Reply { from: 1, .. })).collect();
    let [Sent::Reply { to: 0, reply, .. }] = replies.as_slice() else { panic!("not one reply: {replies:?}") };
    assert_eq!(reply.term, 1);
    let Body::AppendReply(AppendReply { outcome: Outcome::Accepted { matched: 1 }, .. }) = reply.body else {
        panic!("not the echo: {reply:?}");
    };
    // Its leader goes on with it as before.
    group.silent.clear();
    group.release();
    group.pass(500);
    assert!(group.applied.iter().all(|applied| applied.len() == 2), "{:?}", group.applied);
    assert_eq!(group.peers[0].take_alarms(), []);
    assert_eq!(group.peers[0].get_state(), (1, true));
}

#[test]
fn a_leader_with_slow_followers_goes_on_leading() {
    let mut group = Group::new(3);
    group.elect(0);
    group.hung.extend([1, 2]);
    group.peers[0].start(Bytes::from_static(b"a"));
    group.pass(1500);
    assert_eq!(group.peers[0].get_state(), (1, true));
    group.release();
    group.pass(200);
    assert!(group.applied.iter().all(|applied| applied.len() == 1));
}

#[test]
fn what_the_node_rejects_is_refused_and_counted() {
    let mut peer = follower();
    peer.request(0, 1, append(1, 5, LogId::ZERO, &[1]));
    let (_, seq) = effects(&mut peer);
    peer.saved(seq.expect("a save"));
    assert_eq!(effects(&mut peer).0.len(), 1);
    // Terms that go back, a second leader, a stranger, an absurd number, what cannot be applied.
    peer.request(0, 2, append(1, 6, LogId::new(1, 1), &[3]));
    peer.request(2, 3, append(1, 6, LogId::new(1, 1), &[]));
    peer.request(9, 4, append(1, 6, LogId::new(1, 1), &[]));
    peer.request(0, 5, request_vote(u64::MAX));
    let Message { term, body: Body::AppendEntries(mut of_members) } = append(1, 7, LogId::new(1, 1), &[1])
    else {
        panic!("an append");
    };
    of_members.entries[0].kind = EntryKind::Configuration;
    peer.request(0, 6, Message { term, body: Body::AppendEntries(of_members) });
    assert_eq!(
        effects(&mut peer),
        (
            vec![
                (2, 0, refused(1, 1)),
                (3, 2, refused(1, 1)),
                (4, 9, refused(1, 1)),
                (5, 0, vote(1, false)),
                (6, 0, refused(1, 1)),
            ],
            None
        )
    );
    assert_eq!(peer.rejected(), 5);
    assert_eq!(peer.node().last_log_id(), LogId::new(1, 1));
}

#[test]
fn a_reply_where_a_request_should_be_is_refused_and_changes_nothing() {
    let mut peer = follower();
    let before = format!("{:?}", peer.node());
    peer.request(0, 1, vote(8, true));
    peer.request(0, 2, accepted(9, 1, 0));
    assert_eq!(format!("{:?}", peer.node()), before);
    let refusal = Message { term: 0, body: Body::PreVoteReply { granted: false } };
    assert_eq!(effects(&mut peer).0, [(1, 0, refusal.clone()), (2, 0, refusal)]);
    assert_eq!(peer.rejected(), 2);
}

#[test]
fn open_requests_are_bounded() {
    let mut peer = follower();
    let mut answered = 0;
    for call in 0..100 {
        peer.request(0, call, request_vote(1));
        peer.request(2, 1000 + call, request_vote(1));
        answered += effects(&mut peer).0.len();
    }
    assert_eq!(answered, 192, "eight votes wait");
    for round in 1..=100 {
        peer.request(2, 2000 + round, append(1, round, LogId::ZERO, &[1, 1]));
        answered += effects(&mut peer).0.len();
    }
    assert_eq!(answered, 299, "one append waits");
    peer.saved(2);
    assert_eq!(effects(&mut peer).0, [(2100, 2, accepted(1, 100, 2))]);
}

#[test]
fn a_call_that_never_ends_does_not_keep_the_next_one_from_being_made() {
    let mut group = Group::new(3);
    group.elect(0);
    // Calls to server 2 neither arrive nor fail.
    group.silent.insert(2);
    group.peers[0].start(Bytes::from_static(b"a"));
    group.pass(1000);
    assert_eq!(group.applied[1].len(), 1);
    assert_eq!(group.applied[2].len(), 0);
    // It is called again each heartbeat interval, and hears everything as soon as it can.
    let made = group.sent.iter().filter(|s| matches!(s, Sent::Request { from: 0, to: 2, .. })).count();
    assert!(made >= 9, "{made} calls in a second");
    group.silent.clear();
    group.pass(200);
    assert_eq!(group.applied[2].len(), 1);
}

#[test]
fn calls_that_never_end_are_forgotten_when_they_are_too_many() {
    let node = Node::new(
        Config::new(NodeId(1), (1..=3).map(NodeId).collect(), 1),
        HardState::default(),
        LogId::ZERO,
        vec![],
    );
    let mut calls = Calls::new();
    for round in 1..=10_000 {
        let envelope = Envelope { to: NodeId(2), message: append(1, round, LogId::ZERO, &[]) };
        let effects = calls.sort(&node, vec![envelope]);
        assert!(matches!(effects[..], [CallEffect::Call { call, .. }] if call == round));
    }
    assert_eq!(calls.calls_under_way(), 4096);
    assert_eq!(calls.replied(1, &accepted(1, 1, 0)), None);
    assert_eq!(calls.replied(10_000, &accepted(1, 10_000, 0)), Some(NodeId(2)));
    assert_eq!(calls.replied(10_000, &accepted(1, 10_000, 0)), None);
    calls.failed(9_999);
    assert_eq!(calls.replied(9_999, &accepted(1, 9_999, 0)), None);
}

#[test]
fn a_reply_of_another_kind_or_to_no_call_is_ignored() {
    let mut peer = follower();
    peer.tick(Duration::ZERO);
    let _ = peer.effects();
    peer.tick(Duration::from_secs(1));
    let made = peer.effects();
    let [Effect::Call { call, request, .. }, Effect::Call { call: other, .. }] = &made[..] else {
        panic!("it asks for pre-votes: {made:?}");
    };
    assert!(matches!(request.body, Body::PreVote { .. }));
    peer.reply(*call, accepted(9, 1, 0));
    assert_eq!(peer.rejected(), 1);
    peer.reply(1000, Message { term: 9, body: Body::PreVoteReply { granted: false } });
    assert_eq!(peer.get_state(), (0, false));
    // That was the end of the first call. The second one still counts, once.
    peer.reply(*call, Message { term: 9, body: Body::PreVoteReply { granted: false } });
    assert_eq!(peer.get_state(), (0, false));
    peer.reply(*other, Message { term: 5, body: Body::PreVoteReply { granted: false } });
    assert_eq!(peer.get_state(), (5, false));
    peer.reply(*other, Message { term: 9, body: Body::PreVoteReply { granted: false } });
    assert_eq!(peer.get_state(), (5, false));
    assert_eq!(peer.rejected(), 1);
}

#[test]
fn the_numbers_of_calls_are_never_used_twice() {
    let mut group = Group::new(3);
    group.elect(0);
    group.pass(2000);
    let mut seen = BTreeSet::new();
    for sent in &group.sent {
        if let Sent::Request { from, call, .. } = sent {
            assert!(seen.insert((*from, *call)), "call {call} of server {from} was made twice");
        }
    }
    assert!(seen.len() > 20);
}

#[test]
fn a_vote_of_one_term_is_no_answer_to_the_request_of_another() {
    let mut peer = follower();
    peer.request(0, 7, request_vote(1));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    // The vote is paid, and the same candidate asks in a later term, before anybody looks.
    peer.saved(1);
    peer.request(0, 8, request_vote(2));
    assert_eq!(effects(&mut peer), (vec![(7, 0, vote(1, true))], Some(2)));
    peer.saved(2);
    assert_eq!(effects(&mut peer).0, [(8, 0, vote(2, true))]);
}

#[test]
fn a_round_of_one_term_is_no_answer_to_that_of_another() {
    let mut peer = follower();
    peer.request(0, 7, append(1, 5, LogId::ZERO, &[]));
    peer.request(0, 8, append(2, 5, LogId::ZERO, &[]));
    assert_eq!(effects(&mut peer).0, [(7, 0, accepted(1, 5, 0)), (8, 0, accepted(2, 5, 0))]);
    // The first one is malformed, the second lacks its previous entry.
    peer.request(0, 9, append(1, 6, LogId::ZERO, &[2]));
    peer.request(0, 10, append(2, 6, LogId::new(2, 3), &[]));
    let conflict = Conflict { term: None, first_index: 0, last_index: 0 };
    let reply = AppendReply { round: 6, outcome: Outcome::Refused(conflict), clock_ms: 0 };
    let reply = Message { term: 2, body: Body::AppendReply(reply) };
    assert_eq!(effects(&mut peer).0, [(10, 0, reply), (9, 0, refused(2, 0))]);
}

#[test]
fn what_came_with_a_tick_is_answered_by_the_node() {
    let mut peer = follower();
    peer.request(0, 7, append(1, 5, LogId::ZERO, &[1]));
    peer.tick(Duration::from_millis(10));
    assert_eq!(effects(&mut peer), (vec![], Some(1)));
    peer.saved(1);
    assert_eq!(effects(&mut peer).0, [(7, 0, accepted(1, 5, 1))]);
}
