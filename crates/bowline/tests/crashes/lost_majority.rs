//! Without a majority: commands are held, then refused by the error that is true, and nothing is made up.

use std::time::{Duration, Instant};

use crate::harness::{Client, Cluster, PATIENCE, Reply, until};

/// A command that is refused was held for at least so long: the server gives an election time to end.
const HELD: Duration = Duration::from_secs(4);

/// What became of a write that got no answer of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    NotExecuted,
    Uncertain,
}

fn refusal(reply: &Reply) -> Refusal {
    match reply {
        Reply::Error(text) if text.starts_with("CLUSTERDOWN ") => {
            assert!(text.contains("certainly not executed"), "{text}");
            Refusal::NotExecuted
        }
        Reply::Error(text) if text.starts_with("UNCERTAIN ") => Refusal::Uncertain,
        other => panic!("without a majority a command is answered by {other:?}"),
    }
}

/// A command that was sent, its answer still to come.
struct Sent {
    client: Client,
    at: Instant,
}

impl Sent {
    fn new(cluster: &Cluster, id: u64, command: &[&str]) -> Self {
        let mut client = cluster.client(id);
        client.send(&[command]).expect("the node is there");
        Self { client, at: Instant::now() }
    }

    /// How it is refused, in its time.
    fn refused(mut self) -> Refusal {
        let reply = self.client.receive().expect("the node is there");
        let held = self.at.elapsed();
        assert!(held >= HELD, "{reply:?} after {held:?}");
        refusal(&reply)
    }
}

fn set(cluster: &Cluster, id: u64, key: &str) -> Sent {
    Sent::new(cluster, id, &["SET", key, "1"])
}

/// Looks whether a refused write is there, which it must not be if that was said.
fn check_after(client: &mut Client, key: &str, refusal: Refusal) -> bool {
    let value = client.call(&["GET", key]).expect("the node is there");
    let is_there = value != Reply::Bulk(None);
    assert!(!is_there || refusal == Refusal::Uncertain, "{key} was certainly not executed, and is {value:?}");
    is_there
}

/// What a node that is alone does, once it knows.
fn alone(cluster: &Cluster, survivor: u64, name: &str) {
    until("the survivor to know no leader", PATIENCE, || {
        let info = cluster.info(survivor)?;
        (info.text("raft_role") != "leader" && info.text("raft_leader_id") == "unknown").then_some(())
    });
    let key = format!("{name}-late");
    let writes = [set(cluster, survivor, &key), Sent::new(cluster, survivor, &["APPEND", &key, "x"])];
    let read = Sent::new(cluster, survivor, &["GET", "base"]);
    for sent in writes.into_iter().chain([read]) {
        assert_eq!(sent.refused(), Refusal::NotExecuted, "nobody was there to execute it");
    }
}

/// Kills all but `survivor`, lets one come back, and hands back whether the write at the moment of death is there.
fn lose_majority(cluster: &mut Cluster, survivor: u64, name: &str) -> (Refusal, bool) {
    let others = cluster.others(survivor);
    cluster.client(survivor).call(&["SET", "base", name]).expect("the node is there");
    let early = format!("{name}-early");
    cluster.kill_at_once(&others);
    let (write, read) = (set(cluster, survivor, &early), Sent::new(cluster, survivor, &["GET", "base"]));
    alone(cluster, survivor, name);
    let refusal = write.refused();
    assert_eq!(read.refused(), Refusal::NotExecuted, "a read changes nothing");

    // Held, and then answered: it came before there was a majority again.
    let mut held = set(cluster, survivor, &format!("{name}-held"));
    cluster.restart(others[0]);
    let reply = held.client.receive().expect("the node is there");
    assert!(reply.is_ok(), "a command that was held when a majority came back: {reply:?}");

    let mut client = cluster.client(others[0]);
    let base = client.call(&["GET", "base"]).expect("the node is there");
    assert_eq!(base.text(), name, "what was acknowledged before");
    check_after(&mut client, &format!("{name}-late"), Refusal::NotExecuted);
    let is_there = check_after(&mut client, &early, refusal);
    cluster.restart(others[1]);
    cluster.wait_until_caught_up();
    (refusal, is_there)
}

#[test]
fn without_a_majority_each_command_is_refused_by_the_right_error() {
    let mut cluster = Cluster::start("lost-majority", 3);
    let leader = cluster.leader();
    let follower = cluster.others(leader)[0];
    let outcome = lose_majority(&mut cluster, follower, "a-follower-is-left");
    println!("a write at a follower whose leader has just died: {outcome:?}");

    let leader = cluster.leader();
    let outcome = lose_majority(&mut cluster, leader, "the-leader-is-left");
    println!("a write at a leader whose followers have just died: {outcome:?}");
}
