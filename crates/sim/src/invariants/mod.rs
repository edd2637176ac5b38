//! What must hold after every event. One file for each safety property, named as in the paper's Figure 3 where it is there.
//!
//! | property | file |
//! |---|---|
//! | at most one leader a term, elected by a majority | [`election_safety`] |
//! | a leader only appends | [`leader_append_only`] |
//! | an index and a term name one entry and all in front of it | [`log_matching`] |
//! | a leader has all that is committed | [`leader_completeness`] |
//! | nobody applies anything else at the same index | [`state_machine_safety`] |
//! | everybody applies each entry once, in order, and what is on the own disk | [`applying`] |
//! | what is committed is on a majority of disks, and stays there | [`majority`] |
//! | nothing goes back that was durable | [`durability`] |
//! | nothing goes back that others were told, or is told too early | [`promises`] |
//! | nothing goes back within a life | [`monotony`] |
//!
//! A run goes on after a violation, as far as it can: which of the checks see a mistake, and how late, tells
//! something about the mistake and about the checks.

pub mod applying;
pub mod durability;
pub mod election_safety;
pub mod leader_append_only;
pub mod leader_completeness;
pub mod log_matching;
pub mod majority;
pub mod monotony;
pub mod promises;
pub mod state_machine_safety;

use std::collections::BTreeMap;

use bowline_raft::{Entry, Envelope, Index, LogId, Node, NodeId, RoleKind, Write};

use applying::Applying;
use durability::Ledger;
use election_safety::ElectionSafety;
use leader_append_only::LeaderAppendOnly;
use log_matching::LogMatching;
use monotony::Monotony;
use promises::Promises;
use state_machine_safety::StateMachineSafety;

/// Something that must never happen has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The property.
    pub property: &'static str,
    /// What was seen.
    pub what: String,
}

/// The result of a check.
pub type Verdict<T = ()> = Result<T, Violation>;

/// A violation of `property` unless `holds`.
pub fn ensure(holds: bool, property: &'static str, what: impl FnOnce() -> String) -> Verdict {
    if holds { Ok(()) } else { Err(Violation { property, what: what() }) }
}

/// Where the entry with this index stands in a list of all entries; no entry has index 0.
pub(crate) fn place(index: Index) -> usize {
    usize::try_from(index).expect("a log fits into memory").wrapping_sub(1)
}

/// All properties of one group.
#[derive(Debug)]
pub struct Invariants {
    election_safety: ElectionSafety,
    leader_append_only: LeaderAppendOnly,
    log_matching: LogMatching,
    state_machine_safety: StateMachineSafety,
    ledgers: BTreeMap<NodeId, Ledger>,
    promises: BTreeMap<NodeId, Promises>,
    lives: BTreeMap<NodeId, Monotony>,
    state_machines: BTreeMap<NodeId, Applying>,
    violations: Vec<Violation>,
    durable_truncations: u64,
}

impl Invariants {
    /// Of a group with these members and empty disks.
    pub fn new(ids: &[NodeId]) -> Self {
        Self {
            election_safety: ElectionSafety::default(),
            leader_append_only: LeaderAppendOnly::default(),
            log_matching: LogMatching::default(),
            state_machine_safety: StateMachineSafety::default(),
            ledgers: ids.iter().map(|id| (*id, Ledger::default())).collect(),
            promises: ids.iter().map(|id| (*id, Promises::default())).collect(),
            lives: BTreeMap::new(),
            state_machines: BTreeMap::new(),
            violations: Vec::new(),
            durable_truncations: 0,
        }
    }

    /// A disk gave this back.
    pub fn recovered(&mut self, id: NodeId, found: Ledger) {
        let (gone, verdict) = self.ledger(id).recovered(id, found);
        self.note(verdict);
        self.disk_changed(id, &gone);
    }

    /// A node has started with what its disk gave back.
    pub fn started(&mut self, node: &Node) {
        self.lives.insert(node.id(), Monotony::begin(node));
        self.state_machines.insert(node.id(), Applying::begin(node.snapshot()));
    }

    /// A node has taken an input, and these entries are now in its log, and to be written.
    pub fn stepped(&mut self, node: &Node, written: &[Entry]) {
        let verdict = self.log_matching.written(node, written);
        self.note(verdict);
        if node.role() == RoleKind::Leader {
            self.led(node, written);
        }
        self.moved(node);
    }

    /// A node sends a message.
    pub fn sent(&mut self, from: NodeId, envelope: &Envelope) {
        let promises = self.promises.get_mut(&from).expect("a member");
        let verdict = promises.sent(from, envelope, &self.ledgers[&from], &self.leader_append_only);
        self.note(verdict);
    }

    /// A node applies an entry.
    pub fn applied(&mut self, id: NodeId, entry: &Entry) {
        let verdict = self.state_machine_safety.applied(id, entry);
        self.note(verdict);
        let state_machine = self.state_machines.get_mut(&id).expect("it was started");
        let verdict = state_machine.handed(id, entry, &self.ledgers[&id]);
        self.note(verdict);
    }

    /// A node puts a snapshot into the place of its state.
    pub fn restored(&mut self, id: NodeId, last: LogId) {
        let verdict = self.state_machine_safety.restored(id, last);
        self.note(verdict);
        let state_machine = self.state_machines.get_mut(&id).expect("it was started");
        let verdict = state_machine.restored(id, last, &self.ledgers[&id]);
        self.note(verdict);
    }

    /// A node's watermarks may have moved.
    fn moved(&mut self, node: &Node) {
        let id = node.id();
        let life = self.lives.get_mut(&id).expect("it was started");
        let from = life.commit();
        let verdict = life.go_on(node);
        self.note(verdict);
        let verdict = self.ledgers[&id].believed(node);
        self.note(verdict);
        let known = self.committed().len();
        let verdict = self.state_machine_safety.committed_by(node, from);
        self.note(verdict);
        let new = &self.state_machine_safety.committed()[known..];
        let verdict = majority::committed(new, &self.ledgers);
        self.note(verdict);
    }

    fn led(&mut self, node: &Node, written: &[Entry]) {
        let (id, term) = (node.id(), node.term());
        match self.election_safety.leads(id, term) {
            Ok(true) => {
                let verdict = self.election_safety.elected(id, term, self.ledgers.len());
                self.note(verdict);
                self.leader_append_only.elected(node, self.state_machine_safety.committed());
                let verdict = leader_completeness::elected(node, self.committed());
                self.note(verdict);
            }
            Ok(false) => {
                let verdict = self.leader_append_only.written(id, term, written);
                self.note(verdict);
            }
            Err(violation) => self.note(Err(violation)),
        }
    }

    /// A node begins to write these, as one write.
    pub fn writing(&mut self, id: NodeId, writes: &[Write]) {
        self.ledger(id).begin(writes);
    }

    /// The sync of what it was writing has returned.
    pub fn synced(&mut self, id: NodeId) {
        let gone = self.ledger(id).synced();
        self.durable_truncations += u64::from(!gone.is_empty());
        self.disk_changed(id, &gone);
    }

    fn disk_changed(&mut self, id: NodeId, gone: &[LogId]) {
        let ledger = &self.ledgers[&id];
        self.election_safety.durable(id, ledger.hard_state());
        let stays = majority::gone(id, gone, self.committed());
        let told = self.promises[&id].kept(id, ledger);
        self.note(stays);
        self.note(told);
    }

    /// Notes a violation, the first of its property.
    pub fn note(&mut self, verdict: Verdict) {
        if let Err(violation) = verdict
            && self.violations.iter().all(|known| known.property != violation.property)
        {
            self.violations.push(violation);
        }
    }

    /// What went wrong so far, the first of each property, in the order in which it happened.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// All that was ever committed.
    pub fn committed(&self) -> &[Entry] {
        self.state_machine_safety.committed()
    }

    /// How many leaders there were.
    pub fn elections(&self) -> u64 {
        self.election_safety.elections()
    }

    /// How often a log was cut that was on disk already.
    pub fn durable_truncations(&self) -> u64 {
        self.durable_truncations
    }

    fn ledger(&mut self, id: NodeId) -> &mut Ledger {
        self.ledgers.get_mut(&id).expect("a member")
    }
}
