//! What was acknowledged outlives every crash, and what was sent once happens once.

use std::thread;

use crate::harness::{Cluster, PATIENCE, until};
use crate::load::{self, Load};

const CLIENTS: usize = 8;
const KILLS: usize = 20;

#[test]
fn no_acknowledged_write_is_lost_and_no_append_happens_twice_when_leaders_are_killed() {
    let mut cluster = Cluster::start("killed-leader", 3);
    let load = Load::new(&cluster, CLIENTS);
    let (journals, records) = thread::scope(|scope| {
        let (end, clients) = load.begin(scope);
        let records = scope.spawn(|| load.watch_records());
        load.wait_for_progress();
        for _ in 0..KILLS {
            let leader = cluster.leader();
            cluster.kill(leader);
            // The other two serve everybody without it.
            load.wait_for_progress();
            cluster.restart(leader);
            load.wait_until_records_are_forgotten();
        }
        let all = cluster.ids();
        cluster.kill_at_once(&all);
        for id in all {
            cluster.restart(id);
        }
        load.wait_for_progress();
        drop(end);
        let journals: Vec<_> = clients.into_iter().map(|client| client.join().expect("a client")).collect();
        (journals, records.join().expect("the watch"))
    });
    load::report("leaders killed", &journals);
    println!("most completion records of a node: {records}; most in flight: {}", load.most_in_flight());
    load::check(&cluster, &journals);
    until("all records to be forgotten when nothing is in flight", PATIENCE, || {
        (load.records() == 0).then_some(())
    });
    assert!(records > 0, "none were ever seen");
    assert!(
        records < 2 * load.most_in_flight(),
        "{records} completion records, though never more than {} commands were in flight",
        load.most_in_flight()
    );
}
