//! What an operator types wrong, and ports and addresses that are not to be had.

use std::net::TcpListener;

use crate::harness::Cluster;
use crate::support::{assert_says, last_words, run_server};

/// Runs a server with these options, that must end at once with that exit code, and make nothing.
fn refused(changes: &[(&str, &str)], code: i32) -> String {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let data = dir.path().join("data");
    let defaults = [
        ("--id", "1"),
        ("--data", data.to_str().expect("paths of tests are text")),
        ("--listen", "127.0.0.1:10999"),
        ("--peers", "1=127.0.0.1:10999@10998"),
    ];
    let kept = defaults.into_iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    let options: Vec<_> =
        kept.chain(changes.iter().copied()).flat_map(|(name, value)| [name, value]).collect();
    let (ended, said) = run_server(&[&options[..], &["--new"]].concat());
    assert_eq!(ended, code, "{said}");
    assert!(!data.exists(), "a wrong option leaves no directory behind: {said}");
    said
}

#[test]
fn peers_without_this_node_are_refused() {
    let said = refused(&[("--id", "4"), ("--peers", "1=127.0.0.1:10999@10998,2=127.0.0.1:10997@10996")], 1);
    assert_says(
        &said,
        &["--peers does not name node 4, which --id says this is", "1=127.0.0.1:10999,2=127.0.0.1:10997"],
    );
}

#[test]
fn malformed_peers_are_refused_with_the_part_that_is_wrong() {
    let cases = [
        ("127.0.0.1:1", "`127.0.0.1:1`: no `=`"),
        ("1=127.0.0.1:1,two=127.0.0.1:2", "`two=127.0.0.1:2`: the id is not a number"),
        ("0=127.0.0.1:1", "ids begin at 1"),
        ("1=127.0.0.1", "no port"),
        ("1=127.0.0.1:1,1=127.0.0.1:2", "node 1 is named twice"),
        ("1=127.0.0.1:1,2=127.0.0.1:1", "nodes 1 and 2 have the same address"),
        ("1=127.0.0.1:60000", "above 65535; write @PEERPORT"),
    ];
    for (peers, what) in cases {
        assert_says(&refused(&[("--peers", peers)], 2), &[&format!("--peers {peers}: "), what]);
    }
    assert_says(
        &refused(&[("--peers", "1:2")], 2),
        &["a member is written ID=HOST:PORT or ID=HOST:PORT@PEERPORT"],
    );
}

#[test]
fn a_cluster_name_that_would_break_its_file_is_refused() {
    let mut cluster = Cluster::prepare("name", 1, &["--cluster", "two\nlines"]);
    cluster.spawn(1, &["--new"]);
    let said = last_words(&mut cluster, 1, 0, 1);
    assert_says(&said, &["a cluster's name has 1 to 255 bytes and no control characters"]);
    assert!(!cluster.data_dir(1).exists(), "a wrong name leaves no directory behind");
}

#[test]
fn a_port_in_use_is_named() {
    let mut cluster = Cluster::prepare("port", 1, &[]);
    let addr = cluster.addr(1).to_owned();
    let held = TcpListener::bind(&addr).expect("a free port");
    cluster.spawn(1, &["--new"]);
    let said = last_words(&mut cluster, 1, 0, 1);
    assert_says(
        &said,
        &[&format!("cannot listen for clients on {addr}: Address already in use"), "choose another port"],
    );
    drop(held);

    let (_, port) = addr.rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a number");
    let held = TcpListener::bind(("127.0.0.1", port + 1)).expect("a free port");
    let before = cluster.log_text(1).len();
    cluster.spawn(1, &["--new"]);
    let said = last_words(&mut cluster, 1, before, 1);
    assert_says(
        &said,
        &[&format!("cannot listen for peers on 127.0.0.1:{}: Address already in use", port + 1), "stop it"],
    );
    assert!(!cluster.data_dir(1).exists(), "a port in use leaves no directory behind");

    drop(held);
    cluster.spawn(1, &["--new"]);
    cluster.leader();
}

#[test]
fn an_address_of_another_machine_is_refused() {
    let said = refused(&[("--listen", "192.0.2.1:10999")], 1);
    assert_says(&said, &["cannot listen for clients on 192.0.2.1:10999", "this machine has no such address"]);
}
