//! Which call was over before which other began.

/// The order of the beginnings and ends of calls. The calls are numbered in the order of their invocations.
///
/// All that the search needs of real time: a call can be placed next if it was invoked before the earliest answer of a
/// call that is not placed yet.
#[derive(Clone, Debug)]
pub(crate) struct Timing {
    /// The calls that were answered, in the order of the answers.
    returns: Vec<usize>,
    /// By place in `returns`: how many calls were invoked before that answer or at the same time.
    begun: Vec<usize>,
    /// By call: its place in `returns`.
    ends: Vec<Option<usize>>,
    /// By call: its bit in a set of calls under way. Calls that are under way together have different ones.
    slots: Vec<usize>,
    slot_count: usize,
}

impl Timing {
    /// For calls that were invoked and answered at these times; they come in the order of the invocations.
    pub(crate) fn new(calls: impl Iterator<Item = (u64, Option<u64>)>) -> Self {
        let (invoked, returned): (Vec<u64>, Vec<Option<u64>>) = calls.unzip();
        assert!(invoked.is_sorted(), "calls come in the order of their invocations");
        let mut returns: Vec<usize> = (0..invoked.len()).filter(|&call| returned[call].is_some()).collect();
        returns.sort_by_key(|&call| returned[call]);
        let end = |call: &usize| returned[*call].expect("only calls that returned are listed");
        let begun = returns.iter().map(|call| invoked.partition_point(|at| *at <= end(call))).collect();
        let mut ends = vec![None; invoked.len()];
        for (place, &call) in returns.iter().enumerate() {
            ends[call] = Some(place);
        }
        let mut timing = Self { returns, begun, ends, slots: Vec::new(), slot_count: 0 };
        timing.assign_slots();
        timing
    }

    fn assign_slots(&mut self) {
        let mut free = Vec::new();
        let mut over = 0;
        for call in 0..self.ends.len() {
            while over < self.returns.len() && self.begun[over] <= call {
                free.push(self.slots[self.returns[over]]);
                over += 1;
            }
            self.slots.push(free.pop().unwrap_or_else(|| {
                self.slot_count += 1;
                self.slot_count - 1
            }));
        }
    }

    /// How many calls there are.
    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    /// The calls that were answered, in the order of the answers.
    pub(crate) fn returns(&self) -> &[usize] {
        &self.returns
    }

    /// How many calls were invoked before the answer at this place, or at the same time. After the last answer: all.
    pub(crate) fn begun(&self, place: usize) -> usize {
        self.begun.get(place).copied().unwrap_or(self.len())
    }

    /// How many calls were invoked before `call` was answered, or at the same time.
    pub(crate) fn begun_before_return_of(&self, call: usize) -> usize {
        self.begun(self.ends[call].expect("the call was answered"))
    }

    /// Whether the call was answered.
    pub(crate) fn has_returned(&self, call: usize) -> bool {
        self.ends[call].is_some()
    }

    /// Whether `earlier` was answered before `later` was invoked.
    pub(crate) fn precedes(&self, earlier: usize, later: usize) -> bool {
        self.ends[earlier].is_some_and(|place| self.begun[place] <= later)
    }

    /// The call's bit in a set of calls under way.
    pub(crate) fn slot(&self, call: usize) -> usize {
        self.slots[call]
    }

    /// How many bits such a set needs.
    pub(crate) fn slot_count(&self) -> usize {
        self.slot_count
    }
}
