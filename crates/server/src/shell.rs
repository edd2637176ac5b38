//! The loop around the replica: all that is done with what it hands out.
//!
//! One thread runs everything but the log's writes: the tasks that read connections give what they
//! read to the replica at once, and ring; then the loop makes one pass, in which all that came is
//! proposed, sent, written and answered together. What wakes the loop is queued behind the tasks
//! that are ready already, so the more there is to do, the more one pass does.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bowline_kv::{Answer, ClientId, Command, Image, Output, Replica, Reply, Time};
use bowline_raft::codec::{self, Header};
use bowline_raft::{Body, GroupId, Message, NodeId, Restore, RoleChange, RoleKind};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use tokio::sync::Notify;

use crate::client::Client;
use crate::disk::DiskThread;
use crate::face::info::{self, Memory, Metrics, Raft, RaftRole, Saving, Stats};
use crate::face::{ClientFilter, NodeInfo, Sections};
use crate::peers::Peers;
use crate::resp::Value;
use crate::snapshot::{self, Figures, Keeper, Made};

/// How often time passes for the replica when nothing else happens: a fraction of a heartbeat.
const TICK: Duration = Duration::from_millis(25);

pub(crate) struct Shell {
    pub(crate) replica: RefCell<Replica>,
    pub(crate) peers: Peers,
    pub(crate) info: NodeInfo,
    pub(crate) stats: Counters,
    /// Rung by whoever has given the replica something, or has it from the disk.
    pub(crate) wake: Arc<Notify>,
    pub(crate) clients: RefCell<HashMap<ClientId, Rc<Client>, FixedState>>,
    /// Clients that are not read until the replica has room.
    paused: RefCell<HashSet<ClientId, FixedState>>,
    disk: DiskThread,
    pub(crate) snapshots: Keeper,
    cluster: u64,
    persisted: Cell<u64>,
    started: Instant,
    stopping: Cell<bool>,
}

/// What was counted, for INFO.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections: Cell<u64>,
    pub(crate) refused_connections: Cell<u64>,
    pub(crate) commands: Cell<u64>,
    pub(crate) errors: Cell<u64>,
    pub(crate) input_bytes: Cell<u64>,
    pub(crate) output_bytes: Cell<u64>,
}

impl Counters {
    pub(crate) fn reset(&self) {
        let Self { connections, refused_connections, commands, errors, input_bytes, output_bytes } = self;
        for counter in [connections, refused_connections, commands, errors, input_bytes, output_bytes] {
            counter.set(0);
        }
    }
}

impl Shell {
    pub(crate) fn new(
        replica: Replica,
        peers: Peers,
        info: NodeInfo,
        disk: DiskThread,
        snapshots: Keeper,
        wake: Arc<Notify>,
        cluster: u64,
    ) -> Self {
        Self {
            replica: RefCell::new(replica),
            peers,
            info,
            stats: Counters::default(),
            wake,
            clients: RefCell::default(),
            paused: RefCell::default(),
            disk,
            snapshots,
            cluster,
            persisted: Cell::new(0),
            started: Instant::now(),
            stopping: Cell::new(false),
        }
    }

    /// Runs until the process ends.
    pub(crate) async fn run(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.wake.notified() => {}
                _ = ticks.tick() => {}
            }
            self.pass();
        }
    }

    fn pass(&self) {
        let output = {
            let mut replica = self.replica.borrow_mut();
            let persisted = self.disk.persisted();
            if persisted > self.persisted.replace(persisted) {
                replica.persisted(persisted);
            }
            for (id, peer) in &self.peers.all {
                replica.hold_answers(*id, peer.is_slow_to_take_replies());
            }
            let unix_us = unix_us();
            replica.tick(Time { monotonic: self.started.elapsed(), unix_ms: unix_us / 1000 });
            self.snapshots.pass(&mut replica, unix_us);
            replica.ready()
        };
        self.carry_out(output);
        self.resume_paused();
    }

    fn carry_out(&self, output: Output) {
        for envelope in &output.messages {
            let peer = &self.peers.all[&envelope.to];
            if let Body::InstallSnapshot(_) = envelope.message.body {
                peer.snapshot.want(envelope.message.clone());
                continue;
            }
            peer.raft.send(|out| codec::encode(self.header(envelope.to), &envelope.message, out));
        }
        for (to, bytes) in &output.forwards {
            self.peers.all[to].forward.send(|out| out.extend_from_slice(bytes));
        }
        for (to, bytes) in &output.replies {
            if let Some(link) = self.peers.all.get(to).and_then(|peer| peer.replies.borrow().clone()) {
                link.send(|out| out.extend_from_slice(bytes));
            }
        }
        self.peers.flush();
        if let Some(write) = output.write {
            self.disk.submit(write);
        }
        if let Some(Restore { last, .. }) = output.restore {
            let taken = self.replica.borrow_mut().restore(self.snapshots.take(last));
            assert!(taken, "the replica does not take the snapshot {last} that it asked for");
            tracing::info!("goes on from the snapshot up to entry {}", last.index);
            self.wake.notify_one();
        }
        self.answer(output.answers);
        if let Some(role) = output.role {
            log_role(role);
        }
        for alarm in output.alarms {
            tracing::error!("{alarm}");
        }
        if output.again {
            self.wake.notify_one();
        }
    }

    fn answer(&self, answers: Vec<Answer>) {
        let mut answered: Vec<Rc<Client>> = Vec::new();
        {
            let clients = self.clients.borrow();
            for answer in answers {
                let Some(client) = clients.get(&answer.client) else { continue };
                client.answer(answer.token, answer.reply, self);
                if !client.dirty.replace(true) {
                    answered.push(client.clone());
                }
            }
        }
        for client in answered {
            client.dirty.set(false);
            // An error shows itself to the client's own task; so does the end of what was owed, for which it
            // waits if nothing more is to be read.
            if client.flush(self).is_err() || client.is_finished() {
                client.ring();
            }
            client.answered();
        }
    }

    /// The first words of a message to that node's raft.
    pub(crate) fn header(&self, to: NodeId) -> Header {
        Header { cluster: self.cluster, group: GroupId::FIRST_DATA, from: NodeId(self.info.node_id), to }
    }

    /// A message of another node's raft, on the connection for them.
    pub(crate) fn on_raft(&self, from: NodeId, payload: &[u8]) -> Result<(), String> {
        let message = self.decode(from, payload)?;
        if let Body::InstallSnapshot(_) = message.body {
            return Err("a snapshot among the messages, where none is sent".to_owned());
        }
        bowline_kv::check_entries(&message)
            .map_err(|error| format!("an entry that this version cannot read: {error}; update this node"))?;
        self.give(from, message);
        Ok(())
    }

    /// A message from that node, if it is one.
    pub(crate) fn decode(&self, from: NodeId, payload: &[u8]) -> Result<Message, String> {
        let (header, message) = codec::decode(payload).map_err(|error| error.to_string())?;
        let to = NodeId(self.info.node_id);
        let own = Header { from, ..self.header(to) };
        if header == own {
            Ok(message)
        } else {
            Err(format!("a message for {header:?} on a connection of {own:?}"))
        }
    }

    /// Gives Raft a message that this version can read.
    pub(crate) fn give(&self, from: NodeId, message: Message) {
        if let Err(reject) = self.replica.borrow_mut().message(from, message) {
            self.peers.complain(from, format!("rejected: {reject}"));
        }
        self.wake.notify_one();
    }

    /// Gives Raft the message that brings a snapshot, whose file is here, and holds its image until the file is in
    /// force. Raft may have no use for it any more.
    pub(crate) fn install(&self, from: NodeId, message: Message, image: Image, made: Made) {
        let snapshot = |shell: &Self| shell.replica.borrow().node().snapshot();
        let before = snapshot(self);
        self.give(from, message);
        if snapshot(self) == made.last && before != made.last {
            self.snapshots.hold(image, made);
        } else {
            snapshot::drop_elsewhere(image);
        }
    }

    /// Answers, in time, with a number in 16 hexadecimal digits that is the same on nodes whose state is, and the index
    /// of the entry behind which the state was that.
    pub(crate) fn digest(self: &Rc<Self>, client: ClientId, token: u64) {
        let image = self.replica.borrow().image();
        let shell = self.clone();
        tokio::task::spawn_local(async move {
            // It reads every byte: not here, where everybody waits.
            let (digest, last) = snapshot::blocking(move || (image.digest(), image.last())).await;
            let reply = Reply::Simple(format!("{digest:016x} {}", last.index).into());
            shell.answer(vec![Answer { client, token, reply }]);
        });
    }

    pub(crate) fn submit(&self, client: ClientId, token: u64, command: &Command<'_>) {
        self.replica.borrow_mut().submit(client, token, command);
        self.wake.notify_one();
    }

    /// Whether this client may be read. If not, it is rung when it may be again.
    pub(crate) fn has_room(&self, client: ClientId) -> bool {
        if self.replica.borrow().has_room() {
            return true;
        }
        self.paused.borrow_mut().insert(client);
        false
    }

    fn resume_paused(&self) {
        if self.paused.borrow().is_empty() || !self.replica.borrow().has_room() {
            return;
        }
        let clients = self.clients.borrow();
        for id in self.paused.take() {
            if let Some(client) = clients.get(&id) {
                client.ring();
            }
        }
    }

    /// Lets every client have what it is owed, and reads no more of any.
    pub(crate) async fn drain(&self, patience: Duration) {
        self.stopping.set(true);
        for client in self.clients.borrow().values() {
            client.finish();
        }
        let deadline = Instant::now() + patience;
        while !self.clients.borrow().is_empty() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Whether the process is about to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ends the log's thread, after what it was given.
    pub(crate) fn stop_disk(&self) {
        self.disk.stop();
    }

    pub(crate) fn info_text(&self, sections: Sections) -> Value {
        let now_us = unix_us();
        Value::Verbatim(info::render(sections, &self.info, &self.metrics(), now_us))
    }

    /// A line a client. The asking one has made its own, since it is busy asking.
    pub(crate) fn client_list(&self, filter: &ClientFilter, asking: ClientId, own: Option<String>) -> Value {
        let clients = self.clients.borrow();
        let mut ids: Vec<_> = clients.keys().copied().collect();
        ids.sort_unstable_by_key(|id| id.0);
        let now_us = unix_us();
        let line =
            |id: ClientId| if id == asking { own.clone() } else { clients[&id].describe(filter, now_us) };
        let lines: Vec<String> = ids.into_iter().filter_map(line).collect();
        Value::Verbatim(lines.concat())
    }

    fn metrics(&self) -> Metrics {
        let replica = self.replica.borrow();
        let status = replica.status();
        let Figures { current, writing_since, last_save_us, last_took, last_failed } =
            self.snapshots.figures();
        let clients = self.clients.borrow();
        let peer = |id: &NodeId, peer: &crate::peers::Peer| {
            let known = status.peers.iter().find(|p| p.id == *id);
            info::Peer {
                id: id.0,
                addr: peer.member.addr.clone(),
                is_up: peer.raft.is_up() && known.is_none_or(|p| p.since_heard < Duration::from_secs(1)),
                match_index: known.map(|p| p.matched),
                lag: known.map(|p| status.last_log_index.saturating_sub(p.matched)),
            }
        };
        Metrics {
            uptime: self.started.elapsed(),
            connected_clients: clients.len() as u64,
            // The client that asks is busy asking, and waits for nothing.
            blocked_clients: status.unanswered,
            memory: memory(),
            stats: Stats {
                connections_received: self.stats.connections.get(),
                connections_rejected: self.stats.refused_connections.get(),
                commands_processed: self.stats.commands.get(),
                error_replies: self.stats.errors.get(),
                input_bytes: self.stats.input_bytes.get(),
                output_bytes: self.stats.output_bytes.get(),
            },
            keys: status.keys,
            expiring_keys: status.expiring_keys,
            saving: Saving {
                current_s: writing_since.map(|since| since.elapsed().as_secs()),
                last_us: last_save_us,
                last_s: last_took.map(|took| took.as_secs()),
                last_failed,
                // A snapshot that was received is named before it is applied.
                entries_since: status.last_applied.saturating_sub(status.snapshot_index),
            },
            raft: Raft {
                role: match status.role {
                    RoleKind::Leader => RaftRole::Leader,
                    RoleKind::Follower => RaftRole::Follower,
                    RoleKind::PreCandidate | RoleKind::Candidate => RaftRole::Candidate,
                },
                term: status.term,
                leader_id: status.leader.map(|id| id.0),
                commit_index: status.commit_index,
                last_applied: status.last_applied,
                last_log_index: status.last_log_index,
                durable_index: status.durable_index,
                log_entries: status.last_log_index - status.snapshot_index,
                log_bytes: self.disk.log_bytes(),
                log_limit_bytes: status.log_limit_bytes,
                snapshot_index: status.snapshot_index,
                snapshot_made_us: current.map(|made| made.made_us),
                snapshot_bytes: current.map_or(0, |made| made.size_bytes),
                completion_records: status.records,
                sessions: status.sessions,
                session_bytes: status.sessions_bytes,
                duplicates: status.duplicates,
                peers: self.peers.all.iter().map(|(id, p)| peer(id, p)).collect(),
            },
        }
    }
}

/// Microseconds since 1970.
pub(crate) fn unix_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

fn log_role(change: RoleChange) {
    let RoleChange { role, term, leader } = change;
    match (role, leader) {
        (RoleKind::Leader, _) => tracing::info!("leads in term {term}"),
        (RoleKind::Follower, Some(leader)) => tracing::info!("follows node {leader} in term {term}"),
        (RoleKind::Follower, None) => tracing::info!("no leader known in term {term}"),
        (RoleKind::PreCandidate, _) => tracing::info!("no leader heard in term {term}: asks for pre-votes"),
        (RoleKind::Candidate, _) => tracing::info!("asks for votes in term {term}"),
    }
}

/// What the process occupies, as the system says; zeros where it does not.
fn memory() -> Memory {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let machine = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    };
    Memory {
        resident_bytes: field(&status, "VmRSS:"),
        peak_bytes: field(&status, "VmHWM:"),
        total_bytes: field(&machine, "MemTotal:"),
    }
}
