//! `bowline bench --probe`: is this disk, and is this network, good enough for a cluster?
//!
//! What a leader does again and again is to send something, have it synced elsewhere, and hear of it. The paper
//! (section 5.6) wants that to take an order of magnitude less than an election timeout; else elections are held
//! though nobody has failed. So the limits are shares of the timings that the servers have.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use bowline_client::Connection;
use bowline_raft::{Config, NodeId};
use hdrhistogram::Histogram;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::figures;
use super::record::{histogram, nanos};
use super::report::{QUANTILES, latency_json, mean, quantile};
use crate::args::BenchArgs;
use crate::commands::{complain, print, runtime, wrong_usage};
use crate::json::quoted;
use crate::{password, table};

/// What is written and synced at once.
const BLOCK_BYTES: usize = 4096;

/// How many of them.
const BLOCKS: u64 = 2048;

/// How many round trips.
const PINGS: u32 = 1000;

/// No disk and no node is measured for longer; what there is by then says enough.
const MOST_TIME: Duration = Duration::from_secs(10);

/// How long a connection or an answer may take.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    if args.data.is_none() && args.nodes.is_empty() {
        wrong_usage(
            "--probe needs --data DIR for the disk, or --nodes HOST:PORT,... for the network, or both",
        );
    }
    let (data, nodes) = (args.data.clone(), args.nodes.clone());
    let password = password::given(&args.password)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (sender, probed) = oneshot::channel();
    let stopped = Arc::clone(&stop);
    let worker = thread::spawn(move || {
        let probes = probe(data, nodes, password.as_deref(), &stopped);
        let _ = sender.send(());
        probes
    });
    runtime()?.block_on(interrupted(probed))?;
    stop.store(true, Ordering::Relaxed);
    let probes = worker.join().expect("the probe does not panic");
    let limits = Limits::of_the_servers();
    let verdict = probes.iter().map(|probe| limits.verdict(probe)).max().unwrap_or(Verdict::Bad);
    let text = if args.json { json(&limits, &probes, verdict) } else { text(&limits, &probes, verdict) };
    print(text.trim_end().as_bytes())?;
    Ok(if verdict == Verdict::Bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Waits until all was probed, or somebody ends it.
async fn interrupted(probed: oneshot::Receiver<()>) -> anyhow::Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = probed => return Ok(()),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    complain("ended early: what follows is of what was measured so far");
    Ok(())
}

/// What was probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Disk,
    Network,
}

struct Probe {
    target: Target,
    /// The directory or the address.
    name: String,
    latencies: Histogram<u64>,
    /// Why there is no more.
    failure: Option<String>,
}

fn probe(
    data: Option<PathBuf>,
    nodes: Vec<String>,
    password: Option<&[u8]>,
    stop: &AtomicBool,
) -> Vec<Probe> {
    let mut probes = Vec::new();
    if let Some(dir) = data {
        let mut latencies = histogram();
        let failure = sync_often(&dir, &mut latencies, stop).err().map(|error| format!("{error:#}"));
        probes.push(Probe { target: Target::Disk, name: dir.display().to_string(), latencies, failure });
    }
    for name in nodes {
        let mut latencies = histogram();
        let failure =
            ask_often(&name, password, &mut latencies, stop).err().map(|error| format!("{error:#}"));
        probes.push(Probe { target: Target::Network, name, latencies, failure });
    }
    probes
}

/// Whether to go on with something that was begun then.
fn goes_on(stop: &AtomicBool, begun: Instant) -> bool {
    !stop.load(Ordering::Relaxed) && begun.elapsed() < MOST_TIME
}

/// A file that is removed in the end, whatever happens.
struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn new(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(format!("bowline-probe-{}", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        let file = file.with_context(|| format!("cannot write {}", path.display()))?;
        Ok(Self { path, file })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            complain(&format!("cannot remove {}: {error}", self.path.display()));
        }
    }
}

/// Writes block after block over zeros that are on the disk, each synced, as a server's log does.
fn sync_often(dir: &Path, latencies: &mut Histogram<u64>, stop: &AtomicBool) -> anyhow::Result<()> {
    let Scratch { path, file } = &Scratch::new(dir)?;
    let write = |block: &[u8], number: u64| file.write_all_at(block, number * BLOCK_BYTES as u64);
    let explain = || format!("cannot write and sync {}", path.display());
    (0..BLOCKS).try_for_each(|number| write(&[0; BLOCK_BYTES], number)).with_context(explain)?;
    file.sync_all().with_context(explain)?;
    let begun = Instant::now();
    for number in (0..BLOCKS).take_while(|_| goes_on(stop, begun)) {
        let at = Instant::now();
        write(&[1; BLOCK_BYTES], number).and_then(|()| file.sync_data()).with_context(explain)?;
        latencies.saturating_record(nanos(at.elapsed()));
    }
    Ok(())
}

/// One PING after the other.
fn ask_often(
    name: &str,
    password: Option<&[u8]>,
    latencies: &mut Histogram<u64>,
    stop: &AtomicBool,
) -> anyhow::Result<()> {
    let runtime = runtime()?;
    let connection = Connection::new(name).with_password(password);
    let ping = || {
        let deadline = tokio::time::Instant::now() + TIMEOUT;
        runtime.block_on(connection.call(&[b"PING"], Some(deadline)))
    };
    // The first one makes the connection too.
    ping()?;
    let begun = Instant::now();
    for _ in (0..PINGS).take_while(|_| goes_on(stop, begun)) {
        let at = Instant::now();
        // Also a node that wants a password first has made the round trip.
        ping()?;
        latencies.saturating_record(nanos(at.elapsed()));
    }
    Ok(())
}

/// From good to bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    Good,
    Usable,
    Bad,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Usable => "usable",
            Self::Bad => "bad",
        }
    }
}

/// What is good enough, as shares of the servers' timings.
struct Limits {
    heartbeat: Duration,
    election: Duration,
    /// A node whose disk hangs for so long does not lead.
    stall: Duration,
}

impl Limits {
    fn of_the_servers() -> Self {
        let config = Config::new(NodeId(1), vec![NodeId(1)], 0);
        Self {
            heartbeat: config.heartbeat_interval,
            election: config.election_timeout,
            stall: config.disk_stall_limit,
        }
    }

    /// 99 of 100 within this are good.
    fn good(&self) -> Duration {
        self.heartbeat / 5
    }

    /// 99 of 100 within this will do.
    fn usable(&self) -> Duration {
        self.election / 10
    }

    /// Not one may take so long.
    fn longest(&self, target: Target) -> Duration {
        match target {
            Target::Disk => self.stall,
            Target::Network => self.election,
        }
    }

    fn verdict(&self, probe: &Probe) -> Verdict {
        let p99 = Duration::from_nanos(quantile(&probe.latencies, 0.99));
        let max = Duration::from_nanos(probe.latencies.max());
        let is_bad = probe.failure.is_some()
            || probe.latencies.is_empty()
            || p99 > self.usable()
            || max >= self.longest(probe.target);
        match (is_bad, p99 <= self.good()) {
            (true, _) => Verdict::Bad,
            (false, true) => Verdict::Good,
            (false, false) => Verdict::Usable,
        }
    }

    /// In words, for people.
    fn explained(&self) -> String {
        format!(
            "good:   99 of 100 take at most {} ms, a fifth of the servers' heartbeat interval of {} ms\n\
             usable: 99 of 100 take at most {} ms, a tenth of the servers' election timeout of {} ms\n\
             bad:    more than that; or one round trip of {} ms, after which others are elected; or one sync of {} \
             ms,\n        after which a node does not lead\n",
            self.good().as_millis(),
            self.heartbeat.as_millis(),
            self.usable().as_millis(),
            self.election.as_millis(),
            self.election.as_millis(),
            self.stall.as_millis()
        )
    }
}

fn text(limits: &Limits, probes: &[Probe], verdict: Verdict) -> String {
    let row = |probe: &Probe| {
        let latencies = &probe.latencies;
        let what = match probe.target {
            Target::Disk => "sync of 4 KiB",
            Target::Network => "round trip",
        };
        let [p50, p90, p99, p999] = QUANTILES.map(|(_, share)| figures::ms(quantile(latencies, share)));
        [
            format!("{what}  {}", probe.name),
            figures::count(latencies.len()),
            figures::ms(mean(latencies)),
            p50,
            p90,
            p99,
            p999,
            figures::ms(latencies.max()),
            limits.verdict(probe).name().to_owned(),
        ]
    };
    let rows: Vec<_> = probes.iter().map(row).collect();
    let [p50, p90, p99, p999] = QUANTILES.map(|(name, _)| name);
    let titles = ["ms", "times", "mean", p50, p90, p99, p999, "max", "verdict"];
    let mut text = table::render_figures(titles, &rows);
    for probe in probes {
        if let Some(failure) = &probe.failure {
            text.push_str(&format!("{}: {failure}\n", probe.name));
        }
    }
    let words = match verdict {
        Verdict::Good => "good enough: elections are held only when a node fails",
        Verdict::Usable => "usable: a cluster will run, and each write waits for what is slow here",
        Verdict::Bad => {
            "not good enough: leaders would be given up though they live, and writes would wait for elections"
        }
    };
    format!("{text}\n{}\n{words}\n", limits.explained())
}

fn json(limits: &Limits, probes: &[Probe], verdict: Verdict) -> String {
    let probe = |probe: &Probe| {
        let target = match probe.target {
            Target::Disk => "disk",
            Target::Network => "network",
        };
        format!(
            "{{\"target\": \"{target}\", \"name\": {}, \"latency\": {}, \"failure\": {}, \"verdict\": \"{}\"}}",
            quoted(&probe.name),
            latency_json(&probe.latencies),
            probe.failure.as_deref().map_or_else(|| "null".to_owned(), quoted),
            limits.verdict(probe).name()
        )
    };
    let probes: Vec<_> = probes.iter().map(probe).collect();
    format!(
        "{{\"verdict\": \"{}\", \"good_p99_ms\": {}, \"usable_p99_ms\": {}, \"longest_sync_ms\": {}, \
         \"longest_round_trip_ms\": {}, \"probes\": [{}]}}",
        verdict.name(),
        limits.good().as_millis(),
        limits.usable().as_millis(),
        limits.longest(Target::Disk).as_millis(),
        limits.longest(Target::Network).as_millis(),
        probes.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(target: Target, latencies_ms: &[(u64, u64)], failure: Option<&str>) -> Verdict {
        let mut latencies = Histogram::new(5).expect("five digits");
        for (ms, times) in latencies_ms {
            latencies.record_n(ms * 1_000_000, *times).expect("it grows");
        }
        let probe = Probe { target, name: String::new(), latencies, failure: failure.map(str::to_owned) };
        Limits::of_the_servers().verdict(&probe)
    }

    #[test]
    fn the_verdict_is_of_99_of_100_and_of_the_slowest() {
        use Target::{Disk, Network};
        use Verdict::{Bad, Good, Usable};
        for target in [Disk, Network] {
            assert_eq!(verdict(target, &[(1, 98), (9, 1), (11, 1)], None), Good);
            assert_eq!(verdict(target, &[(1, 98), (11, 2)], None), Usable);
            assert_eq!(verdict(target, &[(1, 98), (39, 1), (41, 1)], None), Usable);
            assert_eq!(verdict(target, &[(1, 98), (41, 2)], None), Bad);
            assert_eq!(verdict(target, &[(1, 98)], Some("connection refused")), Bad);
            assert_eq!(verdict(target, &[], None), Bad, "nothing was measured");
        }
        assert_eq!(verdict(Network, &[(1, 999), (399, 1)], None), Good);
        assert_eq!(verdict(Network, &[(1, 999), (401, 1)], None), Bad);
        assert_eq!(verdict(Disk, &[(1, 999), (401, 1)], None), Good, "heartbeats do not wait for the disk");
        assert_eq!(verdict(Disk, &[(1, 999), (2001, 1)], None), Bad);
    }
}
