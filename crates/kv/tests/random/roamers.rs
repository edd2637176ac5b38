//! Clients that are not tied to a node: each has one request out, and when it hears nothing for a while it closes the
//! connection and goes to another node. What it had sent may still arrive there.
//!
//! | kind | what it does | what is checked |
//! |---|---|---|
//! | [`ClerkClient`] | calls of the production [`Clerk`](bowline_kv::Clerk), on keys that all clerks share | linearizable, with calls that were not executed left out |
//! | [`OnceClient`] | `ONCE` by hand: the same number again, lower numbers, sessions that are closed, and limits | once, or not at all if that was said; a number has one reply |
//! | [`WatchClient`] | WATCH, a read, and EXEC on condition, on keys that all of them share | linearizable, as what was read was still so at EXEC |

mod clerk;
mod once;
mod watch;

use std::collections::{BTreeMap, BTreeSet};

use bowline_kv::{Answer, ClientId, Command, Reply};
use bowline_linearizability::course::{self, Course};
use bowline_linearizability::redis::{self, Redis};
use bowline_linearizability::{History, unplaced};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::cluster::{Cluster, MS};
use crate::event::Event;
use crate::tally::Tally;
use clerk::ClerkClient;
use once::OnceClient;
use watch::{Spans, WatchClient};

/// The connections of these clients have numbers from here on.
const FIRST_CONNECTION: u64 = 1 << 40;

/// How many thousand steps the checker may take for a history: many times what any needs.
const MOST_STEPS: u64 = 2_000;

/// All of them.
#[derive(Default)]
pub(crate) struct Roamers {
    all: Vec<Roamer>,
    /// Whose a connection is.
    owners: BTreeMap<u64, usize>,
    records: Records,
    have_stopped: bool,
}

/// What they have seen together.
#[derive(Default)]
struct Records {
    calls: History<course::Operation, course::Answer>,
    transactions: History<redis::Command, redis::Reply>,
    spans: Spans,
    /// Sessions that were opened.
    sessions: BTreeSet<u64>,
    /// Whether sessions may end early, since somebody has set their limits.
    are_limited: bool,
}

struct Roamer {
    kind: Kind,
    /// By node: the life in which its connection was made, and the connection.
    open: BTreeMap<u64, (u64, u64)>,
    out: Option<Out>,
    tokens: u64,
    /// Which of the events that it waits for counts.
    alarm: u64,
    has_finished: bool,
}

/// A request that is not answered.
struct Out {
    node: u64,
    life: u64,
    client: u64,
    token: u64,
    /// When it arrives there, in microseconds.
    arrives: u64,
}

enum Kind {
    Clerk(ClerkClient),
    Once(OnceClient),
    Watch(WatchClient),
}

/// What such a client wants next.
enum Todo {
    Ask {
        node: u64,
        command: Vec<u8>,
    },
    /// To be asked again at this time, in microseconds.
    Wait(u64),
    /// Nothing, ever.
    Nothing,
}

/// Where a client is when it decides.
struct Scene<'a> {
    now: u64,
    /// How many nodes there are.
    nodes: u64,
    /// It makes no new calls, but for what is to be known in the end.
    have_stopped: bool,
    rng: &'a mut StdRng,
    records: &'a mut Records,
    tally: &'a mut Tally,
}

impl Scene<'_> {
    fn now_ns(&self) -> u64 {
        self.now * 1000
    }

    /// When a call begins that is made at this time: behind what was answered at the same instant, to whomever, since time
    /// stands still while a client thinks. A request is on its way for longer than a nanosecond.
    fn invoked_ns(&self) -> u64 {
        self.now_ns() + 1
    }

    fn ask(&mut self, command: &Command<'_>) -> Todo {
        let node = self.rng.random_range(1..=self.nodes);
        Todo::Ask { node, command: encoded(command) }
    }

    fn think(&mut self) -> Todo {
        Todo::Wait(self.now + self.rng.random_range(MS..200 * MS))
    }
}

fn encoded(command: &Command<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    command.encode(&mut out);
    out
}

/// Whether a reply says that this sending was not executed, whatever became of earlier ones.
fn is_refusal(reply: &Reply) -> bool {
    let words: [&[u8]; 4] = [b"CLUSTERDOWN ", b"LOGFULL ", b"NOSESSION ", b"ONCESTALE "];
    matches!(reply, Reply::Error(text) if words.iter().any(|word| text.starts_with(word)))
}

fn says(reply: &Reply, word: &[u8]) -> bool {
    matches!(reply, Reply::Error(text) if text.starts_with(word))
}

impl Kind {
    fn next(&mut self, scene: &mut Scene<'_>) -> Todo {
        match self {
            Self::Clerk(client) => client.next(scene),
            Self::Once(client) => client.next(scene),
            Self::Watch(client) => client.next(scene),
        }
    }

    /// What became of the last request: none if it was silence.
    fn told(&mut self, reply: Option<Reply>, scene: &mut Scene<'_>) {
        match self {
            Self::Clerk(client) => client.told(reply),
            Self::Once(client) => client.told(reply, scene),
            Self::Watch(client) => client.told(reply, scene),
        }
    }
}

impl Roamers {
    /// Whether the connection is of one of these clients.
    pub(crate) fn owns(client: ClientId) -> bool {
        client.0 >= FIRST_CONNECTION
    }

    pub(crate) fn stop(&mut self) {
        self.have_stopped = true;
    }

    /// When all is healed and they have looked at what there is in the end.
    pub(crate) fn check(&self, tally: &mut Tally) {
        for (at, roamer) in self.all.iter().enumerate() {
            assert!(roamer.has_finished, "roamer {at} does not come to its end");
            if let Kind::Once(client) = &roamer.kind {
                client.check();
            }
        }
        tally.clerk_calls += self.records.calls.calls().len() as u64;
        let wrong = unplaced::<Course>(&self.records.calls, MOST_STEPS);
        assert_eq!(wrong, None, "calls of clerks");
        let wrong = unplaced::<Redis>(&self.records.transactions, MOST_STEPS);
        assert_eq!(wrong, None, "transactions");
        self.records.spans.check();
    }
}

impl Cluster {
    /// Some of each kind.
    pub(crate) fn new_roamers(&mut self) {
        let limits = self.rng.random_bool(0.6);
        let servers = self.plan.size;
        let kinds = [
            Kind::Clerk(ClerkClient::new(0, servers)),
            Kind::Clerk(ClerkClient::new(1, servers)),
            Kind::Once(OnceClient::new(0, limits)),
            Kind::Once(OnceClient::new(1, limits)),
            Kind::Watch(WatchClient::new(0)),
            Kind::Watch(WatchClient::new(1)),
        ];
        for kind in kinds {
            let roamer = self.roamers.all.len();
            let (open, out) = (BTreeMap::new(), None);
            self.roamers.all.push(Roamer { kind, open, out, tokens: 0, alarm: 0, has_finished: false });
            let begins = self.rng.random_range(0..500 * MS);
            self.push(begins, Event::Roam { roamer, alarm: 0 });
        }
    }

    /// Its time has come: what is out has not been answered, or it has waited.
    pub(crate) fn roam(&mut self, at: usize, alarm: u64) {
        let roamer = &mut self.roamers.all[at];
        if roamer.alarm != alarm {
            return;
        }
        if let Some(out) = roamer.out.take() {
            roamer.open.remove(&out.node);
            let Out { node, life, client, arrives, .. } = out;
            let leaves = arrives.saturating_sub(self.now) + 1;
            self.push(leaves, Event::Leave { node, life, client });
            self.tally.silences += 1;
            self.tell_roamer(at, None);
        }
        self.roam_on(at);
    }

    fn scene(&mut self, at: usize) -> (&mut Kind, Scene<'_>) {
        let Roamers { all, records, have_stopped, .. } = &mut self.roamers;
        let scene = Scene {
            now: self.now,
            nodes: self.plan.size,
            have_stopped: *have_stopped,
            rng: &mut self.rng,
            records,
            tally: &mut self.tally,
        };
        (&mut all[at].kind, scene)
    }

    fn tell_roamer(&mut self, at: usize, reply: Option<Reply>) {
        self.tell(|| format!("roamer {at} hears {reply:?}"));
        let (kind, mut scene) = self.scene(at);
        kind.told(reply, &mut scene);
    }

    fn roam_on(&mut self, at: usize) {
        let (kind, mut scene) = self.scene(at);
        match kind.next(&mut scene) {
            Todo::Ask { node, command } => self.send_request(at, node, command),
            Todo::Wait(until) => {
                let delay = until.saturating_sub(self.now);
                self.set_alarm(at, delay);
            }
            Todo::Nothing => self.roamers.all[at].has_finished = true,
        }
    }

    fn set_alarm(&mut self, at: usize, delay: u64) {
        let roamer = &mut self.roamers.all[at];
        roamer.alarm += 1;
        let alarm = roamer.alarm;
        self.push(delay, Event::Roam { roamer: at, alarm });
    }

    fn send_request(&mut self, at: usize, node: u64, command: Vec<u8>) {
        let life = self.members[&node].life;
        let Roamers { all, owners, .. } = &mut self.roamers;
        let roamer = &mut all[at];
        let (life, client) = match roamer.open.get(&node) {
            Some(&(open_in, client)) if open_in == life => (life, client),
            _ => {
                let client = FIRST_CONNECTION + owners.len() as u64;
                owners.insert(client, at);
                roamer.open.insert(node, (life, client));
                (life, client)
            }
        };
        roamer.tokens += 1;
        let token = roamer.tokens;
        let delay = if self.rng.random_bool(0.9) {
            self.rng.random_range(20..2 * MS)
        } else {
            self.rng.random_range(20..600 * MS)
        };
        let patience = if self.rng.random_bool(0.5) {
            self.rng.random_range(20 * MS..300 * MS)
        } else {
            self.rng.random_range(200 * MS..2500 * MS)
        };
        self.tell(|| {
            let command = Command::decode(&command);
            format!("roamer {at} asks node {node} in life {life}: {command:?}")
        });
        let roamer = &mut self.roamers.all[at];
        roamer.out = Some(Out { node, life, client, token, arrives: self.now + delay });
        self.push(delay, Event::Ask { node, life, client, token, command });
        self.set_alarm(at, patience);
    }

    /// A request has arrived at a node that is up.
    pub(crate) fn asked(&mut self, node: u64, life: u64, client: u64, token: u64, command: &[u8]) {
        let member = self.members.get_mut(&node).expect("a member");
        if member.life != life {
            return;
        }
        let command = Command::decode(command).expect("it was encoded here");
        member.replica.as_mut().expect("it is up").submit(ClientId(client), token, &command);
        self.ring(node);
    }

    /// A connection has ended, at a node that is up.
    pub(crate) fn left(&mut self, node: u64, life: u64, client: u64) {
        let member = self.member(node);
        if member.life == life {
            member.replica.as_mut().expect("it is up").forget(ClientId(client));
        }
    }

    /// An answer to a request of one of these clients.
    pub(crate) fn roamer_answered(&mut self, answer: Answer) {
        let at = self.roamers.owners[&answer.client.0];
        let out = &mut self.roamers.all[at].out;
        let is_awaited = |out: &mut Out| out.client == answer.client.0 && out.token == answer.token;
        // Else nobody waits for it any more.
        if out.take_if(is_awaited).is_some() {
            self.tell_roamer(at, Some(answer.reply));
            self.roam_on(at);
        }
    }
}
