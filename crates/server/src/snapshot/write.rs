//! A snapshot being written, on a thread of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bowline_kv::Image;
use bowline_storage::{RealDisk, SnapshotError, SnapshotHeader, SnapshotId, Snapshots};
use tokio::sync::Notify;

use super::{GROUP, Made, RESERVED_BYTES};
use crate::error::ServerError;

/// So much is written before the file is synced and the thread rests: a few milliseconds of work.
const SLICE_BYTES: u64 = 512 << 10;

/// How often as long as it has worked the thread rests: so it takes a tenth of a core, and of the disk's time, at
/// most.
const REST: u32 = 9;

/// How willingly the thread leaves the processor to others: a tenth of what they have it gets all the same, so that it
/// ends.
const NICENESS: i32 = 10;

/// The longest rest, so that to give up takes no longer than that.
const MAX_REST: Duration = Duration::from_millis(200);

/// What became of it.
pub(super) enum Outcome {
    /// It is durable.
    Written(Made),
    /// It was given up for want of room.
    NoRoom(String),
    /// It was not wanted any more.
    Cancelled,
    /// The process must end.
    Broken(ServerError),
}

/// The loop's end of the thread.
pub(super) struct Writing {
    since: Instant,
    switches: Arc<Switches>,
    outcome: Receiver<Outcome>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Switches {
    /// No time is to be lost by resting.
    urgent: AtomicBool,
    /// It is not wanted any more.
    cancelled: AtomicBool,
}

impl Writing {
    /// Begins. `wake` is rung when there is an outcome.
    pub(super) fn start(
        files: Snapshots<RealDisk>,
        image: Image,
        made_us: u64,
        wake: Arc<Notify>,
    ) -> std::io::Result<Self> {
        let header = SnapshotHeader { group: GROUP, last: image.last(), id: SnapshotId::random()?, made_us };
        let switches = Arc::<Switches>::default();
        let (sender, outcome) = sync_channel(1);
        let seen = switches.clone();
        let thread = std::thread::Builder::new().name("snapshot".to_owned()).spawn(move || {
            // On Linux that is the niceness of a thread. Where it cannot be had the thread is as others are.
            let _ = rustix::process::setpriority_process(None, NICENESS);
            let mut blocks = image.into_blocks();
            let outcome = match write(&files, header, &mut blocks, &seen) {
                Ok(outcome) => outcome,
                Err(error @ SnapshotError::NoSpace { .. }) => Outcome::NoRoom(error.to_string()),
                Err(error) => Outcome::Broken(error.into()),
            };
            // The loop may have stopped; then nobody wants to know.
            let _ = sender.send(outcome);
            wake.notify_one();
            // To free what only the image still holds takes a while: after the news.
            drop(blocks);
        })?;
        Ok(Self { since: Instant::now(), switches, outcome, thread })
    }

    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// What became of it, once.
    pub(super) fn outcome(&mut self) -> Option<Outcome> {
        self.outcome.try_recv().ok()
    }

    /// Whether no time is to be lost by resting.
    pub(super) fn set_urgent(&self, urgent: bool) {
        self.switches.urgent.store(urgent, Ordering::Relaxed);
    }

    /// It is not wanted any more.
    pub(super) fn cancel(&self) {
        self.switches.cancelled.store(true, Ordering::Relaxed);
    }

    /// Gives it up, and waits until it is.
    pub(super) fn stop(self) {
        self.cancel();
        let _ = self.thread.join();
    }
}

fn write(
    files: &Snapshots<RealDisk>,
    header: SnapshotHeader,
    blocks: &mut bowline_kv::ImageWriter,
    switches: &Switches,
) -> Result<Outcome, SnapshotError> {
    let mut writer = files.create(header)?;
    loop {
        if switches.cancelled.load(Ordering::Relaxed) {
            writer.discard()?;
            return Ok(Outcome::Cancelled);
        }
        let free_bytes = files.free_bytes()?;
        if free_bytes < RESERVED_BYTES {
            writer.discard()?;
            return Ok(Outcome::NoRoom(format!(
                "{free_bytes} bytes are free, and {RESERVED_BYTES} are left to the log: it grows until there is room \
                 for a snapshot; make some on this file system"
            )));
        }
        let begun = Instant::now();
        let end = writer.size_bytes() + SLICE_BYTES;
        let mut has_more = true;
        while has_more && writer.size_bytes() < end {
            match blocks.next() {
                // What there is no room for leaves nothing behind.
                Some(block) => {
                    if let Err(error) = writer.append(&block) {
                        writer.discard()?;
                        return Err(error);
                    }
                }
                None => has_more = false,
            }
        }
        if !has_more {
            return Ok(Outcome::Written(Made::new(&header, writer.finish()?)));
        }
        writer.sync()?;
        if !switches.urgent.load(Ordering::Relaxed) {
            std::thread::sleep((begun.elapsed() * REST).min(MAX_REST));
        }
    }
}
