//! The nodes' side: what a server's loop does around its node, with virtual nouns.

use std::time::Duration;

use bowline_raft::{Alarm, Body, Entry, LogId, Message, NodeId, Outcome, Ready, RoleKind};
use bowline_storage::WalError;
use rand::RngExt;

use super::chaos::APPLIED_LATE;
use super::{Event, World};
use crate::invariants::durability::Ledger;
use crate::network::Passage;
use crate::process::{Crash, Failure};
use crate::random::{derive, up_to};

impl World {
    pub(super) fn start(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        if machine.process.is_some() {
            return;
        }
        let id = machine.id;
        if !self.calm
            && let Some((crash, operations)) = self.nemesis.stop_in_recovery()
        {
            machine.plan_stop(crash, operations);
        }
        let (wal, found) = match machine.recover() {
            Ok(recovered) => recovered,
            Err(error) => return self.log_failed(at, &error, "stopped in recovery"),
        };
        self.invariants.recovered(id, Ledger::new(found.hard_state, LogId::ZERO, found.entries.clone()));
        let machine = &mut self.machines[at];
        let seed = derive(self.seed, "elections", machine.life);
        let node = machine.start(self.weather.node_config(id, &self.ids, seed), wal, found);
        self.invariants.started(node);
        let life = machine.life;
        self.queue.after(Duration::ZERO, Event::Tick { at, life });
        self.pass(at, || "starts".to_string());
    }

    pub(super) fn tick(&mut self, at: usize, life: u64) {
        if self.machines[at].life == life {
            self.queue.after(self.weather.election_timeout / 10, Event::Tick { at, life });
            self.pass(at, || "tick".to_string());
        }
    }

    pub(super) fn arrive(&mut self, passage: Passage, from: NodeId, to: NodeId, message: Message) {
        let at = self.place(to);
        let Some(process) = &mut self.machines[at].process else { return };
        if !self.network.arrives(passage) {
            return;
        }
        let text = if self.timeline.is_off() { String::new() } else { describe(from, &message) };
        if let Err(reject) = process.node.step(from, message) {
            self.violated("no message is rejected", format!("node {to}: {reject}"));
        }
        self.pass(at, || text);
    }

    /// Somebody who leads, or believes so, is given something to do.
    pub(super) fn propose(&mut self) {
        let pause = self.weather.proposal_pause;
        let random = self.clients.random();
        let pause = up_to(random, pause);
        let count = random.random_range(1..=4);
        self.queue.after(pause, Event::Propose);
        let leaders = self.leaders();
        if leaders.is_empty() {
            return;
        }
        let at = leaders[self.clients.random().random_range(0..leaders.len())];
        for _ in 0..count {
            self.propose_at(at);
        }
        self.pass(at, || format!("{count} proposals"));
    }

    /// Proposes something to a leader.
    pub(super) fn propose_at(&mut self, at: usize) -> Option<bowline_raft::LogId> {
        let payload = self.clients.next_payload();
        let process = self.machines[at].process.as_mut()?;
        let id = process.node.propose(payload.clone()).ok()?;
        self.clients.taken(self.ids[at], id, payload);
        Some(id)
    }

    /// One pass of the node's loop: time, and then whatever is to be done.
    pub(super) fn pass(&mut self, at: usize, event: impl FnOnce() -> String) {
        let now = self.queue.now();
        let Some(process) = &mut self.machines[at].process else { return };
        process.node.tick(now);
        self.timeline.note(now, self.ids[at], Some(&process.node), event);
        let ready = process.node.ready();
        let written = ready.write.as_ref().map_or(&[][..], |write| &write.entries);
        self.invariants.stepped(&process.node, written);
        self.carry_out(at, ready);
    }

    fn carry_out(&mut self, at: usize, ready: Ready) {
        let id = self.ids[at];
        for envelope in ready.messages {
            self.invariants.sent(id, &envelope);
            for passage in self.network.send(id, envelope.to) {
                let (to, message) = (envelope.to, envelope.message.clone());
                self.queue.after(passage.delay, Event::Arrive { passage, from: id, to, message });
            }
        }
        for alarm in ready.alarms {
            if let Alarm::PeerLostData { .. } = alarm {
                self.violated("nobody lost data", format!("node {id}: {alarm}"));
            }
        }
        assert!(ready.restore.is_none(), "a snapshot to restore, and nobody here makes one");
        self.hand_over(at, ready.committed);
        let process = self.machines[at].process.as_mut().expect("it had a pass");
        assert!(!process.node.has_more_to_apply(), "one pass has room for all that there is here");
        if let Some(write) = ready.write {
            process.submit(write);
        }
        if let Some(batch) = process.next_batch() {
            self.tally.add("writes that waited and went together", u64::from(batch.len() > 1));
            self.invariants.writing(id, batch);
            self.append(at);
        }
    }

    fn hand_over(&mut self, at: usize, committed: Vec<Entry>) {
        for entry in &committed {
            self.invariants.applied(self.ids[at], entry);
        }
        let longest = self.weather.longest_apply;
        let machine = &mut self.machines[at];
        let begins = machine.process.as_mut().expect("it had a pass").hand_over(committed);
        if longest.is_zero() {
            self.apply(at);
        } else if begins {
            let life = machine.life;
            self.queue.after(machine.draw_apply_time(longest), Event::Applied { at, life });
        }
    }

    /// The state machine has applied what it was handed, unless the process went down meanwhile.
    pub(super) fn applied(&mut self, at: usize, life: u64) {
        if self.machines[at].life == life {
            let entries = self.apply(at);
            self.tally.add(APPLIED_LATE, entries);
            self.pass(at, || "applied".to_string());
        }
    }

    fn apply(&mut self, at: usize) -> u64 {
        let entries = self.machines[at].process.as_mut().expect("it lives").apply();
        for entry in &entries {
            let verdict = self.clients.applied(self.ids[at], entry);
            self.invariants.note(verdict);
        }
        entries.len() as u64
    }

    fn append(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        let process = machine.process.as_mut().expect("it writes");
        match process.append() {
            Ok(()) => {
                let life = machine.life;
                self.queue.after(machine.draw_sync_time(), Event::Synced { at, life });
            }
            Err(error) => self.log_failed(at, &error, "stopped in an append"),
        }
    }

    pub(super) fn synced(&mut self, at: usize, life: u64) {
        let machine = &mut self.machines[at];
        if machine.life != life {
            return;
        }
        let id = machine.id;
        let process = machine.process.as_mut().expect("it lives");
        let written = match process.sync() {
            Ok(written) => written,
            Err(error) => return self.log_failed(at, &error, "stopped in a sync"),
        };
        self.invariants.synced(id);
        if let Some(seq) = written {
            process.node.persisted(seq);
        }
        if let Err(error) = process.fill_ahead() {
            return self.log_failed(at, &error, "stopped while filling ahead");
        }
        self.pass(at, || "synced".to_string());
        if written.is_some() {
            self.mark(at);
        }
    }

    /// When nothing is to be written the log sometimes makes its empty write.
    fn mark(&mut self, at: usize) {
        let machine = &mut self.machines[at];
        let marks = machine.draw_marker();
        let Some(process) = &mut machine.process else { return };
        if marks && process.is_idle() {
            process.begin_marker();
            self.invariants.writing(self.ids[at], &[]);
            self.append(at);
        }
    }

    /// The log has failed: as planned, and then the process goes down; or it never should have.
    fn log_failed(&mut self, at: usize, error: &WalError, stopped: &'static str) {
        let id = self.ids[at];
        match self.machines[at].planned_failure() {
            Some(Failure::Stopped(crash)) => {
                self.tally.add(stopped, 1);
                self.go_down(at, crash, stopped);
            }
            Some(Failure::Sync) => {
                self.tally.add("failed syncs", 1);
                self.go_down(at, Crash::Kill, "failed sync");
            }
            None => {
                self.violated("the log works", format!("node {id}: {error}"));
                self.over = true;
            }
        }
    }

    pub(super) fn leaders(&self) -> Vec<usize> {
        let leads = |at: &usize| {
            let process = self.machines[*at].process.as_ref();
            process.is_some_and(|process| process.node.role() == RoleKind::Leader)
        };
        (0..self.machines.len()).filter(leads).collect()
    }

    pub(super) fn place(&self, id: NodeId) -> usize {
        self.ids.iter().position(|other| *other == id).expect("a member")
    }
}

fn describe(from: NodeId, message: &Message) -> String {
    let term = message.term;
    match &message.body {
        Body::PreVote { last } => format!("{from}: PreVote term {term}, last {last}"),
        Body::PreVoteReply { granted } => format!("{from}: PreVoteReply term {term}, {granted}"),
        Body::RequestVote { last } => format!("{from}: RequestVote term {term}, last {last}"),
        Body::VoteReply { granted } => format!("{from}: VoteReply term {term}, {granted}"),
        Body::AppendEntries(append) => {
            let (prev, count, commit) = (append.prev, append.entries.len(), append.commit);
            format!("{from}: AppendEntries term {term}, {count} behind {prev}, commit {commit}")
        }
        Body::InstallSnapshot(install) => {
            format!("{from}: InstallSnapshot term {term}, up to {}", install.last)
        }
        Body::AppendReply(reply) => match reply.outcome {
            Outcome::Accepted { matched } => format!("{from}: AppendReply term {term}, matched {matched}"),
            Outcome::Refused(conflict) => {
                format!("{from}: AppendReply term {term}, refused, last {}", conflict.last_index)
            }
        },
    }
}
