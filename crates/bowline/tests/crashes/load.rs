//! Clients that write unique values, and a journal of what became of each.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use crate::harness::{Client, Cluster, End, Info, PATIENCE, Reply, until};

/// From the first try of a write to the first acknowledgement of one.
const WRITE_PATIENCE: Duration = Duration::from_secs(15);

/// Between two writes of a client. Not awaited for anything: the machine has other tests to run.
const PACE: Duration = Duration::from_millis(2);

/// After so many writes a client begins another list.
const LIST_LENGTH: usize = 500;

/// How many keys are asked for at once.
const READ_BATCH: usize = 500;

/// What a client knows of a command that it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    Acknowledged,
    /// Answered by an error that says that it certainly did not happen.
    Refused,
    /// It may have happened, once.
    Unknown,
}

/// What one client did, to be compared with what the cluster holds.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// For each write by its number: that of its SET, and of its APPEND.
    fates: Vec<[Fate; 2]>,
    /// The longest that it went without an acknowledgement.
    pub(crate) worst: Duration,
    pub(crate) lost_connections: usize,
    /// Errors that were answered.
    pub(crate) errors: Vec<String>,
}

/// What clients and test share.
pub(crate) struct Load {
    addrs: Vec<String>,
    is_over: AtomicBool,
    /// For each client, how many of its writes were acknowledged.
    acknowledged: Vec<AtomicU64>,
    /// Commands that were sent, and of which nobody can say yet whether they will take effect.
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    /// Those of them whose connection was lost.
    abandoned: AtomicU64,
}

impl Load {
    pub(crate) fn new(cluster: &Cluster, clients: usize) -> Self {
        Self {
            addrs: cluster.addrs(),
            is_over: AtomicBool::new(false),
            acknowledged: (0..clients).map(|_| AtomicU64::new(0)).collect(),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
            abandoned: AtomicU64::new(0),
        }
    }

    /// Runs the clients, until what is handed back is dropped.
    pub(crate) fn begin<'scope>(
        &'scope self,
        scope: &'scope Scope<'scope, '_>,
    ) -> (End<'scope>, Vec<ScopedJoinHandle<'scope, Journal>>) {
        let clients = 0..self.acknowledged.len();
        (End(&self.is_over), clients.map(|client| scope.spawn(move || self.write(client))).collect())
    }

    /// Waits until every client has had two more writes acknowledged: the second was begun after this call.
    pub(crate) fn wait_for_progress(&self) {
        let before: Vec<_> = self.acknowledged.iter().map(|n| n.load(Ordering::SeqCst)).collect();
        for (client, (now, before)) in self.acknowledged.iter().zip(before).enumerate() {
            until(&format!("acknowledgements for client {client}"), PATIENCE, || {
                (now.load(Ordering::SeqCst) >= before + 2).then_some(())
            });
        }
    }

    /// Waits until the nodes have forgotten what a life of a node that has ended left behind: they do when it is
    /// back, though no client may come to it.
    pub(crate) fn wait_until_records_are_forgotten(&self) {
        let by_clients = 2 * self.acknowledged.len() as u64;
        until("the records of a life that has ended to be forgotten", PATIENCE, || {
            (self.records() <= by_clients).then_some(())
        });
        self.in_flight.fetch_sub(self.abandoned.swap(0, Ordering::SeqCst), Ordering::SeqCst);
    }

    /// The most commands that were sent, and neither answered nor closed with their node's life, at one time.
    pub(crate) fn most_in_flight(&self) -> u64 {
        self.most_in_flight.load(Ordering::SeqCst)
    }

    /// Asks every node for its completion records until the load is over: the most that one held.
    pub(crate) fn watch_records(&self) -> u64 {
        let mut most = 0;
        while !self.is_over.load(Ordering::SeqCst) {
            most = most.max(self.records());
            thread::sleep(Duration::from_millis(20));
        }
        most
    }

    /// The most completion records that a node holds now.
    pub(crate) fn records(&self) -> u64 {
        let infos = self.addrs.iter().filter_map(|addr| Info::fetch(addr));
        infos.map(|info| info.number("raft_completion_records")).max().unwrap_or(0)
    }

    /// One client, from its first write to its last.
    fn write(&self, client: usize) -> Journal {
        let mut journal = Journal::default();
        let nodes = self.addrs.len();
        let home = client % nodes;
        let mut node = home;
        let mut connection = None;
        let mut waiting_since = Instant::now();
        while !self.is_over.load(Ordering::SeqCst) {
            let Some(open) = &mut connection else {
                match Client::connect(&self.addrs[node]) {
                    Ok(open) => connection = Some(open),
                    Err(_) => {
                        node = (node + 1) % nodes;
                        thread::sleep(PACE);
                    }
                }
                self.check_patience(client, waiting_since);
                continue;
            };
            let number = journal.fates.len();
            let fates = self.write_one(client, number, open, &mut journal);
            journal.fates.push(fates);
            if fates == [Fate::Acknowledged; 2] {
                journal.worst = journal.worst.max(waiting_since.elapsed());
                self.acknowledged[client].fetch_add(1, Ordering::SeqCst);
                thread::sleep(PACE);
                waiting_since = Instant::now();
            } else if journal.errors.is_empty() || fates[1] == Fate::Unknown {
                // Lost, or in the dark: another node may know better.
                connection = None;
                // Home if it can, so that the clients stay spread over the nodes.
                node = if node == home { (home + 1) % nodes } else { home };
            }
            self.check_patience(client, waiting_since);
        }
        journal
    }

    fn check_patience(&self, client: usize, waiting_since: Instant) {
        let waited = waiting_since.elapsed();
        assert!(waited < WRITE_PATIENCE, "client {client} got no write through in {waited:?}");
    }

    /// Writes number `number` of a client: a key of its own, and an element of a list.
    fn write_one(&self, client: usize, number: usize, open: &mut Client, journal: &mut Journal) -> [Fate; 2] {
        let (key, list) = (key(client, number), list(client, number));
        let (value, element) = (number.to_string(), format!("{number},"));
        let now = self.in_flight.fetch_add(2, Ordering::SeqCst) + 2;
        self.most_in_flight.fetch_max(now, Ordering::SeqCst);
        let sent = open.send(&[&["SET", &key, &value], &["APPEND", &list, &element]]);
        let mut is_lost = sent.is_err();
        let fates = [Reply::is_ok, |reply: &Reply| matches!(reply, Reply::Integer(_))].map(|is_right| {
            let reply = if is_lost { None } else { open.receive().ok() };
            let Some(reply) = reply else {
                is_lost = true;
                self.abandoned.fetch_add(1, Ordering::SeqCst);
                return Fate::Unknown;
            };
            self.in_flight.fetch_sub(1, Ordering::SeqCst);
            match reply {
                Reply::Error(text) => {
                    let is_certain = text.starts_with("CLUSTERDOWN ");
                    assert!(is_certain || text.starts_with("UNCERTAIN "), "client {client}: {text}");
                    journal.errors.push(text);
                    if is_certain { Fate::Refused } else { Fate::Unknown }
                }
                reply => {
                    assert!(is_right(&reply), "client {client}, write {number}: {reply:?}");
                    Fate::Acknowledged
                }
            }
        });
        journal.lost_connections += usize::from(is_lost);
        fates
    }
}

fn key(client: usize, number: usize) -> String {
    format!("key:{client}:{number}")
}

fn list(client: usize, number: usize) -> String {
    format!("list:{client}:{}", number / LIST_LENGTH)
}

/// Compares what the journals say with what the cluster holds.
pub(crate) fn check(cluster: &Cluster, journals: &[Journal]) {
    for (client, journal) in journals.iter().enumerate() {
        // Each through another node, and none through the one that it wrote to first.
        let id = cluster.ids()[(client + 1) % cluster.ids().len()];
        let mut connection = cluster.client(id);
        let count = journal.fates.len();
        for first in (0..count).step_by(READ_BATCH) {
            let numbers = first..count.min(first + READ_BATCH);
            check_keys(&mut connection, client, journal, numbers.clone());
        }
        for first in (0..count).step_by(LIST_LENGTH) {
            check_list(&mut connection, client, journal, first..count.min(first + LIST_LENGTH));
        }
    }
}

fn check_keys(connection: &mut Client, client: usize, journal: &Journal, numbers: Range<usize>) {
    let keys: Vec<_> = numbers.clone().map(|number| key(client, number)).collect();
    let gets: Vec<[&str; 2]> = keys.iter().map(|key| ["GET", key]).collect();
    let gets: Vec<&[&str]> = gets.iter().map(|get| &get[..]).collect();
    let values = connection.pipeline(&gets).expect("the node is there");
    for (number, value) in numbers.zip(values) {
        let is_there = match value {
            Reply::Bulk(None) => false,
            value => {
                assert_eq!(value.text(), number.to_string(), "client {client}, write {number}: SET");
                true
            }
        };
        check_fate(client, number, "SET", journal.fates[number][0], usize::from(is_there));
    }
}

fn check_list(connection: &mut Client, client: usize, journal: &Journal, numbers: Range<usize>) {
    let value = connection.call(&["GET", &list(client, numbers.start)]).expect("the node is there").text();
    let mut times: HashMap<usize, usize> = HashMap::new();
    let mut last_acknowledged = None;
    for element in value.split_terminator(',') {
        let number: usize = element.parse().expect("a number that was appended");
        assert!(numbers.contains(&number), "client {client}: {number} is in the list of {numbers:?}");
        *times.entry(number).or_default() += 1;
        if journal.fates[number][1] == Fate::Acknowledged {
            assert!(
                Some(number) > last_acknowledged,
                "client {client}: {number} stands behind {last_acknowledged:?}"
            );
            last_acknowledged = Some(number);
        }
    }
    for number in numbers {
        let times = times.get(&number).copied().unwrap_or(0);
        check_fate(client, number, "APPEND", journal.fates[number][1], times);
    }
}

/// `times` is how often the command took effect.
fn check_fate(client: usize, number: usize, command: &str, fate: Fate, times: usize) {
    let is_right = match fate {
        Fate::Acknowledged => times == 1,
        Fate::Refused => times == 0,
        Fate::Unknown => times <= 1,
    };
    assert!(is_right, "client {client}, write {number}: {command} happened {times} times, and is {fate:?}");
}

/// Prints what the clients went through.
pub(crate) fn report(what: &str, journals: &[Journal]) {
    let writes: usize = journals.iter().map(|j| j.fates.len()).sum();
    let unknown = journals.iter().flat_map(|j| &j.fates).flatten().filter(|f| **f == Fate::Unknown).count();
    let lost: usize = journals.iter().map(|j| j.lost_connections).sum();
    let errors: Vec<_> = journals.iter().flat_map(|j| &j.errors).collect();
    let worst = journals.iter().map(|j| j.worst).max().unwrap_or_default();
    println!(
        "{what}: {writes} writes of 2 commands by {} clients, {unknown} commands unknown, {lost} connections lost, \
         {} errors, the worst write took {worst:?}",
        journals.len(),
        errors.len()
    );
    for error in errors {
        println!("  {error}");
    }
}
