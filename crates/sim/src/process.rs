//! A machine with a disk, and the node that runs on it, when it runs.
//!
//! Writes queue up as they do in the server: while one is being synced, others come, and then all that has
//! come becomes one write to the log. The append is made at the beginning, and the sync at the end of a random
//! time; so a crash in between finds the write in the cache.

use std::time::Duration;

use bowline_raft::{Config, Entry, GroupId, LogId, Node, NodeId, Write};
use bowline_storage::{DirectoryId, Disk, RecoveredGroup, Wal, WalConfig, WalError};
use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::disk::{DiskFaults, SimDisk};
use crate::random::{derive, stream, up_to};

/// A machine: what outlives the process.
#[derive(Debug)]
pub struct Machine {
    /// The node that lives here.
    pub id: NodeId,
    /// Its disk.
    pub disk: SimDisk,
    /// How often a process was started or went down: what was meant for an earlier one is void.
    pub life: u64,
    /// Who runs; nobody when it is down.
    pub process: Option<Process>,
    /// How it goes down when the disk stops in the middle of an operation.
    stop: Crash,
    /// What the disk had done when it was last looked at.
    seen: DiskFaults,
    log: WalConfig,
    longest_sync: Duration,
    random: StdRng,
}

/// How a process goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// kill -9: the cache survives.
    Kill,
    /// The machine too: of what was not synced any sectors survive.
    PowerLoss,
}

/// A failure of the log that was planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The process is to go down in the middle of an operation.
    Stopped(Crash),
    /// A sync failed; a process cannot go on after that.
    Sync,
}

/// A running node.
#[derive(Debug)]
pub struct Process {
    /// The consensus core.
    pub node: Node,
    /// The state machine: the payloads of all commands that were applied.
    pub applied: Vec<Bytes>,
    /// Handed to the state machine, and not applied yet.
    to_apply: Vec<Entry>,
    wal: Wal<SimDisk>,
    /// To be written when the present write is done.
    queued: Vec<Write>,
    /// Being written.
    writing: Option<Vec<Write>>,
}

impl Machine {
    /// A machine on which the node has never run: its log is made, and nothing runs.
    pub fn new(id: NodeId, seed: u64, segment_bytes: u64, longest_sync: Duration) -> Self {
        let disk = SimDisk::new(derive(seed, "disk", id.0));
        let directory = DirectoryId(u128::from(id.0));
        let log = WalConfig { cluster: 1, directory, segment_bytes };
        Wal::create(disk.clone(), log).expect("nothing goes wrong yet");
        let random = stream(seed, "syncs", id.0);
        Self {
            id,
            disk,
            life: 0,
            process: None,
            stop: Crash::Kill,
            seen: DiskFaults::default(),
            log,
            longest_sync,
            random,
        }
    }

    /// Reads the log back.
    pub fn recover(&self) -> Result<(Wal<SimDisk>, RecoveredGroup), WalError> {
        let (wal, mut found) = Wal::open(self.disk.clone(), self.log)?;
        Ok((wal, found.groups.remove(&GroupId::FIRST_DATA).unwrap_or_default()))
    }

    /// Starts the node with what was read back.
    pub fn start(&mut self, config: Config, wal: Wal<SimDisk>, found: RecoveredGroup) -> &Node {
        let node = Node::new(config, found.hard_state, LogId::ZERO, found.entries);
        self.life += 1;
        let process = Process {
            node,
            applied: Vec::new(),
            to_apply: Vec::new(),
            wal,
            queued: Vec::new(),
            writing: None,
        };
        &self.process.insert(process).node
    }

    /// How many segments of the log were ever begun.
    pub fn segments(&self) -> u64 {
        let names = self.disk.list().unwrap_or_default();
        names
            .iter()
            .filter_map(|name| u64::from_str_radix(name.strip_suffix(".wal")?, 16).ok())
            .max()
            .unwrap_or(0)
    }

    /// The process is gone.
    pub fn crash(&mut self, crash: Crash) {
        self.life += 1;
        self.process = None;
        match crash {
            Crash::Kill => self.disk.kill(),
            Crash::PowerLoss => self.disk.power_loss(),
        }
    }

    /// From now on so many operations of the disk succeed, and in the middle of the next one it goes down.
    pub fn plan_stop(&mut self, crash: Crash, operations: u64) {
        self.stop = crash;
        self.disk.stop_at(self.disk.operations() + operations);
    }

    /// The log has failed: was that planned?
    pub fn planned_failure(&mut self) -> Option<Failure> {
        let now = self.disk.faults();
        let before = std::mem::replace(&mut self.seen, now);
        if now.stops > before.stops {
            Some(Failure::Stopped(self.stop))
        } else if now.failed_syncs > before.failed_syncs {
            Some(Failure::Sync)
        } else {
            None
        }
    }

    /// How long the next sync takes.
    pub fn draw_sync_time(&mut self) -> Duration {
        up_to(&mut self.random, self.longest_sync)
    }

    /// How long it takes until the state machine has applied what it is handed.
    pub fn draw_apply_time(&mut self, longest: Duration) -> Duration {
        up_to(&mut self.random, longest)
    }

    /// Whether the log, now that it is idle, makes its empty write.
    pub fn draw_marker(&mut self) -> bool {
        self.random.random_bool(0.05)
    }
}

impl Process {
    /// Hands entries to the state machine. Whether it had nothing to do before, and has now.
    pub fn hand_over(&mut self, committed: Vec<Entry>) -> bool {
        let was_idle = self.to_apply.is_empty();
        self.to_apply.extend(committed);
        was_idle && !self.to_apply.is_empty()
    }

    /// The state machine applies all that it was handed.
    pub fn apply(&mut self) -> Vec<Entry> {
        let entries = std::mem::take(&mut self.to_apply);
        for entry in &entries {
            self.node.applied(entry.id.index);
            if !entry.payload.is_empty() {
                self.applied.push(entry.payload.clone());
            }
        }
        entries
    }

    /// Hands a write over to the log.
    pub fn submit(&mut self, write: Write) {
        self.queued.push(write);
    }

    /// What is going to be written now, if there is something and the log is free.
    pub fn next_batch(&mut self) -> Option<&[Write]> {
        if self.writing.is_some() || self.queued.is_empty() {
            return None;
        }
        self.writing = Some(std::mem::take(&mut self.queued));
        self.writing.as_deref()
    }

    /// Whether nothing is being written, and nothing waits for it.
    pub fn is_idle(&self) -> bool {
        self.writing.is_none() && self.queued.is_empty()
    }

    /// What is going to be written now is the empty write.
    pub fn begin_marker(&mut self) {
        assert!(self.is_idle());
        self.writing = Some(Vec::new());
    }

    /// Puts into the log what is to be written now.
    pub fn append(&mut self) -> Result<(), WalError> {
        let writing = self.writing.as_ref().expect("a batch was taken");
        let batch: Vec<_> = writing.iter().map(|write| (GroupId::FIRST_DATA, write)).collect();
        self.wal.append(&batch)
    }

    /// Syncs what was written. Gives back the number of its last write; none for the empty one.
    pub fn sync(&mut self) -> Result<Option<u64>, WalError> {
        self.wal.sync()?;
        let written = self.writing.take().expect("a batch was written");
        Ok(written.last().map(|write| write.seq))
    }

    /// What the log does beside its writes.
    pub fn fill_ahead(&mut self) -> Result<(), WalError> {
        if self.wal.behind() {
            self.wal.prepare_next()?;
        }
        Ok(())
    }
}
