//! The log's thread: it writes, syncs, and says so.
//!
//! Whatever has been handed over while a sync was under way becomes one write and one sync.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bowline_raft::{GroupId, Write};
use bowline_storage::{RealDisk, Wal, WalError};
use tokio::sync::Notify;

use crate::error::{self, ServerError};

/// A node ends when the log has less room than this: a command is refused before it is taken on,
/// not after. Enough for the largest entry, twice.
pub(crate) const MIN_ROOM_BYTES: u64 = 72 << 20;

/// How much is gathered for one write, in bytes of weight.
const MAX_BATCH_BYTES: usize = 16 << 20;

/// After so long without a write the empty one is made, so that acknowledged data is not last.
const IDLE: Duration = Duration::from_secs(1);

/// How long the thread waits for a write before it fills a piece of the next segment, or removes a file that a
/// snapshot has replaced.
const FILL_PAUSE: Duration = Duration::from_millis(5);

/// How often such a file is removed while one write follows the other: each costs a sync.
const REMOVE_PAUSE: Duration = Duration::from_millis(50);

/// The loop's end of the log's thread.
#[derive(Debug)]
pub(crate) struct DiskThread {
    jobs: Sender<Job>,
    figures: Arc<Figures>,
    thread: RefCell<Option<JoinHandle<()>>>,
}

#[derive(Debug, Default)]
struct Figures {
    persisted: AtomicU64,
    log_bytes: AtomicU64,
}

enum Job {
    Write(Write),
    Stop,
}

impl DiskThread {
    /// Starts it. `wake` is rung whenever a write has become durable. An error ends the process.
    pub(crate) fn start(wal: Wal<RealDisk>, wake: Arc<Notify>) -> Result<Self, ServerError> {
        let (jobs, inbox) = channel();
        let figures = Arc::new(Figures::default());
        figures.log_bytes.store(wal.total_bytes(), Ordering::Relaxed);
        let mut worker = Worker {
            wal,
            inbox,
            figures: figures.clone(),
            wake,
            unmarked_since: None,
            removing: true,
            removed_at: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                if let Err(error) = worker.run() {
                    error::die(&error);
                }
            })
            .map_err(|source| ServerError::System { what: "start the log's thread", source })?;
        Ok(Self { jobs, figures, thread: RefCell::new(Some(thread)) })
    }

    /// Hands over a write. It is durable once [`persisted`](Self::persisted) has reached its number.
    pub(crate) fn submit(&self, write: Write) {
        // A thread that has failed is about to end the process.
        let _ = self.jobs.send(Job::Write(write));
    }

    /// The number of the last durable write; 0 before the first.
    pub(crate) fn persisted(&self) -> u64 {
        self.figures.persisted.load(Ordering::Acquire)
    }

    /// How much of the disk the log takes, in bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        self.figures.log_bytes.load(Ordering::Relaxed)
    }

    /// Finishes what was handed over, marks the end, and ends the thread.
    pub(crate) fn stop(&self) {
        let _ = self.jobs.send(Job::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Worker {
    wal: Wal<RealDisk>,
    inbox: Receiver<Job>,
    figures: Arc<Figures>,
    wake: Arc<Notify>,
    /// Since when the last write is one that matters.
    unmarked_since: Option<Instant>,
    /// There may be files that a snapshot has replaced.
    removing: bool,
    removed_at: Instant,
}

impl Worker {
    fn run(&mut self) -> Result<(), ServerError> {
        let mut filling = true;
        loop {
            let pause = match (filling || self.removing, self.unmarked_since) {
                (true, _) => Some(FILL_PAUSE),
                (false, Some(since)) => Some(IDLE.saturating_sub(since.elapsed())),
                (false, None) => None,
            };
            let job = match pause {
                Some(pause) => self.inbox.recv_timeout(pause),
                None => self.inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match job {
                Ok(Job::Write(write)) => {
                    let stop = self.write(write)?;
                    if stop {
                        return self.mark();
                    }
                    filling = true;
                }
                Ok(Job::Stop) | Err(RecvTimeoutError::Disconnected) => return self.mark(),
                Err(RecvTimeoutError::Timeout) => {
                    if self.unmarked_since.is_some_and(|since| since.elapsed() >= IDLE) {
                        self.mark()?;
                    } else if filling {
                        filling = self.fill()?;
                    } else if self.removing {
                        self.remove_replaced()?;
                    }
                }
            }
        }
    }

    /// Writes this and whatever else has come. True if the thread is to stop.
    fn write(&mut self, first: Write) -> Result<bool, ServerError> {
        let mut stop = false;
        let weight = |w: &Write| w.entries.iter().map(bowline_raft::Entry::weight).sum::<usize>();
        let mut bytes = weight(&first);
        let mut writes = vec![first];
        while bytes < MAX_BATCH_BYTES && !stop {
            match self.inbox.try_recv() {
                Ok(Job::Write(write)) => {
                    bytes += weight(&write);
                    writes.push(write);
                }
                Ok(Job::Stop) => stop = true,
                Err(_) => break,
            }
        }
        let batch: Vec<_> = writes.iter().map(|w| (GroupId::FIRST_DATA, w)).collect();
        let begun = Instant::now();
        self.wal.append(&batch)?;
        self.wal.sync()?;
        let took = begun.elapsed();
        if took > Duration::from_millis(500) {
            tracing::warn!("slow disk: writing and syncing {bytes} bytes took {} ms", took.as_millis());
        }
        let last = writes.last().expect("at least the first").seq;
        self.figures.persisted.store(last, Ordering::Release);
        self.wake.notify_one();
        self.figures.log_bytes.store(self.wal.total_bytes(), Ordering::Relaxed);
        self.unmarked_since = Some(Instant::now());
        if self.wal.behind() {
            self.fill()?;
        }
        self.removing |= writes.iter().any(|write| write.snapshot.is_some());
        if self.removing && self.removed_at.elapsed() >= REMOVE_PAUSE {
            self.remove_replaced()?;
        }
        self.check_room()?;
        Ok(stop)
    }

    /// Fills a piece of the next segment; false when that is done, or there is no room for it. The
    /// present segment may still have some, so that is not the end yet.
    fn fill(&mut self) -> Result<bool, ServerError> {
        match self.wal.prepare_next() {
            Ok(more) => Ok(more),
            Err(WalError::NoSpace { .. }) => self.check_room().map(|()| false),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes one file that a snapshot has replaced, if there is one.
    fn remove_replaced(&mut self) -> Result<(), ServerError> {
        self.removing = self.wal.remove_replaced()?;
        self.removed_at = Instant::now();
        self.figures.log_bytes.store(self.wal.total_bytes(), Ordering::Relaxed);
        Ok(())
    }

    fn check_room(&self) -> Result<(), ServerError> {
        check_room(&self.wal)
    }

    /// Makes the empty write.
    fn mark(&mut self) -> Result<(), ServerError> {
        if self.unmarked_since.take().is_some() {
            self.wal.append_marker()?;
            self.wal.sync()?;
        }
        Ok(())
    }
}

/// Says so when the log could not take the largest entry any more.
pub(crate) fn check_room(wal: &Wal<RealDisk>) -> Result<(), ServerError> {
    if wal.has_room(MIN_ROOM_BYTES)? {
        return Ok(());
    }
    Err(ServerError::NoRoom {
        directory: wal.location(),
        room_bytes: wal.room()?,
        needed_bytes: MIN_ROOM_BYTES,
    })
}
