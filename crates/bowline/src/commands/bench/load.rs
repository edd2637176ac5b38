//! A run under load: threads, their clients, the line while it runs, and the end.

use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::time::{ClockId, clock_gettime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;

use super::client::Client;
use super::plan::{Plan, Span, Timing};
use super::record::{Record, histogram};
use super::{figures, pacer};
use crate::commands::runtime;

/// How often the line is written anew.
const LINE_INTERVAL: Duration = Duration::from_millis(500);

/// What came of a run.
pub(super) struct Outcome {
    pub(super) record: Record,
    /// From the first request that counts to the end.
    pub(super) elapsed: Duration,
    /// Requests that were due in an open loop, and of which nothing came in time.
    pub(super) unfinished: u64,
    /// Somebody ended it early.
    pub(super) interrupted: bool,
    /// The processor time that this program itself took meanwhile.
    pub(super) own_cpu: Duration,
    pub(super) threads: usize,
}

/// How far a run is, for all its threads.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    Connecting,
    Running(Timing),
    Stopped,
}

/// Runs the plan to its end, or until Ctrl-C or SIGTERM.
///
/// # Errors
/// When a client cannot connect at the beginning, or this machine does not give what is needed.
pub(super) fn run(plan: &Arc<Plan>) -> anyhow::Result<Outcome> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = cores.min(plan.clients);
    let is_live = io::stderr().is_terminal();
    let records: Vec<_> = (0..threads).map(|_| Arc::new(Mutex::new(Record::new(is_live)))).collect();
    let bells: Vec<_> = (0..plan.clients).map(|_| Arc::new(Notify::new())).collect();
    let (phase, _) = watch::channel(Phase::Connecting);
    let (connected, connections) = mpsc::unbounded_channel();
    let (finished, end) = mpsc::channel(1);
    let workers: Vec<JoinHandle<anyhow::Result<()>>> = (0..threads)
        .map(|number| {
            let worker = Worker {
                number,
                threads,
                plan: Arc::clone(plan),
                record: Arc::clone(&records[number]),
                bells: bells.clone(),
                phase: phase.subscribe(),
                connected: connected.clone(),
            };
            let finished: mpsc::Sender<()> = finished.clone();
            thread::spawn(move || {
                let _finished = finished;
                worker.run()
            })
        })
        .collect();
    drop((connected, finished));
    let conductor = Conductor { plan, records: &records, bells, phase, is_live, shown: None };
    let (timing, interrupted, own_cpu) = runtime()?.block_on(conductor.conduct(connections, end))?;
    for worker in workers {
        worker.join().expect("a worker does not panic")?;
    }
    let ended = Instant::now();
    let mut record = Record::new(false);
    for part in &records {
        record.add(&part.lock().expect("no client panics"));
    }
    let last = record.last.unwrap_or(timing.start);
    let end = if interrupted { ended } else { planned_end(plan, &timing).map_or(last, |end| end.max(last)) };
    let due = plan.schedule.map_or(0, |schedule| schedule.counted_by(end - timing.origin));
    Ok(Outcome {
        elapsed: end.saturating_duration_since(timing.start),
        unfinished: due.saturating_sub(record.requests()),
        record,
        interrupted,
        own_cpu,
        threads,
    })
}

/// When the run ends at the earliest, if the plan says.
fn planned_end(plan: &Plan, timing: &Timing) -> Option<Instant> {
    plan.schedule.map_or(timing.end, |schedule| Some(timing.origin + schedule.due(schedule.total)))
}

/// The processor time of this program so far.
fn cpu() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default()
}

/// The first thread's part: it says when to begin and when to stop.
struct Conductor<'a> {
    plan: &'a Plan,
    records: &'a [Arc<Mutex<Record>>],
    bells: Vec<Arc<Notify>>,
    phase: watch::Sender<Phase>,
    is_live: bool,
    /// How many requests had come to an end when the line was last written, and when that was.
    shown: Option<(u64, Instant)>,
}

impl Conductor<'_> {
    /// The times, whether somebody ended it early, and the processor time of what counts.
    async fn conduct(
        mut self,
        mut connections: mpsc::UnboundedReceiver<anyhow::Result<()>>,
        mut end: mpsc::Receiver<()>,
    ) -> anyhow::Result<(Timing, bool, Duration)> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        for _ in 0..self.plan.clients {
            tokio::select! {
                connection = connections.recv() => connection.context("a thread ended")??,
                _ = interrupt.recv() => bail!("ended before all clients were connected"),
                _ = terminate.recv() => bail!("ended before all clients were connected"),
            }
        }
        let timing = self.plan.timing(Instant::now());
        self.phase.send_replace(Phase::Running(timing));
        if let Some(schedule) = self.plan.schedule {
            pacer::start(schedule, timing, std::mem::take(&mut self.bells), self.phase.subscribe())?;
        }
        let mut line = tokio::time::interval(LINE_INTERVAL);
        let (mut cpu_at_start, mut is_warm) = (cpu(), false);
        let interrupted = loop {
            tokio::select! {
                _ = end.recv() => break false,
                _ = interrupt.recv() => break true,
                _ = terminate.recv() => break true,
                () = tokio::time::sleep_until(timing.start.into()), if !is_warm => {
                    (cpu_at_start, is_warm) = (cpu(), true);
                }
                _ = line.tick(), if self.is_live => self.show(&timing),
            }
        };
        let own_cpu = cpu().saturating_sub(cpu_at_start);
        self.phase.send_replace(Phase::Stopped);
        if self.is_live {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
        Ok((timing, interrupted, own_cpu))
    }

    /// One line over the last one.
    fn show(&mut self, timing: &Timing) {
        let now = Instant::now();
        let Some(elapsed) = now.checked_duration_since(timing.start) else {
            let _ = write!(io::stderr(), "\r\x1b[Kwarming up");
            return;
        };
        let (mut recent, mut requests, mut failures) = (histogram(), 0, 0);
        for record in self.records {
            let mut record = record.lock().expect("no client panics");
            requests += record.requests();
            failures += record.failures();
            let taken = record.recent.replace(histogram()).expect("it is kept for this line");
            recent.add(taken).expect("all histograms have the same bounds");
        }
        let (before, at) = self.shown.replace((requests, now)).unwrap_or((0, timing.start));
        let span = match self.plan.span {
            Span::For(duration) => {
                format!("{:.1} of {}", elapsed.as_secs_f64(), figures::time(duration))
            }
            Span::Requests(all) => {
                format!("{} of {} requests", figures::count(requests), figures::count(all))
            }
        };
        let rate = figures::per_second(requests - before, now - at);
        let [p50, p99] = [0.5, 0.99].map(|quantile| figures::ms(recent.value_at_quantile(quantile)));
        let errors = figures::count(failures);
        let _ = write!(
            io::stderr(),
            "\r\x1b[K{span}   {}/s   p50 {p50} ms   p99 {p99} ms   errors {errors}",
            figures::count_f64(rate)
        );
    }
}

/// One thread with its share of the clients: every `threads`-th, from `number` on.
struct Worker {
    number: usize,
    threads: usize,
    plan: Arc<Plan>,
    record: Arc<Mutex<Record>>,
    bells: Vec<Arc<Notify>>,
    phase: watch::Receiver<Phase>,
    connected: mpsc::UnboundedSender<anyhow::Result<()>>,
}

impl Worker {
    fn run(self) -> anyhow::Result<()> {
        // What does not end in time is dropped with the runtime.
        runtime()?.block_on(self.serve());
        Ok(())
    }

    async fn serve(self) {
        let mut clients = JoinSet::new();
        for number in (self.number..self.plan.clients).step_by(self.threads) {
            clients.spawn(client(number, &self));
        }
        let mut phase = self.phase;
        let work = async {
            while let Some(outcome) = clients.join_next().await {
                outcome.expect("a client does not panic");
            }
        };
        tokio::select! {
            () = work => {}
            _ = phase.wait_for(|phase| matches!(phase, Phase::Stopped)) => {}
        }
    }
}

/// Waits until it begins; `None` if it does not.
async fn running(phase: &mut watch::Receiver<Phase>) -> Option<Timing> {
    match *phase.wait_for(|phase| !matches!(phase, Phase::Connecting)).await.ok()? {
        Phase::Running(timing) => Some(timing),
        Phase::Connecting | Phase::Stopped => None,
    }
}

/// The whole life of a client.
fn client(number: usize, worker: &Worker) -> impl Future<Output = ()> + use<> {
    let (plan, record) = (Arc::clone(&worker.plan), Arc::clone(&worker.record));
    let bell = Arc::clone(&worker.bells[number]);
    let (mut phase, connected) = (worker.phase.clone(), worker.connected.clone());
    async move {
        let node = plan.nodes[number % plan.nodes.len()].name.clone();
        let client = Client::connect(number, plan, record, bell).await;
        let client = client.with_context(|| format!("client {} of {node} cannot connect", number + 1));
        match client {
            Err(error) => drop(connected.send(Err(error))),
            Ok(client) => {
                // Whoever counts the connections may have given up already.
                let _ = connected.send(Ok(()));
                drop(connected);
                if let Some(timing) = running(&mut phase).await {
                    client.run(timing).await;
                }
            }
        }
    }
}
