//! Data directories that are not this node's, not there, or in use.

use std::fs;
use std::path::Path;

use crate::harness::Cluster;
use crate::support::{Raw, assert_says, last_words, run_server};

/// Runs a server on `data`, which must end at once: what it says. It is node `id` of so many on ports of
/// `cluster` that its own nodes do not use.
fn refused(cluster: &Cluster, data: &Path, id: &str, count: u16, more: &[&str]) -> String {
    let (_, port) = cluster.addr(1).rsplit_once(':').expect("a port");
    let port = port.parse::<u16>().expect("a number") + 8;
    let member = |n| format!("{n}=127.0.0.1:{}@{}", port + 2 * n, port + 2 * n + 1);
    let peers = (1..=count).map(member).collect::<Vec<_>>().join(",");
    let listen = format!("127.0.0.1:{port}");
    let data = data.to_str().expect("paths of tests are text");
    let options = ["--id", id, "--data", data, "--listen", &listen, "--peers", &peers];
    let (code, said) = run_server(&[&options[..], more].concat());
    assert_eq!(code, 1, "{said}");
    said
}

/// A cluster of two, of which only node 1 was started, and stopped again.
fn stopped(name: &str) -> Cluster {
    let mut cluster = Cluster::prepare(name, 2, &["--cluster", "shop"]);
    cluster.spawn(1, &["--new"]);
    crate::support::wait_for_log(&cluster, 1, ": clients on ");
    cluster.kill(1);
    cluster
}

#[test]
fn a_directory_of_another_node_is_refused() {
    let cluster = stopped("other-node");
    let data = cluster.data_dir(1);
    let said = refused(&cluster, &data, "2", 2, &[]);
    assert_says(
        &said,
        &[data.to_str().expect("text"), "belongs to node 1, and this is node 2", "Start it with --id 1"],
    );
}

#[test]
fn a_directory_of_another_cluster_is_refused() {
    let cluster = stopped("other-cluster");
    let said = refused(&cluster, &cluster.data_dir(1), "1", 2, &["--cluster", "bank"]);
    assert_says(
        &said,
        &["belongs to cluster \"shop\"", "started for cluster \"bank\"", "Start it with --cluster shop"],
    );
}

#[test]
fn a_directory_made_for_other_members_is_refused() {
    let cluster = stopped("other-members");
    let said = refused(&cluster, &cluster.data_dir(1), "1", 3, &[]);
    assert_says(&said, &["was made for the members 1,2, and --peers names 1,2,3", "name the same ids"]);
}

#[test]
fn an_empty_directory_without_new_is_refused() {
    let cluster = Cluster::prepare("empty", 1, &[]);
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    for data in [dir.path().join("missing"), dir.path().to_path_buf()] {
        let said = refused(&cluster, &data, "1", 1, &[]);
        assert_says(
            &said,
            &[
                data.to_str().expect("text"),
                "no node has ever been here",
                "start it with --new",
                "has forgotten what it promised to the others",
            ],
        );
    }
    assert!(!dir.path().join("missing").exists());
}

#[test]
fn new_on_a_directory_in_use_is_refused() {
    let mut cluster = stopped("new-again");
    let said = refused(&cluster, &cluster.data_dir(1), "1", 2, &["--new"]);
    assert_says(&said, &["holds the data of node 1 of cluster \"shop\" already", "start it without --new"]);
    cluster.spawn(1, &[]);
    crate::support::wait_for_log(&cluster, 1, ": clients on ");
}

#[test]
fn a_directory_locked_by_a_living_process_is_refused() {
    let cluster = Cluster::start("locked", 1);
    let said = refused(&cluster, &cluster.data_dir(1), "1", 1, &[]);
    assert_says(
        &said,
        &[&format!("locked by a living process (pid {})", cluster.pid(1)), "stop that one first"],
    );
    Raw::connect(cluster.addr(1)).set(b"k", b"still served");
}

#[test]
fn a_log_without_the_file_that_names_its_node_is_refused() {
    let mut cluster = Cluster::start("anonymous", 1);
    cluster.kill(1);
    let (node, kept) = (cluster.data_dir(1).join("node"), cluster.data_dir(1).join("kept"));
    fs::rename(&node, &kept).expect("the file is there");
    for more in [&[][..], &["--new"]] {
        let before = cluster.log_text(1).len();
        cluster.spawn(1, more);
        let said = last_words(&mut cluster, 1, before, 1);
        assert_says(
            &said,
            &["there is a log", "the file `node` that says whose it is is missing", "Put it back"],
        );
    }
    let text = fs::read_to_string(&kept).expect("text");
    fs::write(&node, text.replace("node=1", "node=2")).expect("a file");
    let before = cluster.log_text(1).len();
    cluster.spawn(1, &[]);
    let said = last_words(&mut cluster, 1, before, 1);
    assert_says(
        &said,
        &["the file `node` is damaged: its checksum does not hold", "Put back the file as it was"],
    );
    fs::rename(&kept, &node).expect("the file is there");
    cluster.restart(1);
}
