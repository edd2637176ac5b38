//! What the harness must see, shown by servers that know nothing of what was written.

use bowline_linearizability::course::Course;
use bowline_linearizability::redis::timed::{self, TimedRedis, Tolerance};
use bowline_linearizability::unplaced;
use bowline_sim::executor::Sim;
use bowline_sim::host::DiskKind;

use super::verdict::MOST_STEPS;
use super::{KvLab, KvSetting};

const SETTING: KvSetting = KvSetting { servers: 3, max_raft_state: None, disk: DiskKind::Fast, seed: 1 };

/// The history goes on with other servers. No time passes.
fn pass_on(lab: &KvLab, others: &KvLab) {
    others.0.history.swap(&lab.0.history);
    others.0.timed.swap(&lab.0.timed);
    lab.clean_up();
}

#[test]
fn a_stale_read_behind_a_write_of_the_same_instant_has_no_place() {
    let ran = Sim::run(|sim| async move {
        let (lab, others) = (KvLab::new(&sim, SETTING, None), KvLab::new(&sim, SETTING, None));
        lab.make_clerk(&lab.all()).put("k", "new").await;
        pass_on(&lab, &others);
        let read = others.make_clerk(&others.all()).get("k").await;
        others.clean_up();
        (read, unplaced::<Course>(&others.0.history.borrow(), MOST_STEPS))
    });
    let (read, wrong) = ran.expect("it comes to its end");
    assert_eq!(read, "");
    assert!(wrong.is_some(), "a write was over before the read began that does not show it");
}

#[test]
fn so_it_is_with_commands_about_time() {
    let ran = Sim::run(|sim| async move {
        let (lab, others) = (KvLab::new(&sim, SETTING, None), KvLab::new(&sim, SETTING, None));
        let mut reader = others.make_timed_clerk(&others.all());
        // It knows the leader then, and asks nobody else first.
        reader.insist("GET other").await;
        lab.make_timed_clerk(&lab.all()).insist("SET k new").await;
        pass_on(&lab, &others);
        reader.insist("GET k").await;
        others.clean_up();
        let history = timed::history(&others.0.timed.borrow(), Tolerance { early_ns: 0, late_ns: 0 });
        unplaced::<TimedRedis>(&history, MOST_STEPS)
    });
    let wrong = ran.expect("it comes to its end");
    assert!(wrong.is_some(), "a write was over before the read began that does not show it");
}
