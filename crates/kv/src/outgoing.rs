//! Answers to what other nodes have forwarded, on their way out.
//!
//! A command of a few bytes may ask for a value of megabytes, and a node may forward thousands of them at once.
//! Here such an answer shares the value with the store. It becomes bytes of its own only as fast as the
//! connection takes them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bowline_raft::NodeId;

use crate::forward::{self, Outcome, Path};

/// About how many bytes of answers to each node one pass puts into form.
const BYTES_PER_PASS: usize = 4 << 20;

/// An answer to a request that another node forwarded.
#[derive(Debug)]
pub(crate) struct ForwardedAnswer {
    /// The life of the node that asked.
    pub(crate) life: u64,
    pub(crate) path: Path,
    pub(crate) number: u64,
    pub(crate) outcome: Outcome,
}

/// All that is not yet in form.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    /// No queue is empty.
    waiting: BTreeMap<NodeId, VecDeque<ForwardedAnswer>>,
    /// Nodes that do not take the answers that they have been sent.
    held: BTreeSet<NodeId>,
}

impl Outgoing {
    /// Whether answers to that node are to stay here.
    pub(crate) fn hold(&mut self, to: NodeId, hold: bool) {
        if hold {
            self.held.insert(to);
        } else {
            self.held.remove(&to);
        }
    }

    pub(crate) fn push(&mut self, to: NodeId, answer: ForwardedAnswer) {
        self.waiting.entry(to).or_default().push_back(answer);
    }

    /// Puts into form what one pass sends.
    pub(crate) fn put(&mut self) -> Vec<(NodeId, Vec<u8>)> {
        let mut messages = Vec::new();
        for (to, answers) in &mut self.waiting {
            if self.held.contains(to) {
                continue;
            }
            let mut budget = BYTES_PER_PASS;
            while budget > 0
                && let Some(life) = answers.front().map(|answer| answer.life)
            {
                let mut message = Vec::new();
                forward::begin_answers(life, &mut message);
                while message.len() < forward::MAX_MESSAGE_BYTES
                    && let Some(answer) = answers.pop_front_if(|answer| answer.life == life)
                {
                    forward::put_answer(&mut message, answer.path, answer.number, &answer.outcome);
                }
                budget = budget.saturating_sub(message.len());
                messages.push((*to, message));
            }
        }
        self.waiting.retain(|_, answers| !answers.is_empty());
        messages
    }

    /// Whether something is left that may be sent.
    pub(crate) fn has_more(&self) -> bool {
        self.waiting.keys().any(|to| !self.held.contains(to))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::reply::Reply;

    fn outgoing(count: u64, to: NodeId) -> Outgoing {
        let value = Bytes::from(vec![7; 1 << 20]);
        let mut outgoing = Outgoing::default();
        for number in 0..count {
            let outcome = Outcome::Done(Reply::Bulk(value.clone()));
            outgoing.push(to, ForwardedAnswer { life: 1, path: Path::Read, number, outcome });
        }
        outgoing
    }

    #[test]
    fn a_pass_does_not_put_everything_into_form() {
        let mut outgoing = outgoing(100, NodeId(2));
        let mut put = 0;
        while outgoing.has_more() {
            let messages = outgoing.put();
            let bytes: usize = messages.iter().map(|(_, message)| message.len()).sum();
            assert!(bytes <= BYTES_PER_PASS + (2 << 20), "{bytes} bytes in one pass");
            put += messages.len();
        }
        assert_eq!(put, 100);
    }

    #[test]
    fn what_a_node_does_not_take_waits_for_it_alone() {
        let (slow, other) = (NodeId(2), NodeId(3));
        let mut outgoing = outgoing(3, slow);
        outgoing.hold(slow, true);
        outgoing
            .push(other, ForwardedAnswer { life: 1, path: Path::Log, number: 9, outcome: Outcome::LogFull });
        assert!(outgoing.put().iter().all(|(to, _)| *to == other));
        assert!(!outgoing.has_more());
        outgoing.hold(slow, false);
        assert_eq!(outgoing.put().len(), 3);
    }
}
