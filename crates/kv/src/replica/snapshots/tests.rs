use std::time::Duration;

use bowline_raft::{
    AppendEntries, Body, Config, Entry, EntryKind, HardState, InstallSnapshot, LogId, Message, NodeId, Write,
};
use bytes::Bytes;

use super::*;
use crate::command::Command;
use crate::contact::ClientId;
use crate::entry::{Builder, Request, stamped};
use crate::forward::Forward;
use crate::replica::{Output, ReplicaConfig, Time};
use crate::reply::Reply;
use crate::session::Origin;

const OWN: Origin = Origin { node: 1, life: 3 };
const TERM: u64 = 1;

/// Node 1, which follows node 2, and whose disk is done at once.
struct Follower {
    replica: Replica,
    round: u64,
    passes: u32,
}

/// What became of its clients' commands: token and reply.
type Answers = Vec<(u64, Reply)>;

fn encoded(line: &str) -> Vec<u8> {
    let words: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    let mut out = Vec::new();
    Command::parse(&words).expect("a valid command").encode(&mut out);
    out
}

fn entry(index: Index, origin: Origin, number: u64, line: &str) -> Entry {
    let mut builder = Builder::default();
    builder.push(&Request { origin, floor: 1, number, command: &encoded(line) });
    Entry {
        id: LogId::new(TERM, index),
        kind: EntryKind::Command,
        payload: stamped(builder.finish(), 1000 * index),
    }
}

/// A log that node 2 may have made of commands of node 1, numbered as they come.
fn entries(lines: &[&str]) -> Vec<Entry> {
    (1..).zip(lines).map(|(index, line)| entry(index, OWN, index, line)).collect()
}

impl Follower {
    fn new(image: Option<Image>, entries: Vec<Entry>) -> Self {
        let config = ReplicaConfig {
            raft: Config::new(NodeId(OWN.node), vec![NodeId(1), NodeId(2), NodeId(3)], 7),
            life: OWN.life,
            command_timeout: Duration::from_secs(60),
        };
        let hard_state = HardState { term: TERM, vote: None };
        let replica = Replica::new(config, hard_state, image, entries);
        let mut follower = Self { replica, round: 0, passes: 0 };
        follower.replica.link_up(NodeId(2));
        follower.append(LogId::ZERO, Vec::new(), 0);
        follower
    }

    fn submit(&mut self, token: u64, line: &str) {
        let words: Vec<_> = line.split(' ').map(str::as_bytes).collect();
        self.replica.submit(ClientId(token), token, &Command::parse(&words).expect("a valid command"));
    }

    fn append(&mut self, prev: LogId, entries: Vec<Entry>, commit: Index) {
        self.round += 1;
        let append = AppendEntries { round: self.round, prev, entries, commit };
        self.take(Body::AppendEntries(append));
    }

    fn install(&mut self, last: LogId) {
        self.round += 1;
        self.take(Body::InstallSnapshot(InstallSnapshot { round: self.round, last, data: Bytes::new() }));
    }

    fn take(&mut self, body: Body) {
        let message = Message { term: TERM, body };
        self.replica.message(NodeId(2), message).expect("a correct peer");
    }

    fn pass(&mut self) -> Output {
        self.passes += 1;
        let monotonic = Duration::from_millis(1) * self.passes;
        self.replica.tick(Time { monotonic, unix_ms: 5 });
        self.replica.ready()
    }

    /// Passes until there is nothing more to do: all answers, and the last restore that was wanted.
    fn settle(&mut self) -> (Answers, Option<LogId>) {
        let (mut answers, mut restore) = (Vec::new(), None);
        for _ in 0..100 {
            let output = self.pass();
            answers.extend(output.answers.into_iter().map(|answer| (answer.token, answer.reply)));
            restore = output.restore.map(|restore| restore.last).or(restore);
            match output.write {
                Some(Write { seq, .. }) => self.replica.persisted(seq),
                None if output.again => {}
                None => return (answers, restore),
            }
        }
        panic!("it does not come to rest");
    }
}

/// The state behind these entries, as another replica has it.
fn image_of(entries: &[Entry]) -> Image {
    let mut other = Follower::new(None, Vec::new());
    other.append(LogId::ZERO, entries.to_vec(), entries.len() as Index);
    assert_eq!(other.settle(), (Vec::new(), None));
    let image = other.replica.image();
    assert_eq!((image.last().index, image.digest()), (entries.len() as Index, other.replica.digest()));
    Image::decode(&image.encode(), 99).expect("it was written here")
}

#[test]
fn a_command_in_the_snapshot_is_answered_from_its_record() {
    let log = entries(&["incr a", "append l x", "incr a"]);
    let mut follower = Follower::new(None, Vec::new());
    for (token, line) in [(10, "incr a"), (20, "append l x"), (30, "incr a"), (40, "incr a")] {
        follower.submit(token, line);
    }
    assert_eq!(follower.settle(), (Vec::new(), None));
    follower.install(log[2].id);
    let (answers, restore) = follower.settle();
    assert_eq!((answers, restore), (Vec::new(), Some(log[2].id)));
    assert!(follower.replica.restore(image_of(&log)));
    let (answers, _) = follower.settle();
    assert_eq!(answers, [(10, Reply::Int(1)), (20, Reply::Int(1)), (30, Reply::Int(2))]);

    // The fourth is still to come, and the others may come again.
    let later = vec![
        entry(4, OWN, 2, "append l x"),
        entry(5, OWN, 4, "incr a"),
        entry(6, OWN, 4, "incr a"),
        entry(7, OWN, 1, "incr a"),
    ];
    follower.append(log[2].id, later, 7);
    assert_eq!(follower.settle().0, [(40, Reply::Int(3))]);
    assert_eq!(follower.replica.status().duplicates, 3);
    let read = |key| follower.replica.store.read(&Command::Get { key }, 0);
    assert_eq!((read(b"a"), read(b"l")), (Reply::Bulk("3".into()), Reply::Bulk("x".into())));
}

#[test]
fn a_command_that_the_snapshot_lacks_is_sent_again_under_its_number() {
    let log = entries(&["incr a"]);
    let mut follower = Follower::new(None, Vec::new());
    follower.submit(10, "incr a");
    follower.submit(20, "incr b");
    let _ = follower.settle();
    follower.install(log[0].id);
    let _ = follower.settle();
    assert!(follower.replica.restore(image_of(&log)));
    assert_eq!(follower.settle().0, [(10, Reply::Int(1))]);
    // What the last connection carried may be lost.
    follower.replica.link_up(NodeId(2));
    let forwards = follower.pass().forwards;
    assert_eq!(forwards.len(), 1);
    let mut forward = Forward::decode(&forwards[0].1).unwrap();
    assert_eq!(forward.header.floor, 2);
    let request = forward.next_request().unwrap().expect("the second");
    assert_eq!((request.path, request.number, request.command), (Path::Log, 2, &encoded("incr b")[..]));
    assert!(forward.next_request().unwrap().is_none());
}

#[test]
fn records_of_another_life_answer_nobody() {
    let origin = Origin { life: OWN.life - 1, ..OWN };
    let log = [entry(1, origin, 1, "incr a")];
    let mut follower = Follower::new(None, Vec::new());
    follower.submit(10, "incr b");
    let _ = follower.settle();
    follower.install(log[0].id);
    let _ = follower.settle();
    assert!(follower.replica.restore(image_of(&log)));
    assert_eq!(follower.settle().0, []);
    assert_eq!(follower.replica.status().unanswered, 1);
}

#[test]
fn nothing_is_applied_until_the_image_is_there() {
    let log = entries(&["set a 1", "set a 2", "append a 3", "append a 4"]);
    let mut follower = Follower::new(None, Vec::new());
    follower.append(LogId::ZERO, log[..1].to_vec(), 1);
    let _ = follower.settle();
    let before = follower.replica.digest();
    follower.install(log[1].id);
    follower.append(log[1].id, log[2..].to_vec(), 4);
    assert_eq!(follower.settle().1, Some(log[1].id));
    assert_eq!((follower.replica.digest(), follower.replica.node().last_applied()), (before, 1));
    assert_eq!(follower.replica.image().last(), log[0].id);
    // Nothing is asked for twice, and an image of another snapshot is not taken for it.
    assert!(!follower.replica.restore(image_of(&log[..1])));
    assert!(!follower.replica.restore(image_of(&log[..3])));
    assert_eq!(follower.settle(), (Vec::new(), None));
    assert!(follower.replica.restore(image_of(&log[..2])));
    assert!(!follower.replica.restore(image_of(&log[..2])));
    let _ = follower.settle();
    assert_eq!(follower.replica.node().last_applied(), 4);
    assert_eq!(follower.replica.digest(), image_of(&log).digest());
}

#[test]
fn a_newer_snapshot_takes_the_place_of_one_that_is_waited_for() {
    let log = entries(&["set a 1", "append a 2", "append a 3", "append a 4", "append a 5"]);
    let mut follower = Follower::new(None, Vec::new());
    follower.install(log[0].id);
    follower.append(log[0].id, log[1..3].to_vec(), 2);
    assert_eq!(follower.settle().1, Some(log[0].id));
    // As a leader of another history would: what follows on the first snapshot is not in its log.
    let other = LogId::new(TERM, 4);
    follower.install(other);
    assert_eq!(follower.settle().1, Some(other));
    assert!(!follower.replica.restore(image_of(&log[..1])));
    assert!(follower.replica.restore(image_of(&log[..4])));
    follower.append(other, log[4..].to_vec(), 5);
    let _ = follower.settle();
    assert_eq!(follower.replica.digest(), image_of(&log).digest());
}

#[test]
fn what_waited_for_an_image_is_applied_in_slices() {
    let lines: Vec<String> = (0..2000).map(|n| format!("set k{n} {}", "v".repeat(10_000))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let log = entries(&lines);
    let mut follower = Follower::new(None, Vec::new());
    follower.install(log[0].id);
    let _ = follower.settle();
    follower.append(log[0].id, log[1..].to_vec(), 2000);
    let _ = follower.settle();
    assert!(follower.replica.restore(image_of(&log[..1])));
    let mut applied = vec![1];
    while *applied.last().unwrap() < 2000 {
        let output = follower.pass();
        applied.push(follower.replica.node().last_applied());
        assert_eq!(output.again, *applied.last().unwrap() < 2000, "{applied:?}");
    }
    let most = follower.replica.node().config().max_apply_bytes as u64 / 10_000 + 1;
    assert!(applied.is_sorted_by(|a, b| a < b && b - a <= most), "{applied:?}");
    assert!(applied.len() > 3, "{applied:?}");
}

#[test]
fn a_replica_begins_with_an_image_and_the_entries_behind_it() {
    let log = entries(&["set a 1", "append a 2", "append a 2", "append a 3", "incr a"]);
    for split in 0..=log.len() {
        let image = (split > 0).then(|| image_of(&log[..split]));
        let behind = log[split..].to_vec();
        let mut follower = Follower::new(image, behind);
        assert_eq!(follower.replica.node().last_applied(), split as Index);
        // The leader's commit index, on what is in both logs.
        follower.append(log[4].id, vec![entry(6, OWN, 3, "append a 2")], 6);
        let _ = follower.settle();
        let mut all = log.clone();
        all.push(entry(6, OWN, 3, "append a 2"));
        assert_eq!(follower.replica.digest(), image_of(&all).digest(), "split at {split}");
        assert_eq!(follower.replica.status().duplicates, 1);
    }
}

#[test]
fn what_an_image_replaces_is_freed_in_slices() {
    let mut follower = Follower::new(None, Vec::new());
    let lines: Vec<String> = (0..20_000).map(|n| format!("set k{n} v")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let log = entries(&lines);
    follower.append(LogId::ZERO, log, 20_000);
    let _ = follower.settle();
    let last = LogId::new(TERM, 30_000);
    follower.install(last);
    let _ = follower.settle();
    assert!(follower.replica.restore(Image { last, ..Image::empty(1) }));
    let passes = (0..).take_while(|_| follower.pass().again).count();
    assert!((10..100).contains(&passes), "{passes} passes");
    assert_eq!(follower.replica.status().keys, 0);
}

#[test]
fn the_time_of_the_log_is_in_the_image() {
    let log = entries(&["set a 1", "set a 2"]);
    let image = image_of(&log);
    assert_eq!(image.stamp_ms, 2000);
    let follower = Follower::new(Some(image), Vec::new());
    assert_eq!(follower.replica.applied_stamp_ms, 2000);
    let mut follower = Follower::new(None, Vec::new());
    follower.install(log[1].id);
    let _ = follower.settle();
    assert!(follower.replica.restore(image_of(&log)));
    assert_eq!(follower.replica.applied_stamp_ms, 2000);
}
