//! `get`, `put`, `append` and `status` in front of a server that does whatever the test wants.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use crate::support::{FakeServer, nobody, run, text};

/// Exit code, standard output, standard error.
fn outcome(output: &Output) -> (i32, String, String) {
    (output.status.code().expect("an exit code"), text(&output.stdout), text(&output.stderr))
}

fn commands(server: &FakeServer) -> Vec<Vec<Vec<u8>>> {
    server.commands()
}

#[test]
fn a_value_of_any_bytes_is_printed_as_it_is() {
    let server = FakeServer::answering(b"$6\r\n\xff\0\r\n\x80a\r\n");
    let key = OsStr::from_bytes(b"k\xfe\n");
    let output = run(&[OsStr::new("get"), key, OsStr::new("--at"), OsStr::new(&server.addr)]);
    assert_eq!(output.stdout, b"\xff\0\r\n\x80a\n");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(commands(&server), [vec![b"GET".to_vec(), b"k\xfe\n".to_vec()]]);
}

#[test]
fn values_of_any_bytes_are_sent_as_they_are() {
    let server = FakeServer::start(|command| match command[0].as_slice() {
        b"SET" => Some(b"+OK\r\n".to_vec()),
        _ => Some(b":7\r\n".to_vec()),
    });
    let value = OsStr::from_bytes(b"\xff\r\n$3");
    let at = [OsStr::new("--at"), OsStr::new(&server.addr)];
    let put = run(&[OsStr::new("put"), OsStr::new("k"), value, at[0], at[1]]);
    assert_eq!(outcome(&put), (0, "OK\n".to_owned(), String::new()));
    let append = run(&[OsStr::new("append"), OsStr::new("k"), OsStr::new("-5"), at[0], at[1]]);
    assert_eq!(outcome(&append), (0, "7\n".to_owned(), String::new()));
    assert_eq!(
        commands(&server),
        [
            vec![b"SET".to_vec(), b"k".to_vec(), b"\xff\r\n$3".to_vec()],
            vec![b"APPEND".to_vec(), b"k".to_vec(), b"-5".to_vec()]
        ]
    );
}

#[test]
fn an_empty_value_is_not_a_missing_key() {
    let empty = FakeServer::answering(b"$0\r\n\r\n");
    assert_eq!(outcome(&run(&["get", "k", "--at", &empty.addr])), (0, "\n".to_owned(), String::new()));
    let missing = FakeServer::answering(b"$-1\r\n");
    let output = run(&["get", "k", "--at", &missing.addr]);
    assert_eq!(outcome(&output), (1, String::new(), "(nil)\n".to_owned()));
}

#[test]
fn an_error_of_the_server_is_passed_on() {
    let server = FakeServer::answering(b"-WRONGTYPE not a string\r\n");
    for arguments in [&["get", "k"][..], &["put", "k", "v"], &["append", "k", "v"]] {
        let output = run(&[arguments, &["--at", &server.addr]].concat());
        let expected = format!("error: {} refused: WRONGTYPE not a string\n", server.addr);
        assert_eq!(outcome(&output), (1, String::new(), expected));
    }
}

#[test]
fn the_next_node_is_asked_when_one_cannot_be_reached_or_certainly_did_nothing() {
    let cut_off = FakeServer::answering(b"-CLUSTERDOWN no majority\r\n");
    let server = FakeServer::answering(b"+OK\r\n");
    let at = [nobody(), cut_off.addr.clone(), server.addr.clone()].join(",");
    let output = run(&["put", "k", "v", "--at", &at]);
    assert_eq!(outcome(&output), (0, "OK\n".to_owned(), String::new()));
    assert_eq!(commands(&cut_off).len(), 1);
}

#[test]
fn when_nobody_answers_each_is_named_with_the_reason() {
    let (first, second) = (nobody(), FakeServer::answering(b"-CLUSTERDOWN no majority\r\n"));
    let at = format!("{first},{}", second.addr);
    let (code, out, error) = outcome(&run(&["put", "k", "v", "--at", &at]));
    assert_eq!((code, out.as_str()), (1, ""));
    for said in [
        "nothing was changed",
        &format!("{first}: Connection refused"),
        &format!("{}: CLUSTERDOWN no majority", second.addr),
        "bowline dev",
    ] {
        assert!(error.contains(said), "{said} in:\n{error}");
    }
}

#[test]
fn a_write_without_an_answer_is_unknown_and_is_not_sent_to_another_node() {
    for broken in [FakeServer::start(|_| None), FakeServer::answering(b"-UNCERTAIN lost the leader\r\n")] {
        let next = FakeServer::answering(b"+OK\r\n");
        let at = format!("{},{}", broken.addr, next.addr);
        for arguments in [&["put", "k", "v"][..], &["append", "k", "v"]] {
            let (code, out, error) = outcome(&run(&[arguments, &["--at", &at]].concat()));
            assert_eq!((code, out.as_str()), (1, ""));
            assert!(error.starts_with("error: it is unknown whether the write happened"), "{error}");
        }
        assert!(commands(&next).is_empty());
    }
}

#[test]
fn a_read_without_an_answer_is_asked_of_the_next_node() {
    let (broken, next) = (FakeServer::start(|_| None), FakeServer::answering(b"$1\r\nv\r\n"));
    let output = run(&["get", "k", "--at", &format!("{},{}", broken.addr, next.addr)]);
    assert_eq!(outcome(&output), (0, "v\n".to_owned(), String::new()));
}

#[test]
fn what_is_no_redis_server_is_called_so() {
    let web = FakeServer::answering(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let (code, _, error) = outcome(&run(&["get", "k", "--at", &web.addr]));
    assert_eq!(code, 1);
    assert!(error.contains("not a Redis server"), "{error}");
    let odd = FakeServer::answering(b":1\r\n");
    let (code, _, error) = outcome(&run(&["get", "k", "--at", &odd.addr]));
    assert_eq!(code, 1);
    assert!(error.contains("does not fit"), "{error}");
}

/// INFO of a node with those figures and peers. A leader has a snapshot.
fn info(id: u64, role: &str, commit: u64, applied: u64, peers: &[(u64, &str)]) -> Vec<u8> {
    let (index, age, bytes) = if role == "leader" { (9, "61", 2048) } else { (0, "unknown", 0) };
    let snapshot = format!(
        "raft_snapshot_index:{index}\r\nraft_snapshot_age_sec:{age}\r\nraft_snapshot_bytes:{bytes}\r\n"
    );
    let mut text = format!(
        "# Server\r\nprocess_id:{}\r\n\r\n# Raft\r\nraft_cluster:one\r\nraft_node_id:{id}\r\nraft_role:{role}\r\n\
         raft_term:4\r\nraft_commit_index:{commit}\r\nraft_last_applied:{applied}\r\nraft_log_bytes:1536\r\n\
         raft_log_limit_bytes:2147483648\r\n{snapshot}raft_peers:{}\r\n",
        100 + id,
        peers.len()
    );
    for (number, (id, addr)) in peers.iter().enumerate() {
        text.push_str(&format!("raft_peer{number}:id={id},addr={addr},state=up,match_index=9,lag=0\r\n"));
    }
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}

/// A cluster of three with the third node down: the addresses of all.
fn cluster() -> [String; 3] {
    let down = nobody();
    let (sender, first_addr) = std::sync::mpsc::channel::<String>();
    let third = down.clone();
    let first_addr = std::sync::Mutex::new(first_addr);
    let known = std::sync::OnceLock::new();
    let second = FakeServer::start(move |command| {
        assert_eq!(command, [b"INFO".to_vec(), b"server".to_vec(), b"raft".to_vec()]);
        let first = known.get_or_init(|| first_addr.lock().unwrap().recv().unwrap());
        Some(info(2, "follower", 10, 7, &[(1, first), (3, &third)]))
    });
    let (second, third) = (second.addr, down.clone());
    let known_to_first = second.clone();
    let first =
        FakeServer::start(move |_| Some(info(1, "leader", 12, 12, &[(2, &known_to_first), (3, &third)])));
    sender.send(first.addr.clone()).unwrap();
    [first.addr, second, down]
}

#[test]
fn status_shows_every_node_and_who_is_down() {
    let [first, second, third] = cluster();
    let output = run(&["status", "--at", &format!("{third},{second}")]);
    let width = [&first, &second, &third].map(String::len).into_iter().max().unwrap() + 2;
    let expected = format!(
        "cluster one: 2 of 3 nodes up, node 1 leads\n\n\
         {:width$}  role      term  commit  applied  lag  disk                snapshot\n\
         {:width$}  leader    4     12      12       0    1.5 KiB of 2.0 GiB  9, 61 s old, 2.0 KiB\n\
         {:width$}  follower  4     10      7        5    1.5 KiB of 2.0 GiB  -\n\
         {:width$}  down      -     -       -        -    -                   -\n",
        "node",
        format!("1 {first}"),
        format!("2 {second}"),
        format!("3 {third}"),
    );
    assert_eq!(outcome(&output), (0, expected, String::new()));
}

#[test]
fn status_prints_one_json_object() {
    let [first, second, third] = cluster();
    let output = run(&["status", "--json", "--at", &first]);
    let expected = format!(
        "{{\"cluster\": \"one\", \"nodes\": [\
         {{\"id\": 1, \"addr\": \"{first}\", \"role\": \"leader\", \"term\": 4, \"commit_index\": 12, \
         \"last_applied\": 12, \"lag\": 0, \"pid\": 101, \"log_bytes\": 1536, \"snapshot_index\": 9, \
         \"snapshot_age_s\": 61, \"snapshot_bytes\": 2048}}, \
         {{\"id\": 2, \"addr\": \"{second}\", \"role\": \"follower\", \"term\": 4, \"commit_index\": 10, \
         \"last_applied\": 7, \"lag\": 5, \"pid\": 102, \"log_bytes\": 1536, \"snapshot_index\": 0, \
         \"snapshot_age_s\": null, \"snapshot_bytes\": 0}}, \
         {{\"id\": 3, \"addr\": \"{third}\", \"role\": \"down\", \"term\": null, \"commit_index\": null, \
         \"last_applied\": null, \"lag\": null, \"pid\": null, \"log_bytes\": null, \
         \"snapshot_index\": null, \"snapshot_age_s\": null, \"snapshot_bytes\": null}}]}}\n"
    );
    assert_eq!(outcome(&output), (0, expected, String::new()));
}

#[test]
fn a_node_that_answers_as_somebody_else_is_down() {
    let stranger = FakeServer::start(|_| Some(info(7, "leader", 99, 99, &[])));
    let known = stranger.addr.clone();
    let first = FakeServer::start(move |_| Some(info(1, "candidate", 12, 12, &[(2, &known)])));
    let (code, out, _) = outcome(&run(&["status", "--at", &first.addr]));
    assert_eq!(code, 0);
    assert!(out.contains("1 of 2 nodes up, no leader: 2 must be up"), "{out}");
    let cells: Vec<_> = out.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(cells[2], "down", "{out}");
    assert!(cells[3..].iter().all(|cell| *cell == "-"), "nothing of what it said is shown:\n{out}");
}

#[test]
fn status_says_when_nobody_answers() {
    let at = nobody();
    let (code, out, error) = outcome(&run(&["status", "--at", &at]));
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(error.starts_with("error: no node answers:"), "{error}");
    assert!(error.contains(&format!("{at}: Connection refused")) && error.contains("bowline dev"), "{error}");
    let redis = FakeServer::answering(b"$21\r\nredis_version:7.0.15\n\r\n");
    let (code, _, error) = outcome(&run(&["status", "--at", &redis.addr]));
    assert_eq!(code, 1);
    assert!(error.contains("it is not a Bowline server"), "{error}");
}
