//! Part B: a log that is the same on every server.
//!
//! Nothing crashes here; what fails is the network, and only by cutting servers off. What can be wrong: entries that
//! are missing, doubled, out of order or not the same, an agreement where no majority is, none where there is one,
//! and more messages or bytes than the work needs.

mod limits;

use std::collections::BTreeSet;
use std::time::Duration;

use bowline_raft::Index;

use crate::config::{E, Lab, int};
use crate::scenario::{Body, Line, Part, Scenario};
use crate::script::{all_in_term, integer};

pub(crate) use limits::{count, rpc_bytes};

/// The scenarios of part B, in the order of the seeds.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        part: Part::RaftB,
        name: "TestBasicAgree3B",
        title: "Test (3B): basic agreement",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(basic_agree(lab))),
        seed_002: Some(Line { seconds: 0.9, peers: 3, rpcs: 16, bytes: 4_572, committed: 3 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestRPCBytes3B",
        title: "Test (3B): RPC byte count",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(rpc_bytes(lab))),
        seed_002: Some(Line { seconds: 1.7, peers: 3, rpcs: 48, bytes: 114_536, committed: 11 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestFollowerFailure3B",
        title: "Test (3B): test progressive failure of followers",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(follower_failure(lab))),
        seed_002: None,
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestLeaderFailure3B",
        title: "Test (3B): test failure of leaders",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(leader_failure(lab))),
        seed_002: None,
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestFailAgree3B",
        title: "Test (3B): agreement after follower reconnects",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(fail_agree(lab))),
        seed_002: Some(Line { seconds: 3.6, peers: 3, rpcs: 78, bytes: 22_131, committed: 7 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestFailNoAgree3B",
        title: "Test (3B): no agreement if too many followers disconnect",
        peers: 5,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(fail_no_agree(lab))),
        seed_002: Some(Line { seconds: 3.8, peers: 5, rpcs: 172, bytes: 40_935, committed: 3 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestConcurrentStarts3B",
        title: "Test (3B): concurrent Start()s",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(concurrent_starts(lab))),
        seed_002: Some(Line { seconds: 1.1, peers: 3, rpcs: 24, bytes: 7_379, committed: 6 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestRejoin3B",
        title: "Test (3B): rejoin of partitioned leader",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(rejoin(lab))),
        seed_002: Some(Line { seconds: 5.1, peers: 3, rpcs: 152, bytes: 37_021, committed: 4 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestBackup3B",
        title: "Test (3B): leader backs up quickly over incorrect follower logs",
        peers: 5,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(backup(lab))),
        seed_002: Some(Line { seconds: 17.2, peers: 5, rpcs: 2_080, bytes: 1_587_388, committed: 102 }),
        seed_001: None,
    },
    Scenario {
        part: Part::RaftB,
        name: "TestCount3B",
        title: "Test (3B): RPC counts aren't too high",
        peers: 3,
        unreliable: false,
        body: Body::Raft(|lab| Box::pin(count(lab))),
        seed_002: Some(Line { seconds: 2.2, peers: 3, rpcs: 60, bytes: 20_119, committed: 12 }),
        seed_001: None,
    },
];

/// Three commands are agreed on, one after the other, at the indices 1, 2 and 3.
///
/// Catches a leader that puts an entry of its own into the log, so that indices are not what the service expects; a
/// follower that learns of a commit too late, or never; an entry that is applied before it is committed.
pub(crate) async fn basic_agree(lab: Lab) {
    let n = lab.n();
    for index in 1..=3 {
        let (already, _) = lab.n_committed(index);
        lab.ensure(already == 0, || format!("{already} servers committed index {index} before Start()"))
            .await;

        let got = lab.one(int(100 * index), n, false).await;
        lab.ensure(got == index, || format!("got index {got} but expected {index}")).await;
    }
}

/// The followers fail one after the other: with one the leader commits, with none it does not.
///
/// Catches a leader that counts servers that never answered, or does not count its own copy.
pub(crate) async fn follower_failure(lab: Lab) {
    let n = lab.n();
    lab.one(int(101), n, false).await;

    // One follower fails: the leader and the other one still agree.
    let first = lab.check_one_leader().await;
    lab.disconnect((first + 1) % n);
    lab.one(int(102), n - 1, false).await;
    lab.sleep(E).await;
    lab.one(int(103), n - 1, false).await;

    // The leader is left alone: it accepts a command, and cannot commit it.
    let second = lab.check_one_leader().await;
    lab.disconnect((second + 1) % n);
    lab.disconnect((second + 2) % n);
    let index = accepted(&lab, second, 104).await;
    lab.ensure(index == 4, || format!("expected index 4, got {index}")).await;

    lab.sleep(2 * E).await;
    no_agreement_at(&lab, 4).await;
}

/// The leaders fail one after the other: the two that are left go on, the last one alone does not.
///
/// Catches a group that does not get over the loss of its leader within the time that an agreement may take, and a
/// commit by cut-off servers: each of the three may still accept the command, none may commit it.
pub(crate) async fn leader_failure(lab: Lab) {
    let n = lab.n();
    lab.one(int(101), n, false).await;

    // The first leader fails: the others elect one and go on.
    let first = lab.check_one_leader().await;
    lab.disconnect(first);
    lab.one(int(102), n - 1, false).await;
    lab.sleep(E).await;
    lab.one(int(103), n - 1, false).await;

    // The second one fails: nobody can reach anybody.
    let second = lab.check_one_leader().await;
    lab.disconnect(second);
    for server in 0..n {
        lab.start(server, int(104)).await;
    }

    lab.sleep(2 * E).await;
    no_agreement_at(&lab, 4).await;
}

/// Two of three go on without the third, and when it is back it gets what it missed.
///
/// Catches a leader that gives up on a follower that did not answer, or that waits for it before it asks the other
/// one; a follower that comes back in a later term and never lets itself be led again.
pub(crate) async fn fail_agree(lab: Lab) {
    let n = lab.n();
    lab.one(int(101), n, false).await;

    // One follower is gone: the other two agree, at once and after a while.
    let leader = lab.check_one_leader().await;
    let gone = (leader + 1) % n;
    lab.disconnect(gone);
    lab.one(int(102), n - 1, false).await;
    lab.one(int(103), n - 1, false).await;
    lab.sleep(E).await;
    lab.one(int(104), n - 1, false).await;
    lab.one(int(105), n - 1, false).await;

    // It is back: all three have everything. Its return may cost the leader the term, so commands may be tried
    // again.
    lab.connect(gone);
    lab.one(int(106), n, true).await;
    lab.sleep(E).await;
    lab.one(int(107), n, true).await;
}

/// Three of five are gone: nothing is agreed on until they are back.
///
/// Catches a commit by fewer than a majority, and an index that is given away twice: what the lone leader accepted
/// at index 2 is either kept, then the next command is at 3, or it is lost, then the next one takes its place.
pub(crate) async fn fail_no_agree(lab: Lab) {
    let n = lab.n();
    lab.one(int(10), n, false).await;

    let leader = lab.check_one_leader().await;
    let gone = [(leader + 1) % n, (leader + 2) % n, (leader + 3) % n];
    for server in gone {
        lab.disconnect(server);
    }
    let index = accepted(&lab, leader, 20).await;
    lab.ensure(index == 2, || format!("expected index 2, got {index}")).await;
    lab.sleep(2 * E).await;
    no_agreement_at(&lab, 2).await;

    // They are back. They may have elected one of their own, who knows nothing of index 2.
    for server in gone {
        lab.connect(server);
    }
    let leader = lab.check_one_leader().await;
    let index = accepted(&lab, leader, 30).await;
    lab.ensure(index == 2 || index == 3, || format!("expected index 2 or 3, got {index}")).await;

    lab.one(int(1000), n, true).await;
}

/// Five commands that come to the leader at the same moment are all agreed on, each at its own index.
///
/// Catches two Starts that are given the same index, and an entry that is overtaken by the one behind it and never
/// sent again.
pub(crate) async fn concurrent_starts(lab: Lab) {
    for attempt in 0..5 {
        if attempt > 0 {
            // The servers get time to settle.
            lab.sleep(Duration::from_secs(3)).await;
        }
        if starts_at_once(&lab).await.is_some() {
            return;
        }
    }
    lab.fail("the term changed too often").await;
}

/// One attempt; `None` if the term changed, so that nothing can be said.
async fn starts_at_once(lab: &Lab) -> Option<()> {
    let leader = lab.check_one_leader().await;
    let (_, term) = lab.start(leader, int(1)).await?;

    let start = |command: u64| {
        let lab = lab.clone();
        async move {
            // Which one comes first is as much chance as it is among threads.
            lab.sleep(Duration::from_micros(lab.random_below(50))).await;
            lab.start(leader, int(command)).await.filter(|(_, then)| *then == term)
        }
    };
    let tasks: Vec<_> = (100..105).map(|command| lab.spawn(start(command))).collect();
    let mut indices: Vec<Index> = Vec::new();
    for task in tasks {
        indices.extend(task.await.map(|(index, _)| index));
    }
    if !all_in_term(lab, term).await {
        return None;
    }

    let mut committed = BTreeSet::new();
    for index in indices {
        let command = lab.wait(index, lab.n(), Some(term)).await?;
        match integer(&command) {
            Some(value) => committed.insert(value),
            None => lab.fail(format!("the command at index {index} is no integer: {command:?}")).await,
        };
    }
    for command in 100..105 {
        let there = committed.contains(&command);
        lab.ensure(there, || format!("command {command} is missing in {committed:?}")).await;
    }
    Some(())
}

/// A leader that was cut off comes back with entries that nobody else has, and they are overwritten.
///
/// Catches a follower that keeps what stands behind a conflicting entry; a vote for a candidate whose log is longer,
/// but of an earlier term; a heartbeat that is taken without a look at the entry before it.
pub(crate) async fn rejoin(lab: Lab) {
    let n = lab.n();
    lab.one(int(101), n, true).await;

    // The leader is cut off, and goes on accepting what it cannot commit.
    let first = lab.check_one_leader().await;
    lab.disconnect(first);
    for command in [102, 103, 104] {
        lab.start(first, int(command)).await;
    }

    // The new leader commits something else at the same index.
    lab.one(int(103), n - 1, true).await;

    // The new leader is cut off, the old one is back.
    let second = lab.check_one_leader().await;
    lab.disconnect(second);
    lab.connect(first);
    lab.one(int(104), n - 1, true).await;

    // All together again.
    lab.connect(second);
    lab.one(int(105), n, true).await;
}

/// Logs that differ by fifty entries of several terms become one in a few round trips.
///
/// Catches a leader that goes back by one entry in every heartbeat interval, or that finds no place at all where the
/// logs agree; an election timer that is reset by any candidate at all, so that one with an old log keeps the only one with a good
/// log from being elected.
pub(crate) async fn backup(lab: Lab) {
    let n = lab.n();
    lab.one(lab.random_int(), n, true).await;

    // A leader and one follower: fifty commands that they cannot commit.
    let first = lab.check_one_leader().await;
    let follower = (first + 1) % n;
    let others = [(first + 2) % n, (first + 3) % n, (first + 4) % n];
    for server in others {
        lab.disconnect(server);
    }
    start_fifty(&lab, first).await;
    lab.sleep(E / 2).await;

    // The other three: fifty that they can.
    lab.disconnect(first);
    lab.disconnect(follower);
    for server in others {
        lab.connect(server);
    }
    agree_on_fifty(&lab).await;

    // The leader of the three and one of them: fifty more that cannot be committed.
    let second = lab.check_one_leader().await;
    let other = if second == others[0] { (second + 1) % n } else { others[0] };
    lab.disconnect(other);
    start_fifty(&lab, second).await;
    lab.sleep(E / 2).await;

    // The first leader, its follower, and the one that has none of both lots of fifty.
    for server in 0..n {
        lab.disconnect(server);
    }
    for server in [first, follower, other] {
        lab.connect(server);
    }
    agree_on_fifty(&lab).await;

    // All together.
    for server in 0..n {
        lab.connect(server);
    }
    lab.one(lab.random_int(), n, true).await;
}

async fn start_fifty(lab: &Lab, server: usize) {
    for _ in 0..50 {
        lab.start(server, lab.random_int()).await;
    }
}

async fn agree_on_fifty(lab: &Lab) {
    for _ in 0..50 {
        lab.one(lab.random_int(), 3, true).await;
    }
}

/// Start() at a server that leads, so that it has to take the command: where that will stand.
async fn accepted(lab: &Lab, leader: usize, command: u64) -> Index {
    match lab.start(leader, int(command)).await {
        Some((index, _)) => index,
        None => lab.fail(format!("leader {leader} rejected Start()")).await,
    }
}

async fn no_agreement_at(lab: &Lab, index: Index) {
    let (count, _) = lab.n_committed(index);
    lab.ensure(count == 0, || format!("{count} servers committed index {index} without a majority")).await;
}
