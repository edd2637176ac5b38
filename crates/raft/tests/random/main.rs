//! Clusters under random faults, checked after every step.
//!
//! Messages are lost, repeated and overtaken; writes finish late, and a power loss takes what was
//! not finished; clocks run unevenly; members are cut off; services make snapshots when they like, late
//! and of any state that they were in, durable before the log speaks of them or together with it. After
//! each step: at most one leader a term, a vote that never changes in its term, equal logs up to any
//! entry that they share, what was committed once is committed for ever and stands in the log or the
//! snapshot of each later leader, what was acknowledged is on that disk as long as its term lasts,
//! nothing is promised before it is durable, a read covers all that was committed anywhere when it was
//! asked, and a service's state is what the committed entries make of it, whether they came one by one or
//! in snapshots. Then the network heals. A member that comes back while the others go on must be brought up
//! by one snapshot, and a leader that comes back with a log of its own, and loses its power while it is brought
//! up, must follow; the cluster must serve a proposal and a read, and be of one state.
//!
//! Seeds are fixed, so that a run says the same everywhere; RANDOM_SEED runs one of them alone.

mod checks;
mod ending;
#[path = "../harness/member.rs"]
mod member;
mod tally;
mod world;

use tally::Happened;
use world::World;

const STEPS: usize = 2000;
const SEEDS: u64 = 300;

fn run(seed: u64) -> Happened {
    let mut world = World::new(seed);
    for _ in 0..STEPS {
        world.fault_or_step();
    }
    world.heal_and_serve();
    world.happened
}

#[test]
fn random_faults_break_nothing() {
    if let Ok(seed) = std::env::var("RANDOM_SEED") {
        println!("{:?}", run(seed.parse().expect("a number")));
        return;
    }
    let mut total = Happened::default();
    for seed in 0..SEEDS {
        let happened = std::panic::catch_unwind(|| run(seed));
        let happened = happened.unwrap_or_else(|_| panic!("to see it again: RANDOM_SEED={seed}"));
        total.add_all(happened);
    }
    println!("{total:?}");
    total.must_be_enough();
}
