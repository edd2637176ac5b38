//! INFO: the figures of a node, as text.
//!
//! Sections and fields have Redis's names where Redis has the figure, so that its tools can read them; what
//! only a replicated log has stands in a section `# Raft` of its own. The text is made from two structs: what
//! stays the same while the process lives ([`NodeInfo`]) and what the caller has measured ([`Metrics`]).

use std::fmt::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use super::REDIS_VERSION;

/// What stays the same as long as the process lives.
#[derive(Clone, Debug)]
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
    /// How many clients may be connected at once.
    pub max_clients: u64,
}

/// The figures of one moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// Since the start of the process.
    pub uptime: Duration,
    /// Connections open now.
    pub connected_clients: u64,
    /// Connections that wait for an answer of the store now.
    pub blocked_clients: u64,
    /// What the process occupies in memory.
    pub memory: Memory,
    /// What was counted since the start or the last `CONFIG RESETSTAT`.
    pub stats: Stats,
    /// Keys in this node's store.
    pub keys: u64,
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

/// The sections, in the order in which they are printed.
const SECTIONS: [(&str, Render); 9] = [
    ("Server", server),
    ("Clients", clients),
    ("Memory", memory),
    ("Persistence", persistence),
    ("Stats", stats),
    ("Replication", replication),
    ("Cluster", cluster),
    ("Keyspace", keyspace),
    ("Raft", raft),
];

type Render = fn(&mut String, &NodeInfo, &Metrics, u64) -> fmt::Result;

/// Which sections a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sections([bool; SECTIONS.len()]);

impl Sections {
    /// From the arguments of INFO: names in any case, `all`, `default` and `everything`; none means all. An
    /// unknown name asks for nothing.
    pub fn parse(names: &[&[u8]]) -> Self {
        let is_group = |name: &&[u8]| {
            [&b"all"[..], b"default", b"everything"].iter().any(|group| group.eq_ignore_ascii_case(name))
        };
        if names.is_empty() || names.iter().any(is_group) {
            return Self([true; SECTIONS.len()]);
        }
        let is_named = |title: &str| names.iter().any(|name| title.as_bytes().eq_ignore_ascii_case(name));
        Self(SECTIONS.map(|(title, _)| is_named(title)))
    }
}

/// The text of those sections, at `now_us` microseconds since 1970. To be sent as a
/// [`Verbatim`](crate::resp::Value::Verbatim) reply.
pub fn render(sections: Sections, node: &NodeInfo, metrics: &Metrics, now_us: u64) -> String {
    let mut text = String::new();
    for ((title, section), is_wanted) in SECTIONS.iter().zip(sections.0) {
        if is_wanted {
            let gap = if text.is_empty() { "" } else { "\r\n" };
            let written =
                write!(text, "{gap}# {title}\r\n").and_then(|()| section(&mut text, node, metrics, now_us));
            written.expect("a string takes all that is written");
        }
    }
    text
}

/// Lines of `name:value`.
macro_rules! lines {
    ($out:expr, $($name:literal: $value:expr),+ $(,)?) => {
        { $(write!($out, concat!($name, ":{}\r\n"), $value)?;)+ Ok(()) }
    };
}

fn server(out: &mut String, node: &NodeInfo, metrics: &Metrics, now_us: u64) -> fmt::Result {
    let uptime = metrics.uptime.as_secs();
    lines!(out,
        "redis_version": REDIS_VERSION,
        "bowline_version": env!("CARGO_PKG_VERSION"),
        "redis_mode": "standalone",
        "os": std::env::consts::OS,
        "arch_bits": usize::BITS,
        "process_id": node.pid,
        "run_id": node.run_id,
        "tcp_port": node.listen.port(),
        "server_time_usec": now_us,
        "uptime_in_seconds": uptime,
        "uptime_in_days": uptime / 86_400,
    )
}

fn clients(out: &mut String, node: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    lines!(out,
        "connected_clients": metrics.connected_clients,
        "maxclients": node.max_clients,
        "blocked_clients": metrics.blocked_clients,
    )
}

fn memory(out: &mut String, _: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    let Memory { resident_bytes, peak_bytes, total_bytes } = metrics.memory;
    lines!(out,
        "used_memory": resident_bytes,
        "used_memory_human": human(resident_bytes),
        "used_memory_rss": resident_bytes,
        "used_memory_rss_human": human(resident_bytes),
        "used_memory_peak": peak_bytes,
        "used_memory_peak_human": human(peak_bytes),
        "total_system_memory": total_bytes,
        "total_system_memory_human": human(total_bytes),
        "maxmemory": 0,
        "maxmemory_human": human(0),
        "maxmemory_policy": "noeviction",
    )
}

fn persistence(out: &mut String, _: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    let Saving { current_s, last_us, last_s, last_failed, entries_since } = metrics.saving;
    // A process that has not read its log yet does not listen. Seconds that are not known are -1 in Redis.
    let seconds = |known: Option<u64>| known.map_or_else(|| "-1".to_owned(), |seconds| seconds.to_string());
    lines!(out,
        "loading": 0,
        "async_loading": 0,
        "rdb_changes_since_last_save": entries_since,
        "rdb_bgsave_in_progress": u8::from(current_s.is_some()),
        "rdb_last_save_time": last_us / 1_000_000,
        "rdb_last_bgsave_status": if last_failed { "err" } else { "ok" },
        "rdb_last_bgsave_time_sec": seconds(last_s),
        "rdb_current_bgsave_time_sec": seconds(current_s),
        "aof_enabled": 1,
        "aof_last_write_status": "ok",
    )
}

fn stats(out: &mut String, _: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    lines!(out,
        "total_connections_received": metrics.stats.connections_received,
        "total_commands_processed": metrics.stats.commands_processed,
        "total_net_input_bytes": metrics.stats.input_bytes,
        "total_net_output_bytes": metrics.stats.output_bytes,
        "rejected_connections": metrics.stats.connections_rejected,
        "expired_keys": 0,
        "evicted_keys": 0,
        "total_error_replies": metrics.stats.error_replies,
    )
}

fn replication(out: &mut String, _: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    // To a client of Redis a master is a server that takes writes, and every node does. Who leads stands in
    // the section on Raft.
    lines!(out,
        "role": "master",
        "connected_slaves": 0,
        "master_repl_offset": metrics.raft.last_applied,
    )
}

fn cluster(out: &mut String, _: &NodeInfo, _: &Metrics, _: u64) -> fmt::Result {
    lines!(out, "cluster_enabled": 0)
}

fn keyspace(out: &mut String, _: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    if metrics.keys == 0 {
        return Ok(());
    }
    write!(out, "db0:keys={},expires={},avg_ttl=0\r\n", metrics.keys, metrics.expiring_keys)
}

fn raft(out: &mut String, node: &NodeInfo, metrics: &Metrics, now_us: u64) -> fmt::Result {
    let raft = &metrics.raft;
    let snapshot_age_s = raft.snapshot_made_us.map(|made_us| now_us.saturating_sub(made_us) / 1_000_000);
    let known = |figure: Option<u64>| figure.map_or("unknown".to_owned(), |figure| figure.to_string());
    let written: fmt::Result = lines!(out,
        "raft_cluster": node.cluster,
        "raft_node_id": node.node_id,
        "raft_role": raft.role,
        "raft_term": raft.term,
        "raft_leader_id": known(raft.leader_id),
        "raft_commit_index": raft.commit_index,
        "raft_last_applied": raft.last_applied,
        "raft_last_log_index": raft.last_log_index,
        "raft_durable_index": raft.durable_index,
        "raft_log_entries": raft.log_entries,
        "raft_log_bytes": raft.log_bytes,
        "raft_log_limit_bytes": raft.log_limit_bytes,
        "raft_snapshot_index": raft.snapshot_index,
        "raft_snapshot_age_sec": known(snapshot_age_s),
        "raft_snapshot_bytes": raft.snapshot_bytes,
        "raft_completion_records": raft.completion_records,
        "raft_sessions": raft.sessions,
        "raft_session_bytes": raft.session_bytes,
        "raft_duplicates_suppressed": raft.duplicates,
        "raft_peers": raft.peers.len(),
    );
    written?;
    for (number, peer) in raft.peers.iter().enumerate() {
        write!(
            out,
            "raft_peer{number}:id={},addr={},state={},match_index={},lag={}\r\n",
            peer.id,
            peer.addr,
            if peer.is_up { "up" } else { "down" },
            known(peer.match_index),
            known(peer.lag),
        )?;
    }
    Ok(())
}

/// Bytes in the unit in which they are easy to read.
fn human(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["K", "M", "G", "T", "P"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    // The share is rounded to two places, so the loss of the lowest bits is not seen.
    #[allow(clippy::cast_precision_loss)]
    let mut share = bytes as f64 / 1024.0;
    let mut unit = 0;
    while share >= 1024.0 && unit + 1 < UNITS.len() {
        share /= 1024.0;
        unit += 1;
    }
    format!("{share:.2}{}", UNITS[unit])
}
