//! `dev` with real servers: what it starts works, comes back, and leaves nothing behind.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::support::{bowline, directory, run, text};

/// How long anything may take that is not the subject of the test.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long `dev` has to stop the servers, and itself.
const STOP_LIMIT: Duration = Duration::from_secs(12);

/// The first of so many free ports whose ports for peers are free too. Below those that the system gives to
/// connections; different ones for each call, and most likely for another process that looks at the same time.
fn free_ports(count: u16) -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let seed = u16::try_from(std::process::id() % 1000).expect("below 1000");
    for _ in 0..1000 {
        let place = (seed + NEXT.fetch_add(1, Ordering::Relaxed)) % 1000;
        let first = 11_000 + 10 * place;
        let ports = (first..first + count).flat_map(|port| [port, port + 10_000]);
        let held: Vec<_> = ports.map_while(|port| TcpListener::bind(("127.0.0.1", port)).ok()).collect();
        if held.len() == 2 * usize::from(count) {
            return first;
        }
    }
    panic!("no {count} free ports");
}

/// A running `dev`. Ends with the test, and its servers with it.
struct Dev {
    process: Child,
    port: u16,
    lines: Receiver<String>,
    /// All lines so far.
    seen: Vec<String>,
}

impl Dev {
    /// Starts it, and waits for its last line of instructions.
    fn start(dir: &Path, port: u16, options: &[&str]) -> Self {
        let mut dev = Self::spawn(dir, port, options);
        dev.wait_for("Ctrl-C stops it");
        dev
    }

    fn spawn(dir: &Path, port: u16, options: &[&str]) -> Self {
        let mut command = bowline();
        command.arg("dev").arg("--dir").arg(dir).args(["--port", &port.to_string()]).args(options);
        command.args(["--die-with-parent", &std::process::id().to_string()]);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dev starts");
        let (sender, lines) = channel();
        let stdout = BufReader::new(process.stdout.take().expect("it was asked for"));
        let stderr = BufReader::new(process.stderr.take().expect("it was asked for"));
        let for_errors = sender.clone();
        thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
        thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| for_errors.send(line))
        });
        Self { process, port, lines, seen: Vec::new() }
    }

    /// Waits for a line with `part` in it.
    fn wait_for(&mut self, part: &str) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(reason) => panic!("no `{part}` ({reason}) in:\n{}", self.seen.join("\n")),
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("dev runs");
    }

    /// Waits for its end: its exit code, and everything that it printed.
    fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("dev does not end:\n{}", self.seen.join("\n")),
            }
        }
        let status = self.process.wait().expect("dev has ended");
        (status.code(), self.seen.join("\n"))
    }

    /// The addresses of so many nodes.
    fn addresses(&self, count: u16) -> Vec<String> {
        (self.port..self.port + count).map(|port| format!("127.0.0.1:{port}")).collect()
    }

    /// Every node as `status --json` at `addr` shows it.
    fn status(&self, addr: &str) -> Vec<Member> {
        let output = run(&["status", "--json", "--at", addr]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        text(&output.stdout).split("{\"id\": ").skip(1).map(Member::parse).collect()
    }

    /// Every node, once all run and one leads. Any may be asked: one that is just being started does not listen yet.
    fn whole(&self, count: u16) -> Vec<Member> {
        let addr = &self.addresses(count).join(",");
        let is_whole = |nodes: &[Member]| {
            nodes.len() == usize::from(count)
                && nodes.iter().all(|node| node.pid.is_some())
                && nodes.iter().any(|node| node.role == "leader")
        };
        wait_until("all nodes are up", || Some(self.status(addr)).filter(|nodes| is_whole(nodes)))
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // In a test that failed: the servers end with it.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One node in the output of `status --json`.
struct Member {
    addr: String,
    role: String,
    pid: Option<Pid>,
}

impl Member {
    fn parse(object: &str) -> Self {
        let field = |name: &str| {
            let (_, rest) = object.split_once(&format!("\"{name}\": ")).expect("every field is there");
            rest.split([',', '}']).next().expect("a value").trim_matches('"').to_owned()
        };
        let pid = field("pid").parse().ok().and_then(Pid::from_raw);
        Self { addr: field("addr"), role: field("role"), pid }
    }
}

/// Asks until there is an answer.
fn wait_until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a process is gone. One that nobody has waited for is (its parent was killed, and in a container
/// there may be nobody else to do it).
fn is_gone(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).unwrap_or_default();
    let is_zombie = stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z'));
    is_zombie || test_kill_process(pid).is_err()
}

fn pids(nodes: &[Member]) -> Vec<Pid> {
    nodes.iter().filter_map(|node| node.pid).collect()
}

/// What a command prints that must succeed.
fn printed(arguments: &[&str]) -> String {
    let output = run(arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn every_node_takes_every_command_and_the_data_is_there_the_next_time() {
    let parent = directory();
    let dir = parent.path().join("data");
    for (nodes, signal) in [(1, Signal::HUP), (3, Signal::INT), (5, Signal::TERM)] {
        let dir = dir.with_extension(nodes.to_string());
        let count = nodes.to_string();
        let dev = Dev::start(&dir, free_ports(nodes), &["--nodes", &count]);
        for (number, addr) in dev.addresses(nodes).iter().enumerate() {
            assert_eq!(printed(&["append", "l", "x", "--at", addr]), format!("{}\n", number + 1));
            assert_eq!(printed(&["put", "k", addr, "--at", addr]), "OK\n");
            for reader in dev.addresses(nodes) {
                assert_eq!(printed(&["get", "k", "--at", &reader]), format!("{addr}\n"));
            }
        }
        let pids = pids(&dev.whole(nodes));
        let asked = Instant::now();
        dev.signal(signal);
        let (code, said) = dev.end();
        assert_eq!(code, Some(0), "{said}");
        assert!(asked.elapsed() <= STOP_LIMIT, "{:?}", asked.elapsed());
        assert!(said.contains(if nodes == 1 { "\n1 node stopped" } else { "nodes stopped" }), "{said}");
        assert!(!said.contains("exit code"), "a stop is no failure:\n{said}");
        assert!(pids.into_iter().all(is_gone));

        let again = Dev::start(&dir, free_ports(nodes), &["--nodes", &count]);
        let expected = format!("{}\n", "x".repeat(usize::from(nodes)));
        assert_eq!(printed(&["get", "l", "--at", &again.addresses(1)[0]]), expected);
    }
}

#[test]
fn a_node_that_is_killed_is_brought_back() {
    let parent = directory();
    let mut dev = Dev::start(&parent.path().join("data"), free_ports(3), &[]);
    let addresses = dev.addresses(3);
    let leader = dev.whole(3).into_iter().find(|node| node.role == "leader").expect("a leader");
    let other = addresses.iter().find(|addr| **addr != leader.addr).expect("another node");

    kill_process(leader.pid.expect("it runs"), Signal::KILL).expect("it runs");
    let said = dev.wait_for("SIGKILL");
    assert!(said.contains("it is brought back in three seconds"), "{said}");
    assert_eq!(printed(&["put", "k", "v", "--at", &format!("{},{other}", leader.addr)]), "OK\n");

    dev.wait_for("is started again, pid");
    dev.whole(3);
    assert_eq!(printed(&["get", "k", "--at", &leader.addr]), "v\n");
}

#[test]
fn no_restart_leaves_a_node_down_and_without_any_dev_ends() {
    let parent = directory();
    let dir = parent.path().join("data");
    let mut dev = Dev::start(&dir, free_ports(4), &["--nodes", "4", "--no-restart"]);
    let pids = pids(&dev.whole(4));
    kill_process(pids[0], Signal::KILL).expect("it runs");
    let said = dev.wait_for("SIGKILL");
    assert!(said.ends_with("it stays down"), "{said}");
    let table = printed(&["status", "--at", &dev.addresses(4)[3]]);
    assert!(table.contains("3 of 4 nodes up") && table.contains("  down "), "{table}");
    for pid in &pids[1..] {
        kill_process(*pid, Signal::KILL).expect("it runs");
    }
    let (code, said) = dev.end();
    assert_eq!(code, Some(1));
    assert!(said.contains("warning: 4 nodes bear no more losses than 3"), "{said}");
    assert!(said.contains("error: no node is left"), "{said}");
    let log = fs::read_to_string(dir.join("1/log")).expect("a log");
    assert!(log.contains("INFO") && !log.contains('\x1b'), "no colours where there is no terminal:\n{log}");
}

#[test]
fn the_servers_end_when_dev_is_killed() {
    let parent = directory();
    let mut dev = Dev::start(&parent.path().join("data"), free_ports(3), &[]);
    let pids = pids(&dev.whole(3));
    assert!(!pids.iter().any(|pid| is_gone(*pid)));
    dev.process.kill().expect("it runs");
    dev.process.wait().expect("it has ended");
    wait_until("the servers are gone", || pids.iter().all(|pid| is_gone(*pid)).then_some(()));
}

#[test]
fn a_second_ctrl_c_kills_what_does_not_stop() {
    let parent = directory();
    let mut dev = Dev::start(&parent.path().join("data"), free_ports(3), &[]);
    let pids = pids(&dev.whole(3));
    kill_process(pids[1], Signal::STOP).expect("it runs");
    dev.signal(Signal::INT);
    dev.wait_for("Ctrl-C: stopping");
    dev.signal(Signal::INT);
    let (code, said) = dev.end();
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains(&format!("node 2 (pid {}) has not stopped by itself", pids[1].as_raw_nonzero())),
        "{said}"
    );
    assert!(pids.into_iter().all(is_gone));
}

#[test]
fn a_node_that_cannot_start_shows_the_end_of_its_log() {
    let parent = directory();
    let dir = parent.path().join("data");
    // As after the loss of every node's data.
    for node in 1..=3 {
        fs::create_dir_all(dir.join(node.to_string())).expect("a directory");
    }
    fs::write(dir.join("nodes"), "3\n").expect("a file");
    let (code, said) = Dev::spawn(&dir, free_ports(3), &[]).end();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("ended with exit code 1"), "{said}");
    let shown = (1..=3).filter(|node| {
        let log = dir.join(format!("{node}/log"));
        said.contains(&format!("The end of its log, {}:\n  error: ", log.display()))
    });
    // When two could not start, the third one is stopped, however far it has come.
    assert!(shown.count() >= 2, "{said}");
    assert!(said.contains("--new"), "the server says why:\n{said}");
    assert!(said.contains("could be started, and more than half must run"), "{said}");
}
