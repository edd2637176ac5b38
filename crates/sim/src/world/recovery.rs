//! The end: all is healed, and everybody must agree, with each other and with their disks.

use std::time::Duration;

use bowline_raft::LogId;

use super::{CHAOS, Event, World};
use crate::invariants::durability::Ledger;
use crate::process::Crash;

/// So soon after the last fault all must be well again.
const RECOVERY: Duration = Duration::from_secs(60);

/// How often it is looked whether it is.
const PAUSE: Duration = Duration::from_millis(20);

/// A last proposal that was not applied everywhere after so long is made again: its leader may be gone.
const PATIENCE: Duration = Duration::from_millis(500);

impl World {
    /// One more proposal is made, until one is applied everywhere and there is nothing left to do.
    pub(super) fn converge(&mut self) {
        let now = self.queue.now();
        if self.agreed() {
            self.over = true;
            return self.check_end();
        }
        if now > CHAOS + RECOVERY {
            self.over = true;
            return self
                .violated("the group recovers", format!("not within {RECOVERY:?} after the last fault"));
        }
        self.queue.after(PAUSE, Event::Propose);
        let waits = self.last_proposal.is_some_and(|(_, at)| now < at + PATIENCE);
        let leaders = self.leaders();
        if let [at] = leaders[..]
            && !waits
            && let Some(id) = self.propose_at(at)
        {
            self.last_proposal = Some((id, now));
            self.pass(at, || "the last proposal".to_string());
        }
    }

    /// Whether all nodes are up, have the last proposal, and have applied and made durable all they have.
    fn agreed(&self) -> bool {
        let Some((proposal, _)) = self.last_proposal else { return false };
        self.machines.iter().all(|machine| {
            let Some(process) = &machine.process else { return false };
            let (node, first) = (&process.node, self.machines[0].process.as_ref());
            let last = node.last_log_id();
            let same = first.is_some_and(|first| first.node.last_log_id() == last);
            let has = node.entry(proposal.index).is_some_and(|entry| entry.id == proposal);
            same && has && node.last_applied() == last.index && node.durable_index() == last.index
        })
    }

    fn check_end(&mut self) {
        let committed = self.invariants.committed().to_vec();
        let payloads: Vec<_> =
            committed.iter().map(|entry| &entry.payload).filter(|p| !p.is_empty()).collect();
        for at in 0..self.machines.len() {
            let id = self.ids[at];
            let process = self.machines[at].process.as_ref().expect("all are up");
            if !process.applied.iter().eq(payloads.iter().copied()) {
                self.violated(
                    "all apply the same",
                    format!("node {id} applied something else than was committed"),
                );
            }
            let log =
                |index| self.machines[at].process.as_ref().and_then(|process| process.node.entry(index));
            if !(1..).map_while(log).eq(&committed) {
                self.violated(
                    "all logs are equal",
                    format!("node {id} has something else than was committed"),
                );
            }
        }
        let verdict = self.clients.check(&committed);
        self.invariants.note(verdict);
        self.check_disks();
    }

    /// The power goes everywhere once more: the disks alone give back everything.
    fn check_disks(&mut self) {
        for at in 0..self.machines.len() {
            let id = self.ids[at];
            self.machines[at].crash(Crash::PowerLoss);
            match self.machines[at].recover() {
                Ok((_, found)) => {
                    self.invariants
                        .recovered(id, Ledger::new(found.hard_state, LogId::ZERO, found.entries.clone()));
                    let verdict = self.clients.check(&found.entries);
                    self.invariants.note(verdict);
                }
                Err(error) => self.violated("the log works", format!("node {id}: {error}")),
            }
        }
    }
}
