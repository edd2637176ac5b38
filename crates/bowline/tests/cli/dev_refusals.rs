//! What `dev` refuses before it starts or makes anything.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use crate::support::{directory, run, text};

/// A port for clients whose port for peers exists too, both held by these listeners.
fn held_ports() -> (TcpListener, TcpListener) {
    (20_000..30_000)
        .find_map(|port| {
            let clients = TcpListener::bind(("127.0.0.1", port)).ok()?;
            let peers = TcpListener::bind(("127.0.0.1", port + 10_000)).ok()?;
            Some((clients, peers))
        })
        .expect("two free ports")
}

/// Runs `dev` in `dir`, which must refuse: its message.
fn refused(dir: &Path, arguments: &[&str]) -> String {
    let dir = dir.to_str().expect("a path of the test");
    let output = run(&[&["dev", "--dir", dir], arguments].concat());
    let message = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(output.stdout.is_empty());
    assert!(message.starts_with("error: "), "{message}");
    message
}

#[test]
fn a_port_in_use_is_named_before_anything_is_made() {
    let (clients, peers) = held_ports();
    let port = clients.local_addr().unwrap().port();
    let parent = directory();
    let dir = parent.path().join("data");

    let message = refused(&dir, &["--port", &port.to_string()]);
    assert!(
        message.contains(&format!("port {port} of 127.0.0.1, which node 1 needs for its clients")),
        "{message}"
    );
    assert!(message.contains("--port"), "{message}");

    drop(clients);
    let message = refused(&dir, &["--port", &port.to_string()]);
    let peer_port = peers.local_addr().unwrap().port();
    assert!(
        message.contains(&format!("port {peer_port} of 127.0.0.1, which node 1 needs for its peers")),
        "{message}"
    );

    assert!(!dir.exists());
}

#[test]
fn a_directory_of_another_size_is_refused() {
    let dir = directory();
    fs::write(dir.path().join("nodes"), "5\n").unwrap();
    let message = refused(dir.path(), &[]);
    assert!(message.contains("holds a cluster of 5 nodes, and 3 are asked for"), "{message}");
    assert!(message.contains("--nodes 5"), "{message}");
}

#[test]
fn a_directory_that_dev_has_not_made_is_refused() {
    let dir = directory();
    let message = refused(dir.path(), &[]);
    assert!(message.contains("was not made by `bowline dev`"), "{message}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is made in it");

    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let message = refused(&file, &[]);
    assert!(message.contains("was not made by `bowline dev`"), "{message}");
}

#[test]
fn a_directory_whose_size_cannot_be_read_is_refused() {
    let dir = directory();
    fs::write(dir.path().join("nodes"), "three").unwrap();
    let message = refused(dir.path(), &[]);
    assert!(message.contains("does not hold a number of nodes: \"three\""), "{message}");
}

#[test]
fn a_directory_that_another_dev_uses_is_refused() {
    let dir = directory();
    let path = dir.path().join("nodes");
    fs::write(&path, "3\n").unwrap();
    let held = fs::File::open(&path).unwrap();
    held.lock().unwrap();
    let message = refused(dir.path(), &[]);
    assert!(message.contains("in use by another `bowline dev`"), "{message}");
}

#[test]
fn a_directory_that_cannot_be_made_is_named() {
    let dir = directory();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    // The first port that is free, so that the directory is what fails.
    let (clients, peers) = held_ports();
    let port = clients.local_addr().unwrap().port().to_string();
    drop((clients, peers));
    let message = refused(&file.join("data"), &["--nodes", "1", "--port", &port]);
    assert!(message.contains(file.join("data").to_str().unwrap()), "{message}");
}
