//! A node together with a disk: what a shell would hold, with every completion under control.

use std::collections::VecDeque;
use std::time::Duration;

use bowline_raft::{Config, Entry, HardState, Node, Ready, Write};

/// What would be read back after a restart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    pub(crate) entries: Vec<Entry>,
}

impl Disk {
    /// Carries out one write, as `Write` defines it.
    fn make(&mut self, write: Write) {
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(first) = write.entries.first() {
            let keep = usize::try_from(first.id.index - 1).expect("a small index");
            assert!(keep <= self.entries.len(), "write {} leaves a gap in front of {}", write.seq, first.id);
            self.entries.truncate(keep);
            self.entries.extend(write.entries);
        }
    }
}

/// One member of the cluster under test.
pub(crate) struct Member {
    pub(crate) config: Config,
    pub(crate) node: Node,
    /// What is synced.
    pub(crate) disk: Disk,
    /// Handed out and not finished, oldest first.
    pub(crate) writes: VecDeque<Write>,
    pub(crate) now: Duration,
}

impl Member {
    pub(crate) fn new(config: Config, disk: Disk) -> Self {
        let node = Node::new(config.clone(), disk.hard_state, disk.entries.clone());
        Self { config, node, disk, writes: VecDeque::new(), now: Duration::ZERO }
    }

    pub(crate) fn tick(&mut self, time: Duration) {
        self.now += time;
        self.node.tick(self.now);
    }

    /// Hands out what is to be done; a write is queued, and what is committed counts as applied.
    pub(crate) fn ready(&mut self) -> Ready {
        let ready = self.node.ready();
        self.writes.extend(ready.write.clone());
        if let Some(last) = ready.committed.last() {
            self.node.applied(last.id.index);
        }
        ready
    }

    /// Finishes the oldest `count` writes; says the number of the last one.
    pub(crate) fn persist(&mut self, count: usize) -> Option<u64> {
        let mut last = None;
        for write in self.writes.drain(..count.min(self.writes.len())) {
            last = Some(write.seq);
            self.disk.make(write);
        }
        if let Some(seq) = last {
            self.node.persisted(seq);
        }
        last
    }

    /// Begins a new life with the first `survive` of the unfinished writes on disk: none after a
    /// power loss, all of them after kill -9. Recovery syncs what it reads back.
    pub(crate) fn restart(&mut self, survive: usize) {
        for write in self.writes.drain(..).take(survive) {
            self.disk.make(write);
        }
        *self = Self::new(self.config.clone(), self.disk.clone());
    }
}
