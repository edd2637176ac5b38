//! More clients than there is room for, and no files left.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::harness::{Cluster, PATIENCE, Reply, until};
use crate::support::{Raw, assert_says, assert_well, encode, resident_bytes, wait_for_log};

#[test]
fn a_client_too_many_is_told() {
    let cluster = Cluster::start_with("too-many", 1, &["--max-clients", "3"]);
    until("the end of the connections that waited for the start", PATIENCE, || {
        (cluster.info(1)?.number("connected_clients") == 1).then_some(())
    });
    let mut clients: Vec<_> = (0..3).map(|_| Raw::connect(cluster.addr(1))).collect();
    for client in &mut clients {
        client.set(b"k", b"v");
    }
    assert_eq!(Raw::connect(cluster.addr(1)).rest(), "-ERR max number of clients reached\r\n");
    assert_eq!(clients[0].get(b"k"), b"v", "those that are in are served");
    assert!(clients[0].call(&[b"CONFIG", b"SET", b"maxclients", b"4"]).is_ok());
    let mut fourth = Raw::connect(cluster.addr(1));
    assert_eq!(fourth.get(b"k"), b"v");
    match fourth.call(&[b"INFO", b"stats"]) {
        Reply::Bulk(Some(text)) => {
            assert_says(&String::from_utf8_lossy(&text), &["rejected_connections:1\r\n"]);
        }
        other => panic!("{other:?}"),
    }
    drop(fourth);
    drop(clients);
    until("room for another one", PATIENCE, || is_let_in(&cluster).then_some(()));
}

/// Whether another client is let in now.
fn is_let_in(cluster: &Cluster) -> bool {
    let mut client = Raw::connect(cluster.addr(1));
    client.send(b"PING\r\n");
    client.try_line().is_ok_and(|line| line == "+PONG")
}

#[test]
fn clients_leave_the_log_the_files_that_it_needs() {
    let mut cluster = Cluster::prepare("few-files", 1, &["--snapshot-after", "1MiB"]);
    cluster.limit_files(1, 100);
    cluster.spawn(1, &["--new"]);
    cluster.wait_for_answers(1);
    cluster.leader();
    wait_for_log(&cluster, 1, "takes 20 clients instead of 10000: 100 files may be open");
    let mut inside = Vec::new();
    let refused = until("a connection that is refused", PATIENCE, || {
        let mut client = Raw::connect(cluster.addr(1));
        client.send(b"PING\r\n");
        match client.try_line() {
            Ok(line) if line == "+PONG" => {
                inside.push(client);
                None
            }
            Ok(line) => Some(line),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Some(String::new()),
            Err(error) => panic!("{error}"),
        }
    });
    assert!(refused.is_empty() || refused == "-ERR max number of clients reached", "{refused}");
    assert!(inside.len() <= 20, "{} are inside", inside.len());
    let said = inside[0].error(&[b"CONFIG", b"SET", b"maxclients", b"21"]);
    assert_says(&said, &["is not able to handle the specified number of clients, try with 20"]);
    // The log goes on into new files, and a snapshot is made.
    let value = vec![b'v'; 1 << 20];
    for n in 0..80 {
        inside[0].set(format!("k{}", n % 4).as_bytes(), &value);
    }
    until("a snapshot", PATIENCE, || match inside[0].call(&[b"INFO", b"raft"]) {
        Reply::Bulk(Some(text)) => {
            (!String::from_utf8_lossy(&text).contains("raft_snapshot_index:0\r\n")).then_some(())
        }
        other => panic!("{other:?}"),
    });
    inside.truncate(1);
    until("room for another one", PATIENCE, || is_let_in(&cluster).then_some(()));
    assert_well(&cluster, 1);
}

#[test]
fn without_files_for_one_client_it_starts() {
    let mut cluster = Cluster::prepare("no-files", 1, &[]);
    cluster.limit_files(1, 40);
    cluster.spawn(1, &["--new"]);
    let said = crate::support::last_words(&mut cluster, 1, 0, 1);
    assert_says(&said, &["40 files may be open, and a node needs 81 to serve a client", "ulimit -n"]);
    assert!(!cluster.data_dir(1).exists(), "a refusal leaves no directory behind");
}

#[test]
fn an_idle_connection_gives_back_what_its_last_command_needed() {
    let cluster = Cluster::start("idle", 1);
    // Nothing is written by those that are measured: what is written stays in the log's memory.
    let value = vec![b'v'; 50_000];
    Raw::connect(cluster.addr(1)).set(b"k", &value);
    let use_it = |client: &mut Raw| {
        assert_eq!(client.call(&[b"EXISTS", &value]), Reply::Integer(0));
        assert!(client.get(b"k") == value);
        client.send(&encode(&[b"EXISTS", b"k"]).repeat(500));
        (0..500).for_each(|_| assert_eq!(client.reply(), Reply::Integer(1)));
    };
    let mut first: Vec<_> = (0..10).map(|_| Raw::connect(cluster.addr(1))).collect();
    first.iter_mut().for_each(use_it);
    let before = resident_bytes(cluster.pid(1));
    let mut clients: Vec<_> = (0..500).map(|_| Raw::connect(cluster.addr(1))).collect();
    clients.iter_mut().for_each(use_it);
    let growth = resident_bytes(cluster.pid(1)).saturating_sub(before);
    println!("{} bytes an idle connection", growth / 500);
    assert!(growth < 500 * (10 << 10), "{} bytes an idle connection", growth / 500);
    clients.iter_mut().for_each(use_it);
}

/// What the process has used of processors, in ticks of the system's clock.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process is there");
    let (_, fields) = stat.rsplit_once(") ").expect("a name in brackets");
    fields.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum()
}

#[test]
fn running_out_of_files_neither_ends_the_server_nor_makes_it_spin() {
    let cluster = Cluster::start("out-of-files", 1);
    let mut client = Raw::connect(cluster.addr(1));
    client.set(b"k", b"v");
    until("the end of other connections", PATIENCE, || match client.call(&[b"CLIENT", b"LIST"]) {
        Reply::Bulk(Some(text)) => (text.split(|&byte| byte == b'\n').count() == 2).then_some(()),
        other => panic!("{other:?}"),
    });
    // They fill the gaps, so that below the first number that is free there will be room when they go.
    let others: Vec<_> = (0..10)
        .map(|_| {
            let mut other = Raw::connect(cluster.addr(1));
            assert_eq!(other.get(b"k"), b"v");
            other
        })
        .collect();
    let is_free = |file: &u64| !Path::new(&format!("/proc/{}/fd/{file}", cluster.pid(1))).exists();
    let first_free = (0..).find(is_free);
    let pid = Pid::from_raw(cluster.pid(1).cast_signed());
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit =
        |current| prlimit(pid, Resource::Nofile, Rlimit { current, maximum }).expect("a limit of its own");
    let usual = limit(first_free);
    // The system takes the connection, the server cannot.
    let mut waiting = Raw::connect(cluster.addr(1));
    waiting.send(b"GET k\r\n");
    wait_for_log(&cluster, 1, "cannot take connections of clients: ");
    let (begun, used) = (Instant::now(), cpu_ticks(cluster.pid(1)));
    let mut ticks = 0;
    while begun.elapsed() < Duration::from_secs(2) {
        client.set(b"k", format!("{ticks}").as_bytes());
        ticks += 1;
        std::thread::sleep(Duration::from_millis(50));
    }
    // A tick is a hundredth of a second. One who spins takes all that the machine gives.
    let used = cpu_ticks(cluster.pid(1)) - used;
    assert!(used < 60, "{used} ticks of {:?}", begun.elapsed());
    assert_eq!(cluster.log_text(1).matches("cannot take connections").count(), 1);
    drop(others);
    assert_eq!(waiting.reply(), Reply::Bulk(Some(format!("{}", ticks - 1).into_bytes())));
    wait_for_log(&cluster, 1, "takes connections of clients again");
    limit(usual.current);
    assert_well(&cluster, 1);
}
