//! What happens next: a queue in virtual time.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use bowline_kv::Image;
use bowline_raft::{Message, Restore};

use crate::streams::StreamId;

#[derive(Debug)]
pub(crate) enum Event {
    Tick {
        node: u64,
        life: u64,
    },
    Pass {
        node: u64,
    },
    Persisted {
        node: u64,
        life: u64,
    },
    Raft {
        from: u64,
        to: u64,
        sent: u64,
        message: Message,
    },
    /// The first frame on that connection, from the dialler.
    Forward {
        stream: StreamId,
    },
    /// The first frame, from the acceptor.
    Answers {
        stream: StreamId,
    },
    /// The dialler notices that it is broken.
    HangUp {
        stream: StreamId,
    },
    Dial {
        from: u64,
        life: u64,
        to: u64,
    },
    Client {
        client: usize,
    },
    /// A client that goes from node to node looks at where it is.
    Roam {
        roamer: usize,
        alarm: u64,
    },
    /// A request of one of these arrives, on a connection that was made in that life of the node.
    Ask {
        node: u64,
        life: u64,
        client: u64,
        token: u64,
        command: Vec<u8>,
    },
    /// One of these has closed its connection.
    Leave {
        node: u64,
        life: u64,
        client: u64,
    },
    Fault,
    Resume {
        node: u64,
    },
    Start {
        node: u64,
    },
    /// A snapshot has been written that holds this.
    Snapshot {
        node: u64,
        life: u64,
        image: Box<Image>,
    },
    /// The image of a snapshot that was sent here is ready.
    Restore {
        node: u64,
        life: u64,
        restore: Restore,
    },
    /// A snapshot that was sent in that round did not arrive, and whoever sent it has noticed.
    Failed {
        from: u64,
        life: u64,
        to: u64,
        round: u64,
    },
    Heal,
    HealDisk {
        node: u64,
    },
}

struct Timed {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Timed {}

impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timed {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Events in the order of their times, and of those at one time in the order in which they were put.
#[derive(Default)]
pub(crate) struct Queue {
    events: BinaryHeap<Reverse<Timed>>,
    /// How many were ever put.
    pub(crate) order: u64,
}

impl Queue {
    pub(crate) fn put(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.events.push(Reverse(Timed { at, order: self.order, event }));
    }

    /// The next event, if it comes no later than `end`, and its time.
    pub(crate) fn next(&mut self, end: u64) -> Option<(u64, Event)> {
        let Reverse(next) = self.events.peek()?;
        if next.at > end {
            return None;
        }
        let Reverse(Timed { at, event, .. }) = self.events.pop()?;
        Some((at, event))
    }
}
