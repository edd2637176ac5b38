//! Bits that flip and files that are cut, after everything was synced.

use bowline_raft::{GroupId, HardState, NodeId, Write};
use bowline_sim::SimDisk;
use bowline_storage::{Disk, DiskFile, Recovered, Wal, WalConfig, WalError};

use crate::model::{Script, config};

const SEGMENT: u64 = 1024;

/// A closed log of several segments, with the file that is written last and the range of its last write.
struct Closed {
    disk: SimDisk,
    script: Script,
    last_file: String,
    last_write: std::ops::Range<usize>,
}

fn contents(disk: &SimDisk, name: &str) -> Vec<u8> {
    let file = disk.open(name).expect("it is there");
    let mut bytes = vec![0; usize::try_from(file.size_bytes().expect("a length")).expect("small")];
    file.read_at(&mut bytes, 0).expect("read");
    bytes
}

fn names(disk: &SimDisk) -> Vec<String> {
    let mut names = disk.list().expect("listed");
    names.sort();
    names
}

/// A log of some segments, whose last write matters and lies behind another one in the last of them.
fn closed(seed: u64, batches: usize) -> Closed {
    (0..100).find_map(|attempt| attempt_closed(seed * 100 + attempt, batches)).expect("one in some")
}

fn attempt_closed(seed: u64, batches: usize) -> Option<Closed> {
    let script = Script::random(seed, batches, 300);
    let disk = SimDisk::new(seed);
    let mut wal = Wal::create(disk.clone(), config(SEGMENT)).expect("made");
    let all = script.batches.len();
    let before = Script { batches: script.batches[..all - 1].to_vec(), states: script.states.clone() };
    before.run(&mut wal, 0).1.expect("nothing goes wrong");
    let bytes_before = wal.total_bytes();
    let files: Vec<(String, Vec<u8>)> =
        names(&disk).into_iter().map(|name| (name.clone(), contents(&disk, &name))).collect();
    script.run(&mut wal, all - 1).1.expect("nothing goes wrong");
    let (last_file, old) = files.iter().rfind(|(_, bytes)| bytes.iter().any(|byte| *byte != 0))?;
    let new = contents(&disk, last_file);
    let start = (0..new.len()).find(|at| old.get(*at) != Some(&new[*at]))?;
    let last_write = start..start + usize::try_from(wal.total_bytes() - bytes_before).expect("small");
    let matters = script.states[all - 1] != script.states[all];
    let usual = new.len() as u64 == SEGMENT && last_write.len() < 600;
    (matters && usual && names(&disk).len() > 3).then(|| Closed {
        disk,
        script,
        last_file: last_file.clone(),
        last_write,
    })
}

fn open(disk: &SimDisk) -> Result<Recovered, WalError> {
    Wal::open(disk.clone(), config(SEGMENT)).map(|(_, recovered)| recovered)
}

#[test]
fn a_bit_that_flips_is_refused_or_is_a_torn_tail() {
    // Their last segments hold from two writes to several.
    for seed in 1..6 {
        flip_every_bit(&closed(seed, 14));
    }
}

fn flip_every_bit(Closed { disk, script, last_file, last_write }: &Closed) {
    let [.., before, all] = &script.states[..] else { panic!("a script") };
    let (mut refused, mut torn, mut harmless) = (0, 0, 0);
    for name in names(disk) {
        let bytes = contents(disk, &name);
        let nonzero = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let used = if name == *last_file { last_write.end } else { nonzero };
        for (offset, bit) in (0..used).flat_map(|offset| (0..8).map(move |bit| (offset, bit))) {
            let disk = disk.fork(0);
            disk.flip(&name, offset, bit);
            let in_last = name == *last_file && last_write.contains(&offset);
            match open(&disk) {
                Ok(Recovered { groups, torn_tail: Some(tail), .. }) => {
                    assert!(in_last, "{name} {offset}.{bit} is not in the last write, and was cut off");
                    assert_eq!((&groups, &tail.file), (before, last_file));
                    assert!(tail.to_string().starts_with("torn tail: "), "{tail}");
                    torn += 1;
                }
                Ok(Recovered { groups, torn_tail: None, .. }) => {
                    panic!("{name} {offset}.{bit}: not noticed, equal: {}", groups == *all);
                }
                Err(WalError::Corrupt { file, offset: at, .. }) => {
                    assert!(!in_last, "{name} {offset}.{bit} is in the last write, and was refused");
                    assert_eq!(file, name, "{offset}.{bit}");
                    assert!(at <= offset as u64);
                    refused += 1;
                }
                // A flip in a version number would be that, if its checksum did not cover it.
                Err(other) => panic!("{name} {offset}.{bit}: {other}"),
            }
        }
        // Zeros that wait to be overwritten hold nothing.
        if let Some(offset) = (used + 64..bytes.len()).next() {
            let disk = disk.fork(0);
            disk.flip(&name, offset, 0);
            assert_eq!(open(&disk).expect("opens").groups, *all);
            harmless += 1;
        }
    }
    assert!(refused > 8000 && torn == 8 * last_write.len() && harmless > 1, "{refused} {torn} {harmless}");
}

#[test]
fn a_flip_in_the_last_write_is_refused_once_a_marker_follows() {
    let disk = SimDisk::new(12);
    let mut wal = Wal::create(disk.clone(), config(SEGMENT)).expect("made");
    let offset = usize::try_from(wal.total_bytes()).expect("small") + 40;
    let hard_state = Some(HardState { term: 3, vote: Some(NodeId(2)) });
    let write = Write { seq: 1, hard_state, snapshot: None, entries: Vec::new() };
    wal.append(&[(GroupId(1), &write)]).and_then(|()| wal.sync()).expect("nothing goes wrong");
    let [name] = &names(&disk)[..] else { panic!("one segment") };

    let unmarked = disk.fork(0);
    unmarked.flip(name, offset, 3);
    let tail = open(&unmarked).expect("opens").torn_tail.expect("torn");
    assert_eq!((&tail.file, tail.write), (name, 2));

    wal.append_marker().and_then(|()| wal.sync()).expect("nothing goes wrong");
    disk.flip(name, offset, 3);
    let error = open(&disk).expect_err("damaged");
    assert!(matches!(error, WalError::Corrupt { write: 2, .. }), "{error}");
    for part in [
        name.as_str(),
        "offset ",
        "write 2",
        "write 3 is intact",
        "is damaged",
        "Nothing was changed",
        "replace the node",
    ] {
        assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
    }
}

#[test]
fn a_flip_where_recovery_began_a_segment_is_refused_once_a_write_follows() {
    let Closed { disk, .. } = closed(17, 12);
    let (mut wal, recovered) = Wal::open(disk.clone(), config(SEGMENT)).expect("opens");
    let name = names(&disk).pop().expect("a file");
    let beginning = contents(&disk, &name).iter().rposition(|byte| *byte != 0).expect("something") + 1;
    // The segment before still has its first write. What is new is the one behind, and it was acknowledged.
    let vote = Write {
        seq: 9,
        hard_state: Some(HardState { term: 99, vote: None }),
        snapshot: None,
        entries: Vec::new(),
    };
    wal.append(&[(GroupId(1), &vote)]).and_then(|()| wal.sync()).expect("nothing goes wrong");
    assert_ne!(open(&disk.fork(0)).expect("opens"), recovered);
    for (offset, bit) in (0..beginning).flat_map(|offset| (0..8).map(move |bit| (offset, bit))) {
        let disk = disk.fork(0);
        disk.flip(&name, offset, bit);
        let result = open(&disk);
        assert!(
            matches!(&result, Err(WalError::Corrupt { file, .. }) if *file == name),
            "{offset}.{bit}: {result:?}"
        );
    }
}

#[test]
fn a_log_that_is_cut_ends_there_and_says_so() {
    let Closed { disk, script, last_file, last_write } = closed(13, 12);
    let whole = script.states.len() - 1;
    for cut in (0..=last_write.end).rev() {
        let disk = disk.fork(0);
        disk.open(&last_file).expect("open").truncate(cut as u64).expect("cut");
        match open(&disk) {
            Ok(Recovered { groups, torn_tail, .. }) => {
                // Without a single byte it is a file that nothing has been written to yet.
                assert!(torn_tail.is_some() || cut == 0, "cut at {cut} was not noticed");
                let state =
                    script.states.iter().rposition(|state| *state == groups).expect("a state that was");
                let last = cut >= last_write.end;
                assert!((state == whole) == last, "cut at {cut}: state {state}");
                if cut >= last_write.start {
                    assert!(state + 1 >= whole, "cut at {cut}: state {state}");
                }
                // With its beginning gone, too, it is a segment that was being begun.
                if let Some(tail) = torn_tail.filter(|tail| tail.offset > 0) {
                    assert_eq!((&tail.file, tail.cut_bytes), (&last_file, Some((cut as u64, SEGMENT))));
                    assert!(tail.to_string().contains("something else than a crash"), "{tail}");
                }
            }
            Err(error) => panic!("cut at {cut}: {error}"),
        }
    }
}

#[test]
fn a_segment_that_is_missing_is_refused() {
    let Closed { disk, .. } = closed(14, 14);
    let names = names(&disk);
    assert!(names.len() > 3);
    for name in &names[..names.len() - 2] {
        let disk = disk.fork(0);
        disk.remove(name).expect("removed");
        let error = open(&disk).expect_err("missing");
        assert!(matches!(error, WalError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("missing"), "{error}");
    }
    for name in &names {
        disk.remove(name).expect("removed");
    }
    assert!(matches!(open(&disk), Err(WalError::NoLog { .. })));
}

#[test]
fn somebody_elses_files_are_refused() {
    let Closed { disk, .. } = closed(15, 12);
    let own = config(SEGMENT);
    let other = bowline_storage::DirectoryId(99);
    for config in [WalConfig { cluster: 8, ..own }, WalConfig { directory: other, ..own }] {
        let error = Wal::open(disk.fork(0), config).expect_err("foreign");
        assert!(matches!(error, WalError::Foreign { .. }), "{error}");
    }
    let first = &names(&disk)[0];
    disk.rename(first, "00000000000000ff.wal").expect("renamed");
    let error = open(&disk).expect_err("renamed");
    assert!(error.to_string().contains(&format!("it was made as {first}")), "{error}");
}

#[test]
fn a_log_is_not_made_over_another() {
    let Closed { disk, .. } = closed(16, 12);
    let error = Wal::create(disk, config(SEGMENT)).expect_err("there is one");
    assert!(matches!(error, WalError::AlreadyThere { .. }), "{error}");
}
