//! What the crash test sees of a mistake: its worlds, one after the other, as far as the time reaches.
//!
//! `cargo run -p bowline-sim --example crash_hunt -- 25` hunts for 25 seconds at most.

use std::time::Duration;

use bowline_sim::hunt::{Finding, Limits, Run, hunt};
use bowline_sim::world;

/// As many as the test has.
const WORLDS: u64 = 1000;

fn main() {
    let seconds = std::env::args().nth(1).map_or(25, |text| text.parse().expect("a number of seconds"));
    let limits =
        Limits { time: Duration::from_secs(seconds), enough: (100, 100), patience: Duration::from_secs(20) };
    let runs = (0..WORLDS).map(|seed| Run {
        kind: "a world",
        label: format!("seed {seed}"),
        body: Box::new(move || {
            let violations = world::run(seed, 0).violations;
            violations.into_iter().map(|v| Finding { name: v.property.into(), what: v.what }).collect()
        }),
    });
    print!("{}", hunt(runs, limits));
}
