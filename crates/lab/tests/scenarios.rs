//! Every scenario of the labs, as a test of its own, with fixed seeds, on both kinds of disk.

use std::collections::BTreeSet;
use std::time::Duration;

use bowline_lab::batch::Job;
use bowline_lab::report;
use bowline_lab::run::Outcome;
use bowline_lab::scenario::{self, Part, Scenario};
use bowline_sim::executor::Failure;
use bowline_sim::host::DiskKind;

/// The seeds of every test.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=40;

/// Those of the key/value service, whose runs take ten times as long.
const KV_SEEDS: std::ops::RangeInclusive<u64> = 1..=KV_RUNS;
const KV_RUNS: u64 = 6;

/// A module for each scenario, with a test for each kind of disk.
macro_rules! scenarios {
    ($($test:ident: $name:literal,)*) => {
        pub(super) const NAMES: &[&str] = &[$($name),*];

        $(
            mod $test {
                use super::super::*;

                #[test]
                fn fast_disk() {
                    passes($name, DiskKind::Fast);
                }

                #[test]
                fn slow_disk() {
                    passes($name, DiskKind::Slow);
                }
            }
        )*
    };
}

mod part_a {
    scenarios! {
        initial_election: "TestInitialElection3A",
        re_election: "TestReElection3A",
        many_elections: "TestManyElections3A",
    }
}

mod part_b {
    scenarios! {
        basic_agree: "TestBasicAgree3B",
        rpc_bytes: "TestRPCBytes3B",
        follower_failure: "TestFollowerFailure3B",
        leader_failure: "TestLeaderFailure3B",
        fail_agree: "TestFailAgree3B",
        fail_no_agree: "TestFailNoAgree3B",
        concurrent_starts: "TestConcurrentStarts3B",
        rejoin: "TestRejoin3B",
        backup: "TestBackup3B",
        count: "TestCount3B",
    }
}

mod part_c {
    scenarios! {
        persist_1: "TestPersist13C",
        persist_2: "TestPersist23C",
        persist_3: "TestPersist33C",
        figure_8: "TestFigure83C",
        unreliable_agree: "TestUnreliableAgree3C",
        figure_8_unreliable: "TestFigure8Unreliable3C",
        reliable_churn: "TestReliableChurn3C",
        unreliable_churn: "TestUnreliableChurn3C",
    }
}

mod part_d {
    scenarios! {
        snapshot_basic: "TestSnapshotBasic3D",
        snapshot_install: "TestSnapshotInstall3D",
        snapshot_install_unreliable: "TestSnapshotInstallUnreliable3D",
        snapshot_install_crash: "TestSnapshotInstallCrash3D",
        snapshot_install_un_crash: "TestSnapshotInstallUnCrash3D",
        snapshot_all_crash: "TestSnapshotAllCrash3D",
        snapshot_init: "TestSnapshotInit3D",
    }
}

mod suite_2016 {
    scenarios! {
        initial_election: "TestInitialElection",
        re_election: "TestReElection",
        basic_agree: "TestBasicAgree",
        fail_agree: "TestFailAgree",
        fail_no_agree: "TestFailNoAgree",
        concurrent_starts: "TestConcurrentStarts",
        rejoin: "TestRejoin",
        backup: "TestBackup",
        count: "TestCount",
        persist_1: "TestPersist1",
        persist_2: "TestPersist2",
        persist_3: "TestPersist3",
        figure_8: "TestFigure8",
        unreliable_agree: "TestUnreliableAgree",
        figure_8_unreliable: "TestFigure8Unreliable",
        reliable_churn: "TestReliableChurn",
        unreliable_churn: "TestUnreliableChurn",
    }
}

mod kv_a {
    scenarios! {
        basic: "TestBasic3A",
        speed: "TestSpeed3A",
        concurrent: "TestConcurrent3A",
        unreliable: "TestUnreliable3A",
        unreliable_one_key: "TestUnreliableOneKey3A",
        one_partition: "TestOnePartition3A",
        many_partitions_one_client: "TestManyPartitionsOneClient3A",
        many_partitions_many_clients: "TestManyPartitionsManyClients3A",
        persist_one_client: "TestPersistOneClient3A",
        persist_concurrent: "TestPersistConcurrent3A",
        persist_concurrent_unreliable: "TestPersistConcurrentUnreliable3A",
        persist_partition: "TestPersistPartition3A",
        persist_partition_unreliable: "TestPersistPartitionUnreliable3A",
        persist_partition_unreliable_linearizable: "TestPersistPartitionUnreliableLinearizable3A",
    }
}

mod kv_b {
    scenarios! {
        snapshot_rpc: "TestSnapshotRPC3B",
        snapshot_size: "TestSnapshotSize3B",
        speed: "TestSpeed3B",
        snapshot_recover: "TestSnapshotRecover3B",
        snapshot_recover_many_clients: "TestSnapshotRecoverManyClients3B",
        snapshot_unreliable: "TestSnapshotUnreliable3B",
        snapshot_unreliable_recover: "TestSnapshotUnreliableRecover3B",
        snapshot_unreliable_recover_concurrent_partition: "TestSnapshotUnreliableRecoverConcurrentPartition3B",
        snapshot_unreliable_recover_concurrent_partition_linearizable:
            "TestSnapshotUnreliableRecoverConcurrentPartitionLinearizable3B",
    }
}

mod kv_sessions {
    scenarios! {
        two_of_three: "SessionsForTwoOfThree",
        expire_in_a_retry: "SessionsExpireInARetry",
    }
}

mod kv_expiry {
    scenarios! {
        idle_cluster: "ExpiryInAnIdleCluster",
        wrong_leader: "ExpiryByAWrongLeader",
        wrong_follower: "ExpiryByAWrongFollower",
        partitions: "ExpiryInPartitions",
        restarts: "ExpiryOverRestarts",
        unreliable: "ExpiryUnreliable",
        unreliable_restarts_partitions: "ExpiryUnreliableRestartsPartitions",
    }
}

fn passes(name: &str, disk: DiskKind) {
    let scenario = scenario_of(name);
    let seeds = if scenario.part.name().starts_with("kv-") { KV_SEEDS } else { SEEDS };
    for seed in seeds {
        let job = Job { scenario, disk, seed };
        let outcome = job.run();
        assert!(outcome.failure.is_none(), "{}", report::lines(&job, &outcome));
    }
}

fn scenario_of(name: &str) -> &'static Scenario {
    let found = scenario::find(name);
    assert_eq!(found.len(), 1, "{name} is a whole name");
    found[0]
}

#[test]
fn no_scenario_is_without_a_test() {
    let raft = [part_a::NAMES, part_b::NAMES, part_c::NAMES, part_d::NAMES, suite_2016::NAMES];
    let kv = [kv_a::NAMES, kv_b::NAMES, kv_sessions::NAMES, kv_expiry::NAMES];
    let tested: BTreeSet<_> = raft.into_iter().chain(kv).flatten().copied().collect();
    let missing: Vec<_> = scenario::all().filter(|s| s.has_disks() && !tested.contains(s.name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// The seeds' own scripts are graded with ten minutes for each suite.
#[test]
fn each_suite_takes_less_than_ten_minutes_of_virtual_time() {
    let suites: [&[Part]; 2] =
        [&[Part::RaftA, Part::RaftB, Part::RaftC, Part::RaftD], &[Part::KvA, Part::KvB]];
    for parts in suites {
        let scenarios = scenario::all().filter(|scenario| parts.contains(&scenario.part));
        let times =
            scenarios.map(|scenario| Job { scenario, disk: DiskKind::Fast, seed: 1 }.run().figures.time);
        let time: Duration = times.sum();
        assert!(time <= Duration::from_secs(600), "{parts:?}: {time:?}");
    }
}

#[test]
fn a_script_that_prints_several_tests_says_in_which_it_passed() {
    let job = Job { scenario: scenario_of("TestOnePartition3A"), disk: DiskKind::Fast, seed: 1 };
    let outcome = job.run();
    let lines = report::lines(&job, &outcome);
    let titles: Vec<_> = lines.lines().filter(|line| line.starts_with("Test: ")).collect();
    assert_eq!(
        titles,
        [
            "Test: progress in majority (3A) ...",
            "Test: no progress in minority (3A) ...",
            "Test: completion after heal (3A) ...",
        ]
    );
    let operations: Vec<_> = outcome.sections.iter().map(|section| section.operations).collect();
    assert_eq!(operations, [2, 3, 3], "as the seeds count them");
    assert!(lines.contains("| seed 003: 1.7 5 103 2\n"), "{lines}");
    let failed = Outcome {
        failure: Some(Failure { at: Duration::from_secs(1), what: "it went wrong".to_owned() }),
        sections: outcome.sections[..1].to_vec(),
        ..outcome
    };
    let lines = report::lines(&job, &failed);
    let marks: Vec<_> =
        lines.lines().filter(|line| line.starts_with("  ... ")).map(|line| &line[6..12]).collect();
    assert_eq!(marks, ["Passed", "FAILED"], "{lines}");
}

#[test]
fn both_parts_of_the_store_print_as_many_lines_as_the_seed() {
    let lines = |part| {
        let jobs =
            scenario::find(part).into_iter().map(|scenario| Job { scenario, disk: DiskKind::Fast, seed: 1 });
        jobs.map(|job| report::lines(&job, &job.run()).matches("Passed").count()).sum::<usize>()
    };
    assert_eq!((lines("kv-a"), lines("kv-b")), (16, 9));
}

#[test]
fn the_tests_of_the_network_pass() {
    for scenario in scenario::all().filter(|scenario| scenario.part == Part::Network) {
        for seed in SEEDS {
            let job = Job { scenario, disk: DiskKind::Fast, seed };
            let outcome = job.run();
            assert!(outcome.failure.is_none(), "{}", report::lines(&job, &outcome));
        }
    }
}

#[test]
fn one_seed_makes_the_same_run_again() {
    for name in ["TestFigure8Unreliable3C", "TestUnreliableChurn3C", "TestSnapshotUnreliableRecover3B"] {
        let job = Job { scenario: scenario_of(name), disk: DiskKind::Slow, seed: 7 };
        let other = Job { seed: 8, ..job };
        assert_eq!(job.run().figures, job.run().figures);
        assert_ne!(job.run().figures, other.run().figures);
        let (traced, trace) = job.run_traced();
        assert_eq!(traced.figures, job.run().figures, "to look changes nothing");
        assert_eq!(trace, job.run_traced().1);
    }
}

#[test]
fn a_whole_name_means_one_scenario_and_a_piece_many() {
    assert_eq!(scenario::find("testpersist1").len(), 1);
    assert_eq!(scenario::find("TestPersist").len(), 12);
    assert_eq!(scenario::find("kv-a").len(), 14);
    assert_eq!(scenario::find("KV").len(), 14 + 9 + 2 + 7);
    assert_eq!(scenario::find("no progress in minority").len(), 1);
    assert_eq!(scenario::find("raft-a").len(), 3);
    assert_eq!(scenario::find("network").len(), 11);
    assert_eq!(scenario::find("network failure").len(), 2);
    assert_eq!(scenario::find("RAFT-C").len(), 8);
    assert_eq!(scenario::find("figure 8 (unreliable)").len(), 2);
    assert!(scenario::find("no such thing").is_empty());
}
