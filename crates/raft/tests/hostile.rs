//! Peers that say anything at all: a node rejects what no correct peer would say, stays as it was
//! then, and never panics. (Safety cannot be promised to a cluster with liars; life can.)

#[path = "harness/member.rs"]
mod member;

use std::time::Duration;

use bowline_raft::{
    AppendEntries, AppendReply, Body, Config, Conflict, Entry, EntryKind, InstallSnapshot, LogId, Message,
    NodeId, Outcome, RoleKind,
};
use bytes::Bytes;
use member::{Disk, Member};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Mostly small, so that it often fits; sometimes at the very edge of what is believed.
fn number(rng: &mut StdRng, around: u64) -> u64 {
    match rng.random_range(0..50) {
        0 => Message::MAX_NUMBER,
        1 => u64::MAX,
        2 => 0,
        _ => around.saturating_add(rng.random_range(0..4)).saturating_sub(2),
    }
}

fn log_id(rng: &mut StdRng, node: &bowline_raft::Node) -> LogId {
    let last = node.last_log_id();
    let index = rng.random_range(0..=last.index + 1);
    match node.entry(index) {
        Some(entry) if rng.random_bool(0.7) => entry.id,
        _ => LogId::new(number(rng, last.term), number(rng, last.index)),
    }
}

fn body(rng: &mut StdRng, node: &bowline_raft::Node, rounds: u64, answers_only: bool) -> Body {
    let kinds = if answers_only { [2, 4, 8, 9, 10] } else { [0, 1, 6, 7, 11] };
    let any: usize = rng.random_range(0..12);
    match if rng.random_bool(0.8) { kinds[any % kinds.len()] } else { any } {
        0 => Body::PreVote { last: log_id(rng, node) },
        1 => Body::RequestVote { last: log_id(rng, node) },
        2 | 3 => Body::PreVoteReply { granted: rng.random_bool(0.8) },
        4 | 5 => Body::VoteReply { granted: rng.random_bool(0.8) },
        6 | 7 => {
            let prev = log_id(rng, node);
            let entry = |index| {
                let term = number(rng, prev.term);
                Entry {
                    id: LogId::new(term, index),
                    kind: EntryKind::Command,
                    payload: Bytes::from_static(b"x"),
                }
            };
            let count = 4;
            let mut entries: Vec<_> = (1..=count).map(|i| prev.index.saturating_add(i)).map(entry).collect();
            entries.truncate(rng.random_range(0..=4));
            if rng.random_bool(0.7) {
                entries.sort_by_key(|e| (e.id.term, e.id.index));
                for (at, entry) in (1..).zip(&mut entries) {
                    entry.id.index = prev.index.saturating_add(at);
                }
            }
            Body::AppendEntries(AppendEntries {
                round: number(rng, 3),
                prev,
                entries,
                commit: number(rng, node.commit_index() + 1),
            })
        }
        8 | 9 => {
            let matched = rng.random_range(0..=node.last_log_id().index + 1);
            let round = rng.random_range(0..=rounds);
            Body::AppendReply(AppendReply { round, outcome: Outcome::Accepted { matched }, clock_ms: round })
        }
        11 => {
            let last = log_id(rng, node);
            let data = Bytes::copy_from_slice(last.to_string().as_bytes());
            Body::InstallSnapshot(InstallSnapshot { round: number(rng, 3), last, data })
        }
        _ => {
            let conflict = log_id(rng, node);
            let outcome = Outcome::Refused(Conflict {
                term: rng.random_bool(0.5).then_some(conflict.term),
                first_index: conflict.index,
                last_index: number(rng, conflict.index),
            });
            Body::AppendReply(AppendReply { round: rng.random_range(0..=rounds), outcome, clock_ms: rounds })
        }
    }
}

/// How often it led, rejected, compacted, and was restored: without any of it nothing was tried.
fn run(seed: u64) -> [u64; 4] {
    let mut rng = StdRng::seed_from_u64(seed);
    let voters: Vec<_> = (1..=3).map(NodeId).collect();
    let mut config = Config::new(NodeId(1), voters, seed);
    config.max_append_bytes = 300;
    let mut member = Member::new(config, Disk::default());
    let ([mut led, mut rejected, mut compacted, mut restored], mut rounds) = ([0; 4], 0);
    for step in 0..600 {
        // It is elected only if nobody else asks or leads for a while.
        let answers_only = (step / 150) % 2 == 0;
        match rng.random_range(0..12) {
            0 if rng.random_bool(0.05) => drop(member.restart(0)),
            0 | 1 => member.tick(Duration::from_millis(rng.random_range(1..200))),
            2 | 3 => {
                member.persist(rng.random_range(1..3));
            }
            4 => {
                let _ = member.node.propose(Bytes::from_static(b"mine"));
                let _ = member.node.read(seed);
            }
            5 => {
                let applied = member.node.last_applied();
                compacted += u64::from(member.compact(applied.saturating_sub(rng.random_range(0..3)), false));
                let (to, round) = (NodeId(rng.random_range(1..=4)), rng.random_range(0..=rounds));
                member.node.snapshot_progress(to, round);
                member.node.snapshot_failed(to, round);
            }
            _ => {
                let body = body(&mut rng, &member.node, rounds, answers_only);
                let later = matches!(body, Body::PreVoteReply { granted: true }) || rng.random_bool(0.1);
                let around = member.node.term() + u64::from(later);
                // A term at the end of what is believed is met rarely, or nothing else would be seen.
                let term = if rng.random_bool(0.01) { number(&mut rng, around) } else { around };
                let before = format!("{:?}", member.node);
                if member.node.step(NodeId(rng.random_range(2..=3)), Message { term, body }).is_err() {
                    rejected += 1;
                    assert_eq!(before, format!("{:?}", member.node), "a rejected message left a trace");
                }
            }
        }
        let ready = member.ready();
        restored += u64::from(ready.restore.is_some());
        let rounds_of = |m: &Message| match &m.body {
            Body::AppendEntries(append) => append.round,
            Body::InstallSnapshot(install) => install.round,
            _ => 0,
        };
        rounds = ready.messages.iter().map(|e| rounds_of(&e.message)).max().unwrap_or(0).max(rounds);
        if ready.role.is_some_and(|r| r.role == RoleKind::Leader) {
            led += 1;
        }
    }
    [led, rejected, compacted, restored]
}

#[test]
fn liars_cannot_end_a_node() {
    let mut total = [0; 4];
    for seed in 0..400 {
        let outcome = std::panic::catch_unwind(|| run(seed));
        let counts = outcome.unwrap_or_else(|_| panic!("to see it again: seed {seed}"));
        total.iter_mut().zip(counts).for_each(|(total, count)| *total += count);
    }
    println!("{total:?}");
    let least = [200, 4000, 500, 500];
    assert!(total.iter().zip(least).all(|(&total, least)| total > least), "too little was tried: {total:?}");
}
