//! What a peer's driver keeps for it over a restart.

use bytes::Bytes;

/// The course labs' persister: the raft state and the service's snapshot, two blobs that mean
/// nothing here. Empty ones were never saved. A clone is a copy: what is saved to one of the two
/// afterwards does not reach the other.
///
/// It holds them in memory. A driver that must survive more than the end of a thread writes both
/// to its disk, as one atomic action, before it reports the save to [`Peer::saved`](super::Peer::saved).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Persister {
    raft_state: Bytes,
    snapshot: Bytes,
}

impl Persister {
    /// One to which nothing was saved: that of a first boot.
    pub fn new() -> Self {
        Self::default()
    }

    /// Replaces both blobs. An empty snapshot takes away the one that was there.
    pub fn save(&mut self, raft_state: Bytes, snapshot: Bytes) {
        self.raft_state = raft_state;
        self.snapshot = snapshot;
    }

    /// The raft state, as last saved.
    pub fn read_raft_state(&self) -> Bytes {
        self.raft_state.clone()
    }

    /// The snapshot, as last saved.
    pub fn read_snapshot(&self) -> Bytes {
        self.snapshot.clone()
    }

    /// The size of the raft state, in bytes.
    pub fn raft_state_size(&self) -> usize {
        self.raft_state.len()
    }

    /// The size of the snapshot, in bytes.
    pub fn snapshot_size(&self) -> usize {
        self.snapshot.len()
    }
}
