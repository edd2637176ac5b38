//! What holds at any time.

use bowline_raft::{Body, Entry, Index, LogId, Message, Node, Outcome, RoleKind};

use crate::member::{Disk, state_after};
use crate::world::World;

impl World {
    /// The entry that was committed at this index, by anybody.
    pub(crate) fn committed_at(&self, index: Index) -> Option<&Entry> {
        self.committed.get(place(index)).map(|(entry, _)| entry)
    }

    /// The service's state is what the entries up to there make of it.
    pub(crate) fn check_state(&self, at: usize) {
        let (member, state) = (&self.members[at], self.members[at].state());
        let id = member.node.id();
        let named = self.committed_at(state.last.index).map_or(LogId::ZERO, |entry| entry.id);
        assert_eq!(state.last, named, "node {id} is in a state that nobody committed");
        assert_eq!(Some(&state.data), self.texts.get(place(state.last.index + 1)), "the state of node {id}");
        assert_eq!(state.last.index, member.node.last_applied());
    }

    /// What a message promises is on the sender's disk.
    pub(crate) fn check_promise(&mut self, at: usize, message: &Message) {
        let member = &self.members[at];
        let (id, disk) = (member.node.id(), &member.disk);
        match &message.body {
            Body::RequestVote { .. } => {
                // A later term may have come since; then it is the word of the past.
                if disk.hard_state.term == message.term {
                    assert_eq!(disk.hard_state.vote, Some(id), "asks for votes before its own is durable");
                }
                assert!(disk.hard_state.term >= message.term, "asks in a term that is not durable");
            }
            Body::VoteReply { granted: true } => {
                assert!(disk.hard_state.term >= message.term, "votes in a term that is not durable");
                let to_whom = (disk.hard_state.term == message.term).then_some(disk.hard_state.vote);
                assert_ne!(to_whom, Some(None), "grants a vote that is not durable");
            }
            Body::AppendEntries(_) | Body::InstallSnapshot(_) => {
                assert!(disk.hard_state.term >= message.term, "leads in a term that is not durable");
            }
            Body::AppendReply(reply) => {
                if let Outcome::Accepted { matched } = reply.outcome
                    && matched > 0
                {
                    assert!(
                        disk.hard_state.term >= message.term,
                        "acknowledges in a term that is not durable"
                    );
                    assert!(disk.last_index() >= matched, "acknowledges {matched}, which is not durable");
                    let said = self.acknowledged.entry((id, message.term)).or_default();
                    *said = matched.max(*said);
                }
            }
            Body::PreVote { .. } | Body::PreVoteReply { .. } | Body::VoteReply { granted: false } => {}
        }
    }

    pub(crate) fn check(&mut self, at: usize) {
        let node = &self.members[at].node;
        let (id, term) = (node.id(), node.term());
        if let Some(vote) = node.vote() {
            // A vote that never got to the disk, and was told to nobody, is no vote.
            let hard_state = self.members[at].disk.hard_state;
            if (hard_state.term, hard_state.vote) == (term, Some(vote)) {
                let first = *self.votes.entry((id, term)).or_insert(vote);
                assert_eq!(first, vote, "node {id} voted twice in term {term}");
            }
        }
        if node.role() == RoleKind::Leader {
            let first = *self.leaders.entry(term).or_insert_with(|| {
                self.happened.count("leaders", 1);
                id
            });
            assert_eq!(first, id, "two leaders in term {term}");
            // Leader completeness: what was committed by its term stands in its log. (What a later
            // leader committed since may be older than that, and still be missing here.)
            for (entry, _) in self.committed.iter().filter(|&&(_, committed_in)| committed_in <= term) {
                let compacted = entry.id.index <= node.snapshot().index;
                let there = node.entry(entry.id.index);
                assert!(compacted || there == Some(entry), "leader {id} of term {term} lacks {}", entry.id);
            }
        }
        // What is committed anywhere is committed for ever.
        for index in 1..=node.commit_index() {
            let entry = node.entry(index);
            match self.committed.get(place(index)) {
                Some((first, _)) if entry.is_none() => {
                    assert!(index <= node.snapshot().index, "{}", first.id);
                }
                Some((first, _)) => assert_eq!(Some(first), entry, "node {id} has another entry committed"),
                None => {
                    let entry = entry.expect("what nobody else has committed is in the log");
                    self.happened.count("entries committed", 1);
                    let holders = self.members.iter().filter(|m| holds(&m.disk, entry)).count();
                    assert!(holders > self.members.len() / 2, "{} is committed on {holders} disks", entry.id);
                    self.texts.push(state_after(self.texts.last().expect("one at least"), entry));
                    self.committed.push((entry.clone(), term));
                }
            }
        }
        let snapshot = node.snapshot();
        let named = self.committed_at(snapshot.index).map_or(LogId::ZERO, |entry| entry.id);
        assert_eq!(snapshot, named, "node {id} has a snapshot of another history");
        self.check_acknowledged(at);
        self.check_log_matching(at);
    }

    /// What a node acknowledged in its present term is on its disk, whatever restarts.
    fn check_acknowledged(&self, at: usize) {
        let member = &self.members[at];
        let key = (member.node.id(), member.node.term());
        if let Some(&matched) = self.acknowledged.get(&key) {
            let held = member.disk.last_index();
            assert!(held >= matched, "node {} acknowledged {matched} and holds {held}", key.0);
            assert!(member.node.last_log_id().index >= matched, "node {} cut what it acknowledged", key.0);
        }
    }

    /// If two logs share an entry's name, they are the same up to it.
    fn check_log_matching(&self, at: usize) {
        let node = &self.members[at].node;
        for other in self.members.iter().map(|m| &m.node).filter(|n| n.id() != node.id()) {
            let ends = node.last_log_id().index.min(other.last_log_id().index);
            // Where one of them has a snapshot it is compared with what was committed.
            let starts = node.snapshot().index.max(other.snapshot().index);
            let id_at = |n: &Node, i| n.entry(i).map(|e| e.id);
            let is_shared = |i: &Index| id_at(node, *i) == id_at(other, *i);
            for index in 1..=(starts + 1..=ends).rev().find(is_shared).unwrap_or(0) {
                let both = node.entry(index).zip(other.entry(index));
                assert!(both.is_none_or(|(a, b)| a == b), "{} and {} differ", node.id(), other.id());
            }
        }
    }
}

/// Whether the entry is on the disk, or was when the snapshot there was made.
pub(crate) fn holds(disk: &Disk, entry: &Entry) -> bool {
    entry.id.index <= disk.snapshot.last.index || disk.entries.contains(entry)
}

/// The place of an index in a list that begins with that of index 1.
fn place(index: Index) -> usize {
    usize::try_from(index).expect("a small index").wrapping_sub(1)
}
