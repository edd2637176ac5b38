//! One client: a connection at a time, its requests, and what becomes of them.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::link::{Link, REPLY_TIMEOUT};
use super::plan::{Plan, Schedule, Timing};
use super::record::Record;
use super::workload::{Kind, Workload};

/// How long a client waits after it could not connect: a node that is down is not to be flooded, nor to fill the
/// figures with errors that cost nothing.
const CONNECT_PAUSE: Duration = Duration::from_millis(100);

/// Why requests failed, as it is counted.
type Failure = Cow<'static, str>;

/// A request without an answer yet.
struct Pending {
    kind: Kind,
    /// When it was sent; in an open loop, when it was due.
    since: Instant,
    /// It is none of the warm-up.
    is_counted: bool,
}

pub(super) struct Client {
    number: usize,
    plan: Arc<Plan>,
    workload: Workload,
    record: Arc<Mutex<Record>>,
    link: Option<Link>,
    pending: VecDeque<Pending>,
    /// Rung in an open loop when the next request is due.
    bell: Arc<Notify>,
}

impl Client {
    /// A client with a connection. What it measures goes to `record`.
    pub(super) async fn connect(
        number: usize,
        plan: Arc<Plan>,
        record: Arc<Mutex<Record>>,
        bell: Arc<Notify>,
    ) -> io::Result<Self> {
        let workload = Workload::new(number as u64, plan.reads_percent, plan.keys, Arc::clone(&plan.frames));
        let link = Some(open(number, &plan).await?);
        Ok(Self { number, plan, workload, record, link, pending: VecDeque::new(), bell })
    }

    pub(super) async fn run(mut self, timing: Timing) {
        match self.plan.schedule {
            None => self.closed_loop(&timing).await,
            Some(schedule) => self.open_loop(schedule, &timing).await,
        }
    }

    /// One pipeline full of requests after the other.
    async fn closed_loop(&mut self, timing: &Timing) {
        loop {
            let now = Instant::now();
            let count = self.plan.claim(now, timing);
            if count == 0 {
                return;
            }
            let is_counted = now >= timing.start;
            if let Err(failure) = self.ensure_link().await {
                if is_counted {
                    self.record().failed(failure, count as u64, Instant::now());
                }
                tokio::time::sleep(CONNECT_PAUSE).await;
                continue;
            }
            for _ in 0..count {
                self.issue(now, now, is_counted);
            }
            while !self.pending.is_empty() {
                if let Err(failure) = self.exchange().await {
                    self.lose(failure);
                }
            }
        }
    }

    /// Each request as soon as it is due and the pipeline has room.
    async fn open_loop(&mut self, schedule: Schedule, timing: &Timing) {
        let mut next = self.number as u64;
        loop {
            let now = Instant::now();
            let is_over = next >= schedule.total || timing.end.is_some_and(|end| now >= end);
            let is_due = |request: u64, now: Instant| {
                request < schedule.total && timing.origin + schedule.due(request) <= now
            };
            if !is_over && is_due(next, now) {
                if let Err(failure) = self.ensure_link().await {
                    let now = Instant::now();
                    let mut failed = 0;
                    while is_due(next, now) {
                        failed += u64::from(next >= schedule.warm_up);
                        next += self.plan.clients as u64;
                    }
                    self.record().failed(failure, failed, now);
                    tokio::time::sleep(CONNECT_PAUSE).await;
                    continue;
                }
                while is_due(next, now) && self.pending.len() < self.plan.pipeline {
                    self.issue(timing.origin + schedule.due(next), now, next >= schedule.warm_up);
                    next += self.plan.clients as u64;
                }
            } else if is_over && self.pending.is_empty() {
                return;
            }
            let bell = Arc::clone(&self.bell);
            let outcome = tokio::select! {
                biased;
                outcome = self.exchange() => outcome,
                () = bell.notified() => Ok(()),
            };
            if let Err(failure) = outcome {
                self.lose(failure);
            }
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().expect("no client panics")
    }

    async fn ensure_link(&mut self) -> Result<(), Failure> {
        if self.link.is_none() {
            let link = open(self.number, &self.plan).await;
            self.link = Some(link.map_err(|error| not_connected(&error))?);
        }
        Ok(())
    }

    /// Puts the next request among what is sent.
    fn issue(&mut self, since: Instant, now: Instant, is_counted: bool) {
        let link = self.link.as_mut().expect("requests are made on a connection");
        if self.pending.is_empty() {
            link.awaits(now);
        }
        let kind = self.workload.append(link.out());
        self.pending.push_back(Pending { kind, since, is_counted });
    }

    /// Waits for something to come, and counts the replies in it. To be dropped at any time: nothing is lost.
    async fn exchange(&mut self) -> Result<(), Failure> {
        let Some(link) = &mut self.link else { return std::future::pending().await };
        let awaits = !self.pending.is_empty();
        poll_fn(|cx| link.poll(cx, awaits)).await.map_err(|error| lost(&error))?;
        let now = Instant::now();
        link.awaits(now);
        let mut record = self.record.lock().expect("no client panics");
        loop {
            let reply = link.next_reply().map_err(|_| Cow::Borrowed("what came is no reply of Redis"))?;
            let Some(reply) = reply else { return Ok(()) };
            let Some(request) = self.pending.pop_front() else {
                return Err(Cow::Borrowed("a reply that nobody asked for"));
            };
            if request.is_counted {
                record.reply(request.kind, reply, now.saturating_duration_since(request.since), now);
            }
        }
    }

    /// The connection is of no more use, and nobody knows what became of its requests.
    fn lose(&mut self, failure: Failure) {
        self.link = None;
        let lost = self.pending.drain(..).filter(|request| request.is_counted).count();
        self.record().failed(failure, lost as u64, Instant::now());
    }
}

/// A connection of the client of that number.
async fn open(number: usize, plan: &Plan) -> io::Result<Link> {
    Link::open(plan.nodes[number % plan.nodes.len()].addr, plan.password.as_deref()).await
}

fn not_connected(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Cow::Borrowed("not connected: refused"),
        io::ErrorKind::TimedOut => Cow::Borrowed("not connected: no answer"),
        io::ErrorKind::PermissionDenied => Cow::Borrowed("not connected: the password was refused"),
        _ => Cow::Borrowed("not connected"),
    }
}

fn lost(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::TimedOut => Cow::Owned(format!("no answer within {} s", REPLY_TIMEOUT.as_secs())),
        _ => Cow::Borrowed("connection lost"),
    }
}
