//! INFO: the figures of a node, as text.
//!
//! Sections and fields have Redis's names where Redis has the figure, so that its tools can read them; what
//! only a replicated log has stands in a section `# Raft` of its own. The text is made from two structs: what
//! the node is ([`NodeInfo`]) and what the caller has measured ([`Metrics`]).

mod sections;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::{Record, Settings};
pub use sections::{Sections, render};

/// A node, as its clients meet it: what stays the same as long as the process lives, and its settings.
#[derive(Debug)]
pub struct NodeInfo {
    /// The node's number in its cluster.
    pub node_id: u64,
    /// The cluster's name.
    pub cluster: String,
    /// This start of the process: random, 40 hexadecimal digits as in Redis.
    pub run_id: String,
    /// The process's number.
    pub pid: u32,
    /// Where it listens for clients.
    pub listen: SocketAddr,
    /// The data directory.
    pub data_dir: String,
    /// What clients may change.
    pub settings: Settings,
    /// What was counted of commands.
    pub record: Record,
}

/// The figures of one moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Since the start of the process.
    pub uptime: Duration,
    /// Connections open now.
    pub connected_clients: u64,
    /// Connections that are in WAIT now, or have a command that waits for the end of a pause.
    pub blocked_clients: u64,
    /// What the process occupies in memory.
    pub memory: Memory,
    /// What it has used of processors.
    pub cpu: Cpu,
    /// How much there is to do at this time.
    pub rates: Rates,
    /// What was counted since the start or the last `CONFIG RESETSTAT`.
    pub stats: Stats,
    /// Keys in this node's store.
    pub keys: u64,
    /// What they and their values take, in bytes, about.
    pub store_bytes: u64,
    /// Those among them that expire at some time.
    pub expiring_keys: u64,
    /// The snapshots that this node makes.
    pub saving: Saving,
    /// The replicated log.
    pub raft: Raft,
}

/// Snapshots, by what Redis says of its own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Saving {
    /// For how many seconds one has been being written.
    pub current_s: Option<u64>,
    /// What LASTSAVE says, in microseconds since 1970.
    pub last_us: u64,
    /// How many seconds the last one took that this process has written.
    pub last_s: Option<u64>,
    /// The last attempt was given up.
    pub last_failed: bool,
    /// How many entries were applied since.
    pub entries_since: u64,
}

/// Memory, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Memory {
    /// Resident now.
    pub resident_bytes: u64,
    /// Resident at most, so far.
    pub peak_bytes: u64,
    /// Of the machine.
    pub total_bytes: u64,
}

/// Time of processors, in hundredths of a second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// By the system, for this process.
    pub system_cs: u64,
    /// By this process itself.
    pub user_cs: u64,
}

/// What comes and goes in a second, on the average of the last one and a half.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rates {
    /// Commands.
    pub commands: u64,
    /// Bytes from clients.
    pub input_bytes: u64,
    /// Bytes to clients.
    pub output_bytes: u64,
}

/// Counters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stats {
    /// Connections accepted.
    pub connections_received: u64,
    /// Connections refused, there being too many.
    pub connections_rejected: u64,
    /// Commands taken.
    pub commands_processed: u64,
    /// Replies that were errors.
    pub error_replies: u64,
    /// Bytes read from clients.
    pub input_bytes: u64,
    /// Bytes written to clients.
    pub output_bytes: u64,
    /// Clients disconnected since they did not read what they had asked for.
    pub disconnected: u64,
    /// Keys that reads have found.
    pub hits: u64,
    /// Keys that reads have not found.
    pub misses: u64,
    /// Keys whose time came to its end.
    pub expired: u64,
}

/// The part that a node plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RaftRole {
    /// It takes the writes of all.
    Leader,
    /// It follows, or looks for somebody to follow.
    #[default]
    Follower,
    /// It asks for votes.
    Candidate,
}

impl fmt::Display for RaftRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Leader => "leader",
            Self::Follower => "follower",
            Self::Candidate => "candidate",
        })
    }
}

/// The replicated log of this node. Indices are 0 before the first entry.
#[derive(Clone, Debug, Default)]
pub struct Raft {
    /// What it is.
    pub role: RaftRole,
    /// Its term.
    pub term: u64,
    /// The leader that it knows of in this term.
    pub leader_id: Option<u64>,
    /// Known to be on a majority.
    pub commit_index: u64,
    /// Applied to this node's store.
    pub last_applied: u64,
    /// The end of the log in memory.
    pub last_log_index: u64,
    /// The end of the log on this node's disk.
    pub durable_index: u64,
    /// Entries behind the snapshot.
    pub log_entries: u64,
    /// What the log takes on disk, in bytes.
    pub log_bytes: u64,
    /// Above so many bytes writes are refused.
    pub log_limit_bytes: u64,
    /// The last entry that the snapshot holds; 0 without one.
    pub snapshot_index: u64,
    /// When it was made, in microseconds since 1970.
    pub snapshot_made_us: Option<u64>,
    /// What it takes on disk, in bytes.
    pub snapshot_bytes: u64,
    /// Replies that are kept for requests which may be sent again.
    pub completion_records: u64,
    /// Sessions that clients have open.
    pub sessions: u64,
    /// What they and the replies that are kept for them take, in bytes.
    pub session_bytes: u64,
    /// Requests that came again and were answered as the first time.
    pub duplicates: u64,
    /// Commands of this node's clients that the log, or the leader, has not answered.
    pub unanswered: u64,
    /// The other members, by id.
    pub peers: Vec<Peer>,
}

/// Another member, as this node sees it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its number.
    pub id: u64,
    /// Where it listens for clients, as it was configured.
    pub addr: String,
    /// Whether there is a connection to it.
    pub is_up: bool,
    /// The last entry that it is known to have; only a leader knows.
    pub match_index: Option<u64>,
    /// How many entries it lacks; only a leader knows.
    pub lag: Option<u64>,
}
