//! What an operator sees of a replica.

use bowline_raft::{Index, NodeId, PeerStatus, RoleKind, Term};

use super::Replica;
use crate::store::Tally;

/// A replica's figures.
#[derive(Clone, Debug)]
pub struct Status {
    /// This node.
    pub id: NodeId,
    /// What it is.
    pub role: RoleKind,
    /// The latest term it has seen.
    pub term: Term,
    /// Whom it takes for the leader.
    pub leader: Option<NodeId>,
    /// The last index that it knows to be committed.
    pub commit_index: Index,
    /// The last index that it has applied.
    pub last_applied: Index,
    /// The last index of its log.
    pub last_log_index: Index,
    /// The last index on its disk.
    pub durable_index: Index,
    /// The last index that is in its snapshot; 0 without one.
    pub snapshot_index: Index,
    /// The size of its log behind the snapshot, in bytes of weight.
    pub log_bytes: u64,
    /// Where that makes writes be refused.
    pub log_limit_bytes: u64,
    /// Keys in the store.
    pub keys: u64,
    /// Those among them that expire at some time.
    pub expiring_keys: u64,
    /// What keys and values take, in bytes, about.
    pub store_bytes: u64,
    /// What the store has counted.
    pub tally: Tally,
    /// Completion records held, of nodes and of clients' sessions.
    pub records: u64,
    /// What those of nodes take, in bytes, about.
    pub records_bytes: u64,
    /// Sessions that clients have open.
    pub sessions: u64,
    /// What they and their records take, in bytes, about.
    pub sessions_bytes: u64,
    /// Requests that came up in the log again and were answered from their record.
    pub duplicates: u64,
    /// Commands of this node's clients that wait for an answer.
    pub unanswered: u64,
    /// The most there ever were at once.
    pub most_unanswered: u64,
    /// What a leader knows of the others.
    pub peers: Vec<PeerStatus>,
}

impl Replica {
    /// The figures that an operator sees.
    pub fn status(&self) -> Status {
        Status {
            id: self.node.id(),
            role: self.node.role(),
            term: self.node.term(),
            leader: self.node.leader(),
            commit_index: self.node.commit_index(),
            last_applied: self.node.last_applied(),
            last_log_index: self.node.last_log_id().index,
            durable_index: self.node.durable_index(),
            snapshot_index: self.node.snapshot().index,
            log_bytes: self.node.log_bytes(),
            log_limit_bytes: self.node.config().max_log_bytes,
            keys: self.store.len() as u64,
            expiring_keys: self.store.expiring() as u64,
            store_bytes: self.store.memory_bytes() as u64,
            tally: self.store.tally(),
            records: self.sessions.records() as u64,
            records_bytes: self.sessions.memory_bytes() as u64,
            sessions: self.sessions.open() as u64,
            sessions_bytes: self.sessions.open_bytes() as u64,
            duplicates: self.duplicates,
            unanswered: (self.contact.unanswered() + self.direct.waiting()) as u64,
            most_unanswered: self.contact.most_unanswered() as u64,
            peers: self.node.peers(),
        }
    }
}
