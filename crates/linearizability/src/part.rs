//! The parts of a history that can be checked apart.

use std::collections::{BTreeMap, HashMap};

use crate::history::{Call, History, Outcome};
use crate::model::{Model, Scope};
use crate::timing::Timing;

/// Calls that have keys in common, directly or by way of others, in the order of their invocations.
pub struct Part<'a, M: Model> {
    /// Where each call stands in the history.
    pub(crate) indexes: Vec<usize>,
    pub(crate) calls: Vec<PartCall<'a, M>>,
    /// Its key, if it has only one.
    pub(crate) key: Option<&'a [u8]>,
    timing: Timing,
}

/// A call of a part.
pub(crate) struct PartCall<'a, M: Model> {
    pub(crate) operation: &'a M::Operation,
    /// The answer; none if nobody knows.
    pub(crate) reply: Option<&'a M::Reply>,
    invoked_ns: u64,
    returned_ns: Option<u64>,
}

impl<M: Model> Clone for PartCall<'_, M> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<'a, M: Model> Part<'a, M> {
    fn new(indexes: Vec<usize>, calls: Vec<PartCall<'a, M>>, key: Option<&'a [u8]>) -> Self {
        let timing = Timing::new(calls.iter().map(|call| (call.invoked_ns, call.returned_ns)));
        Self { indexes, calls, key, timing }
    }

    /// When its calls began and ended, relative to one another.
    pub(crate) fn timing(&self) -> &Timing {
        &self.timing
    }

    /// By call without an answer: the latest earlier one without an answer that asks the same. The two may change places
    /// in every order.
    pub(crate) fn twins(&self) -> Vec<Option<usize>> {
        let mut latest = HashMap::new();
        let unknown = |(number, call): (usize, &PartCall<'a, M>)| match call.reply {
            None => latest.insert(call.operation, number),
            Some(_) => None,
        };
        self.calls.iter().enumerate().map(unknown).collect()
    }

    /// What was known of it just after its first `returns` answers: nothing of the calls that were invoked later, and
    /// of those that were answered later no answer.
    pub(crate) fn before(&self, returns: usize) -> Self {
        let answered = &self.timing.returns()[..returns];
        let mut calls = self.calls.clone();
        let Some(&last) = answered.last() else {
            return Self::new(Vec::new(), Vec::new(), self.key);
        };
        for &late in &self.timing.returns()[returns..] {
            (calls[late].reply, calls[late].returned_ns) = (None, None);
        }
        let begun = self.timing.begun_before_return_of(last);
        calls.truncate(begun);
        Self::new(self.indexes[..begun].to_vec(), calls, self.key)
    }
}

/// The parts of a history, those with fewer calls first.
pub(crate) fn split<M: Model>(history: &History<M::Operation, M::Reply>) -> Vec<Part<'_, M>> {
    let calls = history.calls().iter().enumerate();
    let executed: Vec<_> = calls.filter(|(_, call)| call.outcome != Outcome::NotExecuted).collect();
    let mut keys = Keys::default();
    for (_, call) in &executed {
        keys.join(&M::scope(&call.operation));
    }
    let sizes = keys.sizes();
    let mut groups: BTreeMap<usize, Vec<Placed<'_, M>>> = BTreeMap::new();
    for (index, call) in executed {
        groups.entry(keys.group(&M::scope(&call.operation))).or_default().push((index, call));
    }
    let parts = groups.into_iter().map(|(group, calls)| {
        let is_single = !keys.is_one && sizes[group] == 1;
        part(calls, is_single.then(|| keys.names[group]))
    });
    let mut parts: Vec<_> = parts.collect();
    parts.sort_by_key(|part: &Part<'_, M>| part.calls.len());
    parts
}

/// A call and where it stands in the history.
type Placed<'a, M> = (usize, &'a Call<<M as Model>::Operation, <M as Model>::Reply>);

fn part<'a, M: Model>(mut calls: Vec<Placed<'a, M>>, key: Option<&'a [u8]>) -> Part<'a, M> {
    calls.sort_by_key(|(_, call)| call.invoked_ns);
    let indexes = calls.iter().map(|(index, _)| *index).collect();
    let calls = calls.iter().map(|(_, call)| {
        let returned = call.returned();
        PartCall {
            operation: &call.operation,
            reply: returned.map(|(_, reply)| reply),
            invoked_ns: call.invoked_ns,
            returned_ns: returned.map(|(at_ns, _)| at_ns),
        }
    });
    Part::new(indexes, calls.collect(), key)
}

/// Which keys are named together: a forest in which the keys of one group have one root.
#[derive(Default)]
struct Keys<'a> {
    numbers: BTreeMap<&'a [u8], usize>,
    names: Vec<&'a [u8]>,
    parents: Vec<usize>,
    /// Whether some operation has to do with everything, so that there is one group only.
    is_one: bool,
}

impl<'a> Keys<'a> {
    fn join(&mut self, scope: &Scope<'a>) {
        let Scope::Keys(keys) = scope else {
            self.is_one = true;
            return;
        };
        let first = self.number(keys[0]);
        for key in &keys[1..] {
            let (a, b) = (self.number(key), first);
            let (a, b) = (self.root(a), self.root(b));
            self.parents[a.max(b)] = a.min(b);
        }
    }

    /// The number of the group that the operation belongs to.
    fn group(&self, scope: &Scope<'a>) -> usize {
        match scope {
            Scope::Keys(keys) if !self.is_one => self.root(self.numbers[keys[0]]),
            Scope::Keys(_) | Scope::Everything => 0,
        }
    }

    /// By the number of a group: how many keys it has.
    fn sizes(&self) -> Vec<usize> {
        let mut sizes = vec![0; self.parents.len()];
        for key in 0..self.parents.len() {
            sizes[self.root(key)] += 1;
        }
        sizes
    }

    fn number(&mut self, key: &'a [u8]) -> usize {
        *self.numbers.entry(key).or_insert_with(|| {
            self.names.push(key);
            self.parents.push(self.parents.len());
            self.parents.len() - 1
        })
    }

    fn root(&self, mut key: usize) -> usize {
        while self.parents[key] != key {
            key = self.parents[key];
        }
        key
    }
}
