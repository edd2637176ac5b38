//! A cluster, and what can be done to its nodes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::thread;
use std::time::Duration;

use rustix::process::Signal;

use super::client::{Client, Reply};
use super::node::{self, Node};
use super::ports::Ports;
use super::{PATIENCE, until};

/// How long a node may take to say how it is.
const INFO_PATIENCE: Duration = Duration::from_secs(2);

/// How many lines of each node's log are shown when a test fails.
const LINES_SHOWN: usize = 25;

/// What a node says of itself: the fields of `INFO`.
pub struct Info(HashMap<String, String>);

impl Info {
    /// Asks the node at `addr`; `None` if it does not answer.
    pub fn fetch(addr: &str) -> Option<Self> {
        let mut client = Client::connect(addr).ok()?;
        client.set_patience(INFO_PATIENCE);
        client.send(&[&["INFO"]]).ok()?;
        let Reply::Bulk(Some(text)) = client.try_receive()?.ok()? else {
            panic!("{addr} answers INFO by no text")
        };
        let text = String::from_utf8(text).expect("INFO is text");
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Some(Self(fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()))
    }

    /// A field, as it stands there. Fails the test if there is none.
    pub fn text(&self, field: &str) -> &str {
        self.0.get(field).unwrap_or_else(|| panic!("INFO has no {field}"))
    }

    /// A field that is a number.
    pub fn number(&self, field: &str) -> u64 {
        let text = self.text(field);
        text.parse().unwrap_or_else(|_| panic!("INFO says {field}:{text}, which is no number"))
    }
}

/// A cluster of server processes on this machine. They end when it is dropped.
pub struct Cluster {
    nodes: Vec<Node>,
    dir: PathBuf,
    _ports: Ports,
}

impl Cluster {
    /// Starts a new cluster of so many nodes, at most 9, and waits for its leader. `name` is that of the test.
    pub fn start(name: &str, size: usize) -> Self {
        Self::start_with(name, size, &[])
    }

    /// The same, with more arguments for every server.
    pub fn start_with(name: &str, size: usize, more: &[&str]) -> Self {
        let mut cluster = Self::prepare(name, size, more);
        for node in &mut cluster.nodes {
            node.spawn(&["--new"]);
        }
        for id in cluster.ids() {
            cluster.wait_for_answers(id);
        }
        cluster.leader();
        cluster
    }

    /// A cluster of which nothing runs yet: its addresses, directories and arguments.
    pub fn prepare(name: &str, size: usize, more: &[&str]) -> Self {
        let ports = Ports::take();
        let dir = node::scratch().join(format!("{name}-{}-{}", std::process::id(), ports.get(1)));
        std::fs::create_dir_all(&dir).expect("a directory for the cluster");
        let addr = |n: usize| format!("127.0.0.1:{}", ports.get(n));
        let members: Vec<_> =
            (1..=size).map(|n| format!("{n}={}@{}", addr(n), ports.get(size + n))).collect();
        let nodes = (1..=size).map(|n| {
            let data = dir.join(n.to_string()).to_str().expect("paths of tests are text").to_owned();
            let own = [("--id", n.to_string()), ("--data", data), ("--listen", addr(n))];
            let mut arguments = vec!["server".to_owned(), "--peers".to_owned(), members.join(",")];
            arguments.extend(own.into_iter().flat_map(|(option, value)| [option.to_owned(), value]));
            arguments.extend(more.iter().map(|&argument| argument.to_owned()));
            Node::new(n as u64, addr(n), dir.join(format!("{n}.log")), arguments)
        });
        Self { nodes: nodes.collect(), dir, _ports: ports }
    }

    /// From its next start on the node may have no more than so many files open, soft and hard limit.
    pub fn limit_files(&mut self, id: u64, max_files: u64) {
        self.node_mut(id).max_files = Some(max_files);
    }

    /// The nodes' numbers: from 1.
    pub fn ids(&self) -> Vec<u64> {
        self.nodes.iter().map(|node| node.id).collect()
    }

    /// The numbers of all but this one.
    pub fn others(&self, id: u64) -> Vec<u64> {
        self.ids().into_iter().filter(|other| *other != id).collect()
    }

    /// Where the node listens for clients.
    pub fn addr(&self, id: u64) -> &str {
        &self.node(id).addr
    }

    /// All addresses, that of node 1 first.
    pub fn addrs(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.addr.clone()).collect()
    }

    /// The node's data directory.
    pub fn data_dir(&self, id: u64) -> PathBuf {
        self.dir.join(id.to_string())
    }

    /// What the node has logged, in all its lives.
    pub fn log_text(&self, id: u64) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.node(id).log).unwrap_or_default()).into_owned()
    }

    /// The number of the node's process, which must run.
    pub fn pid(&self, id: u64) -> u32 {
        self.node(id).pid()
    }

    fn node(&self, id: u64) -> &Node {
        self.nodes.iter().find(|node| node.id == id).expect("a node of this cluster")
    }

    fn node_mut(&mut self, id: u64) -> &mut Node {
        self.nodes.iter_mut().find(|node| node.id == id).expect("a node of this cluster")
    }

    /// A connection to a node that runs.
    pub fn client(&self, id: u64) -> Client {
        Client::connect(self.addr(id)).unwrap_or_else(|lost| panic!("node {id}: {lost:?}"))
    }

    /// What the node says of itself; `None` if it is down, stopped or does not answer.
    pub fn info(&self, id: u64) -> Option<Info> {
        let node = self.node(id);
        node.is_running().then(|| Info::fetch(&node.addr)).flatten()
    }

    /// Waits until a node leads, and a majority follow it in its term: its number.
    pub fn leader(&self) -> u64 {
        until("a leader that a majority follow", PATIENCE, || self.try_leader())
    }

    fn try_leader(&self) -> Option<u64> {
        let infos: Vec<_> =
            self.nodes.iter().filter_map(|node| Some((node.id, self.info(node.id)?))).collect();
        let leads = |info: &Info| info.text("raft_role") == "leader";
        let (leader, led) =
            infos.iter().filter(|(_, info)| leads(info)).max_by_key(|(_, info)| info.number("raft_term"))?;
        let follows = |info: &Info| {
            info.number("raft_term") == led.number("raft_term")
                && info.text("raft_leader_id") == leader.to_string()
        };
        let followed = infos.iter().filter(|(_, info)| follows(info)).count();
        (followed > self.nodes.len() / 2).then_some(*leader)
    }

    /// kill -9, and waits until the process is gone.
    pub fn kill(&mut self, id: u64) {
        self.kill_at_once(&[id]);
    }

    /// kill -9 to all of these before any of them is waited for.
    pub fn kill_at_once(&mut self, ids: &[u64]) {
        for &id in ids {
            self.node(id).signal(Signal::KILL);
        }
        for &id in ids {
            node::note(&self.node(id).log, "kill -9");
            self.node_mut(id).wait();
        }
    }

    /// SIGTERM: how the process ended.
    pub fn terminate(&mut self, id: u64) -> ExitStatus {
        self.node(id).signal(Signal::TERM);
        self.node_mut(id).wait()
    }

    /// SIGSTOP: the node is frozen when this returns.
    pub fn stop(&mut self, id: u64) {
        node::note(&self.node(id).log, "SIGSTOP");
        self.node_mut(id).stop();
    }

    /// SIGCONT.
    pub fn resume(&mut self, id: u64) {
        node::note(&self.node(id).log, "SIGCONT");
        self.node_mut(id).resume();
    }

    /// Starts a node that is down, and waits until it answers.
    pub fn restart(&mut self, id: u64) {
        self.spawn(id, &[]);
        self.wait_for_answers(id);
    }

    /// Starts a node that is down with these arguments too, and waits for nothing.
    pub fn spawn(&mut self, id: u64, more: &[&str]) {
        self.node_mut(id).spawn(more);
    }

    /// Waits for a node's process to end by itself.
    pub fn wait_for_end(&mut self, id: u64) -> ExitStatus {
        self.node_mut(id).wait()
    }

    /// Waits until a node that was started answers.
    pub fn wait_for_answers(&mut self, id: u64) {
        let node = self.node_mut(id);
        until(&format!("node {id} to answer"), PATIENCE, || {
            if let Some(status) = node.ended() {
                panic!("node {id} did not start: {status}\n{}", node.last_lines(LINES_SHOWN));
            }
            Info::fetch(&node.addr).map(drop)
        });
    }

    /// Waits until every node that runs has applied all that is committed now.
    pub fn wait_until_caught_up(&self) {
        let leader = self.leader();
        let commit = self.info(leader).map_or(0, |info| info.number("raft_commit_index"));
        for node in self.nodes.iter().filter(|node| node.is_running()) {
            until(&format!("node {} to apply entry {commit}", node.id), PATIENCE, || {
                (self.info(node.id)?.number("raft_last_applied") >= commit).then_some(())
            });
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if thread::panicking() {
            for node in &self.nodes {
                eprintln!("--- the last lines of node {}:\n{}", node.id, node.last_lines(LINES_SHOWN));
            }
            eprintln!("--- data and logs are kept in {}", self.dir.display());
        }
        // The processes first: they write there.
        self.nodes.clear();
        if !thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}
