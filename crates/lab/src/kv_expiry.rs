//! Keys whose time ends, and clocks that are wrong: far ahead, far behind, standing still, ten times too fast; those of
//! followers and of leaders.
//!
//! The seeds have no such tests. Less than half of the clocks are wrong here, so the right time is always known to the
//! group, and by that it is judged: no key is gone before its time, none stays long behind it, and what was once read
//! as gone stays away. As long as servers are down, or cannot be heard, the tolerance is what the documentation of the
//! store's clocks allows.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bowline_linearizability::redis::timed::Tolerance;
use bowline_sim::clock::Daytime;
use rand::RngExt;
use rand::rngs::StdRng;

use crate::config::E;
use crate::kv::{KvLab, TimedClerk, partitioner};
use crate::scenario::{KvBody, KvScript, Part, Scenario, Script};

/// The scenarios about expiry.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario("ExpiryInAnIdleCluster", "Expiry: nobody asks, and one clock is wrong", 3, |lab| {
        Box::pin(idle(lab))
    }),
    scenario("ExpiryByAWrongLeader", "Expiry: the leader's clock is wrong", 3, |lab| {
        Box::pin(expiry(lab, Expiry { liars: Liars::Leader, ..PLAIN }))
    }),
    scenario("ExpiryByAWrongFollower", "Expiry: a follower's clock is wrong", 3, |lab| {
        Box::pin(expiry(lab, PLAIN))
    }),
    scenario("ExpiryInPartitions", "Expiry: one wrong clock, partitions", 3, |lab| {
        Box::pin(expiry(lab, Expiry { partitions: true, tolerance: ROUGH, ..PLAIN }))
    }),
    scenario("ExpiryOverRestarts", "Expiry: one wrong clock, restarts", 3, |lab| {
        Box::pin(expiry(lab, Expiry { crash: true, ..PLAIN }))
    }),
    scenario("ExpiryUnreliable", "Expiry: two wrong clocks of five, unreliable net", 5, |lab| {
        Box::pin(expiry(lab, Expiry { liars: Liars::Two, unreliable: true, tolerance: ROUGH, ..PLAIN }))
    }),
    scenario(
        "ExpiryUnreliableRestartsPartitions",
        "Expiry: two wrong clocks of five, unreliable net, restarts, partitions",
        5,
        |lab| {
            let liars = Liars::Two;
            let all = Expiry { liars, unreliable: true, crash: true, partitions: true, tolerance: ROUGH };
            Box::pin(expiry(lab, all))
        },
    ),
];

const fn scenario(
    name: &'static str,
    title: &'static str,
    servers: usize,
    script: fn(KvLab) -> Script<()>,
) -> Scenario {
    let body = KvBody { script: KvScript::Own(script), max_raft_state: Some(1000), seed_003: &[] };
    Scenario::of_kv(Part::KvExpiry, name, title, servers, body)
}

/// Where all servers can be heard: what their monotonic clocks go wrong meanwhile; and the pace at which an idle cluster
/// looks.
const FINE: Tolerance = tolerance(100, 300);

/// Where answers are lost or late.
const ROUGH: Tolerance = tolerance(1000, 1000);

const fn tolerance(early_ms: u64, late_ms: u64) -> Tolerance {
    Tolerance { early_ns: early_ms * 1_000_000, late_ns: late_ms * 1_000_000 }
}

/// Whose clocks are wrong.
#[derive(Clone, Copy)]
enum Liars {
    Leader,
    Follower,
    Two,
}

/// What [`expiry`] is made of.
#[derive(Clone, Copy)]
struct Expiry {
    liars: Liars,
    unreliable: bool,
    crash: bool,
    partitions: bool,
    tolerance: Tolerance,
}

const PLAIN: Expiry =
    Expiry { liars: Liars::Follower, unreliable: false, crash: false, partitions: false, tolerance: FINE };

impl Expiry {
    /// The shortest time of a key. What is shorter than it may end too early might never have been there.
    fn shortest_ms(&self) -> u64 {
        self.tolerance.early_ns / 1_000_000 * 3 / 2
    }
}

/// How many keys the clients share.
const KEYS: u32 = 20;

/// Clients give keys times, take them away, and read, while clocks go wrong in another way every second. A session lives
/// on, whose idle time is far below what the clocks are wrong by.
async fn expiry(lab: KvLab, test: Expiry) {
    const CLIENTS: u64 = 4;
    set_right(&lab);
    if test.unreliable {
        lab.set_unreliable();
    }
    let mut clerk = lab.make_clerk(&lab.all());
    clerk.put("session", "").await;
    let done = Rc::new(Cell::new(false));
    let states = lab.spawn(lab.clone().compare_states(done.clone()));
    let clocks = lab.spawn(spoil_clocks(lab.clone(), liars(&lab, test.liars), done.clone()));
    let clients: Vec<_> =
        (0..CLIENTS).map(|c| lab.spawn(client(lab.clone(), c, test.shortest_ms(), done.clone()))).collect();
    let partitioner = test.partitions.then(|| lab.spawn(partitioner(lab.clone(), done.clone())));
    for _ in 0..3 {
        lab.sleep(4 * E).await;
        if test.crash {
            lab.all().into_iter().for_each(|i| lab.shutdown_server(i));
            lab.sleep(Duration::from_millis(lab.random_below(2000))).await;
            lab.all().into_iter().for_each(|i| lab.start_server(i));
            lab.connect_all();
        }
    }
    done.set(true);
    if let Some(partitioner) = partitioner {
        partitioner.await;
        lab.connect_all();
    }
    for task in clients.into_iter().chain([states, clocks]) {
        task.await;
    }
    // Nobody has opened one since. (There are two when the answer to the first OPEN was lost.)
    let sessions = lab.sessions_open();
    lab.ensure(sessions.iter().all(|open| *open >= 1), || {
        format!("a session is gone: {sessions:?} are open")
    })
    .await;
    clerk.append("session", "still there").await;
    let mut last = lab.make_timed_clerk(&lab.all());
    for key in 0..KEYS {
        last.insist(&format!("GET k{key}")).await;
    }
    lab.check_timed(test.tolerance).await;
    lab.check_ends_were_seen().await;
    lab.end();
}

fn set_right(lab: &KvLab) {
    lab.all().into_iter().for_each(|i| lab.set_daytime(i, Daytime::right()));
}

fn liars(lab: &KvLab, who: Liars) -> Vec<usize> {
    let leader = lab.leader();
    match who {
        Liars::Leader => vec![leader],
        Liars::Follower => vec![(leader + 1) % lab.n()],
        Liars::Two => vec![leader, (leader + 1) % lab.n()],
    }
}

/// What a clock counts while a right one counts 100.
const SPEEDS: [u64; 5] = [0, 50, 100, 100, 1000];

/// Each second one of these clocks is wrong in another way, by between a minute and three days.
async fn spoil_clocks(lab: KvLab, liars: Vec<usize>, done: Rc<Cell<bool>>) {
    let mut random = lab.stream(1 << 32);
    while !done.get() {
        for &liar in &liars {
            let off_by_ms = random.random_range(60_000..3 * 86_400_000);
            let off_by_ms = if random.random() { off_by_ms } else { -off_by_ms };
            let speed = SPEEDS[random.random_range(0..SPEEDS.len())];
            lab.set_daytime(liar, Daytime::off_by(lab.now(), off_by_ms, speed));
        }
        lab.sleep(E).await;
    }
}

async fn client(lab: KvLab, c: u64, shortest_ms: u64, done: Rc<Cell<bool>>) {
    let mut random = lab.stream((1 << 33) + c);
    let mut clerk = lab.make_timed_clerk(&lab.all());
    let mut number = 0;
    while !done.get() {
        number += 1;
        let line = line(&mut random, shortest_ms, &format!("{c}.{number}"));
        clerk.ask(&line).await;
        lab.sleep(Duration::from_millis(random.random_range(20..200))).await;
    }
}

/// A command, with a value that no other has.
fn line(random: &mut StdRng, shortest_ms: u64, value: &str) -> String {
    let key = random.random_range(0..KEYS);
    let ms = random.random_range(shortest_ms..3500);
    match random.random_range(0..20) {
        0..5 => format!("SET k{key} {value} PX {ms}"),
        5 => format!("SET k{key} {value}"),
        6 => format!("SET k{key} {value} KEEPTTL XX"),
        7 => format!("PEXPIRE k{key} {ms}"),
        8 => format!("GETEX k{key} PX {ms}"),
        9 => format!("APPEND k{key} ,{value}"),
        10 => format!("PERSIST k{key}"),
        11 => format!("EXISTS k{key}"),
        _ => format!("GET k{key}"),
    }
}

/// Keys are set, and then nobody asks for anything. All the same each is gone from all servers when its time is over, and
/// not before.
async fn idle(lab: KvLab) {
    set_right(&lab);
    let mut clerk = lab.make_timed_clerk(&lab.all());
    clerk.insist("GET first").await;
    let done = Rc::new(Cell::new(false));
    let states = lab.spawn(lab.clone().compare_states(done.clone()));
    let hour = 3_600_000;
    for who in [Liars::Leader, Liars::Follower] {
        for (off_by_ms, speed) in [(hour, 100), (-hour, 100), (-hour, 0), (hour, 1000)] {
            let liar = liars(&lab, who)[0];
            lab.set_daytime(liar, Daytime::off_by(lab.now(), off_by_ms, speed));
            let keys = set_keys(&lab, &mut clerk).await;
            // A follower hears with the next heartbeat what is committed.
            lab.sleep(E / 4).await;
            watch_keys(&lab, &keys).await;
            set_right(&lab);
            // The clock is believed again by then.
            lab.sleep(3 * E).await;
        }
    }
    done.set(true);
    states.await;
    lab.end();
}

/// Between which times, in virtual time, a key ends.
struct Ends {
    earliest: Duration,
    latest: Duration,
}

async fn set_keys(lab: &KvLab, clerk: &mut TimedClerk) -> Vec<Ends> {
    let mut keys = Vec::new();
    for key in 0..6 {
        let lasts = Duration::from_millis(800 + lab.random_below(1500));
        let began = lab.now();
        clerk.insist(&format!("SET k{key} v PX {}", lasts.as_millis())).await;
        let (early, late) = (FINE.early_ns, FINE.late_ns);
        keys.push(Ends {
            earliest: (began + lasts).saturating_sub(Duration::from_nanos(early)),
            latest: lab.now() + lasts + Duration::from_nanos(late),
        });
    }
    keys
}

async fn watch_keys(lab: &KvLab, keys: &[Ends]) {
    let end = keys.iter().map(|key| key.latest).max().unwrap_or_default();
    while lab.now() <= end + Duration::from_millis(20) {
        let now = lab.now();
        let least = keys.iter().filter(|key| key.earliest > now).count() as u64;
        let most = keys.iter().filter(|key| key.latest >= now).count() as u64;
        let held = lab.keys_held();
        lab.ensure(held.iter().all(|held| (least..=most).contains(held)), || {
            format!("the servers hold {held:?} keys, and should hold {least} to {most}")
        })
        .await;
        lab.sleep(Duration::from_millis(10)).await;
    }
}
