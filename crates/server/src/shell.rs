//! The loop around the replica: all that is done with what it hands out.
//!
//! One thread runs everything but the log's writes: the tasks that read connections give what they
//! read to the replica at once, and ring; then the loop makes one pass, in which all that came is
//! proposed, sent, written and answered together. What wakes the loop is queued behind the tasks
//! that are ready already, so the more there is to do, the more one pass does.

mod figures;
mod waiting;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bowline_kv::{Answer, ClientId, Command, Image, Output, Replica, Reply, Tally, Time};
use bowline_raft::codec::{self, Header};
use bowline_raft::{Body, GroupId, Message, NodeId, Restore, RoleChange, RoleKind};
use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashSet};
use tokio::sync::Notify;

use self::figures::RateMeter;
use self::waiting::{Pause, Waiters};
use crate::client::Client;
use crate::disk::DiskThread;
use crate::face::NodeInfo;
use crate::peers::Peers;
use crate::snapshot::{self, Keeper, Made};

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
    /// `CLIENT PAUSE`.
    pub(crate) pause: Pause,
    waiters: Waiters,
    rates: RateMeter,
    /// What a connection reads into, as long as it reads: one that is idle needs none.
    pub(crate) spare: Cell<Vec<u8>>,
    /// Rung whenever a connection has been closed: there is a file more.
    pub(crate) closed: Notify,
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
    pub(crate) disconnected: Cell<u64>,
    /// What the store had counted at the last reset.
    pub(crate) before: Cell<Tally>,
}

impl Counters {
    /// Begins again, with what the store has counted by now.
    pub(crate) fn reset(&self, tally: Tally) {
        self.before.set(tally);
        let Self {
            connections,
            refused_connections,
            commands,
            errors,
            input_bytes,
            output_bytes,
            disconnected,
            before: _,
        } = self;
        for counter in
            [connections, refused_connections, commands, errors, input_bytes, output_bytes, disconnected]
        {
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
            pause: Pause::default(),
            waiters: Waiters::default(),
            rates: RateMeter::default(),
            spare: Cell::default(),
            closed: Notify::new(),
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
        self.pass_pause();
        self.pass_waiters();
        self.rates.pass(&self.stats);
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
        let now = Instant::now();
        {
            let clients = self.clients.borrow();
            for answer in answers {
                let Some(client) = clients.get(&answer.client) else { continue };
                client.answer(answer.token, answer.reply, now, self);
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

    /// Counts an error that a client is answered.
    pub(crate) fn count_error(&self, text: &[u8]) {
        self.stats.errors.set(self.stats.errors.get() + 1);
        self.info.record.error(text);
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
                client.go_on();
            }
        }
    }

    /// Lets every client have what it is owed, and reads no more of any.
    pub(crate) async fn drain(&self, patience: Duration) {
        self.stopping.set(true);
        for client in self.clients.borrow().values() {
            client.finish();
        }
        let all_gone = async {
            loop {
                let closed = self.closed.notified();
                if self.clients.borrow().is_empty() {
                    return;
                }
                closed.await;
            }
        };
        // Whoever is not gone by then has had its time.
        let _ = tokio::time::timeout(patience, all_gone).await;
    }

    /// Whether the process is about to end.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Ends the log's thread, after what it was given.
    pub(crate) fn stop_disk(&self) {
        self.disk.stop();
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
