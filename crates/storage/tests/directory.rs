//! A directory is refused to anybody but its own node, and the message says why and what to do.

use std::fs;
use std::path::{Path, PathBuf};

use bowline_raft::NodeId;
use bowline_storage::{Directory, DirectoryError, DirectoryId};
use tempfile::TempDir;

const MEMBERS: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
const ME: NodeId = NodeId(2);

fn place() -> (TempDir, PathBuf) {
    let above = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let path = above.path().join("a/node");
    (above, path)
}

fn create(path: &Path) -> Directory {
    Directory::create(path, ME, "shop", &MEMBERS).expect("made")
}

fn open(path: &Path) -> Result<Directory, DirectoryError> {
    Directory::open(path, ME, Some("shop"), &MEMBERS)
}

/// The error's text holds every one of `parts`, and the directory's path.
fn says<T>(path: &Path, result: Result<T, DirectoryError>, parts: &[&str]) {
    let text = result.err().expect("refused").to_string();
    for part in parts.iter().chain([&path.display().to_string().as_str()]) {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn what_it_was_told_is_there_again() {
    let (_above, path) = place();
    let mut directory = create(&path);
    assert_eq!(directory.life(), 0);
    assert_eq!(directory.begin_life().expect("begun"), 1);
    directory.remember_peer(NodeId(3), DirectoryId(5)).expect("the first");
    let before = directory.identity().clone();
    drop(directory);
    let mut directory = Directory::open(&path, ME, None, &[NodeId(3), NodeId(1), NodeId(2)]).expect("opened");
    assert_eq!(*directory.identity(), before);
    assert_eq!(directory.begin_life().expect("begun"), 2);
    drop(directory);
    assert_eq!(open(&path).expect("opened").life(), 2);
}

#[test]
fn every_directory_has_an_id_of_its_own() {
    let ((_one, first), (_two, second)) = (place(), place());
    assert_ne!(create(&first).identity().directory, create(&second).identity().directory);
}

#[test]
fn a_second_process_is_kept_out() {
    let (_above, path) = place();
    let directory = create(&path);
    // Another handle on the file is to the lock what another process is.
    let pid = format!("locked by a living process (pid {})", std::process::id());
    says(&path, open(&path), &[&pid, "stop that one first"]);
    drop(directory);
    open(&path).expect("free again");
}

#[test]
fn an_empty_directory_is_no_node() {
    let (above, path) = place();
    says(
        &path,
        open(&path),
        &["no node has ever been here", "--new", "node 2", "forgotten what it promised"],
    );
    says(above.path(), open(above.path()), &["no node has ever been here"]);
}

#[test]
fn a_log_without_a_name_is_no_empty_directory() {
    let (_above, path) = place();
    drop(create(&path));
    fs::rename(path.join("node"), path.join("elsewhere")).expect("moved");
    for file in ["0000000000000001.wal", "1-500-2.snapshot"] {
        fs::write(path.join(file), "something").expect("written");
        let parts = [&format!("there is a log or a snapshot ({file})"), "`node`", "Put it back"];
        says(&path, open(&path), &parts);
        says(&path, Directory::create(&path, ME, "shop", &MEMBERS), &parts);
        fs::remove_file(path.join(file)).expect("removed");
    }
}

#[test]
fn a_new_one_is_not_made_over_an_old_one() {
    let (_above, path) = place();
    drop(create(&path));
    let again = Directory::create(&path, NodeId(1), "bar", &MEMBERS);
    says(&path, again, &["holds the data of node 2 of cluster \"shop\" already", "without --new"]);
}

#[test]
fn another_node_cluster_or_membership_is_refused() {
    let (_above, path) = place();
    drop(create(&path));
    let open =
        |node, cluster, members: &[NodeId]| Directory::open(&path, NodeId(node), Some(cluster), members);
    says(&path, open(1, "shop", &MEMBERS), &["belongs to node 2, and this is node 1", "--id 2"]);
    says(
        &path,
        open(2, "bar", &MEMBERS),
        &["belongs to cluster \"shop\"", "started for cluster \"bar\"", "--cluster shop"],
    );
    let four = [NodeId(1), NodeId(2), NodeId(3), NodeId(4)];
    says(
        &path,
        open(2, "shop", &four),
        &["made for the members 1,2,3", "names 1,2,3,4", "cannot be changed yet"],
    );
    open(2, "shop", &MEMBERS).expect("the right one");
}

#[test]
fn members_and_names_that_make_no_sense_are_refused() {
    let (_above, path) = place();
    for members in [&[NodeId(1), NodeId(3)][..], &[NodeId(2), NodeId(2)], &[NodeId(0), NodeId(2)], &[]] {
        let error = Directory::create(&path, ME, "shop", members).expect_err("refused");
        assert!(error.to_string().starts_with("node 2 is not among the members"), "{error}");
    }
    for name in ["", "two\nlines", &"x".repeat(256)] {
        let error = Directory::create(&path, ME, name, &MEMBERS).expect_err("refused");
        assert!(error.to_string().contains("1 to 255 bytes"), "{error}");
    }
    assert!(!path.exists());
}

#[test]
fn a_peer_that_comes_with_another_directory_is_refused() {
    let (_above, path) = place();
    let mut directory = create(&path);
    let (first, now) = (DirectoryId(0xaaaa), DirectoryId(0xbbbb));
    directory.remember_peer(NodeId(1), first).expect("the first");
    directory.remember_peer(NodeId(1), first).expect("the same");
    drop(directory);
    let mut directory = open(&path).expect("opened");
    let parts = ["node 1", &first.to_string(), &now.to_string(), "give it back its first directory"];
    says(&path, directory.remember_peer(NodeId(1), now), &parts);
    for stranger in [ME, NodeId(4)] {
        says(&path, directory.remember_peer(stranger, now), &["is not another member"]);
    }
}

#[test]
fn a_changed_file_is_damaged_and_a_newer_one_is_newer() {
    let (_above, path) = place();
    drop(create(&path));
    let file = path.join("node");
    let good = fs::read(&file).expect("read");
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bad = good.clone();
            bad[at] ^= 1 << bit;
            fs::write(&file, &bad).expect("written");
            says(&path, open(&path), &["`node` is damaged", "Nothing was changed"]);
        }
        fs::write(&file, &good[..at]).expect("written");
        says(&path, open(&path), &["`node` is damaged"]);
    }
    let text = String::from_utf8(good).expect("a text");
    let (body, _) = text.split_at(text.find("checksum=").expect("it has one"));
    let body = body.replace("format=1", "format=2");
    fs::write(&file, format!("{body}checksum={:08x}\n", crc32c::crc32c(body.as_bytes()))).expect("written");
    says(&path, open(&path), &["has format 2", "Start the version that wrote it"]);
}
