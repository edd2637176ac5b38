//! Part B of the key/value service: the same with snapshots, so that the logs stay short.
//!
//! The records of what was executed must come along with each snapshot, and a server that missed what the others no
//! longer have in their logs must come back by one.

use crate::config::E;
use crate::kv::{Generic, KvLab, generic_speed};
use crate::scenario::{KvBody, KvLine, KvScript, Part, Scenario};

/// The raft state that the seeds ask for, in bytes.
const MAX_RAFT_STATE: usize = 1000;

/// What it may grow to.
const MAX_LOG_SIZE: usize = 8 * MAX_RAFT_STATE;

/// How large a snapshot may be that holds one key and what one clerk was answered, in bytes.
const MAX_SNAPSHOT_SIZE: usize = 500;

/// The scenarios of part B, in the order of the seeds.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario(
        "TestSnapshotRPC3B",
        3,
        KvScript::Own(|lab| Box::pin(install_snapshot(lab))),
        &[KvLine::new("Test: InstallSnapshot RPC (3B)", 4.0, 289, 63)],
    ),
    scenario(
        "TestSnapshotSize3B",
        3,
        KvScript::Own(|lab| Box::pin(snapshot_size(lab))),
        &[KvLine::new("Test: snapshot size is reasonable (3B)", 2.6, 2418, 800)],
    ),
    scenario(
        "TestSpeed3B",
        3,
        KvScript::Own(|lab| Box::pin(generic_speed(lab))),
        &[KvLine::new("Test: ops complete fast enough (3B)", 3.2, 3025, 0)],
    ),
    scenario(
        "TestSnapshotRecover3B",
        5,
        KvScript::Generic(Generic::of(1).crash()),
        &[KvLine::new("Test: restarts, snapshots, one client (3B)", 21.9, 29266, 5820)],
    ),
    scenario(
        "TestSnapshotRecoverManyClients3B",
        5,
        KvScript::Generic(Generic::of(20).crash()),
        &[KvLine::new("Test: restarts, snapshots, many clients (3B)", 21.5, 33115, 6420)],
    ),
    scenario(
        "TestSnapshotUnreliable3B",
        5,
        KvScript::Generic(Generic::of(5).unreliable()),
        &[KvLine::new("Test: unreliable net, snapshots, many clients (3B)", 17.4, 3233, 482)],
    ),
    scenario(
        "TestSnapshotUnreliableRecover3B",
        5,
        KvScript::Generic(Generic::of(5).unreliable().crash()),
        &[KvLine::new("Test: unreliable net, restarts, snapshots, many clients (3B)", 22.7, 3337, 471)],
    ),
    scenario(
        "TestSnapshotUnreliableRecoverConcurrentPartition3B",
        5,
        KvScript::Generic(Generic::of(5).unreliable().crash().partitions()),
        &[KvLine::new(
            "Test: unreliable net, restarts, partitions, snapshots, many clients (3B)",
            30.4,
            2725,
            274,
        )],
    ),
    scenario(
        "TestSnapshotUnreliableRecoverConcurrentPartitionLinearizable3B",
        7,
        KvScript::Generic(Generic::of(15).unreliable().crash().partitions().random_keys()),
        &[KvLine::new(
            "Test: unreliable net, restarts, partitions, snapshots, random keys, many clients (3B)",
            37.7,
            8378,
            681,
        )],
    ),
];

const fn scenario(
    name: &'static str,
    servers: usize,
    script: KvScript,
    seed_003: &'static [KvLine],
) -> Scenario {
    let body = KvBody { script, max_raft_state: Some(MAX_RAFT_STATE), seed_003 };
    Scenario::of_kv(Part::KvB, name, seed_003[0].title, servers, body)
}

/// A server is cut off, and what it misses is dropped from the logs of the others.
///
/// Catches a majority that keeps its log for a server that is away, and a server that comes back without what was in
/// the snapshot.
async fn install_snapshot(lab: KvLab) {
    let mut control = lab.make_clerk(&lab.all());
    control.put("a", "A").await;
    control.check("a", "A").await;

    lab.partition(&[0, 1], &[2]);
    let mut clerk = lab.make_clerk(&[0, 1]);
    for i in 0..50 {
        let text = i.to_string();
        clerk.put(&text, &text).await;
    }
    lab.sleep(E).await;
    clerk.put("b", "B").await;
    check_log_size(&lab).await;

    lab.partition(&[0, 2], &[1]);
    let mut clerk = lab.make_clerk(&[0, 2]);
    clerk.put("c", "C").await;
    clerk.put("d", "D").await;
    for (key, value) in [("a", "A"), ("b", "B"), ("1", "1"), ("49", "49")] {
        clerk.check(key, value).await;
    }

    lab.partition(&[0, 1, 2], &[]);
    control.put("e", "E").await;
    for (key, value) in [("c", "C"), ("e", "E"), ("1", "1")] {
        control.check(key, value).await;
    }
    lab.end();
}

/// A small state has a small snapshot, however long its history is.
async fn snapshot_size(lab: KvLab) {
    let mut clerk = lab.make_clerk(&lab.all());
    for _ in 0..200 {
        for value in ["0", "1"] {
            clerk.put("x", value).await;
            clerk.check("x", value).await;
        }
    }
    check_log_size(&lab).await;
    let size = lab.snapshot_size();
    lab.ensure(size <= MAX_SNAPSHOT_SIZE, || {
        format!("a snapshot of {size} bytes, and {MAX_SNAPSHOT_SIZE} are enough")
    })
    .await;
    lab.end();
}

async fn check_log_size(lab: &KvLab) {
    let size = lab.log_size();
    lab.ensure(size <= MAX_LOG_SIZE, || {
        format!("a raft state of {size} bytes, and {MAX_LOG_SIZE} are allowed")
    })
    .await;
}
