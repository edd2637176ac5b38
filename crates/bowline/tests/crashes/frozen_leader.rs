//! A leader that was frozen wakes up and believes that it still leads.
//!
//! Two rules keep it from answering: it has heard no majority for too long, and each read asks one. Either is enough
//! after a freeze that its clock has seen, so this test fails when both are missing, or when a node answers by what
//! it happens to hold. The second rule alone is tested where clocks can be made to stand still: in the core.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::harness::{Client, Cluster, End, PATIENCE, Reply, until};

const ROUNDS: usize = 20;

/// How long the leader is frozen.
const FREEZE: Duration = Duration::from_secs(5);

/// Between two reads that are sent to the frozen node.
const READ_PACE: Duration = Duration::from_millis(100);

/// Between two increments of one writer.
const WRITE_PACE: Duration = Duration::from_millis(2);

/// A counter, and what is known of it.
#[derive(Default)]
struct Counter {
    acknowledged: AtomicI64,
    is_over: AtomicBool,
}

impl Counter {
    fn raise(&self, mut client: Client) {
        while !self.is_over.load(Ordering::SeqCst) {
            let reply = client.call(&["INCR", "counter"]).expect("a node that nobody touches");
            let number = reply.number().unwrap_or_else(|| panic!("INCR is answered by {reply:?}"));
            self.acknowledged.fetch_max(number, Ordering::SeqCst);
            thread::sleep(WRITE_PACE);
        }
    }

    fn acknowledged(&self) -> i64 {
        self.acknowledged.load(Ordering::SeqCst)
    }
}

/// A connection to the frozen node, and for each read what it may not be below.
struct Reader {
    client: Client,
    floors: Vec<i64>,
}

impl Reader {
    fn new(client: Client) -> Self {
        Self { client, floors: Vec::new() }
    }

    fn send(&mut self, counter: &Counter) {
        self.floors.push(counter.acknowledged());
        self.client.send(&[&["GET", "counter"]]).expect("the frozen node's connection");
    }

    /// Reads all answers. Each is at least its floor, and none below the one before.
    fn check(mut self, round: usize) {
        let mut last = 0;
        for (read, floor) in self.floors.iter().enumerate() {
            let reply = self.client.receive().expect("the frozen node's connection");
            let value = match &reply {
                Reply::Bulk(None) => 0,
                other => other.number().unwrap_or_else(|| {
                    panic!("round {round}: read {read} of {} is answered by {reply:?}", self.floors.len())
                }),
            };
            let least = *floor.max(&last);
            assert!(value >= least, "round {round}, read {read}: {value}, though {least} was known before");
            last = value;
        }
    }
}

#[test]
fn a_leader_that_was_frozen_answers_no_read_from_old_state() {
    let mut cluster = Cluster::start("frozen-leader", 3);
    let counter = Counter::default();
    for round in 0..ROUNDS {
        counter.is_over.store(false, Ordering::SeqCst);
        thread::scope(|scope| {
            let _end = End(&counter.is_over);
            freeze_once(&mut cluster, &counter, round, |client| {
                let counter = &counter;
                scope.spawn(move || counter.raise(client));
            });
        });
    }
    println!("{ROUNDS} times frozen for {FREEZE:?}; the counter came to {}", counter.acknowledged());
    assert!(counter.acknowledged() > i64::try_from(ROUNDS).expect("few"));
}

fn freeze_once(cluster: &mut Cluster, counter: &Counter, round: usize, start_writer: impl Fn(Client)) {
    let leader = cluster.leader();
    for id in cluster.others(leader) {
        start_writer(cluster.client(id));
    }
    let (mut early, mut late) = (Reader::new(cluster.client(leader)), Reader::new(cluster.client(leader)));
    // It is already reading from this connection when it is frozen.
    early.send(counter);
    let begun = Instant::now();
    cluster.stop(leader);
    let at_stop = counter.acknowledged();

    let mut fresh = Vec::new();
    while begun.elapsed() < FREEZE {
        early.send(counter);
        // The system takes the connection for the frozen process.
        let mut reader = Reader::new(cluster.client(leader));
        reader.send(counter);
        fresh.push(reader);
        thread::sleep(READ_PACE);
    }
    until("writes by way of a new leader", PATIENCE, || {
        (counter.acknowledged() > at_stop + 10).then_some(())
    });

    early.send(counter);
    late.send(counter);
    cluster.resume(leader);
    for _ in 0..20 {
        early.send(counter);
        late.send(counter);
    }
    early.check(round);
    late.check(round);
    for reader in fresh {
        reader.check(round);
    }
}
