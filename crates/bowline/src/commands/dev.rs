//! `bowline dev`: a cluster of real server processes on this machine.
//!
//! It is one thread that waits for whatever comes first: a signal, the end of a node, the time to bring one
//! back. Each node is `bowline server`, in a process group of its own, so that a Ctrl-C in the terminal
//! reaches `dev` alone, and tied to the life of `dev`, so that none is left behind.

mod directory;
mod log;
mod node;
mod signals;

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use self::directory::Directory;
use self::node::Node;
use self::signals::{Event, Signals};
use super::{complain, die_with_parent, runtime, wrong_usage};
use crate::args::DevArgs;
use crate::node_info::{NodeInfo, Role};
use crate::{password, table};

/// How far a node's port for peers is from its port for clients.
const PEER_PORT_OFFSET: u16 = 10_000;

/// How long the first leader may take.
const START_TIMEOUT: Duration = Duration::from_secs(20);

/// How often the nodes are asked whether one leads, until one does.
const PROBE_INTERVAL: Duration = Duration::from_millis(50);

/// How long a node has to answer such a question.
const PROBE_TIMEOUT: Duration = Duration::from_millis(300);

/// How long a node that died is left down.
const RESTART_DELAY: Duration = Duration::from_secs(3);

/// How long the nodes have to stop by themselves: a server takes up to ten seconds to answer what is in progress.
const STOP_TIMEOUT: Duration = Duration::from_secs(12);

pub(crate) fn run(args: &DevArgs) -> anyhow::Result<ExitCode> {
    die_with_parent(args.parent)?;
    let password = password::given(&args.password)?;
    let ports = ports(args);
    let existing = Directory::open(&args.dir, args.nodes)?;
    check_ports_are_free(&ports)?;
    let directory = existing.map_or_else(|| Directory::create(&args.dir, args.nodes), Ok)?;
    if args.nodes.is_multiple_of(2) {
        complain(&format!(
            "warning: {} nodes bear no more losses than {}: more than half must be up",
            args.nodes,
            args.nodes - 1
        ));
    }
    // The signal at the death of a parent comes when the *thread* ends that has started the child. This is the
    // main thread, which runs the loop and starts every node.
    let runtime = runtime()?;
    runtime.block_on(async {
        let signals = Signals::listen()?;
        let nodes = Node::plan(&directory, &ports, args.log.level, &args.password)?;
        let may_restart = !args.no_restart;
        Cluster { nodes, signals, directory, password, may_restart, start_deadline: None }.run().await
    })
}

/// Each node's port for clients.
fn ports(args: &DevArgs) -> Vec<u16> {
    let last =
        args.port.checked_add(args.nodes - 1).filter(|last| last.checked_add(PEER_PORT_OFFSET).is_some());
    let Some(last) = last else {
        let highest = u16::MAX - PEER_PORT_OFFSET - (args.nodes - 1);
        wrong_usage(&format!(
            "--port {} is too high for {} nodes: {highest} is the highest",
            args.port, args.nodes
        ));
    };
    (args.port..=last).collect()
}

fn check_ports_are_free(ports: &[u16]) -> anyhow::Result<()> {
    for (number, port) in ports.iter().enumerate() {
        for (port, purpose) in [(*port, "clients"), (port + PEER_PORT_OFFSET, "peers")] {
            TcpListener::bind((Ipv4Addr::LOCALHOST, port)).with_context(|| {
                format!(
                    "port {port} of 127.0.0.1, which node {} needs for its {purpose}, cannot be used. Stop what \
                     uses it (another `bowline dev`, a redis-server?), or choose other ports with --port",
                    number + 1
                )
            })?;
        }
    }
    Ok(())
}

/// The cluster, while it runs.
struct Cluster {
    nodes: Vec<Node>,
    signals: Signals,
    directory: Directory,
    /// What the nodes ask for.
    password: Option<Vec<u8>>,
    may_restart: bool,
    /// When the wait for the first leader ends; `None` before the start, and once there was one.
    start_deadline: Option<Instant>,
}

impl Cluster {
    async fn run(mut self) -> anyhow::Result<ExitCode> {
        let outcome = self.start_and_watch().await;
        self.stop().await;
        outcome.map(|()| ExitCode::SUCCESS)
    }

    /// Returns when a signal says to stop, or when there is nothing left to watch.
    async fn start_and_watch(&mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            node.start(self.directory.is_new())?;
        }
        self.start_deadline = Some(Instant::now() + START_TIMEOUT);
        loop {
            match self.next_event().await {
                Event::Stop(signal) => {
                    say(&format!("\n{signal}: stopping"));
                    return Ok(());
                }
                Event::ChildEnded => self.see_who_ended()?,
                Event::Due => self.bring_back(),
                Event::Probe => self.announce_when_ready().await?,
            }
        }
    }

    /// What comes first.
    async fn next_event(&mut self) -> Event {
        let restart = self.nodes.iter().filter_map(Node::restart_at).min().map(|at| (at, Event::Due));
        let probe = self.start_deadline.map(|_| (Instant::now() + PROBE_INTERVAL, Event::Probe));
        self.signals.next(restart.into_iter().chain(probe).min_by_key(|(at, _)| *at)).await
    }

    fn see_who_ended(&mut self) -> anyhow::Result<()> {
        for node in &mut self.nodes {
            let Some(end) = node.reap()? else { continue };
            let comes_back = self.may_restart && !end.is_broken_disk();
            let prospect = match comes_back {
                true => "it is brought back in three seconds",
                false if end.is_broken_disk() => "its disk failed: it stays down until you have looked at it",
                false => "it stays down",
            };
            say(&format!(
                "node {} (pid {}) {end}; {prospect}{}",
                node.id(),
                end.pid(),
                node.last_words(&end)
            ));
            if comes_back {
                node.restart_in(RESTART_DELAY);
            }
        }
        if self.nodes.iter().all(|node| !node.is_running() && node.restart_at().is_none()) {
            bail!("no node is left{}", self.hint_for_a_first_start());
        }
        // What fails at the start will most likely fail again: better to say so than to wait for a leader.
        let running = self.nodes.iter().filter(|node| node.is_running()).count();
        if self.start_deadline.is_some() && 2 * running <= self.nodes.len() {
            bail!(
                "of {} only {running} could be started, and more than half must run{}",
                nodes(self.nodes.len()),
                self.hint_for_a_first_start()
            );
        }
        Ok(())
    }

    fn bring_back(&mut self) {
        let now = Instant::now();
        for node in &mut self.nodes {
            if node.restart_at().is_some_and(|at| at <= now) {
                match node.start(false) {
                    Ok(()) => say(&format!("node {} is started again, pid {}", node.id(), node.pid_text())),
                    Err(error) => {
                        complain(&format!("error: {error:#}; the next try is in three seconds"));
                        node.restart_in(RESTART_DELAY);
                    }
                }
            }
        }
    }

    /// Prints the table once every node that runs answers and one leads.
    async fn announce_when_ready(&mut self) -> anyhow::Result<()> {
        let running = self.nodes.iter().filter(|node| node.is_running());
        let addrs: Vec<_> = running.map(|node| format!("127.0.0.1:{}", node.port())).collect();
        let asked = addrs.len();
        let answers = NodeInfo::fetch_all(addrs, self.password.clone(), PROBE_TIMEOUT).await;
        let answers: Vec<_> = answers.into_iter().flatten().collect();
        let has_leader = answers.iter().any(|info| info.role == Role::Leader);
        let is_late = self.start_deadline.is_some_and(|at| at <= Instant::now());
        if has_leader && (answers.len() == asked || is_late) {
            self.start_deadline = None;
            say(&self.announcement());
        } else if is_late {
            bail!(
                "no node leads after {} seconds, {} of {} answer. Their logs are {}{}",
                START_TIMEOUT.as_secs(),
                answers.len(),
                self.nodes.len(),
                self.directory.path().join("*/log").display(),
                self.hint_for_a_first_start()
            );
        }
        Ok(())
    }

    fn hint_for_a_first_start(&self) -> String {
        if self.start_deadline.is_none() || !self.directory.is_new() {
            return String::new();
        }
        format!(
            ".\nThis start has made the directory {}: remove it before the next try",
            self.directory.path().display()
        )
    }

    /// What runs, and what to type next.
    fn announcement(&self) -> String {
        let row = |node: &Node| {
            [
                node.id().to_string(),
                format!("127.0.0.1:{}", node.port()),
                format!("127.0.0.1:{}", node.port() + PEER_PORT_OFFSET),
                node.pid_text(),
                node.directory().display().to_string(),
            ]
        };
        let rows: Vec<_> = self.nodes.iter().map(row).collect();
        let table = table::render(["node", "clients", "peers", "pid", "directory"], &rows);
        let port = self.nodes[0].port();
        let bowline = std::env::args().next().unwrap_or_else(|| "bowline".to_owned());
        // The other commands look at the three ports that are the default here.
        let at = if port == 7379 { String::new() } else { format!(" --at 127.0.0.1:{port}") };
        let asks = if self.password.is_some() {
            "The nodes ask for the password: redis-cli takes it from REDISCLI_AUTH, the others as `dev` has.\n\n"
        } else {
            ""
        };
        format!(
            "A cluster of {} is running. Every node takes every command.\n\n{table}\nNow, in another terminal:\n\n  \
             redis-cli -p {port} set a 1\n  \
             {bowline} put a 1{at}\n  \
             {bowline} get a{at}\n  \
             {bowline} status{at}\n\n\
             {asks}Ctrl-C stops it; the data stays in {}.",
            nodes(self.nodes.len()),
            self.directory.path().display()
        )
    }

    /// Stops every node: asks, waits, and kills what has not ended by then, or at a second Ctrl-C.
    async fn stop(&mut self) {
        let running = self.nodes.iter().filter(|node| node.is_running()).count();
        for node in &self.nodes {
            node.ask_to_stop();
        }
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            self.see_who_stopped();
            if !self.nodes.iter().any(Node::is_running) {
                break;
            }
            match self.signals.next(Some((deadline, Event::Due))).await {
                Event::Due | Event::Stop(Signals::CTRL_C) => self.kill(),
                Event::Stop(_) | Event::ChildEnded | Event::Probe => {}
            }
        }
        if running > 0 {
            say(&format!("{} stopped", nodes(running)));
        }
    }

    fn see_who_stopped(&mut self) {
        for node in &mut self.nodes {
            match node.reap() {
                Ok(Some(end)) if !end.is_clean() => {
                    say(&format!("node {} (pid {}) {end}{}", node.id(), end.pid(), node.last_words(&end)));
                }
                Ok(_) => {}
                Err(error) => complain(&format!("error: node {}: {error:#}", node.id())),
            }
        }
    }

    fn kill(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.is_running()) {
            say(&format!(
                "node {} (pid {}) has not stopped by itself and is killed",
                node.id(),
                node.pid_text()
            ));
            node.kill();
        }
    }
}

fn nodes(count: usize) -> String {
    if count == 1 { "1 node".to_owned() } else { format!("{count} nodes") }
}

/// Tells the user something. That the terminal is gone is no reason to leave the servers unattended.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests;
