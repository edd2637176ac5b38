//! The tester's state machine: it remembers what each server applied, and compares.

use bowline_raft::Index;
use bowline_raft::peer::ApplyMsg;
use bowline_sim::channel::Receiver;
use bytes::Bytes;

use crate::config::Lab;

/// What each server has applied, by index. A restart does not clear it: what is applied again is compared with
/// what was applied before.
#[derive(Debug)]
pub(crate) struct Records {
    servers: Vec<Vec<Bytes>>,
    /// What is committed, by whoever applied it first.
    agreed: Vec<Bytes>,
}

impl Records {
    pub(crate) fn new(n: usize) -> Self {
        Self { servers: vec![Vec::new(); n], agreed: Vec::new() }
    }

    /// The largest index that anybody applied.
    pub(crate) fn max_index(&self) -> Index {
        self.agreed.len() as Index
    }

    /// How many servers have applied this index, and what stands there.
    pub(crate) fn committed(&self, index: Index) -> (usize, Option<Bytes>) {
        let Some(at) = place(index) else { return (0, None) };
        let count = self.servers.iter().filter(|records| records.len() > at).count();
        (count, self.agreed.get(at).cloned())
    }

    /// Server `i` applies a command.
    fn apply(&mut self, i: usize, index: Index, command: Bytes) -> Result<(), String> {
        let Some(at) = place(index) else { return Err(format!("server {i} applied index 0")) };
        if let Some(agreed) = self.agreed.get(at)
            && *agreed != command
        {
            return Err(format!(
                "different values committed at index {index}: {} by server {i}, {} by another one",
                text(&command),
                text(agreed)
            ));
        }
        let records = &mut self.servers[i];
        if at > records.len() {
            let last = records.len();
            return Err(format!("server {i} applied out of order: index {index} after {last}"));
        }
        if at == records.len() {
            records.push(command.clone());
        }
        if at == self.agreed.len() {
            self.agreed.push(command);
        }
        Ok(())
    }
}

/// Reads what one life of a server hands over, as long as it lives.
pub(crate) async fn apply(lab: Lab, i: usize, life: u64, mut applied: Receiver<ApplyMsg>) {
    while let Some(ApplyMsg::Command { index, command }) = applied.recv().await {
        if !lab.is_life(i, life) {
            break;
        }
        let result = lab.records().borrow_mut().apply(i, index, command);
        if let Err(what) = result {
            lab.fail_now(what);
        }
    }
}

/// A command as a person reads it.
pub(crate) fn text(command: &Bytes) -> String {
    match command.get(..40) {
        Some(beginning) => format!("{}...", String::from_utf8_lossy(beginning)),
        None => String::from_utf8_lossy(command).into_owned(),
    }
}

fn place(index: Index) -> Option<usize> {
    usize::try_from(index).ok()?.checked_sub(1)
}
