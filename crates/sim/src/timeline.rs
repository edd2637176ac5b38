//! What happened, a line an event, in fixed columns.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

use bowline_raft::{Node, NodeId};

/// The last events of a run; or nothing, when nobody is going to read it.
#[derive(Debug)]
pub struct Timeline {
    lines: VecDeque<String>,
    length: usize,
}

impl Timeline {
    /// Keeps the last `length` lines.
    pub fn new(length: usize) -> Self {
        Self { lines: VecDeque::new(), length }
    }

    /// Whether nothing is kept.
    pub fn is_off(&self) -> bool {
        self.length == 0
    }

    /// Notes an event, and how the node is after it; none when it is down.
    pub fn note(&mut self, now: Duration, id: NodeId, node: Option<&Node>, event: impl FnOnce() -> String) {
        if self.is_off() {
            return;
        }
        if self.lines.len() == self.length {
            self.lines.pop_front();
        }
        let state = match node {
            None => "down".to_string(),
            Some(node) => format!(
                "{:<13} {:>4} {:>9} {:>7} {:>6}",
                format!("{:?}", node.role()),
                node.term(),
                node.last_log_id().to_string(),
                node.durable_index(),
                node.commit_index(),
            ),
        };
        let ms = now.as_secs_f64() * 1000.0;
        self.lines.push_back(format!("{ms:>9.3} {id:>4}  {:<64} {state}", event()));
    }
}

impl fmt::Display for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (event, role) = ("event", "role");
        writeln!(f, "  time/ms node  {event:<64} {role:<13} term      last durable commit")?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
