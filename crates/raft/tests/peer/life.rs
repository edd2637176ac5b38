//! A peer's life: made, told commands, killed, and made again from what was saved.

use std::time::Duration;

use bowline_raft::peer::{ApplyMsg, Effect, Peer, Persister};
use bowline_raft::{Entry, HardState, LogId};
use bytes::Bytes;

use crate::group::Group;
use crate::rules::{append, follower, request_vote, vote};

#[test]
fn a_killed_peer_is_silent() {
    let mut group = Group::new(1);
    group.elect(0);
    let peer = &mut group.peers[0];
    assert_eq!(peer.start(Bytes::from_static(b"a")), (1, 1, true));
    peer.kill();
    assert!(peer.is_killed());
    assert_eq!(peer.start(Bytes::from_static(b"b")), (0, 1, false));
    assert_eq!(peer.get_state(), (1, false));
    peer.tick(Duration::from_secs(100));
    peer.request(0, 1, request_vote(50));
    peer.reply(1, vote(50, false));
    peer.failed(1);
    peer.saved(1000);
    assert_eq!(peer.effects(), []);
    assert_eq!((peer.get_state(), peer.rejected()), ((1, false), 0));
}

#[test]
fn who_does_not_lead_takes_no_command() {
    let mut group = Group::new(3);
    assert_eq!(group.peers[0].start(Bytes::new()), (0, 0, false));
    group.elect(0);
    assert_eq!(group.peers[1].start(Bytes::new()), (0, 1, false));
    assert_eq!(group.peers[0].start(Bytes::new()), (1, 1, true));
}

#[test]
fn all_that_is_committed_is_handed_out_at_once_however_much_it_is() {
    let mut group = Group::new(1);
    group.elect(0);
    let large = Bytes::from(vec![1; 3 << 20]);
    for index in 1..=5 {
        assert_eq!(group.peers[0].start(large.clone()), (index, 1, true));
    }
    let peer = &mut group.peers[0];
    let Some(Effect::Save(save)) = peer.effects().into_iter().next() else { panic!("nothing to save") };
    peer.saved(save.seq);
    let indices: Vec<_> = peer
        .effects()
        .into_iter()
        .map(|effect| match effect {
            Effect::Apply(ApplyMsg::Command { index, command }) if command == large => index,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(indices, [1, 2, 3, 4, 5]);
    assert_eq!(peer.node().last_applied(), 5);
}

#[test]
fn a_command_does_not_pin_the_buffer_that_it_was_cut_from() {
    let mut group = Group::new(1);
    group.elect(0);
    let buffer = Bytes::from(vec![1; 1 << 20]);
    group.peers[0].start(buffer.slice(5..10));
    let held = &group.peers[0].node().entry(1).expect("the entry").payload;
    assert!(!buffer.as_ptr_range().contains(&held.as_ptr()));
}

#[test]
fn a_new_life_begins_with_what_was_saved_and_hands_it_out_again() {
    let mut group = Group::new(3);
    group.elect(0);
    for command in ["a", "b", "c"] {
        group.peers[0].start(Bytes::from(command));
        group.pass(150);
    }
    let applied = group.applied.clone();
    assert_eq!(applied[0], [(1, "a".into()), (2, "b".into()), (3, "c".into())]);
    let vote = group.peers[1].node().vote();
    for at in 0..3 {
        group.restart(at);
        assert_eq!(group.peers[at].node().last_log_id(), LogId::new(1, 3));
        assert_eq!(group.peers[at].get_state(), (1, false));
    }
    assert_eq!(group.peers[1].node().vote(), vote);
    // Nothing of an earlier term is committed by counting: the next command brings it.
    group.elect(1);
    group.peers[1].start(Bytes::from_static(b"d"));
    group.pass(300);
    for again in &group.applied {
        assert_eq!(again[..3], applied[0]);
        assert_eq!(again.len(), 4);
    }
}

#[test]
fn a_save_is_the_whole_state_and_the_change_the_same() {
    let mut peer = follower();
    let mut log: Vec<Entry> = Vec::new();
    let mut hard_state = HardState::default();
    let appends = [
        append(1, 1, LogId::ZERO, &[1, 1, 1]),
        append(2, 1, LogId::new(1, 1), &[2]),
        append(3, 1, LogId::ZERO, &[]),
        append(4, 1, LogId::new(2, 2), &[3, 3, 4]),
    ];
    for (call, request) in (0..).zip(appends) {
        peer.request(0, call, request);
        let made = peer.effects();
        let Some(Effect::Save(save)) = made.first() else { panic!("nothing to save: {made:?}") };
        if let Some(first) = save.change.entries.first() {
            log.truncate(usize::try_from(first.id.index).expect("a small index") - 1);
            log.extend(save.change.entries.clone());
        }
        hard_state = save.change.hard_state.unwrap_or(hard_state);
        let mut persister = Persister::new();
        persister.save(save.state.clone(), Bytes::new());
        let read = Peer::make(3, 1, &persister, 1).expect("what was saved");
        let node = read.node();
        assert_eq!((node.term(), node.vote()), (hard_state.term, hard_state.vote));
        assert_eq!((1..).map_while(|index| node.entry(index).cloned()).collect::<Vec<_>>(), log);
        peer.saved(save.seq);
    }
    let terms: Vec<_> = log.iter().map(|e| e.id.term).collect();
    assert_eq!(terms, [1, 2, 3, 3, 4]);
}

#[test]
fn a_persister_keeps_both_blobs_and_a_clone_is_a_copy() {
    let mut persister = Persister::new();
    assert_eq!((persister.raft_state_size(), persister.snapshot_size()), (0, 0));
    persister.save(Bytes::from_static(b"state"), Bytes::from_static(b"snap"));
    let copy = persister.clone();
    persister.save(Bytes::from_static(b"new"), Bytes::new());
    assert_eq!((copy.read_raft_state(), copy.read_snapshot()), ("state".into(), "snap".into()));
    assert_eq!((copy.raft_state_size(), copy.snapshot_size()), (5, 4));
    assert_eq!((persister.read_raft_state(), persister.read_snapshot()), ("new".into(), Bytes::new()));
}
