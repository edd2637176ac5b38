//! `bowline-client`: what becomes of a call when nodes are away, killed or frozen, when it is given up, and when its
//! session ends.
//!
//! A node that is frozen while it holds a command is the hard case: the client goes elsewhere, and much later the node
//! wakes up and carries out what it still has. Here that happens every time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use bowline_client::{CallError, Client, Reply};

use crate::harness::{Cluster, End, PATIENCE, until};

/// Long enough for a command to arrive, and not long enough for a client to give a node up.
const MOMENT: Duration = Duration::from_millis(500);

fn run<T>(calls: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(calls)
}

/// A client that asks this node first, then the others.
fn client_of(cluster: &Cluster, first: u64) -> Client {
    let others = cluster.others(first);
    Client::new([first].iter().chain(&others).map(|&id| cluster.addr(id)))
}

/// What another client reads.
fn value(cluster: &Cluster, id: u64, key: &str) -> String {
    cluster.client(id).call(&["GET", key]).expect("the node is there").text()
}

fn limit_sessions(cluster: &Cluster, id: u64, most: &str, idle_ms: &str) {
    let reply = cluster.client(id).call(&["ONCE", "LIMITS", most, idle_ms]).expect("the node is there");
    assert!(reply.is_ok(), "{reply:?}");
}

fn sessions(cluster: &Cluster, id: u64) -> u64 {
    cluster.info(id).expect("the node is there").number("raft_sessions")
}

fn duplicates(cluster: &Cluster, id: u64) -> u64 {
    cluster.info(id).expect("the node is there").number("raft_duplicates_suppressed")
}

fn error_replies(cluster: &Cluster, id: u64) -> u64 {
    cluster.info(id).expect("the node is there").number("total_error_replies")
}

#[test]
fn a_node_that_is_down_or_was_never_there_stops_a_call() {
    let mut cluster = Cluster::start("client-down", 3);
    let down = cluster.others(cluster.leader())[0];
    cluster.kill(down);
    // Nobody listens there: it is the port of a node that was killed, and one below 1024.
    let nodes = [vec!["127.0.0.1:1".to_owned(), cluster.addr(down).to_owned()], cluster.addrs()].concat();
    let mut client = Client::new(nodes);
    run(async {
        assert_eq!(client.get("k").await.expect("two of three are there"), "");
        client.put("k", "v").await.expect("two of three are there");
        assert_eq!(client.append("k", "w").await, Ok(2));
        assert_eq!(client.get("k").await.expect("two of three are there"), "vw");
        assert_eq!(client.call(["GET", "none"]).await, Ok(Reply::Nil));
        let refused = client.call(["INCR", "k"]).await;
        assert!(
            matches!(&refused, Err(CallError::Failed(text)) if text.contains("not an integer")),
            "{refused:?}"
        );
        // What no node would understand is never sent.
        for command in [&["FOO"][..], &["GET"], &["ONCE", "OPEN"], &["GET", &"k".repeat(1 << 20)]] {
            let refused = client.call(command).await;
            assert!(matches!(refused, Err(CallError::NotExecuted(_))), "{refused:?}");
        }
    });
}

#[test]
fn no_increment_is_lost_or_counted_twice_when_the_node_of_its_client_is_killed() {
    const KILLS: usize = 6;
    let mut cluster = Cluster::start("client-killed", 3);
    let is_over = AtomicBool::new(false);
    let mut client = client_of(&cluster, cluster.leader()).with_time_limit(Some(PATIENCE));
    let counted = thread::scope(|scope| {
        let end = End(&is_over);
        let counting = scope.spawn(|| {
            run(async {
                let mut counted = 0;
                while !is_over.load(Ordering::SeqCst) {
                    counted += 1;
                    let reply = client.call(["INCR", "counter"]).await;
                    assert_eq!(reply, Ok(Reply::Int(counted)));
                }
                counted
            })
        });
        for _ in 0..KILLS {
            let leader = cluster.leader();
            let before: i64 = value(&cluster, leader, "counter").parse().unwrap_or(0);
            until("increments", PATIENCE, || {
                let now: i64 = value(&cluster, leader, "counter").parse().unwrap_or(0);
                (now > before + 20).then_some(())
            });
            cluster.kill(leader);
            cluster.leader();
            cluster.restart(leader);
        }
        drop(end);
        counting.join().expect("the client")
    });
    assert_eq!(value(&cluster, cluster.leader(), "counter"), counted.to_string());
    println!("{counted} increments over {KILLS} kills");
}

#[test]
fn a_frozen_node_that_wakes_up_repeats_nothing_that_its_client_has_sent_elsewhere() {
    let mut cluster = Cluster::start("client-frozen", 3);
    let frozen = cluster.others(cluster.leader())[0];
    let mut client = client_of(&cluster, frozen);
    run(async {
        client.append("list", "a,").await.expect("all are there");
        cluster.stop(frozen);
        let both = client.transaction([["APPEND", "list", "b,"], ["INCRBY", "number", "5"]]).await;
        assert_eq!(both, Ok(vec![Reply::Int(4), Reply::Int(5)]));
    });
    cluster.resume(frozen);
    // It carries out what it still has: the answer is that of the first time, and no error.
    until("the frozen node's own answer", PATIENCE, || (duplicates(&cluster, frozen) > 0).then_some(()));
    assert_eq!(value(&cluster, frozen, "list"), "a,b,");
    assert_eq!(value(&cluster, frozen, "number"), "5");
}

#[test]
fn a_call_that_was_given_up_happens_behind_a_later_one() {
    let mut cluster = Cluster::start("client-given-up", 3);
    let frozen = cluster.others(cluster.leader())[0];
    let mut client = client_of(&cluster, frozen);
    run(async {
        client.append("list", "a,").await.expect("all are there");
        cluster.stop(frozen);
        let given_up = tokio::time::timeout(MOMENT, client.append("list", "b,")).await;
        assert!(given_up.is_err(), "a frozen node has answered: {given_up:?}");
        // The next one does not wait for that node, and has a higher number.
        assert_eq!(client.append("list", "c,").await, Ok(4));
        cluster.resume(frozen);
        until("the refusal of the late sending", PATIENCE, || {
            (error_replies(&cluster, frozen) > 0).then_some(())
        });
        assert_eq!(value(&cluster, frozen, "list"), "a,c,");
        assert_eq!(client.append("list", "d,").await, Ok(6));
    });
}

#[test]
fn a_session_that_has_ended_ends_its_client_and_runs_nothing_twice() {
    let mut cluster = Cluster::start("client-sessions", 3);
    let leader = cluster.leader();
    let frozen = cluster.others(leader)[0];
    let mut client = client_of(&cluster, frozen);
    run(async {
        // It expires: nothing was sent that is not answered, so the call goes on in a new one.
        client.append("list", "a,").await.expect("all are there");
        limit_sessions(&cluster, leader, "1", "50");
        until("the session to expire", PATIENCE, || (sessions(&cluster, leader) == 0).then_some(()));
        limit_sessions(&cluster, leader, "1", "3600000");
        assert_eq!(client.append("list", "b,").await, Ok(4));
        // It is evicted: the same.
        cluster.client(leader).call(&["ONCE", "OPEN"]).expect("the node is there");
        assert_eq!(client.append("list", "c,").await, Ok(6));
        assert_eq!(sessions(&cluster, leader), 1);
        // It is evicted when a sending of the call is somewhere: nobody knows whether that was first.
        cluster.stop(frozen);
        let call = client.append("list", "d,");
        let evict = async {
            tokio::time::sleep(MOMENT).await;
            cluster.client(leader).call(&["ONCE", "OPEN"]).expect("the node is there");
        };
        let (outcome, ()) = tokio::join!(call, evict);
        assert!(
            matches!(&outcome, Err(CallError::Unknown(text)) if text.contains("NOSESSION")),
            "{outcome:?}"
        );
        cluster.resume(frozen);
        until("the refusal of the late sending", PATIENCE, || {
            (error_replies(&cluster, frozen) > 0).then_some(())
        });
        assert_eq!(value(&cluster, frozen, "list"), "a,b,c,");
        assert_eq!(client.append("list", "e,").await, Ok(8));
    });
}

#[test]
fn at_its_deadline_a_call_says_what_is_true_of_it() {
    let mut cluster = Cluster::start("client-deadline", 3);
    let leader = cluster.leader();
    let others = cluster.others(leader);
    let mut client = client_of(&cluster, leader);
    run(async { client.put("known", "1").await.expect("all are there") });
    cluster.kill_at_once(&others);
    let mut client = client.with_time_limit(Some(MOMENT));
    run(async {
        // The node that is left holds it, and may yet find a majority.
        let held = client.put("held", "1").await;
        assert!(matches!(held, Err(CallError::Unknown(_))), "{held:?}");
        // This one has no session yet: what is held is the opening.
        let never = client.clone().put("never", "1").await;
        assert!(matches!(never, Err(CallError::NotExecuted(_))), "{never:?}");
        let read = client.get("known").await;
        assert!(matches!(read, Err(CallError::NotExecuted(_))), "{read:?}");
    });
    // Time enough to be told once that nobody leads, and not twice: it is not asked a second time.
    let mut client = client.with_time_limit(Some(Duration::from_secs(8)));
    run(async {
        let told = client.put("told", "1").await;
        assert!(
            matches!(&told, Err(CallError::NotExecuted(text)) if text.contains("CLUSTERDOWN")),
            "{told:?}"
        );
    });
    let mut client = client.with_time_limit(Some(MOMENT));
    cluster.kill(leader);
    run(async {
        let refused = client.put("refused", "1").await;
        assert!(matches!(refused, Err(CallError::NotExecuted(_))), "{refused:?}");
    });
    for id in cluster.ids() {
        cluster.restart(id);
    }
    let mut client = client.with_time_limit(None);
    run(async {
        assert_eq!(client.get("known").await.expect("all are there"), "1");
        assert_eq!(client.call(["EXISTS", "never", "told", "refused"]).await, Ok(Reply::Int(0)));
        // This one nobody knew, so both are right.
        let length = client.append("held", "2").await;
        assert!(matches!(length, Ok(1 | 2)), "{length:?}");
    });
}

#[test]
fn clones_keep_out_of_each_others_way_and_leave_no_session_behind() {
    const CLONES: i64 = 8;
    const CALLS: i64 = 50;
    let cluster = Cluster::start("client-clones", 3);
    let leader = cluster.leader();
    let client = client_of(&cluster, leader);
    run(async {
        let count = |mut client: Client| async move {
            for _ in 0..CALLS {
                client.call(["INCR", "counter"]).await.expect("all are there");
            }
        };
        let tasks: Vec<_> = (0..CLONES).map(|_| tokio::spawn(count(client.clone()))).collect();
        for task in tasks {
            task.await.expect("a clone");
        }
        let mut last = client.clone();
        assert_eq!(last.get("counter").await.expect("all are there"), (CLONES * CALLS).to_string());
        for _ in 0..2 * CLONES {
            client.clone().call(["INCR", "counter"]).await.expect("all are there");
        }
        let opened = sessions(&cluster, leader);
        assert_eq!(opened, CLONES as u64, "one for each that was there at the same time");
        for id in cluster.ids() {
            let connected = cluster.info(id).expect("the node is there").number("connected_clients");
            assert!(connected <= 2, "node {id} has {connected} clients, who asks for this among them");
        }
        drop(last);
        client.close().await;
        assert_eq!(sessions(&cluster, leader), 0);
    });
}
