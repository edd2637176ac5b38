//! Part A: a leader is elected, stays, and is replaced.
//!
//! No command is proposed here. What can be wrong is all in the elections: how long one takes, who may win it,
//! and who must give up.

use std::time::Duration;

use crate::config::{E, Edition, Lab};
use crate::scenario::{Body, Line, Part, Scenario};
use crate::script::any_server;

/// The scenarios of part A, in the order of the seeds.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        part: Part::RaftA,
        name: "TestInitialElection3A",
        title: "Test (3A): initial election",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(initial_election(lab))),
        seed_002: Some(Line { seconds: 3.5, peers: 3, rpcs: 58, bytes: 16_840, committed: 0 }),
        seed_001: Some(Line { seconds: 4.0, peers: 3, rpcs: 32, bytes: 9_170, committed: 0 }),
    },
    Scenario {
        part: Part::RaftA,
        name: "TestReElection3A",
        title: "Test (3A): election after network failure",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(re_election(lab))),
        seed_002: Some(Line { seconds: 5.4, peers: 3, rpcs: 118, bytes: 25_269, committed: 0 }),
        seed_001: Some(Line { seconds: 6.1, peers: 3, rpcs: 70, bytes: 13_895, committed: 0 }),
    },
    Scenario {
        part: Part::RaftA,
        name: "TestManyElections3A",
        title: "Test (3A): multiple elections",
        peers: 7,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(many_elections(lab))),
        seed_002: Some(Line { seconds: 7.3, peers: 7, rpcs: 624, bytes: 138_014, committed: 0 }),
        seed_001: None,
    },
];

/// A group that has just started elects a leader, and keeps it as long as nothing fails.
///
/// Catches heartbeats that are missing or rarer than the election timeout asks for, so that a working leader is
/// deposed; an election that never ends; a term that servers do not agree on. Where the seeds' test only
/// warns of a term that changed by itself, this one fails: on a loaded machine a heartbeat may be late, in virtual
/// time nothing is.
pub(crate) async fn initial_election(lab: Lab) {
    lab.check_one_leader().await;

    // The course's edition waits a little, lest it look before every follower has heard of the term.
    let course = lab.edition() == Edition::Course;
    if course {
        lab.sleep(Duration::from_millis(50)).await;
    }
    let first = lab.check_terms().await;
    if course {
        lab.ensure(first >= 1, || format!("the term is {first}, but should be at least 1")).await;
    }

    lab.sleep(2 * E).await;
    let second = lab.check_terms().await;
    lab.ensure(first == second, || format!("the term went from {first} to {second}, and nothing had failed"))
        .await;

    if course {
        lab.check_one_leader().await;
    }
}

/// A leader that is cut off is replaced, gives up when it is back, and without a majority there is none.
///
/// Catches a server that waits for the answer of a peer that will never answer, before it asks the next one; an old
/// leader that does not step down when it hears of the later term; a server that declares itself the leader when
/// too few have voted; a group that does not find together again.
pub(crate) async fn re_election(lab: Lab) {
    let n = lab.n();
    let first = lab.check_one_leader().await;

    // The leader is cut off: the others elect one.
    lab.disconnect(first);
    lab.check_one_leader().await;

    // The old leader is back: it does not disturb the new one.
    lab.connect(first);
    let second = lab.check_one_leader().await;

    // No majority: no leader.
    let other = (second + 1) % n;
    lab.disconnect(second);
    lab.disconnect(other);
    lab.sleep(2 * E).await;
    lab.check_no_leader().await;

    // A majority again: a leader again.
    lab.connect(other);
    lab.check_one_leader().await;

    // And the last one's return costs nobody the leader.
    lab.connect(second);
    lab.check_one_leader().await;
}

/// Of seven servers up to three are cut off, nine times, and four that are left always have a leader.
///
/// Catches timeouts that are nearly the same on every server: votes split again and again, and with three silent
/// peers there is not the time for it. And votes that are counted twice, or in a later term than that for which they were given: then
/// two lead in one term.
pub(crate) async fn many_elections(lab: Lab) {
    lab.check_one_leader().await;

    for _ in 1..10 {
        // They may well be the same, so one, two or three are gone.
        let victims = [any_server(&lab), any_server(&lab), any_server(&lab)];
        for victim in victims {
            lab.disconnect(victim);
        }
        // The leader is still there, or the four or more that are left elect one.
        lab.check_one_leader().await;
        for victim in victims {
            lab.connect(victim);
        }
    }

    lab.check_one_leader().await;
}
