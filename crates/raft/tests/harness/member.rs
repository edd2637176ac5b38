//! A node together with a disk and a service: what a shell would hold, with every completion under
//! control.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bowline_raft::{
    Body, Config, Entry, HardState, Index, LogId, Message, Node, Ready, Restore, SnapshotWrite, Write,
    entries_behind_snapshot,
};
use bytes::Bytes;

/// A service's state after an entry: all that it was told, with blanks between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) last: LogId,
    pub(crate) data: Bytes,
}

/// What would be read back after a restart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    /// The snapshot that the log begins behind.
    pub(crate) snapshot: Snapshot,
    pub(crate) entries: Vec<Entry>,
    /// A snapshot that is durable, and of which the log does not speak yet.
    pub(crate) file: Option<Snapshot>,
}

impl Disk {
    /// Carries out one write, as `Write` defines it, with what the service had saved for it.
    fn make(&mut self, Unfinished { write, own }: Unfinished) {
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(SnapshotWrite { last, data }) = write.snapshot {
            assert!(last.index > self.snapshot.last.index, "the snapshot goes back to {last}");
            match data {
                Some(data) => {
                    self.snapshot = Snapshot { last, data };
                    self.entries.clear();
                }
                None => {
                    self.snapshot = own.expect("the service has made it");
                    assert_eq!(self.snapshot.last, last, "not the snapshot that is spoken of");
                    assert!(self.entries.iter().any(|e| e.id == last), "{last} is not on the disk");
                    self.entries = entries_behind_snapshot(last, std::mem::take(&mut self.entries));
                }
            }
        }
        if let Some(first) = write.entries.first().map(|entry| entry.id.index) {
            assert!(first <= self.last_index() + 1, "write {} leaves a gap in front of {first}", write.seq);
            assert!(first > self.snapshot.last.index, "entry {first} is in the snapshot");
            self.entries.retain(|entry| entry.id.index < first);
            self.entries.extend(write.entries);
        }
    }

    /// A snapshot is made durable on its own, before the log speaks of it.
    pub(crate) fn keep_file(&mut self, snapshot: Snapshot) {
        if self.file.as_ref().is_none_or(|file| file.last.index < snapshot.last.index) {
            self.file = Some(snapshot);
        }
    }

    /// What is read back; of two snapshots the one that reaches farther.
    fn recover(&mut self) -> bool {
        let newer = self.file.take().filter(|file| file.last.index > self.snapshot.last.index);
        let Some(file) = newer else { return false };
        self.entries = entries_behind_snapshot(file.last, std::mem::take(&mut self.entries));
        self.snapshot = file;
        true
    }

    /// The last index that it holds, in the log or in the snapshot.
    pub(crate) fn last_index(&self) -> Index {
        self.snapshot.last.index + self.entries.len() as Index
    }
}

/// A write that was handed out, and what the service had as its own snapshot then.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    pub(crate) write: Write,
    own: Option<Snapshot>,
}

/// What an entry makes of a service's state.
pub(crate) fn state_after(state: &[u8], entry: &Entry) -> Bytes {
    let parts: Vec<_> = [state, &entry.payload].into_iter().filter(|part| !part.is_empty()).collect();
    parts.join(&b' ').into()
}

/// One member of the cluster under test.
pub(crate) struct Member {
    pub(crate) config: Config,
    pub(crate) node: Node,
    /// What is synced.
    pub(crate) disk: Disk,
    /// Handed out and not finished, oldest first.
    pub(crate) writes: VecDeque<Unfinished>,
    /// The service's states, by the last index that each had applied; the oldest is what it began or
    /// was restored with.
    pub(crate) states: BTreeMap<Index, Snapshot>,
    /// The service's snapshot.
    pub(crate) snapshot: Snapshot,
    pub(crate) now: Duration,
}

impl Member {
    pub(crate) fn new(config: Config, disk: Disk) -> Self {
        let snapshot = disk.snapshot.clone();
        Self {
            node: Node::new(config.clone(), disk.hard_state, snapshot.last, disk.entries.clone()),
            config,
            disk,
            writes: VecDeque::new(),
            states: BTreeMap::from([(snapshot.last.index, snapshot.clone())]),
            snapshot,
            now: Duration::ZERO,
        }
    }

    pub(crate) fn tick(&mut self, time: Duration) {
        self.now += time;
        self.node.tick(self.now);
    }

    /// Hands out what is to be done; a write is queued, what is committed is applied at once, and a
    /// snapshot that is sent gets its data.
    pub(crate) fn ready(&mut self) -> Ready {
        let mut ready = self.node.ready();
        if let Some(write) = ready.write.clone() {
            if let Some(SnapshotWrite { last, data: Some(data) }) = &write.snapshot {
                self.snapshot = Snapshot { last: *last, data: data.clone() };
            }
            self.writes.push_back(Unfinished { write, own: Some(self.snapshot.clone()) });
        }
        for envelope in &mut ready.messages {
            if let Message { body: Body::InstallSnapshot(install), .. } = &mut envelope.message {
                assert_eq!(install.last, self.snapshot.last, "not the snapshot that is here");
                install.data = self.snapshot.data.clone();
            }
        }
        if let Some(Restore { last, data }) = ready.restore.clone() {
            let applied = self.state().last.index;
            assert!(last.index > applied, "restored from {last}, and {applied} is applied");
            self.states = BTreeMap::from([(last.index, Snapshot { last, data })]);
            self.node.applied(last.index);
        }
        for entry in &ready.committed {
            let Snapshot { last, data } = self.state();
            assert_eq!(entry.id.index, last.index + 1, "{} is handed out behind {last}", entry.id);
            let state = Snapshot { last: entry.id, data: state_after(data, entry) };
            self.states.insert(entry.id.index, state);
            self.node.applied(entry.id.index);
        }
        ready
    }

    /// The service as it is.
    pub(crate) fn state(&self) -> &Snapshot {
        self.states.last_key_value().expect("it began with one").1
    }

    /// The service has a snapshot of its state at that index. It is durable before the node hears of it
    /// (`file_first`), or together with the write that speaks of it.
    pub(crate) fn compact(&mut self, index: Index, file_first: bool) -> bool {
        let taken = self.node.compact(index);
        if taken {
            let state = self.states.get(&index).expect("it was applied");
            self.snapshot = state.clone();
            self.states = self.states.split_off(&index);
            if file_first {
                self.disk.keep_file(self.snapshot.clone());
            }
        }
        taken
    }

    /// Finishes the oldest `count` writes; says the number of the last one.
    pub(crate) fn persist(&mut self, count: usize) -> Option<u64> {
        let mut last = None;
        for unfinished in self.writes.drain(..count.min(self.writes.len())) {
            last = Some(unfinished.write.seq);
            self.disk.make(unfinished);
        }
        if let Some(seq) = last {
            self.node.persisted(seq);
        }
        last
    }

    /// Begins a new life with the first `survive` of the unfinished writes on disk: none after a
    /// power loss, all of them after kill -9. Recovery syncs what it reads back. Says whether that has
    /// a snapshot that is newer than the log.
    pub(crate) fn restart(&mut self, survive: usize) -> bool {
        for unfinished in self.writes.drain(..).take(survive) {
            self.disk.make(unfinished);
        }
        let newer = self.disk.recover();
        *self = Self::new(self.config.clone(), self.disk.clone());
        newer
    }
}
