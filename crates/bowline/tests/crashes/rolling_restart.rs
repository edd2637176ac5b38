//! An upgrade, node by node, is no event for a client that reconnects.

use std::thread;

use crate::harness::Cluster;
use crate::load::{self, Load};

const ROUNDS: usize = 3;

#[test]
fn no_client_sees_an_error_or_loses_a_write_during_a_rolling_restart() {
    let mut cluster = Cluster::start("rolling-restart", 3);
    let load = Load::new(&cluster, 6);
    let journals: Vec<_> = thread::scope(|scope| {
        let (end, clients) = load.begin(scope);
        load.wait_for_progress();
        for _ in 0..ROUNDS {
            for id in cluster.ids() {
                let status = cluster.terminate(id);
                assert_eq!(status.code(), Some(0), "node {id} after SIGTERM: {status}");
                load.wait_for_progress();
                cluster.restart(id);
                // As an operator does: the next one only when this one has what the others have.
                cluster.wait_until_caught_up();
            }
        }
        load.wait_for_progress();
        drop(end);
        clients.into_iter().map(|client| client.join().expect("a client")).collect()
    });
    load::report("rolling restart", &journals);
    load::check(&cluster, &journals);
    assert!(journals.iter().all(|journal| journal.errors.is_empty()), "errors were answered");
    assert!(journals.iter().any(|journal| journal.lost_connections > 0), "nobody noticed anything");
}
