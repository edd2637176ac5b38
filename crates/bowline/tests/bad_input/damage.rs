//! Logs that a crash has torn, and logs that a disk has damaged.

use std::fs::{self, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::harness::{Cluster, PATIENCE, Reply, until};
use crate::support::{Raw, assert_says, last_words};

/// The segment that writes go to: the last one that does not hold zeros alone.
fn active_segment(data: &Path) -> PathBuf {
    let names =
        fs::read_dir(data).expect("the directory is there").map(|entry| entry.expect("an entry").path());
    let mut segments: Vec<_> = names.filter(|path| path.extension().is_some_and(|e| e == "wal")).collect();
    segments.sort();
    let is_used = |path: &PathBuf| {
        let mut start = [0; 8];
        let mut file = fs::File::open(path).expect("a segment");
        file.read_exact(&mut start).is_ok() && start != [0; 8]
    };
    segments.into_iter().rfind(is_used).expect("a segment in use")
}

/// Where what is not zero ends. These tests write little.
fn end_of_data(path: &Path) -> u64 {
    let mut bytes = Vec::new();
    fs::File::open(path).expect("a segment").take(1 << 20).read_to_end(&mut bytes).expect("read");
    bytes.iter().rposition(|byte| *byte != 0).expect("something in it") as u64 + 1
}

fn write(cluster: &Cluster, keys: std::ops::Range<u32>) {
    let mut client = Raw::connect(cluster.addr(cluster.leader()));
    for n in keys {
        client.set(format!("k{n}").as_bytes(), format!("value {n}").as_bytes());
    }
}

/// A cluster in which all nodes have the first hundred keys, its leader and a follower.
fn written(name: &str) -> (Cluster, u64, u64) {
    let cluster = Cluster::start(name, 3);
    let leader = cluster.leader();
    let follower = cluster.others(leader)[0];
    write(&cluster, 0..100);
    cluster.wait_until_caught_up();
    (cluster, leader, follower)
}

/// Stops a node, which ends its log with the empty write. What was acknowledged is not last then: no crash takes
/// away what was synced, and this test must not either.
fn stop_cleanly(cluster: &mut Cluster, id: u64) -> PathBuf {
    let segment = active_segment(&cluster.data_dir(id));
    assert!(cluster.terminate(id).success(), "node {id} did not stop cleanly");
    segment
}

fn assert_has(cluster: &Cluster, through: u64, keys: std::ops::Range<u32>) {
    let mut client = Raw::connect(cluster.addr(through));
    for n in keys {
        let reply = client.call(&[b"GET", format!("k{n}").as_bytes()]);
        assert_eq!(
            reply,
            Reply::Bulk(Some(format!("value {n}").into_bytes())),
            "k{n} through node {through}"
        );
    }
}

#[test]
fn a_torn_log_tail_is_told_and_nothing_acknowledged_is_missing() {
    let (mut cluster, leader, follower) = written("torn");
    // The last bytes of the last write did not reach the disk.
    let segment = stop_cleanly(&mut cluster, follower);
    let end = end_of_data(&segment);
    let mut file = OpenOptions::new().write(true).open(&segment).expect("the segment");
    file.seek(SeekFrom::Start(end - 10)).and_then(|_| file.write_all(&[0; 10])).expect("written");
    drop(file);
    write(&cluster, 100..150);

    cluster.restart(follower);
    let said = cluster.log_text(follower);
    let name = segment.file_name().expect("a name").to_str().expect("text");
    assert_says(&said, &["torn tail: the log ends before write", &format!("not whole in {name} at offset ")]);
    cluster.wait_until_caught_up();
    // The other follower goes, so that the torn node is needed for every answer.
    let other = *cluster.others(leader).iter().find(|id| **id != follower).expect("a third node");
    cluster.kill(other);
    assert_has(&cluster, follower, 0..150);
}

#[test]
fn a_log_file_that_was_cut_is_told() {
    let (mut cluster, _, follower) = written("cut");
    let segment = stop_cleanly(&mut cluster, follower);
    let end = end_of_data(&segment);
    let file = OpenOptions::new().write(true).open(&segment).expect("the segment");
    file.set_len(end - 10).expect("cut");
    drop(file);

    cluster.restart(follower);
    let said = cluster.log_text(follower);
    assert_says(
        &said,
        &[
            "torn tail: the log ends before write",
            &format!("and has {}", end - 10),
            "something else than a crash",
        ],
    );
    assert_has(&cluster, follower, 0..100);
}

#[test]
fn a_flipped_bit_in_the_log_is_refused_and_the_others_go_on() {
    let (mut cluster, leader, follower) = written("flipped");
    cluster.kill(follower);
    let segment = active_segment(&cluster.data_dir(follower));
    let intact = fs::read(&segment).expect("the segment");
    let mut damaged = intact.clone();
    let middle = usize::try_from(end_of_data(&segment)).expect("in memory") / 2;
    damaged[middle] ^= 4;
    fs::write(&segment, &damaged).expect("written");

    let before = cluster.log_text(follower).len();
    cluster.spawn(follower, &[]);
    let said = last_words(&mut cluster, follower, before, 1);
    let data = cluster.data_dir(follower);
    let name = segment.file_name().expect("a name").to_str().expect("text");
    assert_says(
        &said,
        &[
            &format!("{}: the log is damaged: {name}, offset ", data.display()),
            "Nothing was changed",
            "replace the node",
            "the other nodes hold its data",
        ],
    );
    let (_, offset) = said.split_once(", offset ").expect("an offset");
    let offset: usize = offset.split(',').next().expect("a number").parse().expect("a number");
    assert!(offset <= middle && middle - offset < 4096, "offset {offset} for a flip at {middle}");
    assert!(fs::read(&segment).expect("the segment") == damaged, "nothing was changed");

    write(&cluster, 100..150);
    assert_has(&cluster, leader, 0..150);

    // What the message says to do helps: an undamaged copy.
    fs::write(&segment, &intact).expect("written");
    cluster.restart(follower);
    cluster.wait_until_caught_up();
    assert_has(&cluster, follower, 0..150);
}

/// The snapshot with something changed in its header, and a checksum that is right again.
fn with_header(intact: &[u8], change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let mut bytes = intact.to_vec();
    change(&mut bytes[..72]);
    let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..72]);
    bytes[12..16].copy_from_slice(&crc.to_le_bytes());
    bytes
}

#[test]
fn a_snapshot_that_cannot_be_used_is_refused_and_nothing_is_changed() {
    let (mut cluster, leader, follower) = written("snapshot");
    let saving = Raw::connect(cluster.addr(follower)).call(&[b"BGSAVE"]);
    assert_eq!(saving, Reply::Simple("Background saving started".to_owned()));
    until("the snapshot to be made", PATIENCE, || {
        (cluster.info(follower)?.number("raft_snapshot_index") > 0).then_some(())
    });
    assert!(cluster.terminate(follower).success());
    let data = cluster.data_dir(follower);
    let names =
        fs::read_dir(&data).expect("the directory is there").map(|entry| entry.expect("an entry").path());
    let file = names.into_iter().find(|path| path.extension().is_some_and(|e| e == "snapshot"));
    let file = file.expect("a snapshot");
    let intact = fs::read(&file).expect("the snapshot");

    let mut flipped = intact.clone();
    flipped[intact.len() / 2] ^= 1;
    let cases = [
        (Some(flipped), "is damaged at offset"),
        (Some(intact[..intact.len() - 30].to_vec()), "is cut short"),
        (Some(with_header(&intact, |header| header[16] ^= 1)), "does not belong here: it is of cluster"),
        (Some(with_header(&intact, |header| header[8] = 2)), "its format is 2, and this program reads 1"),
        (None, "is missing, and the log begins behind it"),
    ];
    for (bytes, what) in cases {
        match &bytes {
            Some(bytes) => fs::write(&file, bytes).expect("written"),
            None => fs::remove_file(&file).expect("removed"),
        }
        let before = cluster.log_text(follower).len();
        cluster.spawn(follower, &[]);
        let said = last_words(&mut cluster, follower, before, 1);
        assert_says(&said, &[what, file.file_name().expect("a name").to_str().expect("text")]);
        assert_eq!(fs::read(&file).ok(), bytes, "nothing was changed");
    }
    write(&cluster, 100..150);
    assert_has(&cluster, leader, 0..150);

    // What the messages say to do helps: an undamaged copy.
    fs::write(&file, &intact).expect("written");
    cluster.restart(follower);
    cluster.wait_until_caught_up();
    assert_has(&cluster, follower, 0..150);
}
