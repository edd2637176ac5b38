//! One server: its peer, what it has saved, and what it has been asked.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bowline_raft::peer::{Peer, Persister, Save};
use bowline_raft::{
    AppendReply, Body, Entry, HardState, Index, Message, NodeId, Outcome, SnapshotWrite, Term,
};

use super::Life;

/// A request that was not answered yet: by whom, by which call of theirs, and in which term and round.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) from: Life,
    pub(super) call: u64,
    pub(super) term: Term,
    pub(super) round: Option<u64>,
}

pub(super) struct Server {
    pub(super) peer: Peer,
    pub(super) life: u64,
    pub(super) persister: Persister,
    /// What the persister should hold.
    pub(super) hard_state: HardState,
    /// The last index that is in the snapshot, and the entries behind it.
    pub(super) base: Index,
    pub(super) entries: Vec<Entry>,
    /// Not finished, oldest first.
    pub(super) saves: VecDeque<Save>,
    pub(super) now: Duration,
    /// What this life was asked, by the number that the reply must bear.
    pub(super) open: BTreeMap<u64, Asked>,
    pub(super) applied: Index,
}

impl Server {
    pub(super) fn keep(&mut self, save: &Save) {
        self.persister.save(save.state.clone(), save.snapshot.clone());
        self.hard_state = save.change.hard_state.unwrap_or(self.hard_state);
        if let Some(SnapshotWrite { last, data }) = &save.change.snapshot {
            self.entries.retain(|entry| data.is_none() && entry.id.index > last.index);
            self.base = last.index;
        }
        if let Some(first) = save.change.entries.first() {
            self.entries.retain(|entry| entry.id.index < first.id.index);
            self.entries.extend(save.change.entries.iter().cloned());
        }
    }

    pub(super) fn check_promise(&self, at: usize, asked: &Asked, reply: &Message) {
        match &reply.body {
            Body::VoteReply { granted: true } => {
                let vote = HardState { term: reply.term, vote: Some(NodeId(asked.from.0 as u64 + 1)) };
                assert_eq!(self.hard_state, vote, "server {at} grants a vote that is not saved");
            }
            Body::AppendReply(AppendReply { round, outcome, .. }) => match *outcome {
                Outcome::Accepted { matched } => {
                    assert_eq!((reply.term, Some(*round)), (asked.term, asked.round), "another one's echo");
                    assert!(matched == 0 || self.hard_state.term >= reply.term, "its term is not saved");
                    let saved = self.base + self.entries.len() as Index;
                    assert!(matched <= saved, "acknowledged, and not saved");
                }
                // In its own term only the node refuses: it has looked for the previous entry.
                Outcome::Refused(_) if reply.term == asked.term => {
                    assert_eq!(Some(*round), asked.round, "refused, and nobody has looked");
                }
                Outcome::Refused(_) => assert!(reply.term > asked.term && *round == 0),
            },
            Body::PreVoteReply { .. } | Body::VoteReply { granted: false } => {}
            Body::PreVote { .. }
            | Body::RequestVote { .. }
            | Body::AppendEntries(_)
            | Body::InstallSnapshot(_) => {
                panic!("a reply that asks: {reply:?}");
            }
        }
    }
}
