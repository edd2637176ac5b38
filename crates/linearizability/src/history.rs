//! What clients asked, what they were answered, and when.

/// What clients did, as whoever stands beside them wrote it down.
///
/// Times are of one clock that never goes back, in nanoseconds: virtual time in a simulation, a monotonic clock among
/// processes of one machine. The invocation is noted before the request leaves, the return after the answer has
/// arrived. Times may tie: a call that returned at the very time at which another was invoked counts as concurrent
/// with it, since nobody can say that it was earlier.
///
/// What became of a call decides how it is noted:
///
/// | the client | then |
/// |---|---|
/// | has an answer | [`returned`](History::returned) |
/// | has none, gave up, died, or was told that the outcome is unknown (`-UNCERTAIN`) | nothing more: the call may take effect at any time after its invocation, or never |
/// | was told that the call was certainly not executed (`-CLUSTERDOWN`, a refusal, a wrong argument) | [`not_executed`](History::not_executed): it is left out |
///
/// ```
/// use bowline_linearizability::History;
/// use bowline_linearizability::course::{Answer, Operation};
///
/// let mut history = History::new();
/// let put = history.invoked(1, Operation::put("k", "x"), 100);
/// let get = history.invoked(2, Operation::get("k"), 150);
/// history.returned(get, Answer::value("x"), 180);
/// history.returned(put, Answer::Done, 200);
/// assert_eq!(history.calls().len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct History<O, R> {
    calls: Vec<Call<O, R>>,
}

/// Which call of a [`History`]: they are numbered from 0 in the order in which they were noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub usize);

/// One call of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<O, R> {
    /// Who asked. It is only shown: one client may well have several calls out.
    pub client: u64,
    /// What was asked.
    pub operation: O,
    /// When, in nanoseconds.
    pub invoked_ns: u64,
    /// What came of it.
    pub outcome: Outcome<R>,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<R> {
    /// Nobody knows: it may have taken effect at any time after its invocation, or never.
    Unknown,
    /// It was answered.
    Returned {
        /// When the answer was there, in nanoseconds, at or after the invocation.
        at_ns: u64,
        /// The answer.
        reply: R,
    },
    /// It certainly had no effect, and never will.
    NotExecuted,
}

impl<O, R> Call<O, R> {
    /// When it was answered, and what.
    pub fn returned(&self) -> Option<(u64, &R)> {
        match &self.outcome {
            Outcome::Returned { at_ns, reply } => Some((*at_ns, reply)),
            Outcome::Unknown | Outcome::NotExecuted => None,
        }
    }
}

impl<O, R> History<O, R> {
    /// A history without calls.
    pub fn new() -> Self {
        Self { calls: Vec::new() }
    }

    /// A client sends a request. Until more is noted its outcome is unknown.
    pub fn invoked(&mut self, client: u64, operation: O, at_ns: u64) -> CallId {
        self.calls.push(Call { client, operation, invoked_ns: at_ns, outcome: Outcome::Unknown });
        CallId(self.calls.len() - 1)
    }

    /// The call was answered.
    ///
    /// # Panics
    ///
    /// If the outcome of the call was noted before, or the time is before the invocation.
    pub fn returned(&mut self, call: CallId, reply: R, at_ns: u64) {
        let invoked_ns = self.calls[call.0].invoked_ns;
        assert!(at_ns >= invoked_ns, "call {} returned at {at_ns}, before {invoked_ns}", call.0);
        self.conclude(call, Outcome::Returned { at_ns, reply });
    }

    /// The client was told that the call had no effect and never will.
    ///
    /// # Panics
    ///
    /// If the outcome of the call was noted before.
    pub fn not_executed(&mut self, call: CallId) {
        self.conclude(call, Outcome::NotExecuted);
    }

    /// The calls, in the order in which they were noted.
    pub fn calls(&self) -> &[Call<O, R>] {
        &self.calls
    }

    fn conclude(&mut self, call: CallId, outcome: Outcome<R>) {
        let noted = &mut self.calls[call.0].outcome;
        assert!(matches!(noted, Outcome::Unknown), "call {} has an outcome already", call.0);
        *noted = outcome;
    }
}

impl<O, R> Default for History<O, R> {
    fn default() -> Self {
        Self::new()
    }
}
