//! Transactions while nodes are killed and frozen at random: money moves between accounts, and neither vanishes nor
//! appears; who sends a transaction again within a session moves it once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bowline_client::CallError;
use bowline_sim::random::{stream, up_to};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::harness::{Client, Cluster, End, Lost, PATIENCE, Reply};
use crate::nemesis::{self, one_of};

const ACCOUNTS: usize = 10;

/// What is on each of them at first.
const BALANCE: i64 = 100;

/// How many clients there are of each kind.
const CLIENTS: u64 = 2;

/// The longest that a client waits between two transfers.
const PACE: Duration = Duration::from_millis(12);

/// How long a client by hand waits for a reply before it asks another node.
const REPLY_TIME: Duration = Duration::from_secs(1);

/// What all clients have together.
#[derive(Default)]
struct Bank {
    addrs: Vec<String>,
    is_over: AtomicBool,
    transfers: AtomicU64,
    /// Sendings by hand whose reply was lost, or said that nobody knows.
    lost: AtomicU64,
    /// EXEC that was stopped by what was watched.
    conflicts: AtomicU64,
    /// Times at which all accounts were read as one.
    looks: AtomicU64,
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn account(number: usize) -> String {
    format!("account:{number}")
}

fn accounts() -> Vec<String> {
    (0..ACCOUNTS).map(account).collect()
}

/// A transfer: two accounts, and how much.
fn draw(random: &mut StdRng) -> (String, String, i64) {
    let from = random.random_range(0..ACCOUNTS);
    let to = (from + random.random_range(1..ACCOUNTS)) % ACCOUNTS;
    (account(from), account(to), random.random_range(1..30))
}

/// The commands of a transfer, and an entry in a journal.
fn transfer(random: &mut StdRng, journal: &str, entry: u64) -> Vec<Vec<String>> {
    let (from, to, amount) = draw(random);
    let (amount, entry) = (amount.to_string(), format!("{entry},"));
    [["DECRBY", &from, &amount], ["INCRBY", &to, &amount], ["APPEND", journal, &entry]]
        .map(|words| words.map(str::to_owned).to_vec())
        .to_vec()
}

impl Bank {
    fn is_open(&self) -> bool {
        !self.is_over.load(Ordering::SeqCst)
    }

    fn check_sum(&self, balances: impl Iterator<Item = i64>) {
        let balances: Vec<i64> = balances.collect();
        let sum: i64 = balances.iter().sum();
        let expected = BALANCE * i64::try_from(ACCOUNTS).expect("few");
        assert_eq!(sum, expected, "money has vanished or appeared: {balances:?}");
        count(&self.looks);
    }

    /// A clerk of `bowline-client`: how many transfers it made, none of which may be missing or there twice.
    async fn clerk(self: Arc<Self>, mut client: bowline_client::Client, number: u64, seed: u64) -> u64 {
        let mut random = stream(seed, "clerk", number);
        let journal = format!("journal:clerk:{number}");
        for entry in 0.. {
            if !self.is_open() {
                return entry;
            }
            let done = client.transaction(transfer(&mut random, &journal, entry)).await;
            assert!(matches!(&done, Ok(replies) if replies.len() == 3), "{done:?}");
            count(&self.transfers);
            self.look(&mut client).await;
            tokio::time::sleep(up_to(&mut random, PACE)).await;
        }
        unreachable!("there are numbers enough")
    }

    async fn look(&self, client: &mut bowline_client::Client) {
        let words = [vec!["MGET".to_owned()], accounts()].concat();
        let balances = match client.call(words).await {
            Ok(bowline_client::Reply::Array(balances)) => balances,
            Err(CallError::NotExecuted(_)) => return,
            other => panic!("{other:?}"),
        };
        let text = |balance: bowline_client::Reply| balance.into_value().to_vec();
        let balances =
            balances.into_iter().map(|balance| String::from_utf8(text(balance)).expect("a number"));
        self.check_sum(balances.map(|balance| balance.parse().expect("a number")));
    }

    /// What a program does that has only a Redis library: it opens a session, and sends MULTI, the commands and ONCE ... EXEC
    /// to one node after the other until one answers.
    fn by_hand(&self, number: u64, seed: u64) -> u64 {
        let mut random = stream(seed, "by hand", number);
        let journal = format!("journal:hand:{number}");
        let mut session = None;
        for entry in 0.. {
            let commands = transfer(&mut random, &journal, entry);
            loop {
                if !self.is_open() {
                    // Whether the last one has happened is not known: it is not counted.
                    return entry;
                }
                if let Some(Reply::Array(replies)) =
                    self.send_once(&mut random, &mut session, entry + 1, &commands)
                {
                    assert_eq!(replies.len(), 3, "{replies:?}");
                    break;
                }
                thread::sleep(up_to(&mut random, PACE));
            }
            count(&self.transfers);
            thread::sleep(up_to(&mut random, PACE));
        }
        unreachable!("there are numbers enough")
    }

    /// One sending to any node; none if it had no answer, or one that says nothing.
    fn send_once(
        &self,
        random: &mut StdRng,
        session: &mut Option<String>,
        number: u64,
        commands: &[Vec<String>],
    ) -> Option<Reply> {
        let node = random.random_range(0..self.addrs.len());
        let mut connection = Client::connect(&self.addrs[node]).ok()?;
        connection.set_patience(REPLY_TIME);
        let last_reply = |connection: &mut Client, commands: usize| -> Option<Reply> {
            let mut last = None;
            for _ in 0..commands {
                last = connection.try_receive()?.ok();
            }
            last
        };
        if session.is_none() {
            connection.send(&[&["ONCE", "OPEN"]]).ok()?;
            let Reply::Integer(id) = last_reply(&mut connection, 1)? else { return None };
            *session = Some(id.to_string());
        }
        let (session, number) = (session.as_deref()?, number.to_string());
        let words: Vec<Vec<&str>> =
            commands.iter().map(|words| words.iter().map(String::as_str).collect()).collect();
        let mut all: Vec<&[&str]> = vec![&["MULTI"]];
        all.extend(words.iter().map(Vec::as_slice));
        let exec = ["ONCE", session, &number, "EXEC"];
        all.push(&exec);
        connection.send(&all).ok()?;
        match last_reply(&mut connection, all.len()) {
            Some(Reply::Error(text)) if text.starts_with("CLUSTERDOWN ") => None,
            Some(Reply::Error(text)) if !text.starts_with("UNCERTAIN ") => panic!("{text}"),
            None | Some(Reply::Error(_)) => {
                count(&self.lost);
                None
            }
            reply => reply,
        }
    }

    /// Plain connections, that watch what they compute with. A transfer whose reply is lost is not made again.
    fn watching(&self, number: u64, seed: u64) {
        let mut random = stream(seed, "watching", number);
        while self.is_open() {
            let addr = one_of(&mut random, &self.addrs.iter().collect::<Vec<_>>());
            if let Some(mut connection) = nemesis::connect(addr) {
                // However it ends, nobody sends anything again.
                let _: Result<(), Lost> = self.watch_and_transfer(&mut connection, &mut random);
            }
            thread::sleep(up_to(&mut random, PACE));
        }
    }

    fn watch_and_transfer(&self, connection: &mut Client, random: &mut StdRng) -> Result<(), Lost> {
        while self.is_open() {
            let (from, to, amount) = draw(random);
            let watched = connection.pipeline(&[&["WATCH", &from, &to], &["MGET", &from, &to]])?;
            let Reply::Array(balances) = &watched[1] else { continue };
            let balances: Vec<i64> = balances.iter().map(|b| b.number().expect("a number")).collect();
            let (less, more) = ((balances[0] - amount).to_string(), (balances[1] + amount).to_string());
            let set_from = ["SET", &from, &less];
            let set_to = ["SET", &to, &more];
            let replies = connection.pipeline(&[&["MULTI"], &set_from, &set_to, &["EXEC"]])?;
            match &replies[3] {
                Reply::Array(done) => {
                    assert!(done.iter().all(Reply::is_ok), "{done:?}");
                    count(&self.transfers);
                }
                Reply::Bulk(None) => count(&self.conflicts),
                Reply::Error(_) => {}
                other => panic!("EXEC is answered by {other:?}"),
            }
            self.look_plainly(connection)?;
            thread::sleep(up_to(random, PACE));
        }
        Ok(())
    }

    fn look_plainly(&self, connection: &mut Client) -> Result<(), Lost> {
        let accounts = accounts();
        let words: Vec<&str> = ["MGET"].into_iter().chain(accounts.iter().map(String::as_str)).collect();
        if let Reply::Array(balances) = connection.call(&words)? {
            self.check_sum(balances.iter().map(|balance| balance.number().expect("a number")));
        }
        Ok(())
    }
}

/// What was entered is there once each, in order; at most one more, whose answer nobody waited for.
fn check_journal(client: &mut Client, journal: &str, made: u64) {
    let text = client.call(&["GET", journal]).expect("all are there").text();
    let entries: Vec<&str> = text.split_terminator(',').collect();
    let found = entries.len() as u64;
    assert!(found == made || found == made + 1, "{journal} has {found} entries, and {made} were made");
    let mut times: HashMap<&str, usize> = HashMap::new();
    entries.iter().for_each(|entry| *times.entry(entry).or_default() += 1);
    for entry in 0..found {
        let times = times.get(entry.to_string().as_str()).copied().unwrap_or(0);
        assert_eq!(times, 1, "{journal}: entry {entry} is there {times} times");
    }
}

/// Sends commands to a node, and waits for the last one's reply.
fn last(cluster: &Cluster, id: u64, commands: &[&[&str]]) -> Reply {
    let replies = cluster.client(id).pipeline(commands).expect("the node is there");
    replies.into_iter().next_back().expect("there are commands")
}

#[test]
fn a_transaction_of_a_session_happens_once_whichever_node_is_asked() {
    let mut cluster = Cluster::start("once-exec", 3);
    let first = cluster.leader();
    let [second, third] = cluster.others(first)[..] else { panic!("three nodes") };
    let id = cluster.client(first).call(&["ONCE", "OPEN"]).expect("the node is there").number();
    let id = id.expect("a session's id").to_string();
    let exec = |number| ["ONCE", &id, number, "EXEC"];
    let (one, two) = (exec("1"), exec("2"));
    let incr: &[&str] = &["INCR", "a"];

    let done = Reply::Array(vec![Reply::Integer(1)]);
    assert_eq!(last(&cluster, first, &[&["WATCH", "a"], &["MULTI"], incr, &one]), done);
    cluster.kill(first);
    cluster.leader();
    for node in [second, third] {
        // What was watched has changed since: by the first sending.
        assert_eq!(last(&cluster, node, &[&["MULTI"], incr, &one]), done);
    }
    let mut watching = cluster.client(second);
    watching.call(&["WATCH", "a"]).expect("the node is there");
    last(&cluster, third, &[&["SET", "a", "5"]]);
    let stopped = watching.pipeline(&[&["MULTI"], incr, &two]).expect("the node is there");
    assert_eq!(stopped[2], Reply::Bulk(None));
    assert_eq!(last(&cluster, third, &[&["MULTI"], incr, &two]), Reply::Bulk(None));

    for (commands, error) in [
        (&[&two[..]][..], "ERR EXEC without MULTI"),
        (&[&["MULTI"], incr, &["PING"], &two], "EXECABORT "),
        (&[&["MULTI"], incr, &one], "ONCESTALE "),
        (&[&["MULTI"], incr, &["ONCE", "99", "1", "EXEC"]], "NOSESSION "),
    ] {
        let reply = last(&cluster, second, commands);
        assert!(matches!(&reply, Reply::Error(text) if text.starts_with(error)), "{reply:?}");
    }
    assert_eq!(last(&cluster, second, &[&["GET", "a"]]).number(), Some(5));
}

#[test]
fn no_money_vanishes_or_is_moved_twice_when_nodes_die_at_random() {
    let (seed, time) = (nemesis::seed(), nemesis::time());
    println!("BOWLINE_SEED={seed} BOWLINE_SECONDS={}", time.as_secs());
    let mut cluster = Cluster::start_with("transfers", 3, &["--snapshot-after", "256KiB"]);
    let opening: Vec<String> =
        accounts().into_iter().flat_map(|account| [account, BALANCE.to_string()]).collect();
    let words: Vec<&str> = ["MSET"].into_iter().chain(opening.iter().map(String::as_str)).collect();
    let leader = cluster.leader();
    assert!(cluster.client(leader).call(&words).expect("all are there").is_ok());

    let bank = Arc::new(Bank { addrs: cluster.addrs(), ..Bank::default() });
    let (faults, journals) = thread::scope(|scope| {
        let end = End(&bank.is_over);
        let bank = &bank;
        let clerks = scope.spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let client = bowline_client::Client::new(&bank.addrs).with_time_limit(Some(4 * PATIENCE));
                let begin = |n| tokio::spawn(bank.clone().clerk(client.clone(), n, seed));
                let clerks: Vec<_> = (0..CLIENTS).map(begin).collect();
                let mut journals = Vec::new();
                for (number, clerk) in clerks.into_iter().enumerate() {
                    journals.push((format!("journal:clerk:{number}"), clerk.await.expect("a clerk")));
                }
                journals
            })
        });
        let by_hand: Vec<_> = (0..CLIENTS)
            .map(|n| scope.spawn(move || (format!("journal:hand:{n}"), bank.by_hand(n, seed))))
            .collect();
        for number in 0..CLIENTS {
            scope.spawn(move || bank.watching(number, seed));
        }
        let faults = nemesis::torment(&mut cluster, seed, time);
        drop(end);
        let mut journals = clerks.join().expect("the clerks");
        journals.extend(by_hand.into_iter().map(|client| client.join().expect("a client")));
        (faults, journals)
    });
    let leader = cluster.leader();
    let mut client = cluster.client(leader);
    for (journal, made) in &journals {
        check_journal(&mut client, journal, *made);
    }
    bank.look_plainly(&mut client).expect("all are there");
    let [transfers, lost, conflicts, looks] =
        [&bank.transfers, &bank.lost, &bank.conflicts, &bank.looks].map(|n| n.load(Ordering::Relaxed));
    println!(
        "{faults}; {transfers} transfers, {lost} by hand in doubt, {conflicts} stopped by WATCH, {looks} sums"
    );
    assert!(transfers > 0 && lost > 0 && conflicts > 0 && looks > 0);
}
