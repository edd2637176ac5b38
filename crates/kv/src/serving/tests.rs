use std::time::Duration;

use bowline_raft::{Config, HardState, LogId, NodeId};

use super::*;
use crate::entry::Requests;

/// A node that is a cluster by itself, and leads.
fn leader(config: impl FnOnce(Config) -> Config) -> (Node, Serving) {
    let own = NodeId(1);
    let config = config(Config::new(own, vec![own], 1));
    let mut node = Node::new(config, HardState::default(), LogId::ZERO, Vec::new());
    let mut now = Duration::ZERO;
    while node.role() != RoleKind::Leader || node.commit_index() == 0 {
        now += Duration::from_millis(50);
        node.tick(now);
        let _ = settle(&mut node);
    }
    let mut serving = Serving::default();
    serving.follow(&node);
    assert!(serving.leads());
    (node, serving)
}

/// Lets the disk finish, and hands back what is committed: number and length of each command.
fn settle(node: &mut Node) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        let ready = node.ready();
        for entry in &ready.committed {
            if !entry.payload.is_empty() {
                let requests = Requests::decode(&entry.payload).expect("it was built here");
                numbers.extend(requests.map(|request| request.expect("it was built here").number));
            }
            node.applied(entry.id.index);
        }
        match ready.write {
            Some(write) => node.persisted(write.seq),
            None if ready.committed.is_empty() => return numbers,
            None => {}
        }
    }
}

/// Takes the reads that a state as new as that can answer.
fn servable(serving: &mut Serving, applied: Index) -> Vec<u64> {
    serving.grant_up_to(applied, 0);
    let mut numbers = Vec::new();
    while let Some((_, read)) = serving.first_servable() {
        numbers.push(read.number);
        serving.served();
    }
    numbers
}

fn origin() -> Origin {
    Origin { node: 2, life: 3 }
}

fn take(serving: &mut Serving, number: u64, bytes: usize) {
    let command = vec![0; bytes];
    serving.take_command(&Request { origin: origin(), floor: 1, number, command: &command });
}

#[test]
fn a_busy_log_keeps_the_order() {
    let (mut node, mut serving) = leader(|config| Config { max_uncommitted_bytes: 300, ..config });
    let mut committed = Vec::new();
    let mut waited = false;
    for number in 1..=40 {
        take(&mut serving, number, 100);
        assert!(serving.propose(&mut node, 5).is_empty(), "there is room in the log");
        waited |= !serving.sealed.is_empty();
        if number % 7 == 0 {
            committed.extend(settle(&mut node));
        }
    }
    assert!(waited, "it was never busy");
    for _ in 0..10 {
        assert!(serving.propose(&mut node, 5).is_empty());
        committed.extend(settle(&mut node));
    }
    assert_eq!(committed, (1..=40).collect::<Vec<_>>());
}

#[test]
fn a_large_pass_becomes_several_entries_in_order() {
    let (mut node, mut serving) = leader(|config| config);
    for number in 1..=10 {
        take(&mut serving, number, 100 << 10);
    }
    let last = node.last_log_id().index;
    for _ in 0..2 {
        assert!(serving.propose(&mut node, 5).is_empty());
    }
    assert_eq!(node.last_log_id().index - last, 4, "three closed entries, and the open one");
    assert_eq!(settle(&mut node), (1..=10).collect::<Vec<_>>());
}

#[test]
fn what_has_no_room_in_the_log_is_handed_back_and_the_next_goes_on() {
    let (mut node, mut serving) = leader(|config| Config { max_log_bytes: 1000, ..config });
    take(&mut serving, 1, 2000);
    let refused = serving.propose(&mut node, 5);
    let [payload] = &refused[..] else { panic!("{} payloads are refused", refused.len()) };
    let numbers: Vec<_> =
        Requests::decode(payload).expect("it was built here").map(|r| r.map(|r| r.number)).collect();
    assert_eq!(numbers, [Ok(1)]);
    take(&mut serving, 2, 100);
    assert!(serving.propose(&mut node, 5).is_empty());
    assert_eq!(settle(&mut node), [2]);
}

#[test]
fn reads_wait_for_their_grant_and_for_the_state() {
    let (mut node, mut serving) = leader(|config| Config { max_waiting_reads: 1, ..config });
    let read = |number| ServedRead { origin: origin(), number, command: Bytes::new() };
    serving.take_read(read(1));
    serving.take_read(read(2));
    serving.ask(&mut node);
    serving.take_read(read(3));
    // One question waits, and no more may: the third read asks later.
    serving.ask(&mut node);
    assert!(servable(&mut serving, Index::MAX).is_empty(), "nothing is confirmed");
    let ready = node.ready();
    let [grant] = ready.reads[..] else { panic!("grants: {:?}", ready.reads) };
    serving.granted(ReadGrant { id: grant.id + 1, ..grant });
    assert!(servable(&mut serving, Index::MAX).is_empty(), "another question was confirmed");
    serving.granted(grant);
    assert!(grant.index > 0);
    assert!(servable(&mut serving, grant.index - 1).is_empty(), "the state is too old");
    assert_eq!(servable(&mut serving, grant.index), [1, 2]);
    serving.ask(&mut node);
    for grant in node.ready().reads {
        serving.granted(grant);
    }
    assert_eq!(servable(&mut serving, Index::MAX), [3]);
}

#[test]
fn the_latest_connection_alone_is_listened_to() {
    let (node, mut serving) = leader(|config| config);
    let term = node.term();
    let life = |life| Origin { node: 2, life };
    assert!(!serving.takes_from(life(1), 1, term + 1), "meant for another term");
    assert!(serving.takes_from(life(1), 1, term));
    assert!(serving.takes_from(life(1), 1, term));
    assert!(serving.takes_from(life(1), 3, term));
    assert!(!serving.takes_from(life(1), 2, term), "of an earlier connection");
    assert!(serving.takes_from(life(2), 1, term));
    assert!(!serving.takes_from(life(1), 4, term), "of an earlier life");
    assert!(serving.takes_from(Origin { node: 3, life: 1 }, 1, term), "another node");
}
