//! What the harness must see, shown by servers that know nothing of what was written.

use bowline_linearizability::course::Course;
use bowline_linearizability::redis::timed::{self, TimedRedis, Tolerance};
use bowline_linearizability::unplaced;
use bowline_sim::executor::Sim;
use bowline_sim::host::DiskKind;

use super::verdict::MOST_STEPS;
use super::{KvLab, KvSetting};

const SETTING: KvSetting = KvSetting { servers: 3, max_raft_state: None, disk: DiskKind::Fast, seed: 1 };

/// Other servers, which are empty, and the histories go on. No time passes.
fn others(sim: &Sim, lab: &KvLab) -> KvLab {
    let others = KvLab::new(sim, SETTING, None);
    others.0.history.swap(&lab.0.history);
    others.0.timed.swap(&lab.0.timed);
    lab.clean_up();
    others
}

#[test]
fn a_stale_read_behind_a_write_of_the_same_instant_has_no_place() {
    let ran = Sim::run(|sim| async move {
        let lab = KvLab::new(&sim, SETTING, None);
        lab.make_clerk(&lab.all()).put("k", "new").await;
        let lab = others(&sim, &lab);
        let read = lab.make_clerk(&lab.all()).get("k").await;
        lab.clean_up();
        (read, unplaced::<Course>(&lab.0.history.borrow(), MOST_STEPS))
    });
    let (read, wrong) = ran.expect("it comes to its end");
    assert_eq!(read, "");
    assert!(wrong.is_some(), "a write was over before the read began that does not show it");
}

#[test]
fn so_it_is_with_commands_about_time() {
    let ran = Sim::run(|sim| async move {
        let lab = KvLab::new(&sim, SETTING, None);
        lab.make_timed_clerk(&lab.all()).insist("SET k new").await;
        let lab = others(&sim, &lab);
        lab.make_timed_clerk(&lab.all()).insist("GET k").await;
        lab.clean_up();
        let history = timed::history(&lab.0.timed.borrow(), Tolerance { early_ns: 0, late_ns: 0 });
        unplaced::<TimedRedis>(&history, MOST_STEPS)
    });
    let wrong = ran.expect("it comes to its end");
    assert!(wrong.is_some(), "a write was over before the read began that does not show it");
}
