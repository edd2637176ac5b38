//! A disk that finishes writes late, in their order, and forgets the rest when the power goes.

use std::collections::VecDeque;

use bowline_raft::{Entry, HardState, Write};

#[derive(Default)]
pub(crate) struct Disk {
    pub(crate) hard_state: HardState,
    pub(crate) entries: Vec<Entry>,
    unfinished: VecDeque<Write>,
    /// When the last of them will be.
    pub(crate) busy_until: u64,
}

impl Disk {
    pub(crate) fn submit(&mut self, write: Write) {
        self.unfinished.push_back(write);
    }

    /// The oldest write is done: hands back its number.
    pub(crate) fn finish(&mut self) -> u64 {
        let write = self.unfinished.pop_front().expect("something is being written");
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        if let Some(first) = write.entries.first() {
            self.entries.truncate(usize::try_from(first.id.index - 1).expect("a small index"));
            self.entries.extend(write.entries);
        }
        write.seq
    }

    pub(crate) fn unfinished(&self) -> usize {
        self.unfinished.len()
    }

    /// The power goes: so many of the unfinished writes were done all the same. Says how many
    /// were not.
    pub(crate) fn lose_power(&mut self, survive: usize) -> usize {
        for _ in 0..survive {
            self.finish();
        }
        self.busy_until = 0;
        let lost = self.unfinished.len();
        self.unfinished.clear();
        lost
    }
}
