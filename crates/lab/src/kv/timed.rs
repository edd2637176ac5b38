//! Commands about keys whose time ends, asked one by one, and what is checked of them.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bowline_kv::{Command, Reply, Served};
use bowline_linearizability::redis::timed::{self, SetExpiry, TimedRedis, Tolerance};
use bowline_linearizability::{History, redis, unplaced};
use bowline_sim::clock::Daytime;
use bowline_sim::kv_server::ClerkReply;
use bowline_testimony::translated;
use bytes::Bytes;

use super::clerk::{encoded, invoked_ns, nanoseconds};
use super::verdict::MOST_STEPS;
use super::{ClerkLinks, KvLab};

/// How often the servers' states are compared.
const LOOK: Duration = Duration::from_millis(5);

/// A client that sends each command to whoever leads, and does not send it again when it hears nothing. All sendings
/// are in a history.
pub(crate) struct TimedClerk {
    lab: KvLab,
    number: u64,
    links: ClerkLinks,
    /// Whom it asks next, in its own order.
    server: usize,
}

impl TimedClerk {
    /// What the command was answered; none if nobody has answered.
    pub(crate) async fn ask(&mut self, line: &str) -> Option<Reply> {
        let lab = self.lab.clone();
        let words: Vec<_> = line.split(' ').map(|word| Bytes::copy_from_slice(word.as_bytes())).collect();
        let command = timed::Command::parse(&words).expect("the model knows it");
        let words: Vec<&[u8]> = words.iter().map(Bytes::as_ref).collect();
        let args = encoded(&Command::parse(&words).expect("a valid command"));
        lab.0.operations.set(lab.0.operations.get() + 1);
        for _ in 0..lab.n() {
            let invoked_ns = invoked_ns(lab.now());
            let call = lab.0.timed.borrow_mut().invoked(self.number, command.clone(), invoked_ns);
            let reply = self.links.call(self.server, args.clone()).await;
            let served = reply.map(|reply| ClerkReply::decode(&reply).expect("a server's answer").served);
            match served {
                Some(Served::Done(reply)) => {
                    let now_ns = nanoseconds(lab.now());
                    lab.0.timed.borrow_mut().returned(call, translated(&reply), now_ns);
                    return Some(reply);
                }
                Some(Served::NotLeader(_)) => lab.0.timed.borrow_mut().not_executed(call),
                Some(Served::Lost) | None => {
                    self.server = (self.server + 1) % lab.n();
                    return None;
                }
            }
            self.server = (self.server + 1) % lab.n();
        }
        lab.sleep(Duration::from_millis(20)).await;
        None
    }

    /// The same, until it is answered.
    pub(crate) async fn insist(&mut self, line: &str) -> Reply {
        loop {
            if let Some(reply) = self.ask(line).await {
                return reply;
            }
        }
    }
}

/// How many reads have shown a value that was given with a time, and how many, behind the time of one, that its key is
/// gone.
fn ends_seen(history: &History<timed::Command, redis::Reply>) -> (usize, usize) {
    let given = history.calls().iter().filter_map(|call| match &call.operation {
        timed::Command::Set { key, value, expiry: SetExpiry::AfterMs(ms), .. } => {
            let answered = call.returned().filter(|(_, reply)| **reply == redis::Reply::Ok);
            Some((key, value, answered.map(|(at_ns, _)| at_ns + ms * 1_000_000)))
        }
        _ => None,
    });
    let given: Vec<_> = given.collect();
    let (mut within, mut behind) = (0, 0);
    for call in history.calls() {
        let timed::Command::Untimed(redis::Command::One { key: read, action: redis::Action::Get }) =
            &call.operation
        else {
            continue;
        };
        let mut of_key = given.iter().filter(|(key, ..)| *key == read);
        match call.returned() {
            Some((_, redis::Reply::Value(shown))) => {
                within += usize::from(of_key.any(|(_, value, _)| *value == shown));
            }
            Some((_, redis::Reply::Nil)) => {
                let is_over = |ends_ns: Option<u64>| ends_ns.is_some_and(|ends_ns| ends_ns < call.invoked_ns);
                behind += usize::from(of_key.any(|(_, _, ends_ns)| is_over(*ends_ns)));
            }
            _ => {}
        }
    }
    (within, behind)
}

impl KvLab {
    /// A new client with ends to these servers.
    pub(crate) fn make_timed_clerk(&self, to: &[usize]) -> TimedClerk {
        let (number, links) = self.make_links(to);
        TimedClerk { lab: self.clone(), number, links, server: 0 }
    }

    /// From now on the server takes this for the time of day, in all its lives.
    pub(crate) fn set_daytime(&self, i: usize, daytime: Daytime) {
        self.note(|| format!("the script sets the clock of S{i}: {daytime:?}"));
        self.0.daytimes.borrow_mut()[i] = Some(daytime);
        if let Some(host) = self.host(i) {
            host.set_daytime(daytime);
        }
    }

    /// The history of the commands about time is linearizable, with so much tolerance for the times of keys.
    pub(crate) async fn check_timed(&self, tolerance: Tolerance) {
        let wrong = unplaced::<TimedRedis>(&timed::history(&self.0.timed.borrow(), tolerance), MOST_STEPS);
        self.ensure(wrong.is_none(), || wrong.unwrap_or_default()).await;
    }

    /// The history shows keys that were there within their time, and keys that were gone behind it: nothing else ends
    /// a key than its time.
    pub(crate) async fn check_ends_were_seen(&self) {
        let (within, behind) = ends_seen(&self.0.timed.borrow());
        self.ensure(within > 0 && behind > 0, || {
            format!("{within} keys were read within their time, and {behind} were gone behind it")
        })
        .await;
    }

    /// Until it is `done`: servers that have applied as much hold the same, so that a key is gone at the same index
    /// everywhere.
    pub(crate) async fn compare_states(self, done: Rc<Cell<bool>>) {
        let mut states = BTreeMap::new();
        let mut seen = vec![0; self.n()];
        while !done.get() {
            for (index, digest) in self.new_digests(&mut seen) {
                let first = *states.entry(index).or_insert(digest);
                self.ensure(first == digest, || format!("the servers' states differ at index {index}")).await;
            }
            self.sleep(LOOK).await;
        }
    }

    /// Of each server that has applied more, or less, than was seen of it last: the index, and its state there. To tell a
    /// state takes long.
    fn new_digests(&self, seen: &mut [u64]) -> Vec<(u64, u64)> {
        let state = |(i, seen): (usize, &mut u64)| {
            self.host(i)?.look(|server| {
                let index = server.replica().node().last_applied();
                (std::mem::replace(seen, index) != index).then(|| (index, server.replica().digest()))
            })
        };
        seen.iter_mut().enumerate().filter_map(state).collect()
    }

    /// How many keys each server holds that is up.
    pub(crate) fn keys_held(&self) -> Vec<u64> {
        self.statuses().into_iter().map(|status| status.keys).collect()
    }

    /// How many sessions each server knows that is up.
    pub(crate) fn sessions_open(&self) -> Vec<u64> {
        self.statuses().into_iter().map(|status| status.sessions).collect()
    }
}
