//! Virtual time: what is going to happen, in order.
//!
//! Time is nothing but the time of the event that was taken last. Events of one instant come in the order in
//! which they were planned.

use std::collections::BTreeMap;
use std::time::Duration;

/// Events to come.
#[derive(Debug)]
pub struct Queue<E> {
    events: BTreeMap<(Duration, u64), E>,
    planned: u64,
    now: Duration,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), planned: 0, now: Duration::ZERO }
    }
}

impl<E> Queue<E> {
    /// The time since the beginning of the world.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// Plans an event.
    pub fn after(&mut self, delay: Duration, event: E) {
        self.events.insert((self.now + delay, self.planned), event);
        self.planned += 1;
    }

    /// Takes the next event; it is now that time.
    pub fn take(&mut self) -> Option<E> {
        let ((at, _), event) = self.events.pop_first()?;
        self.now = at;
        Some(event)
    }
}
