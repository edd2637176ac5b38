//! File systems that are full.
//!
//! That needs a small file system, and so the right to mount one. Each test runs itself again in a mount
//! namespace of its own, as root or as the root of a user namespace: what is mounted there is seen by nobody
//! else, and is gone with the process however it ends. Where neither is allowed the test says that it is skipped.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Cluster, PATIENCE, until};
use crate::support::{Raw, assert_says, last_words, wait_for_log};

const INSIDE: &str = "BOWLINE_TEST_MAY_MOUNT";

/// Runs `body` where it may mount: this process if it is the inner one, else one that runs the test `name`.
fn where_mounting_is_allowed(name: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let Some(options) = ["-m", "-Urm"].into_iter().find(|options| may_mount(options)) else {
        // Past the capture of the test's output: a test that did not run must not look as if it had.
        let reason = "neither root nor a user namespace may mount a tmpfs here";
        writeln!(io::stderr(), "\nSKIPPED {name}: {reason}").expect("somebody reads");
        return;
    };
    let itself = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new("unshare");
    command.arg(options).arg(itself).args([name, "--exact", "--nocapture"]).env(INSIDE, "1");
    let Output { status, stdout, stderr } = command.output().expect("unshare was there a moment ago");
    let [stdout, stderr] = [stdout, stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(status.success(), "{stdout}\n{stderr}");
    assert_says(&stdout, &["1 passed"]);
}

fn may_mount(options: &str) -> bool {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary directory");
    let mut command = Command::new("unshare");
    command.arg(options).args(["mount", "-t", "tmpfs", "tmpfs"]).arg(dir.path());
    command.output().is_ok_and(|output| output.status.success())
}

fn mount(options: &str, at: &Path) {
    std::fs::create_dir_all(at).expect("a directory");
    let output = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(at).output();
    let output = output.expect("mount is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Four megabytes that are the key's own.
fn value(n: usize) -> Vec<u8> {
    format!("{n:08}").into_bytes().repeat((4 << 20) / 8)
}

#[test]
fn a_full_disk_ends_its_node_and_loses_nothing() {
    where_mounting_is_allowed("no_space::a_full_disk_ends_its_node_and_loses_nothing", || {
        let mut cluster = Cluster::prepare("full-disk", 3, &[]);
        let data = cluster.data_dir(1);
        // Two segments of 64 MiB, and not three.
        mount("size=150m", &data);
        for id in cluster.ids() {
            cluster.spawn(id, &["--new"]);
        }
        for id in cluster.ids() {
            wait_for_log(&cluster, id, ": clients on ");
        }
        cluster.leader();
        let mut client = Raw::connect(cluster.addr(2));
        let mut written = 0;
        let mut write = |count: usize| {
            for _ in 0..count {
                client.set(format!("k{written}").as_bytes(), &value(written));
                written += 1;
            }
            written
        };
        // One command needs 72 MiB of room at most, so a node ends with 56 of its last 128 MiB used.
        let full = "bytes of room for the log, and a node needs 75497472";
        until("a full disk", PATIENCE, || {
            write(1);
            cluster.log_text(1).contains(full).then_some(())
        });
        let said = last_words(&mut cluster, 1, 0, 1);
        assert_says(
            &said,
            &[&format!("{}: ", data.display()), full, "make room and start it again: nothing is lost"],
        );
        write(3);

        // Still no room.
        let before = cluster.log_text(1).len();
        cluster.spawn(1, &[]);
        let said = last_words(&mut cluster, 1, before, 1);
        assert_says(&said, &[&format!("{}: ", data.display()), full]);

        mount("remount,size=500m", &data);
        cluster.restart(1);
        let written = write(1);
        cluster.wait_until_caught_up();
        // It is needed for every answer from now on.
        cluster.kill(3);
        let mut client = Raw::connect(cluster.addr(1));
        for n in 0..written {
            assert!(client.get(format!("k{n}").as_bytes()) == value(n), "k{n} is another one");
        }
    });
}

#[test]
fn a_first_start_without_room_is_made_good_by_the_next() {
    where_mounting_is_allowed("no_space::a_first_start_without_room_is_made_good_by_the_next", || {
        let mut cluster = Cluster::prepare("small-disk", 1, &[]);
        let data = cluster.data_dir(1);
        mount("size=20m", &data);
        cluster.spawn(1, &["--new"]);
        let said = last_words(&mut cluster, 1, 0, 1);
        assert_says(
            &said,
            &[&format!("{}: no space left: ", data.display()), "bytes are needed and", "Make room"],
        );

        mount("remount,size=300m", &data);
        let before = cluster.log_text(1).len();
        cluster.spawn(1, &["--new"]);
        assert_says(&last_words(&mut cluster, 1, before, 1), &["start it without --new"]);
        cluster.restart(1);
        Raw::connect(cluster.addr(1)).set(b"k", b"v");
    });
}
