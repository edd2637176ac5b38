//! Part D: snapshots. The service takes one every ten entries, and the log must stay short.
//!
//! What is committed must reach everybody all the same: a server that has missed what the others no longer
//! have is brought up by a snapshot, and nobody's state ever goes backwards.

use crate::config::Lab;
use crate::scenario::{Body, Line, Part, Scenario, Script};
use crate::script::random_below;

/// How large the saved state of a server may be, in bytes, snapshots apart.
const MAX_LOG_SIZE: usize = 2000;

/// How often a server is cut off or crashes.
const ROUNDS: usize = 30;

/// The scenarios of part D, in the order of the seeds.
pub(crate) const SCENARIOS: &[Scenario] = &[
    scenario(
        "TestSnapshotBasic3D",
        "Test (3D): snapshots basic",
        |lab| Box::pin(common(lab, Trouble::None)),
        Some(Line { seconds: 11.6, peers: 3, rpcs: 176, bytes: 61_716, committed: 192 }),
    ),
    scenario(
        "TestSnapshotInstall3D",
        "Test (3D): install snapshots (disconnect)",
        |lab| Box::pin(common(lab, Trouble::Disconnect)),
        Some(Line { seconds: 64.2, peers: 3, rpcs: 878, bytes: 320_610, committed: 336 }),
    ),
    unreliable(scenario(
        "TestSnapshotInstallUnreliable3D",
        "Test (3D): install snapshots (disconnect+unreliable)",
        |lab| Box::pin(common(lab, Trouble::Disconnect)),
        Some(Line { seconds: 81.1, peers: 3, rpcs: 1059, bytes: 375_850, committed: 341 }),
    )),
    scenario(
        "TestSnapshotInstallCrash3D",
        "Test (3D): install snapshots (crash)",
        |lab| Box::pin(common(lab, Trouble::Crash)),
        Some(Line { seconds: 53.5, peers: 3, rpcs: 601, bytes: 256_638, committed: 339 }),
    ),
    unreliable(scenario(
        "TestSnapshotInstallUnCrash3D",
        "Test (3D): install snapshots (unreliable+crash)",
        |lab| Box::pin(common(lab, Trouble::Crash)),
        Some(Line { seconds: 63.5, peers: 3, rpcs: 687, bytes: 288_294, committed: 336 }),
    )),
    scenario(
        "TestSnapshotAllCrash3D",
        "Test (3D): crash and restart all servers",
        |lab| Box::pin(all_crash(lab)),
        Some(Line { seconds: 19.5, peers: 3, rpcs: 268, bytes: 81_352, committed: 58 }),
    ),
    scenario(
        "TestSnapshotInit3D",
        "Test (3D): snapshot initialization after crash",
        |lab| Box::pin(init(lab)),
        None,
    ),
];

const fn scenario(
    name: &'static str,
    title: &'static str,
    script: fn(Lab) -> Script<()>,
    seed_002: Option<Line>,
) -> Scenario {
    Scenario {
        part: Part::RaftD,
        name,
        title,
        peers: 3,
        unreliable: false,
        body: Body::Raft(script),
        seed_002,
        seed_001: None,
    }
}

const fn unreliable(scenario: Scenario) -> Scenario {
    Scenario { unreliable: true, ..scenario }
}

/// What happens to the victim of each round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    None,
    Disconnect,
    Crash,
}

/// Thirty times a server misses some entries, and the others go on, and drop what it has missed.
///
/// Without trouble: a snapshot that the service makes while the peer wants to hand over the next command must not
/// stop either; the log is trimmed on every server. With it: the leader must see that what a server lacks is gone,
/// whether it learns that from a refusal or had it in mind; a snapshot that was lost is sent again, one that is
/// late or old must not set anybody back; a log that goes on behind a snapshot is kept; and a restart begins
/// behind the snapshot, not at 1.
async fn common(lab: Lab, trouble: Trouble) {
    let n = lab.n();
    lab.one(lab.random_int(), n, true).await;
    let mut leader = lab.check_one_leader().await;
    for i in 0..ROUNDS {
        let (victim, sender) =
            if i % 3 == 1 { (leader, (leader + 1) % n) } else { ((leader + 1) % n, leader) };
        match trouble {
            Trouble::None => {}
            Trouble::Disconnect => lab.disconnect(victim),
            Trouble::Crash => lab.crash1(victim),
        }
        if trouble != Trouble::None {
            lab.one(lab.random_int(), n - 1, true).await;
        }

        // Whether or not the sender leads: if it does not, nothing becomes of these.
        for _ in 0..5 + random_below(&lab, 10) {
            lab.start(sender, lab.random_int()).await;
        }

        // Without trouble nobody needs a snapshot to catch up.
        let expected = if trouble == Trouble::None { n } else { n - 1 };
        lab.one(lab.random_int(), expected, true).await;
        let size = lab.log_size();
        lab.ensure(size < MAX_LOG_SIZE, || format!("a log takes {size} bytes, and may take {MAX_LOG_SIZE}"))
            .await;

        if trouble == Trouble::None {
            continue;
        }
        // The victim is back, and may have to be given a snapshot.
        if trouble == Trouble::Crash {
            lab.start1(victim);
        }
        lab.connect(victim);
        lab.one(lab.random_int(), n, true).await;
        leader = lab.check_one_leader().await;
    }
}

/// All servers crash at once, five times, and go on where they were.
///
/// Catches a snapshot that a later save has wiped out, and a restart that begins at 1 with a log that does not.
async fn all_crash(lab: Lab) {
    let n = lab.n();
    lab.one(lab.random_int(), n, true).await;
    for _ in 0..5 {
        for _ in 0..5 + random_below(&lab, 10) {
            lab.one(lab.random_int(), n, true).await;
        }
        let before = lab.one(lab.random_int(), n, true).await;
        restart_all(&lab);
        let after = lab.one(lab.random_int(), n, true).await;
        lab.ensure(after > before, || format!("the log went back from {before} to {after}")).await;
    }
}

/// A restart, and then a save.
///
/// Catches a peer that has not loaded its snapshot by then, and saves that there is none.
async fn init(lab: Lab) {
    let n = lab.n();
    for _ in 0..12 {
        lab.one(lab.random_int(), n, true).await;
    }
    restart_all(&lab);
    lab.one(lab.random_int(), n, true).await;
    // What that has saved must be enough for a second restart.
    restart_all(&lab);
    lab.one(lab.random_int(), n, true).await;
}

fn restart_all(lab: &Lab) {
    for i in 0..lab.n() {
        lab.crash1(i);
    }
    for i in 0..lab.n() {
        lab.start1(i);
        lab.connect(i);
    }
}
