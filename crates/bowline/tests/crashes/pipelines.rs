//! Commands of one connection take effect in their order, and each once, over changes of leader too.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use crate::harness::{Client, Cluster, End, Lost, PATIENCE, Reply, encode, until};

const CONNECTIONS: usize = 6;
const KILLS: usize = 20;

/// Steps that are sent in one piece; one is SET k i, APPEND l i, GET k.
const BATCH: usize = 10;

/// Steps that may be unanswered: some batches are always on their way when a leader dies.
const WINDOW: usize = 50;

/// After so many steps another key and another list are used.
const LIST_LENGTH: usize = 1000;

/// Between two batches, so that the machine can do other things too.
const PACE: Duration = Duration::from_millis(4);

/// What one connection did, under a name of its own.
struct Run {
    name: String,
    sent: usize,
    answered: usize,
}

struct Shared {
    addrs: Vec<String>,
    is_over: AtomicBool,
    /// Steps answered, by client.
    answered: Vec<AtomicU64>,
}

impl Shared {
    /// Waits until every client has had answers to what it sends from now on.
    fn wait_for_progress(&self) {
        let before: Vec<_> = self.answered.iter().map(|n| n.load(Ordering::SeqCst)).collect();
        for (client, (now, before)) in self.answered.iter().zip(before).enumerate() {
            until(&format!("answers for client {client}"), PATIENCE, || {
                (now.load(Ordering::SeqCst) > before + WINDOW as u64 + 1).then_some(())
            });
        }
    }

    /// One client: a connection after the other, each with keys and lists of its own.
    fn send(&self, client: usize) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        let nodes = self.addrs.len();
        let mut node = client % nodes;
        while !self.is_over.load(Ordering::SeqCst) {
            let Ok(mut connection) = Client::connect(&self.addrs[node]) else {
                node = (node + 1) % nodes;
                thread::sleep(PACE);
                continue;
            };
            let mut run = Run { name: format!("{client}.{}", runs.len()), sent: 0, answered: 0 };
            // However it ends, what it did is looked at.
            let _: Result<(), Lost> = self.steps(client, &mut connection, &mut run);
            runs.push(run);
            // In turn to the one and the other survivor: leaders tend to follow each other around the circle, and
            // a client that did too would lose its node each time, and never be held through an election.
            node = (node + 1 + (client + runs.len()) % 2) % nodes;
        }
        runs
    }

    fn steps(&self, client: usize, connection: &mut Client, run: &mut Run) -> Result<(), Lost> {
        let mut length = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            while run.sent < run.answered + WINDOW {
                let batch: Vec<u8> = (run.sent..run.sent + BATCH).flat_map(|i| step(&run.name, i)).collect();
                run.sent += BATCH;
                connection.send_bytes(&batch)?;
            }
            for _ in 0..BATCH {
                let i = run.answered;
                let named = || format!("run {}, step {i}", run.name);
                length = if i.is_multiple_of(LIST_LENGTH) { 0 } else { length } + format!("{i},").len();
                let reply = connection.receive()?;
                assert!(reply.is_ok(), "{}: SET is answered by {reply:?}", named());
                let reply = connection.receive()?;
                let expected = Reply::Integer(i64::try_from(length).expect("short"));
                assert_eq!(reply, expected, "{}: APPEND", named());
                let reply = connection.receive()?;
                assert_eq!(reply, Reply::Bulk(Some(i.to_string().into_bytes())), "{}: GET", named());
                run.answered += 1;
                self.answered[client].fetch_add(1, Ordering::SeqCst);
            }
            thread::sleep(PACE);
        }
        Ok(())
    }
}

fn key(name: &str, i: usize) -> String {
    format!("key:{name}:{}", i / LIST_LENGTH)
}

fn list(name: &str, i: usize) -> String {
    format!("list:{name}:{}", i / LIST_LENGTH)
}

fn step(name: &str, i: usize) -> Vec<u8> {
    let (key, list, value, element) = (key(name, i), list(name, i), i.to_string(), format!("{i},"));
    encode(&[&["SET", &key, &value], &["APPEND", &list, &element], &["GET", &key]])
}

/// Whatever was sent, its effects are a prefix of it: at least what was answered.
fn check(connection: &mut Client, run: &Run) {
    for first in (0..run.sent).step_by(LIST_LENGTH) {
        // Both at one moment.
        let both = connection.call(&["MGET", &key(&run.name, first), &list(&run.name, first)]);
        let Ok(Reply::Array(values)) = both else { panic!("MGET is answered by {both:?}") };
        let elements: Vec<usize> =
            values[1].text().split_terminator(',').map(|e| e.parse().expect("a number")).collect();
        let expected: Vec<usize> = (first..first + elements.len()).collect();
        assert_eq!(elements, expected, "run {}: a gap, a repeat or another order", run.name);

        let last = (first + LIST_LENGTH).min(run.sent);
        let answered = run.answered.clamp(first, last);
        let end = first + elements.len();
        assert!((answered..=last).contains(&end), "run {}: {end} of {answered} to {last}", run.name);
        let set = values[0].number().map_or(first, |i| usize::try_from(i).expect("not negative") + 1);
        assert!(set == end || set == end + 1, "run {}: SET has come to {set}, APPEND to {end}", run.name);
    }
}

#[test]
fn a_pipeline_keeps_its_order_and_repeats_nothing_when_leaders_are_killed() {
    let mut cluster = Cluster::start("pipelines", 3);
    let shared = Shared {
        addrs: cluster.addrs(),
        is_over: AtomicBool::new(false),
        answered: (0..CONNECTIONS).map(|_| AtomicU64::new(0)).collect(),
    };
    let runs: Vec<Run> = thread::scope(|scope| {
        let end = End(&shared.is_over);
        let shared = &shared;
        let clients: Vec<_> =
            (0..CONNECTIONS).map(|client| scope.spawn(move || shared.send(client))).collect();
        shared.wait_for_progress();
        for _ in 0..KILLS {
            let leader = cluster.leader();
            cluster.kill(leader);
            shared.wait_for_progress();
            cluster.restart(leader);
        }
        shared.wait_for_progress();
        drop(end);
        clients.into_iter().flat_map(|client| client.join().expect("a client")).collect()
    });
    let answered: usize = runs.iter().map(|run| run.answered).sum();
    let lost = runs.len() - CONNECTIONS;
    println!("{lost} connections lost, {answered} steps answered over {KILLS} kills");
    assert!(lost < CONNECTIONS * KILLS * 4 / 5, "hardly a connection outlived a leader: {lost} were lost");
    let leader = cluster.leader();
    let mut connection = cluster.client(leader);
    for run in &runs {
        check(&mut connection, run);
    }
}
