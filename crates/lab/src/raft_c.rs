//! Part C: servers that crash and come back, and a network that loses, delays and reorders.
//!
//! What can be wrong: something was promised before it was durable, a commit that is taken back (paper, Figure 8),
//! and messages that come late and are believed as if they were new.

mod churn;
mod figure8;
mod persist;

use crate::config::{Lab, int};
use crate::scenario::{Body, Line, Part, Scenario};

pub(crate) use churn::churn;
pub(crate) use figure8::{figure8, figure8_unreliable};
pub(crate) use persist::{persist1, persist2, persist3};

/// The scenarios of part C, in the order of the seeds.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        part: Part::RaftC,
        name: "TestPersist13C",
        title: "Test (3C): basic persistence",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(persist1(lab))),
        seed_002: Some(Line { seconds: 5.0, peers: 3, rpcs: 86, bytes: 22_849, committed: 6 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftC,
        name: "TestPersist23C",
        title: "Test (3C): more persistence",
        peers: 5,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(persist2(lab))),
        seed_002: Some(Line { seconds: 17.6, peers: 5, rpcs: 952, bytes: 218_854, committed: 16 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftC,
        name: "TestPersist33C",
        title: "Test (3C): partitioned leader and one follower crash, leader restarts",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(persist3(lab))),
        seed_002: Some(Line { seconds: 2.0, peers: 3, rpcs: 34, bytes: 8_937, committed: 4 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftC,
        name: "TestFigure83C",
        title: "Test (3C): Figure 8",
        peers: 5,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(figure8(lab))),
        seed_002: Some(Line { seconds: 31.2, peers: 5, rpcs: 580, bytes: 130_675, committed: 32 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftC,
        name: "TestUnreliableAgree3C",
        title: "Test (3C): unreliable agreement",
        peers: 5,
        unreliable: true,
        body: Body::Raft(|lab| Box::pin(unreliable_agree(lab))),
        seed_002: Some(Line { seconds: 1.7, peers: 5, rpcs: 1_044, bytes: 366_392, committed: 246 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftC,
        name: "TestFigure8Unreliable3C",
        title: "Test (3C): Figure 8 (unreliable)",
        peers: 5,
        unreliable: true,
        body: Body::Raft(|lab| Box::pin(figure8_unreliable(lab))),
        seed_002: Some(Line { seconds: 33.6, peers: 5, rpcs: 10_700, bytes: 33_695_245, committed: 308 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftC,
        name: "TestReliableChurn3C",
        title: "Test (3C): churn",
        peers: 5,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(churn(lab))),
        seed_002: Some(Line { seconds: 16.1, peers: 5, rpcs: 8_864, bytes: 44_771_259, committed: 1_544 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftC,
        name: "TestUnreliableChurn3C",
        title: "Test (3C): unreliable churn",
        peers: 5,
        unreliable: true,
        body: Body::Raft(|lab| Box::pin(churn(lab))),
        seed_002: Some(Line { seconds: 16.5, peers: 5, rpcs: 4_220, bytes: 6_414_632, committed: 906 }),
        seed_001: None,
    },
];

/// Five commands at a time, forty-nine times, over a network that loses one message in ten and delays the others.
///
/// Catches a follower that cuts off what it has when a shorter request comes late; a leader that takes its next
/// index back because of an old refusal, or does not try again what was lost; a reply that is counted for something
/// other than what its request carried.
pub(crate) async fn unreliable_agree(lab: Lab) {
    let mut background = Vec::new();
    for i in 1..50 {
        for j in 0..4 {
            let other = lab.clone();
            background.push(lab.spawn(async move { other.one(int(100 * i + j), 1, true).await }));
        }
        lab.one(int(i), 1, true).await;
    }

    lab.set_unreliable(false);
    for agreement in background {
        agreement.await;
    }
    lab.one(int(100), lab.n(), true).await;
}
