//! The calls that are shown, and what is to be said of them.

use std::collections::BTreeSet;

use crate::blame::Violation;
use crate::history::{CallId, History};
use crate::model::Model;
use crate::show::Shown;

/// How many calls of the order are shown, its last ones.
const ORDERED: usize = 28;
/// How many calls without a place in the order are shown at most.
const UNORDERED: usize = 8;
/// How many calls back it is looked for a moment at which the answer would have been right.
const LOOKED_BACK: usize = 2000;

/// What a page shows.
pub(super) struct Window {
    /// In the order of their invocations.
    pub(super) calls: Vec<ShownCall>,
    /// How many calls of the order stand before the first that is shown.
    pub(super) skipped: usize,
    /// How many calls the part of the history has.
    pub(super) total: usize,
    /// The key that they are about, if there is one.
    pub(super) key: Option<Vec<u8>>,
    /// What the unplaced call would have answered, wherever it could stand among the calls that are shown: behind so many
    /// calls of the order.
    pub(super) attempts: Vec<(usize, String)>,
    /// Behind how many calls of the order its answer would have been right the last time before that.
    pub(super) was_right: Option<usize>,
    /// The values behind each shown call of the order, if they can be shown.
    pub(super) values: Vec<Option<String>>,
    /// Whether the unplaced call is certain.
    pub(super) is_exact: bool,
}

/// A call that is shown.
pub(super) struct ShownCall {
    pub(super) id: CallId,
    pub(super) client: u64,
    pub(super) operation: String,
    /// The answer, and when it came.
    pub(super) reply: Option<(String, u64)>,
    pub(super) invoked_ns: u64,
    pub(super) role: Role,
}

/// What is to be said of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// It has this place in the order, counted from 1.
    Placed(usize),
    /// It fits nowhere.
    Unplaced,
    /// It was under way, and is not needed.
    Open,
}

impl Window {
    pub(super) fn new<M: Model>(history: &History<M::Operation, M::Reply>, violation: &Violation) -> Self {
        let skipped = violation.order.len().saturating_sub(ORDERED);
        let mut roles = vec![(violation.unplaced, Role::Unplaced)];
        let placed = violation.order.iter().enumerate().skip(skipped);
        roles.extend(placed.map(|(place, id)| (*id, Role::Placed(place + 1))));
        roles.extend(open(history, violation).into_iter().map(|id| (id, Role::Open)));
        let mut calls: Vec<_> = roles.iter().map(|(id, role)| shown::<M>(history, *id, *role)).collect();
        calls.sort_by_key(|call| (call.invoked_ns, call.id));
        let mut window = Self {
            calls,
            skipped,
            total: violation.calls.len(),
            key: violation.key.clone(),
            attempts: Vec::new(),
            was_right: None,
            values: Vec::new(),
            is_exact: violation.is_exact,
        };
        window.replay::<M>(history, violation);
        window
    }

    /// Carries out the order, and asks at each of its last places what the unplaced call would have answered.
    fn replay<M: Model>(&mut self, history: &History<M::Operation, M::Reply>, violation: &Violation) {
        let calls = history.calls();
        let suspect = &calls[violation.unplaced.0];
        let earlier =
            |id: &CallId| calls[id.0].returned().is_some_and(|(at_ns, _)| at_ns < suspect.invoked_ns);
        // It stands behind every call that was over before it began.
        let first = violation.order.iter().rposition(earlier).map_or(0, |place| place + 1);
        let mut state = M::State::default();
        for place in 0..=violation.order.len() {
            if place + LOOKED_BACK > violation.order.len() {
                let reply = M::apply(&mut state.clone(), &suspect.operation);
                if place >= first.max(self.skipped) {
                    self.attempts.push((place, reply.to_string()));
                } else if place < first && suspect.returned().is_some_and(|(_, answered)| *answered == reply)
                {
                    self.was_right = Some(place);
                }
            }
            let Some(id) = violation.order.get(place) else {
                break;
            };
            M::apply(&mut state, &calls[id.0].operation);
            if place >= self.skipped {
                let value = self.key.as_ref().map(|key| match M::value(&state, key) {
                    Some(value) => Shown(value).to_string(),
                    None => "none".to_owned(),
                });
                self.values.push(value);
            }
        }
    }

    /// The call that fits nowhere.
    pub(super) fn unplaced(&self) -> &ShownCall {
        self.calls.iter().find(|call| call.role == Role::Unplaced).expect("it is always shown")
    }

    /// The calls of the order, in this order.
    pub(super) fn placed(&self) -> Vec<(usize, &ShownCall)> {
        let placed = self.calls.iter().filter_map(|call| match call.role {
            Role::Placed(place) => Some((place, call)),
            Role::Unplaced | Role::Open => None,
        });
        let mut placed: Vec<_> = placed.collect();
        placed.sort_by_key(|(place, _)| *place);
        placed
    }
}

/// The latest calls that were under way when the unplaced one was answered, and that the order does not need.
fn open<O, R>(history: &History<O, R>, violation: &Violation) -> Vec<CallId> {
    let calls = history.calls();
    let (end, _) = calls[violation.unplaced.0].returned().expect("what cannot be placed was answered");
    let placed: BTreeSet<_> = violation.order.iter().chain([&violation.unplaced]).collect();
    let is_open = |id: &&CallId| {
        let call = &calls[id.0];
        call.invoked_ns <= end
            && call.returned().is_none_or(|(at_ns, _)| at_ns >= end)
            && !placed.contains(id)
    };
    violation.calls.iter().rev().filter(is_open).take(UNORDERED).copied().collect()
}

fn shown<M: Model>(history: &History<M::Operation, M::Reply>, id: CallId, role: Role) -> ShownCall {
    let call = &history.calls()[id.0];
    ShownCall {
        id,
        client: call.client,
        operation: call.operation.to_string(),
        reply: call.returned().map(|(at_ns, reply)| (reply.to_string(), at_ns)),
        invoked_ns: call.invoked_ns,
        role,
    }
}
