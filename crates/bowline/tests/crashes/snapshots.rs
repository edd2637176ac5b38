//! Snapshots with real processes: for a follower that lacks what the log no longer has, and under kill -9.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;

use crate::harness::{Cluster, Info, PATIENCE, Reply, until};
use crate::load::{self, Load};

const CLIENTS: usize = 4;
const KILLS: usize = 20;

/// The state that is there from the beginning, so that a snapshot takes a while: in all 32 MB.
const VALUES: usize = 8_000;
const VALUE_BYTES: usize = 4_000;

fn fill(cluster: &Cluster) {
    let mut client = cluster.client(cluster.leader());
    let value = "v".repeat(VALUE_BYTES);
    for first in (0..VALUES).step_by(100) {
        let keys: Vec<String> = (first..first + 100).map(|number| format!("filled:{number}")).collect();
        let sets: Vec<[&str; 3]> = keys.iter().map(|key| ["SET", key, &value]).collect();
        let sets: Vec<&[&str]> = sets.iter().map(|set| &set[..]).collect();
        let replies = client.pipeline(&sets).expect("the leader is there");
        assert!(replies.iter().all(Reply::is_ok));
    }
}

/// What one node says to a command that is about itself.
fn said(cluster: &Cluster, id: u64, command: &[&str]) -> String {
    match cluster.client(id).call(command).expect("the node is there") {
        Reply::Simple(text) | Reply::Error(text) => text,
        other => panic!("{command:?}: {other:?}"),
    }
}

/// Compares what the nodes hold, after the same entry.
fn check_digests(cluster: &Cluster) {
    cluster.wait_until_caught_up();
    let states = until("every node to say what it holds after the same entry", PATIENCE, || {
        let states = cluster.ids().into_iter().map(|id| said(cluster, id, &["DEBUG", "DIGEST"]));
        let states: Vec<(String, String)> = states
            .map(|state| state.split_once(' ').map(|(digest, entry)| (digest.to_owned(), entry.to_owned())))
            .collect::<Option<_>>()
            .expect("a digest and an entry");
        states.iter().all(|(_, entry)| *entry == states[0].1).then_some(states)
    });
    assert!(states.iter().all(|other| *other == states[0]), "{states:?}");
}

/// The node's file with that end of its name, and how long it is by now.
fn file_ending(directory: &Path, end: &str) -> Option<(PathBuf, u64)> {
    let paths = fs::read_dir(directory).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let file = paths.into_iter().find(|path| path.to_string_lossy().ends_with(end))?;
    let size_bytes = fs::metadata(&file).ok()?.len();
    Some((file, size_bytes))
}

fn snapshot_index(cluster: &Cluster, id: u64) -> u64 {
    cluster.info(id).map_or(0, |info| info.number("raft_snapshot_index"))
}

/// Kills the node, and starts it again when the others have no longer what it lacks.
fn hold_down_past_a_snapshot(cluster: &mut Cluster, id: u64, load: &Load) {
    let has = cluster.info(id).expect("it runs").number("raft_last_log_index");
    cluster.kill(id);
    load.wait_for_progress();
    let others = cluster.others(id);
    for other in others {
        until(&format!("node {other} to have a snapshot that reaches past entry {has}"), PATIENCE, || {
            if snapshot_index(cluster, other) > has {
                return Some(());
            }
            // Some follower may need the log in front of the last one a moment longer; the next one goes further.
            let _ = cluster.client(other).call(&["BGSAVE"]);
            None
        });
    }
    cluster.spawn(id, &[]);
}

#[test]
fn a_follower_that_was_down_past_the_compaction_has_the_leaders_state_again() {
    let mut cluster = Cluster::start("snapshot-follower", 3);
    fill(&cluster);
    let load = Load::new(&cluster, CLIENTS);
    let follower = cluster.others(cluster.leader())[0];
    let journals = thread::scope(|scope| {
        let (end, clients) = load.begin(scope);
        load.wait_for_progress();

        // First it is killed again and again while it receives, until that hits the middle of a file.
        let mut resumed = false;
        for _ in 0..20 {
            hold_down_past_a_snapshot(&mut cluster, follower, &load);
            let directory = cluster.data_dir(follower);
            let installed = cluster.log_text(follower).matches("goes on from the snapshot").count();
            until("a part of a snapshot, or all of it", PATIENCE, || {
                let is_partly =
                    file_ending(&directory, ".snapshot.part").is_some_and(|(_, size)| size > 1 << 20);
                let text = cluster.log_text(follower);
                (is_partly || text.matches("goes on from the snapshot").count() > installed).then_some(())
            });
            cluster.kill(follower);
            cluster.restart(follower);
            cluster.wait_until_caught_up();
            let text = cluster.log_text(follower);
            resumed =
                text.lines().any(|line| line.contains("receives") && !line.contains(" 0 bytes are here"));
            if resumed {
                break;
            }
        }
        assert!(resumed, "it was never cut short and taken up again:\n{}", cluster.log_text(follower));
        drop(end);
        clients.into_iter().map(|client| client.join().expect("a client")).collect::<Vec<_>>()
    });
    load::report("follower held down", &journals);
    assert!(cluster.log_text(follower).contains("goes on from the snapshot up to entry"));
    check_digests(&cluster);
    load::check(&cluster, &journals);
    // And as it is on its disk.
    cluster.kill(follower);
    cluster.restart(follower);
    check_digests(&cluster);
}

#[test]
fn no_acknowledged_write_is_lost_when_all_nodes_are_killed_during_a_snapshot() {
    let mut cluster = Cluster::start("snapshot-kills", 3);
    fill(&cluster);
    let load = Load::new(&cluster, CLIENTS);
    let mut begun = 0;
    let journals = thread::scope(|scope| {
        let (end, clients) = load.begin(scope);
        for kill in 0..KILLS {
            load.wait_for_progress();
            // Each time one node has written more of it. Where it was too fast to be seen it writes another.
            let watched = (kill % 3 + 1) as u64;
            let enough = (VALUES * VALUE_BYTES * 4 / 5 * kill / KILLS) as u64;
            until("so much of a snapshot", PATIENCE, || {
                for id in cluster.ids() {
                    said(&cluster, id, &["BGSAVE"]);
                }
                let size_bytes = file_ending(&cluster.data_dir(watched), ".snapshot.new")?.1;
                (size_bytes >= enough).then_some(())
            });
            begun += cluster
                .ids()
                .iter()
                .filter(|id| file_ending(&cluster.data_dir(**id), ".new").is_some())
                .count();
            let all = cluster.ids();
            cluster.kill_at_once(&all);
            for id in all {
                cluster.restart(id);
            }
        }
        load.wait_for_progress();
        drop(end);
        clients.into_iter().map(|client| client.join().expect("a client")).collect::<Vec<_>>()
    });
    load::report("all killed during a snapshot", &journals);
    println!("{begun} snapshots were being written when their node was killed, of {}", 3 * KILLS);
    assert!(begun >= KILLS / 2, "few snapshots were being written when their node was killed: {begun}");
    load::check(&cluster, &journals);
    check_digests(&cluster);
}

#[test]
fn bgsave_makes_one_snapshot_at_a_time_and_lastsave_says_when() {
    let cluster = Cluster::start("bgsave", 1);
    let mut client = cluster.client(1);
    let mut last_save =
        || client.call(&["LASTSAVE"]).expect("the node is there").number().expect("seconds since 1970");
    let started = last_save();
    assert!(started > 1_700_000_000, "{started}");
    let snapshot_behind = |index| {
        // It is written by a thread that gives way to all others.
        until("the snapshot to be written", 4 * PATIENCE, || {
            Info::fetch(cluster.addr(1)).filter(|info| info.number("raft_snapshot_index") > index)
        })
    };

    assert_eq!(said(&cluster, 1, &["BGSAVE"]), "Background saving started");
    let empty = snapshot_behind(0);
    assert!(empty.number("raft_snapshot_bytes") < 200, "{}", empty.number("raft_snapshot_bytes"));

    fill(&cluster);
    assert_eq!(said(&cluster, 1, &["BGSAVE"]), "Background saving started");
    assert_eq!(said(&cluster, 1, &["BGSAVE", "SCHEDULE"]), "ERR Background save already in progress");
    let full = snapshot_behind(empty.number("raft_snapshot_index"));
    assert!(full.number("raft_snapshot_bytes") > (VALUES * VALUE_BYTES) as u64);
    // What the idle node has said since about what it no longer waits for.
    assert!(full.number("raft_log_entries") < 10, "{}", full.number("raft_log_entries"));
    assert!(full.number("raft_snapshot_age_sec") < 60);
    assert!(last_save() >= started);
    assert_eq!(said(&cluster, 1, &["BGSAVE", "now"]), "ERR syntax error");
}

#[test]
fn the_log_is_cut_by_itself_when_it_has_grown_enough() {
    let mut cluster = Cluster::start_with("snapshot-after", 3, &["--snapshot-after", "4MiB"]);
    fill(&cluster);
    for id in cluster.ids() {
        until(&format!("node {id} to cut its log"), PATIENCE, || {
            (snapshot_index(&cluster, id) > 0).then_some(())
        });
    }
    check_digests(&cluster);
    let all = cluster.ids();
    cluster.kill_at_once(&all);
    for id in all {
        cluster.restart(id);
        assert!(
            cluster.log_text(id).contains("starts from the snapshot up to entry"),
            "{}",
            cluster.log_text(id)
        );
    }
    check_digests(&cluster);
    let value = cluster.client(2).call(&["GET", "filled:0"]).expect("the node is there").text();
    assert_eq!(value.len(), VALUE_BYTES);
}
