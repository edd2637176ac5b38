//! The sections of INFO, and how each is written.

use std::fmt::{self, Write};

use super::{Memory, Metrics, NodeInfo, Saving};
use crate::face::REDIS_VERSION;

/// The sections, in the order in which they are printed.
const SECTIONS: [(&str, Shown, Render); 14] = [
    ("Server", Shown::ByDefault, server),
    ("Clients", Shown::ByDefault, clients),
    ("Memory", Shown::ByDefault, memory),
    ("Persistence", Shown::ByDefault, persistence),
    ("Stats", Shown::ByDefault, stats),
    ("Replication", Shown::ByDefault, replication),
    ("CPU", Shown::ByDefault, cpu),
    ("Modules", Shown::ByDefault, modules),
    ("Commandstats", Shown::WhenAsked, command_stats),
    ("Errorstats", Shown::ByDefault, error_stats),
    ("Latencystats", Shown::WhenAsked, latency_stats),
    ("Cluster", Shown::ByDefault, cluster),
    ("Keyspace", Shown::ByDefault, keyspace),
    ("Raft", Shown::ByDefault, raft),
];

/// Whether a section is shown to who names none.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    ByDefault,
    WhenAsked,
}

type Render = fn(&mut String, &NodeInfo, &Metrics, u64) -> fmt::Result;

/// Which sections a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sections([bool; SECTIONS.len()]);

impl Sections {
    /// From the arguments of INFO: names in any case, `default`, `all` and `everything`; none means `default`, which
    /// leaves the long sections out. An unknown name asks for nothing.
    pub fn parse(names: &[&[u8]]) -> Self {
        let is_any_of = |wanted: &[&str]| {
            names.iter().any(|name| wanted.iter().any(|wanted| wanted.as_bytes().eq_ignore_ascii_case(name)))
        };
        let wants_all = is_any_of(&["all", "everything"]);
        let wants_default = names.is_empty() || is_any_of(&["default"]);
        Self(SECTIONS.map(|(title, shown, _)| {
            wants_all || wants_default && shown == Shown::ByDefault || is_any_of(&[title])
        }))
    }
}

/// The text of those sections, at `now_us` microseconds since 1970. To be sent as a
/// [`Verbatim`](crate::resp::Value::Verbatim) reply.
pub fn render(sections: Sections, node: &NodeInfo, metrics: &Metrics, now_us: u64) -> String {
    let mut text = String::new();
    for ((title, _, section), is_wanted) in SECTIONS.iter().zip(sections.0) {
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
        "cluster_connections": 0,
        "maxclients": node.settings.max_clients(),
        "blocked_clients": metrics.blocked_clients,
        "tracking_clients": 0,
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
        "used_memory_dataset": metrics.store_bytes,
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
        "aof_rewrite_in_progress": 0,
        "aof_rewrite_scheduled": 0,
        "aof_last_bgrewrite_status": "ok",
        "aof_last_write_status": "ok",
    )
}

fn stats(out: &mut String, _: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    lines!(out,
        "total_connections_received": metrics.stats.connections_received,
        "total_commands_processed": metrics.stats.commands_processed,
        "instantaneous_ops_per_sec": metrics.rates.commands,
        "total_net_input_bytes": metrics.stats.input_bytes,
        "total_net_output_bytes": metrics.stats.output_bytes,
        "instantaneous_input_kbps": kib(metrics.rates.input_bytes),
        "instantaneous_output_kbps": kib(metrics.rates.output_bytes),
        "rejected_connections": metrics.stats.connections_rejected,
        "expired_keys": metrics.stats.expired,
        "evicted_keys": 0,
        "keyspace_hits": metrics.stats.hits,
        "keyspace_misses": metrics.stats.misses,
        "pubsub_channels": 0,
        "pubsub_patterns": 0,
        "total_error_replies": metrics.stats.error_replies,
        "client_output_buffer_limit_disconnections": metrics.stats.disconnected,
    )
}

fn replication(out: &mut String, node: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    // To a client of Redis a master is a server that takes writes, and every node does. Who leads stands in
    // the section on Raft.
    lines!(out,
        "role": "master",
        "connected_slaves": 0,
        "master_failover_state": "no-failover",
        "master_replid": node.run_id,
        "master_repl_offset": metrics.raft.last_applied,
        "repl_backlog_active": 0,
    )
}

fn cpu(out: &mut String, _: &NodeInfo, metrics: &Metrics, _: u64) -> fmt::Result {
    let seconds = |cs: u64| format!("{}.{:02}0000", cs / 100, cs % 100);
    lines!(out,
        "used_cpu_sys": seconds(metrics.cpu.system_cs),
        "used_cpu_user": seconds(metrics.cpu.user_cs),
        "used_cpu_sys_children": seconds(0),
        "used_cpu_user_children": seconds(0),
    )
}

/// There are none.
fn modules(_: &mut String, _: &NodeInfo, _: &Metrics, _: u64) -> fmt::Result {
    Ok(())
}

fn command_stats(out: &mut String, node: &NodeInfo, _: &Metrics, _: u64) -> fmt::Result {
    node.record.command_lines(out)
}

fn error_stats(out: &mut String, node: &NodeInfo, _: &Metrics, _: u64) -> fmt::Result {
    node.record.error_lines(out)
}

fn latency_stats(out: &mut String, node: &NodeInfo, _: &Metrics, _: u64) -> fmt::Result {
    node.record.latency_lines(out)
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
        "raft_unanswered_commands": raft.unanswered,
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
    let mut share = bytes as f64 / 1024.0;
    let mut unit = 0;
    while share >= 1024.0 && unit + 1 < UNITS.len() {
        share /= 1024.0;
        unit += 1;
    }
    format!("{share:.2}{}", UNITS[unit])
}

/// Bytes in KiB, as the rates are said.
fn kib(bytes: u64) -> String {
    let hundredths = u128::from(bytes) * 100 / 1024;
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}
