//! What clients saw while nodes were killed and frozen at random is what one server that never fails would have shown, and
//! every append of a clerk is there once.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use bowline_client::CallError;
use bowline_linearizability::page::{Heading, page};
use bowline_linearizability::redis::{Command, Redis, Reply as Seen};
use bowline_linearizability::{Call, CallId, History, Verdict, check};
use bowline_sim::random::{stream, up_to, weighted};
use bowline_testimony::translated;
use bytes::Bytes;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::harness::{Client, Cluster, End, Reply};
use crate::nemesis;

/// The numbers of those who call: clerks, and plain connections.
const CLERKS: RangeInclusive<u64> = 1..=6;
const CONNECTIONS: RangeInclusive<u64> = 7..=10;

/// How many calls of the clerks must be answered in a second, and how many on the connections: far fewer than are, and far
/// more than if nobody answered until the nodes are left in peace.
const ANSWERED_PER_SECOND: u64 = 20;

/// Half of them are only appended to, so that what was appended can be counted.
const KEYS: u64 = 20;

/// The longest that a client waits between two calls.
const PACE: Duration = Duration::from_millis(12);

/// How long a clerk's call may take that has little time.
const LITTLE_TIME: Duration = Duration::from_millis(300);

/// When a clerk gives up a call without asking what became of it.
const IMPATIENCE: Duration = Duration::from_millis(20);

/// How long the checker may take: many times what it needs.
const CHECK_PATIENCE: Duration = Duration::from_secs(120);

/// What is known of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Answered(Seen),
    NotExecuted,
    Unknown,
}

/// Writes down what clients do.
struct Recorder {
    begun: Instant,
    is_over: AtomicBool,
    history: Mutex<History<Command, Seen>>,
    /// What was appended, to which key, and what is known of it.
    appends: Mutex<Vec<(String, String, Outcome)>>,
}

impl Recorder {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_nanos()).expect("tests are shorter than centuries")
    }

    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    fn invoked(&self, client: u64, words: &[String]) -> CallId {
        let arguments: Vec<Bytes> = words.iter().map(|word| Bytes::from(word.clone())).collect();
        let command = Command::parse(&arguments).expect("the model knows it");
        self.history.lock().expect("nobody has panicked").invoked(client, command, self.now_ns())
    }

    fn ended(&self, call: CallId, words: &[String], outcome: Outcome) {
        let now = self.now_ns();
        let mut history = self.history.lock().expect("nobody has panicked");
        match &outcome {
            Outcome::Answered(reply) => history.returned(call, reply.clone(), now),
            Outcome::NotExecuted => history.not_executed(call),
            Outcome::Unknown => {}
        }
        if let [name, key, token] = words
            && name == "APPEND"
        {
            let append = (key.clone(), token.clone(), outcome);
            self.appends.lock().expect("nobody has panicked").push(append);
        }
    }

    /// That enough was asked and answered for the verdict to mean something, and that calls were cut off.
    fn check_figures(&self, time: Duration) {
        let history = self.history.lock().expect("nobody has panicked");
        let count = |is: &dyn Fn(&Call<Command, Seen>) -> bool| {
            history.calls().iter().filter(|call| is(call)).count() as u64
        };
        let answered = |clients: RangeInclusive<u64>| {
            count(&|call| clients.contains(&call.client) && call.returned().is_some())
        };
        let (clerks, connections) = (answered(CLERKS), answered(CONNECTIONS));
        let unknown = count(&|call| call.outcome == bowline_linearizability::Outcome::Unknown);
        println!(
            "{} calls; answered to clerks: {clerks}, on connections: {connections}; unknown: {unknown}",
            history.calls().len()
        );
        let least = ANSWERED_PER_SECOND * time.as_secs();
        assert!(clerks >= least && connections >= least, "fewer than {least} calls of a kind were answered");
        assert!(unknown > 0, "nobody lost an answer, and nodes were killed");
    }
}

/// What is done to a key: `T` stands for what is appended and `V` for a number, none of which is written twice.
const OF_LISTS: [(u32, &str); 3] = [(6, "APPEND K T"), (2, "GET K"), (2, "STRLEN K")];
const OF_OTHERS: [(u32, &str); 7] = [
    (5, "SET K V"),
    (6, "GET K"),
    (3, "INCR K"),
    (1, "DEL K"),
    (1, "SETNX K V"),
    (1, "GETSET K V"),
    (1, "SET K V XX"),
];

fn command(random: &mut StdRng, client: u64, number: u64) -> Vec<String> {
    let key = random.random_range(0..KEYS);
    let line = if is_list(key) { weighted(random, &OF_LISTS) } else { weighted(random, &OF_OTHERS) };
    let word = |word| match word {
        "K" => name(key),
        "T" => format!("{client}.{number},"),
        "V" => (client * 1_000_000 + number).to_string(),
        word => word.to_owned(),
    };
    line.split(' ').map(word).collect()
}

fn is_list(key: u64) -> bool {
    key < KEYS / 2
}

fn name(key: u64) -> String {
    format!("{}:{key}", if is_list(key) { "list" } else { "key" })
}

/// Calls of a clerk, some of which have little time, and some of which are dropped.
async fn clerk(recorder: Arc<Recorder>, mut client: bowline_client::Client, number: u64, seed: u64) {
    let mut random = stream(seed, "clerk", number);
    for call in 0.. {
        if !recorder.goes_on() {
            return;
        }
        let words = command(&mut random, number, call);
        let limit = if random.random_bool(0.1) { LITTLE_TIME } else { crate::harness::PATIENCE };
        client = client.with_time_limit(Some(limit));
        let id = recorder.invoked(number, &words);
        let outcome = if random.random_bool(0.1) {
            tokio::time::timeout(IMPATIENCE, client.call(&words)).await.map_or(Outcome::Unknown, of_clerk)
        } else {
            of_clerk(client.call(&words).await)
        };
        recorder.ended(id, &words, outcome);
        tokio::time::sleep(up_to(&mut random, PACE)).await;
    }
}

fn of_clerk(result: Result<bowline_client::Reply, CallError>) -> Outcome {
    match result {
        Ok(reply) => Outcome::Answered(translated(&reply)),
        Err(CallError::Failed(text)) => Outcome::Answered(Seen::Error(text.into())),
        Err(CallError::NotExecuted(_)) => Outcome::NotExecuted,
        Err(CallError::Unknown(_)) => Outcome::Unknown,
    }
}

/// Calls on plain connections, one after the other, each to any node.
fn connections(recorder: &Recorder, addrs: &[String], number: u64, seed: u64) {
    let mut random = stream(seed, "connection", number);
    let mut connection = None;
    let mut call = 0;
    while recorder.goes_on() {
        let Some(open) = &mut connection else {
            let addr = &addrs[random.random_range(0..addrs.len())];
            connection = nemesis::connect(addr);
            thread::sleep(up_to(&mut random, PACE));
            continue;
        };
        let words = command(&mut random, number, call);
        call += 1;
        let id = recorder.invoked(number, &words);
        let sent: Vec<&str> = words.iter().map(String::as_str).collect();
        let outcome = open.call(&sent).map_or(Outcome::Unknown, of_connection);
        if outcome == Outcome::Unknown {
            connection = None;
        }
        recorder.ended(id, &words, outcome);
        thread::sleep(up_to(&mut random, PACE));
    }
}

fn of_connection(reply: Reply) -> Outcome {
    match reply {
        Reply::Error(text) if text.starts_with("UNCERTAIN ") => Outcome::Unknown,
        Reply::Error(text) if text.starts_with("CLUSTERDOWN ") => Outcome::NotExecuted,
        Reply::Error(text) => Outcome::Answered(Seen::Error(text.into())),
        Reply::Simple(text) => {
            assert_eq!(text, "OK");
            Outcome::Answered(Seen::Ok)
        }
        Reply::Integer(number) => Outcome::Answered(Seen::Int(number)),
        Reply::Bulk(None) => Outcome::Answered(Seen::Nil),
        Reply::Bulk(Some(value)) => Outcome::Answered(Seen::Value(value.into())),
        Reply::Array(_) => panic!("{reply:?}"),
    }
}

/// Reads every key once more, and hands back the lists.
fn last_reads(recorder: &Recorder, client: &mut Client) -> HashMap<String, String> {
    let mut lists = HashMap::new();
    for key in 0..KEYS {
        let words = ["GET".to_owned(), name(key)];
        let id = recorder.invoked(0, &words);
        let reply = client.call(&["GET", &words[1]]).expect("all are there");
        if is_list(key) {
            lists.insert(name(key), reply.text());
        }
        recorder.ended(id, &words, of_connection(reply));
    }
    lists
}

/// What was appended is there once if that was answered, not at all if that was certain, and once at most if nobody knew.
fn check_appends(recorder: &Recorder, lists: &HashMap<String, String>) {
    let mut times: HashMap<(&str, &str), usize> = HashMap::new();
    for (list, value) in lists {
        for token in value.split_inclusive(',') {
            *times.entry((list, token)).or_default() += 1;
        }
    }
    let appends = recorder.appends.lock().expect("nobody has panicked");
    for (list, token, outcome) in &*appends {
        let times = times.remove(&(list, token)).unwrap_or(0);
        let is_right = match outcome {
            Outcome::Answered(_) => times == 1,
            Outcome::NotExecuted => times == 0,
            Outcome::Unknown => times <= 1,
        };
        assert!(is_right, "{token} is {times} times in {list}, and its append ended as {outcome:?}");
    }
    assert!(times.is_empty(), "nobody has appended {times:?}");
}

fn check_history(recorder: &Recorder, seed: u64) {
    let history = recorder.history.lock().expect("nobody has panicked");
    let deadline = Instant::now() + CHECK_PATIENCE;
    match check::<Redis>(&history, &mut || Instant::now() < deadline) {
        Verdict::Linearizable => {}
        Verdict::NotLinearizable(violations) => {
            let heading = Heading { title: format!("Real processes, seed {seed}"), reproduce: String::new() };
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("violation-{seed}.html"));
            std::fs::write(&path, page::<Redis>(&history, &violations[0], &heading)).expect("a page");
            let call = &history.calls()[violations[0].unplaced.0];
            panic!("not linearizable: no place for {call:?}; see {}", path.display());
        }
        Verdict::Unknown => panic!("the checker has not come to an end within {CHECK_PATIENCE:?}"),
    }
}

#[test]
fn what_clients_see_when_nodes_die_at_random_is_linearizable() {
    let (seed, time) = (nemesis::seed(), nemesis::time());
    println!("BOWLINE_SEED={seed} BOWLINE_SECONDS={}", time.as_secs());
    let mut cluster = Cluster::start_with("linearizable", 3, &["--snapshot-after", "256KiB"]);
    let recorder = Arc::new(Recorder {
        begun: Instant::now(),
        is_over: AtomicBool::new(false),
        history: Mutex::default(),
        appends: Mutex::default(),
    });
    let addrs = cluster.addrs();
    let faults = thread::scope(|scope| {
        let _end = End(&recorder.is_over);
        let (recorder, addrs) = (&recorder, &addrs);
        scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let client = bowline_client::Client::new(addrs);
                let begin = |n| tokio::spawn(clerk(recorder.clone(), client.clone(), n, seed));
                let clerks: Vec<_> = CLERKS.map(begin).collect();
                for clerk in clerks {
                    clerk.await.expect("a clerk");
                }
            });
        });
        for number in CONNECTIONS {
            scope.spawn(move || connections(recorder, addrs, number, seed));
        }
        nemesis::torment(&mut cluster, seed, time)
    });
    let leader = cluster.leader();
    let lists = last_reads(&recorder, &mut cluster.client(leader));
    println!("{faults}");
    recorder.check_figures(time);
    check_appends(&recorder, &lists);
    let begun = Instant::now();
    check_history(&recorder, seed);
    println!("linearizable, which took {:?} to find out", begun.elapsed());
}
