//! What is done to the machines and the network.

use bowline_raft::NodeId;

use super::{Event, World};
use crate::nemesis::Fault;
use crate::process::Crash;

/// The names under which it is counted what really happened. Each must come up.
pub(super) const FAULTS: [&str; 28] = [
    KILLS[0],
    KILLS[1],
    KILLS[2],
    POWER_LOSSES[0],
    POWER_LOSSES[1],
    POWER_LOSSES[2],
    BEFORE_RESTART,
    AFTER_RESTART,
    "stopped in recovery",
    "stopped in an append",
    "stopped in a sync",
    "stopped while filling ahead",
    "failed syncs",
    "sectors lost",
    "sectors kept",
    "names lost",
    "links cut",
    "messages cut off",
    "messages lost",
    "messages duplicated",
    "messages reordered",
    "writes that waited and went together",
    APPLIED_LATE,
    "elections won",
    "logs cut that were on disk",
    "segments begun",
    "proposals",
    "acknowledged",
];

const KILLS: [&str; 3] = ["kills of one", "kills of a majority", "kills of all"];
const POWER_LOSSES: [&str; 3] = ["power losses of one", "power losses of a majority", "power losses of all"];
const BEFORE_RESTART: &str = "power losses between a kill and the restart";
pub(super) const APPLIED_LATE: &str = "entries applied a while after they were handed out";
const AFTER_RESTART: &str = "power losses soon after a kill and the restart";

impl World {
    pub(super) fn break_something(&mut self) {
        let pause = self.nemesis.pause();
        self.queue.after(pause, Event::Break);
        let leader = self.leaders().first().map(|at| self.ids[*at]);
        match self.nemesis.fault(&self.ids, leader) {
            Fault::Crash(crash, victims) => self.crash(crash, &victims),
            Fault::KillThenPowerLoss(victims, after) => {
                self.crash(Crash::Kill, &victims);
                self.queue.after(after, Event::PowerLoss(victims));
            }
            Fault::Stop(crash, victim, operations) => {
                let at = self.place(victim);
                self.machines[at].plan_stop(crash, operations);
            }
            Fault::FailedSync(victim) => {
                let at = self.place(victim);
                self.machines[at].disk.fail_next_sync();
            }
            Fault::Cut(links, time) => {
                self.tally.add("links cut", links.len() as u64);
                self.network.cut(links);
                self.queue.after(time, Event::Mend);
            }
        }
    }

    /// The power of machines goes whose processes were killed before.
    pub(super) fn late_power_loss(&mut self, ids: &[NodeId]) {
        for id in ids {
            let is_up = self.machines[self.place(*id)].process.is_some();
            self.tally.add(if is_up { AFTER_RESTART } else { BEFORE_RESTART }, 1);
        }
        self.crash(Crash::PowerLoss, ids);
    }

    /// These go down at the same instant, as far as they are up.
    fn crash(&mut self, crash: Crash, ids: &[NodeId]) {
        let places: Vec<usize> = ids.iter().map(|id| self.place(*id)).collect();
        let up = places.iter().filter(|at| self.machines[**at].process.is_some()).count();
        let (one, majority, all) = (1, self.ids.len() / 2 + 1, self.ids.len());
        let names = match crash {
            Crash::Kill => KILLS,
            Crash::PowerLoss => POWER_LOSSES,
        };
        if let Some(size) = [one, majority, all].iter().position(|size| *size == up) {
            self.tally.add(names[size], 1);
        }
        for at in places {
            self.go_down(at, crash, "from outside");
        }
    }

    /// A machine's process ends, if there is one, and will be started again.
    pub(super) fn go_down(&mut self, at: usize, crash: Crash, why: &str) {
        let id = self.ids[at];
        self.machines[at].crash(crash);
        self.clients.hang_up(id);
        self.timeline.note(self.queue.now(), id, None, || format!("{crash:?}, {why}"));
        let downtime = self.nemesis.downtime();
        self.queue.after(downtime, Event::Start(at));
    }

    /// Counts what others know.
    pub(super) fn count(&mut self) {
        for machine in &self.machines {
            let faults = machine.disk.faults();
            self.tally.add("sectors lost", faults.sectors_lost);
            self.tally.add("sectors kept", faults.sectors_kept);
            self.tally.add("names lost", faults.names_lost);
            self.tally.add("segments begun", machine.segments());
        }
        let faults = self.network.faults();
        self.tally.add("messages cut off", faults.cut);
        self.tally.add("messages lost", faults.lost);
        self.tally.add("messages duplicated", faults.duplicated);
        self.tally.add("messages reordered", faults.reordered);
        self.tally.add("elections won", self.invariants.elections());
        self.tally.add("logs cut that were on disk", self.invariants.durable_truncations());
        self.tally.add("proposals", self.clients.proposed());
        self.tally.add("acknowledged", self.clients.acknowledged());
    }
}
