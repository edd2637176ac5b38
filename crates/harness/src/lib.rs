//! Clusters of real servers: the shipped binary, real sockets, real files, real signals.
//!
//! A test starts a [`Cluster`], lets [`Client`]s write to it, kills, stops and restarts its nodes, and looks at
//! what is left. Three rules keep such tests honest:
//!
//! - It waits for what it can see, by [`until`], and for nothing else; what never comes fails the test with the
//!   name of what was awaited.
//! - A connection that is lost and an error that was answered are different things: the first leaves a write
//!   unknown, the second says what became of it.
//! - Nothing is left behind: a server dies with the test's process however that ends, and the data of a test
//!   that passed are removed. Those of one that failed are kept, and the last lines of its nodes' logs shown.

#![forbid(unsafe_code)]

mod client;
mod cluster;
mod node;
mod ports;
mod redis;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub use client::{Client, Lost, Reply, encode};
pub use cluster::{Cluster, Info};
pub use redis::Redis;

/// What a cluster may take for anything that it must do in the end: far more than it needs, since the machine
/// may be busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Looks again and again until `probe` sees what it looks for.
///
/// # Panics
///
/// When `patience` is over.
pub fn until<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(seen) = probe() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {patience:?} in vain for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Tells threads to end, when it is dropped: however a test ends, since the scope of its threads waits for them.
pub struct End<'a>(pub &'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
