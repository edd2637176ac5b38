//! Faults at random, for as long as it is said.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use bowline_sim::random::{stream, up_to, weighted};
use rand::RngExt;
use rand::rngs::StdRng;

use crate::harness::{Client, Cluster, PATIENCE};

/// How long a node is away at most.
const AWAY: Duration = Duration::from_millis(1500);

/// How long there is peace at most.
const PEACE: Duration = Duration::from_millis(500);

/// For how long the tests with random faults run, in seconds: `BOWLINE_SECONDS`, or 15.
pub(crate) fn time() -> Duration {
    Duration::from_secs(setting("BOWLINE_SECONDS", 15))
}

/// What they draw from: `BOWLINE_SEED`, or 1. What the processes make of it is another matter each time.
pub(crate) fn seed() -> u64 {
    setting("BOWLINE_SEED", 1)
}

fn setting<T: FromStr>(name: &str, unset: T) -> T {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => unset,
    }
}

#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill,
    KillLeader,
    Freeze,
    FreezeLeader,
    /// One is killed, and another one frozen: no majority is left of three.
    KillAndFreeze,
    KillAll,
}

const FAULTS: [(u32, Fault); 6] = [
    (2, Fault::Kill),
    (4, Fault::KillLeader),
    (2, Fault::Freeze),
    (3, Fault::FreezeLeader),
    (2, Fault::KillAndFreeze),
    (1, Fault::KillAll),
];

/// What was done to a cluster.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) kills: usize,
    pub(crate) freezes: usize,
}

impl Display for Tally {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} times kill -9, {} times SIGSTOP", self.kills, self.freezes)
    }
}

/// Kills and freezes nodes until the time is over, and there was one of each at least. Then all are there.
pub(crate) fn torment(cluster: &mut Cluster, seed: u64, time: Duration) -> Tally {
    let mut random = stream(seed, "nemesis", 0);
    let mut tally = Tally::default();
    let begun = Instant::now();
    while begun.elapsed() < time || tally.kills == 0 || tally.freezes == 0 {
        thread::sleep(up_to(&mut random, PEACE));
        let fault = weighted(&mut random, &FAULTS);
        let victim = match fault {
            Fault::KillLeader | Fault::FreezeLeader | Fault::KillAndFreeze => cluster.leader(),
            Fault::Kill | Fault::Freeze | Fault::KillAll => one_of(&mut random, &cluster.ids()),
        };
        let (killed, frozen) = match fault {
            Fault::Kill | Fault::KillLeader => (vec![victim], None),
            Fault::Freeze | Fault::FreezeLeader => (Vec::new(), Some(victim)),
            Fault::KillAndFreeze => (vec![one_of(&mut random, &cluster.others(victim))], Some(victim)),
            Fault::KillAll => (cluster.ids(), None),
        };
        if let Some(frozen) = frozen {
            cluster.stop(frozen);
            tally.freezes += 1;
        }
        cluster.kill_at_once(&killed);
        tally.kills += killed.len();
        thread::sleep(up_to(&mut random, AWAY));
        if let Some(frozen) = frozen {
            cluster.resume(frozen);
        }
        for id in killed {
            cluster.restart(id);
        }
    }
    cluster.leader();
    tally
}

/// A connection to a node that may be starting: whoever is connected then waits for the start, and for the time in which
/// nobody leads.
pub(crate) fn connect(addr: &str) -> Option<Client> {
    let mut client = Client::connect(addr).ok()?;
    client.set_patience(2 * PATIENCE);
    Some(client)
}

pub(crate) fn one_of<T: Copy>(random: &mut StdRng, choices: &[T]) -> T {
    choices[random.random_range(0..choices.len())]
}
