//! What INFO, CLIENT LIST and ROLE say, as it is at this moment.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bowline_kv::ClientId;
use bowline_raft::{NodeId, RoleKind};

use super::{Counters, Shell, unix_us};
use crate::face::info::{self, Cpu, Memory, Metrics, Raft, RaftRole, Rates, Saving, Stats};
use crate::face::{ClientFilter, Sections};
use crate::resp::Value;
use crate::snapshot::Figures;

/// How often the counters are looked at for the rates.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(100);

/// Over so many looks a rate is the average.
const SAMPLES: usize = 16;

impl Shell {
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

    /// `ROLE`: to a client of Redis every node is a master.
    pub(crate) fn role(&self) -> Value {
        let offset = self.replica.borrow().status().last_applied;
        let offset = Value::Int(i64::try_from(offset).unwrap_or(i64::MAX));
        Value::Array(vec![Value::text("master"), offset, Value::Array(Vec::new())])
    }

    fn metrics(&self) -> Metrics {
        let replica = self.replica.borrow();
        let status = replica.status();
        let before = self.stats.before.get();
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
            blocked_clients: self.blocked_clients(),
            memory: memory(),
            cpu: cpu(),
            rates: self.rates.now(),
            stats: Stats {
                connections_received: self.stats.connections.get(),
                connections_rejected: self.stats.refused_connections.get(),
                commands_processed: self.stats.commands.get(),
                error_replies: self.stats.errors.get(),
                input_bytes: self.stats.input_bytes.get(),
                output_bytes: self.stats.output_bytes.get(),
                disconnected: self.stats.disconnected.get(),
                hits: status.tally.hits - before.hits,
                misses: status.tally.misses - before.misses,
                expired: status.tally.expired - before.expired,
            },
            keys: status.keys,
            store_bytes: status.store_bytes,
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
                unanswered: status.unanswered,
                peers: self.peers.all.iter().map(|(id, p)| peer(id, p)).collect(),
            },
        }
    }
}

/// How much there is to do, from looks at the counters.
#[derive(Debug, Default)]
pub(super) struct RateMeter {
    last: Cell<Option<Instant>>,
    /// Of the last interval first: how long it was, and what was counted in it.
    samples: RefCell<VecDeque<(Duration, [u64; 3])>>,
    counted: Cell<[u64; 3]>,
}

impl RateMeter {
    /// Looks at the counters, if it is time.
    pub(super) fn pass(&self, counters: &Counters) {
        let now = Instant::now();
        let Some(last) = self.last.get() else {
            self.last.set(Some(now));
            return;
        };
        let passed = now.saturating_duration_since(last);
        if passed < SAMPLE_INTERVAL {
            return;
        }
        self.last.set(Some(now));
        let counted = [counters.commands.get(), counters.input_bytes.get(), counters.output_bytes.get()];
        let before = self.counted.replace(counted);
        // CONFIG RESETSTAT has set them to zero if they are less.
        let more = std::array::from_fn(|n| counted[n].checked_sub(before[n]).unwrap_or(counted[n]));
        let mut samples = self.samples.borrow_mut();
        samples.push_front((passed, more));
        samples.truncate(SAMPLES);
    }

    fn now(&self) -> Rates {
        let samples = self.samples.borrow();
        let ms = samples.iter().map(|(time, _)| time.as_millis()).sum::<u128>().max(1);
        let rate = |n: usize| {
            let sum: u128 = samples.iter().map(|(_, counted)| u128::from(counted[n])).sum();
            u64::try_from(sum * 1000 / ms).unwrap_or(u64::MAX)
        };
        Rates { commands: rate(0), input_bytes: rate(1), output_bytes: rate(2) }
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

/// What the process has used of processors, as the system says; zeros where it does not.
fn cpu() -> Cpu {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which is in brackets: the state is the third field, the two times are 14 and 15.
    let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
    let ticks = |place: usize| fields.split(' ').nth(place - 3).and_then(|field| field.parse::<u64>().ok());
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let hundredths = |place| ticks(place).unwrap_or(0) * 100 / per_second;
    Cpu { user_cs: hundredths(14), system_cs: hundredths(15) }
}
