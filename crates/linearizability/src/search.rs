//! The search for an order of the calls that explains their answers.
//!
//! Wing and Gong 1993: take a call that was invoked before the earliest answer among the calls that are not placed yet,
//! place it next if its answer is what the service would have said, and go on; if nothing fits, take back the last one
//! and try another. Lowe 2017: remember which calls were placed in which state, and never go on from there twice.
//!
//! The set of the calls that were placed is told by little: how many answers, in their order, belong to placed calls, and
//! which of the calls under way at the next answer are placed. All earlier ones are, and no later one is. So a
//! memory of a million calls takes a few words for each, however long the history is.
//!
//! What makes it quick beside that:
//!
//! - A call that changes nothing is placed as soon as it fits, and no other choice is tried: every order in which it
//!   stands later is also one with it here.
//! - Of calls that were never answered and ask the same, the one that was invoked first is placed first; and one that
//!   would change nothing now is not placed now.
//! - A [`Space`] may know more: states that nobody can tell apart any more, and steps that leave behind what some
//!   answer still needs.

use std::hash::Hash;

use crate::memo::Memo;
use crate::model::Model;
use crate::part::Part;
use crate::timing::Timing;

/// How many steps are made between two questions for more.
const STEPS_A_QUESTION: u32 = 1024;

/// How long a search may go on; see [`check`](crate::check).
pub struct Budget<'a> {
    go_on: &'a mut dyn FnMut() -> bool,
    steps: u32,
    is_spent: bool,
}

impl<'a> Budget<'a> {
    pub(crate) fn new(go_on: &'a mut dyn FnMut() -> bool) -> Self {
        Self { go_on, steps: 0, is_spent: false }
    }

    /// Whether another step may be made.
    fn step(&mut self) -> bool {
        self.steps += 1;
        if self.steps >= STEPS_A_QUESTION && !self.is_spent {
            self.steps = 0;
            self.is_spent = !(self.go_on)();
        }
        !self.is_spent
    }
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// With an order of all calls that were answered, and some that were not, by their numbers in the part.
    Order(Vec<usize>),
    /// There is none.
    Nothing,
    /// The budget was spent before that was known.
    Unknown,
}

/// The states that a search goes through. Calls are known by their numbers in the part.
pub(crate) trait Space {
    type State: Clone + Eq + Hash;

    fn initial(&self) -> Self::State;

    /// What comes after the call, if its answer is what it would have been. Any answer fits a call that has none.
    fn step(&self, state: &Self::State, call: usize) -> Option<Self::State>;

    /// Whether the call, which was answered, fits and may be placed now if it may be placed at all.
    fn is_free(&self, state: &Self::State, call: usize) -> bool;

    /// Whether a call that was never answered can be needed to explain an answer.
    fn can_matter(&self, call: usize) -> bool;

    /// The call is placed.
    fn place(&mut self, _call: usize) {}

    /// The call that was placed last is not placed any more.
    fn take_back(&mut self, _call: usize) {}

    /// One and the same state for all that the calls which are not placed yet cannot tell apart.
    fn settle(&self, state: Self::State) -> Self::State {
        state
    }

    /// Whether the call, which has just been placed and led from one state to the other, can be no part of an order.
    fn is_hopeless(&self, _before: &Self::State, _after: &Self::State, _call: usize) -> bool {
        false
    }
}

/// Looks for an order of the calls of a part.
pub(crate) fn search<M: Model, S: Space>(
    part: &Part<'_, M>,
    space: &mut S,
    budget: &mut Budget<'_>,
) -> Found {
    let state = space.settle(space.initial());
    let timing = part.timing();
    let mut waiting = Waiting::new(timing.len());
    for call in (0..timing.len()).filter(|&call| !timing.has_returned(call) && !space.can_matter(call)) {
        waiting.remove(call);
    }
    let mut search = Search {
        timing,
        twins: part.twins(),
        space,
        waiting,
        is_placed: vec![false; timing.len()],
        under_way: vec![0; timing.slot_count().div_ceil(64)],
        answers: 0,
        state,
        trail: Vec::new(),
    };
    search.run(budget)
}

struct Search<'a, S: Space> {
    timing: &'a Timing,
    /// By call without an answer: an earlier one without an answer that asks the same.
    twins: Vec<Option<usize>>,
    space: &'a mut S,
    waiting: Waiting,
    is_placed: Vec<bool>,
    /// The placed ones among the calls that are not over at the next answer, by slot.
    under_way: Vec<u64>,
    /// How many answers, in their order, belong to placed calls. Behind them is the next answer.
    answers: usize,
    state: S::State,
    trail: Vec<Step<S::State>>,
}

/// A placed call, and how things stood before it.
struct Step<T> {
    call: usize,
    state: T,
    answers: usize,
}

impl<S: Space> Search<'_, S> {
    fn run(&mut self, budget: &mut Budget<'_>) -> Found {
        let mut memo = Memo::new(self.under_way.len());
        // The places in the trail at which another call could stand as well.
        let mut choices: Vec<usize> = Vec::new();
        loop {
            self.place_free();
            if self.answers == self.timing.returns().len() {
                return Found::Order(self.trail.iter().map(|step| step.call).collect());
            }
            let is_new = memo.insert(self.answers, &self.under_way, &self.state);
            let mut from = if is_new { self.waiting.first() } else { self.timing.len() };
            while !self.place_one(from) {
                if !budget.step() {
                    return Found::Unknown;
                }
                let Some(choice) = choices.pop() else {
                    return Found::Nothing;
                };
                let call = self.trail[choice].call;
                while self.trail.len() > choice {
                    self.take_back();
                }
                from = self.waiting.after(call);
            }
            choices.push(self.trail.len() - 1);
            if !budget.step() {
                return Found::Unknown;
            }
        }
    }

    /// Places all that need not wait.
    fn place_free(&mut self) {
        let mut call = self.waiting.first();
        while call < self.timing.begun(self.answers) {
            let next = self.waiting.after(call);
            let is_free = self.timing.has_returned(call) && self.space.is_free(&self.state, call);
            let is_other = is_free && self.place_in_state(call);
            call = if is_other { self.waiting.first() } else { next };
        }
    }

    /// Places a call that leaves the state as it is. Whether the state has settled to another all the same.
    fn place_in_state(&mut self, call: usize) -> bool {
        self.space.place(call);
        let after = self.space.settle(self.state.clone());
        let is_other = after != self.state;
        self.advance(call, after);
        is_other
    }

    /// Places the first call from `from` on that fits. Whether there is one.
    fn place_one(&mut self, from: usize) -> bool {
        let mut call = from;
        while call < self.timing.begun(self.answers) {
            if self.try_to_place(call) {
                return true;
            }
            call = self.waiting.after(call);
        }
        false
    }

    fn try_to_place(&mut self, call: usize) -> bool {
        if self.twins[call].is_some_and(|twin| !self.is_placed[twin]) {
            return false;
        }
        let Some(after) = self.space.step(&self.state, call) else {
            return false;
        };
        self.space.place(call);
        let after = self.space.settle(after);
        let is_idle = !self.timing.has_returned(call) && after == self.state;
        if is_idle || self.space.is_hopeless(&self.state, &after, call) {
            self.space.take_back(call);
            return false;
        }
        self.advance(call, after);
        true
    }

    fn advance(&mut self, call: usize, after: S::State) {
        let state = std::mem::replace(&mut self.state, after);
        self.trail.push(Step { call, state, answers: self.answers });
        self.waiting.remove(call);
        self.is_placed[call] = true;
        self.flip(call);
        while let Some(&next) = self.timing.returns().get(self.answers)
            && self.is_placed[next]
        {
            self.flip(next);
            self.answers += 1;
        }
    }

    fn take_back(&mut self) {
        let step = self.trail.pop().expect("something was placed");
        while self.answers > step.answers {
            self.answers -= 1;
            self.flip(self.timing.returns()[self.answers]);
        }
        self.flip(step.call);
        self.is_placed[step.call] = false;
        self.waiting.put_back(step.call);
        self.state = step.state;
        self.space.take_back(step.call);
    }

    fn flip(&mut self, call: usize) {
        let slot = self.timing.slot(call);
        self.under_way[slot / 64] ^= 1 << (slot % 64);
    }
}

/// The calls that are not placed, in the order of their invocations: a list in which what was removed last can be put
/// back at once (Knuth's dancing links). Behind the last call, and before the first, stands their number.
struct Waiting {
    next: Vec<usize>,
    previous: Vec<usize>,
}

impl Waiting {
    fn new(calls: usize) -> Self {
        let next = (1..=calls).chain([0]).collect();
        let previous = [calls].into_iter().chain(0..calls).collect();
        Self { next, previous }
    }

    fn first(&self) -> usize {
        self.next[self.next.len() - 1]
    }

    fn after(&self, call: usize) -> usize {
        self.next[call]
    }

    fn remove(&mut self, call: usize) {
        let (next, previous) = (self.next[call], self.previous[call]);
        (self.next[previous], self.previous[next]) = (next, previous);
    }

    fn put_back(&mut self, call: usize) {
        let (next, previous) = (self.next[call], self.previous[call]);
        (self.next[previous], self.previous[next]) = (call, call);
    }
}
