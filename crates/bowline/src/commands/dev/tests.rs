//! What `dev` does with nodes that end by themselves, shown with scripts in the place of servers.

use super::*;
use crate::args::PasswordArgs;

/// What `dev` ends with when its only node does `script` at its start.
fn outcome(script: &str) -> String {
    // Beside the test's own program, which is below the target directory: a real disk.
    let program = std::env::current_exe().expect("the path of the test");
    let parent =
        tempfile::tempdir_in(program.parent().expect("its directory")).expect("a temporary directory");
    let directory = Directory::create(&parent.path().join("data"), 1).expect("a directory");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let outcome = runtime.block_on(async {
        // Nobody listens at port 1.
        let mut nodes = Node::plan(
            &directory,
            &[1],
            tracing_subscriber::filter::LevelFilter::INFO,
            &PasswordArgs { password_file: None },
        )
        .expect("a plan");
        nodes[0].run_instead(script);
        let signals = Signals::listen().expect("signals");
        let cluster =
            Cluster { nodes, signals, directory, password: None, may_restart: true, start_deadline: None };
        tokio::time::timeout(Duration::from_secs(60), cluster.run()).await.expect("it ends in time")
    });
    format!("{:#}", outcome.expect_err("there is no cluster"))
}

#[test]
fn a_node_with_a_broken_disk_is_not_brought_back() {
    assert!(outcome("exit 3").starts_with("no node is left"));
}

#[test]
fn nodes_that_cannot_be_started_end_dev_at_once() {
    let error = outcome("exit 1");
    assert!(error.starts_with("of 1 node only 0 could be started"), "{error}");
    assert!(error.contains("remove it before the next try"), "{error}");
}
