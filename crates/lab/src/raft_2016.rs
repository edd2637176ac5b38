//! The suite of 2016, which had no parts: seventeen tests, with the scripts of the later ones.
//!
//! The differences are those of [`Edition::Y2016`](crate::config::Edition): a fixed pause before a leader is looked
//! for, every agreement tried again, no limit of two minutes, less to check of the initial election; and five
//! servers instead of three in the basic agreement. "Passed" was printed without figures.

use crate::config::Lab;
use crate::raft_a::{initial_election, re_election};
use crate::raft_b::{backup, basic_agree, concurrent_starts, count, fail_agree, fail_no_agree, rejoin};
use crate::raft_c::{churn, figure8, figure8_unreliable, persist1, persist2, persist3, unreliable_agree};
use crate::scenario::{Body, Part, Scenario, Script};

/// The seventeen scenarios, in their order.
pub(crate) const SCENARIOS: &[Scenario] = &[
    reliable("TestInitialElection", "Test: initial election", 3, |lab| Box::pin(initial_election(lab))),
    reliable("TestReElection", "Test: election after network failure", 3, |lab| Box::pin(re_election(lab))),
    reliable("TestBasicAgree", "Test: basic agreement", 5, |lab| Box::pin(basic_agree(lab))),
    reliable("TestFailAgree", "Test: agreement despite follower failure", 3, |lab| Box::pin(fail_agree(lab))),
    reliable("TestFailNoAgree", "Test: no agreement if too many followers fail", 5, |lab| {
        Box::pin(fail_no_agree(lab))
    }),
    reliable("TestConcurrentStarts", "Test: concurrent Start()s", 3, |lab| Box::pin(concurrent_starts(lab))),
    reliable("TestRejoin", "Test: rejoin of partitioned leader", 3, |lab| Box::pin(rejoin(lab))),
    reliable("TestBackup", "Test: leader backs up quickly over incorrect follower logs", 5, |lab| {
        Box::pin(backup(lab))
    }),
    reliable("TestCount", "Test: RPC counts aren't too high", 3, |lab| Box::pin(count(lab))),
    reliable("TestPersist1", "Test: basic persistence", 3, |lab| Box::pin(persist1(lab))),
    reliable("TestPersist2", "Test: more persistence", 5, |lab| Box::pin(persist2(lab))),
    reliable("TestPersist3", "Test: partitioned leader and one follower crash, leader restarts", 3, |lab| {
        Box::pin(persist3(lab))
    }),
    reliable("TestFigure8", "Test: Figure 8", 5, |lab| Box::pin(figure8(lab))),
    unreliable("TestUnreliableAgree", "Test: unreliable agreement", 5, |lab| Box::pin(unreliable_agree(lab))),
    unreliable("TestFigure8Unreliable", "Test: Figure 8 (unreliable)", 5, |lab| {
        Box::pin(figure8_unreliable(lab))
    }),
    reliable("TestReliableChurn", "Test: churn", 5, |lab| Box::pin(churn(lab))),
    unreliable("TestUnreliableChurn", "Test: unreliable churn", 5, |lab| Box::pin(churn(lab))),
];

const fn reliable(
    name: &'static str,
    title: &'static str,
    peers: usize,
    script: fn(Lab) -> Script<()>,
) -> Scenario {
    Scenario {
        part: Part::Raft2016,
        name,
        title,
        peers,
        unreliable: false,
        body: Body::Raft(script),
        seed_002: None,
        seed_001: None,
    }
}

const fn unreliable(
    name: &'static str,
    title: &'static str,
    peers: usize,
    script: fn(Lab) -> Script<()>,
) -> Scenario {
    Scenario { unreliable: true, ..reliable(name, title, peers, script) }
}
