//! What the shell decides once, at the start.

use std::time::Duration;

use crate::types::NodeId;

/// The settings of one [`Node`](crate::Node). All members of a group should have the same timings.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node. Must be one of `voters`.
    pub id: NodeId,
    /// All members, this node included, in any order, each once.
    pub voters: Vec<NodeId>,
    /// The least time without a leader after which a follower campaigns; each wait is drawn anew
    /// from [1, 2) times this. It is also how long a vote is refused after a leader was heard. A
    /// leader goes on for twice this without hearing a majority. Several heartbeats long.
    pub election_timeout: Duration,
    /// A follower that was sent nothing for so long is sent an empty AppendEntries. It is also how
    /// long an unanswered append counts as in flight, and how often vote requests are repeated. A
    /// round trip may take longer: a late answer counts as well.
    pub heartbeat_interval: Duration,
    /// A node whose oldest unfinished write is older than this neither leads nor campaigns.
    pub disk_stall_limit: Duration,
    /// Whether a new leader begins with an empty entry, so that what earlier terms left becomes
    /// committed, and reads possible, without waiting for somebody's write (thesis section 6.4).
    pub empty_entry_on_election: bool,
    /// The most entries that one AppendEntries carries, in bytes of [`Entry::weight`](crate::Entry::weight);
    /// a single larger entry still goes, alone.
    pub max_append_bytes: usize,
    /// How much a leader takes in that is not yet committed, in bytes of weight. One proposal that
    /// is larger is still taken when nothing else waits, or nothing of the leader's own term does.
    pub max_uncommitted_bytes: usize,
    /// The most that one [`Ready`](crate::Ready) hands out to be applied, in bytes of weight.
    pub max_apply_bytes: usize,
    /// How large the log may grow behind the last snapshot before proposals are refused, in bytes of
    /// weight.
    pub max_log_bytes: u64,
    /// How much of what is in a snapshot a leader keeps in memory for followers that still lack it,
    /// in bytes of weight. Who lacks more is sent the snapshot.
    pub max_retained_bytes: u64,
    /// How many reads may wait for their confirmation.
    pub max_waiting_reads: usize,
    /// How long a leader waits for the answer to an InstallSnapshot, or for
    /// [`Node::snapshot_progress`](crate::Node::snapshot_progress), before it asks the follower again
    /// what it has.
    pub snapshot_patience: Duration,
    /// The source of the election timeouts. Mixed with `id`, so that nodes that are started with
    /// one seed still draw differently.
    pub seed: u64,
}

impl Config {
    /// The defaults of a server on a local network, for the member `id` of `voters`.
    pub fn new(id: NodeId, voters: Vec<NodeId>, seed: u64) -> Self {
        let election_timeout = Duration::from_millis(400);
        Self {
            id,
            voters,
            election_timeout,
            heartbeat_interval: Duration::from_millis(50),
            disk_stall_limit: (election_timeout * 4).max(Duration::from_secs(2)),
            empty_entry_on_election: true,
            max_append_bytes: 1 << 20,
            max_uncommitted_bytes: 64 << 20,
            max_apply_bytes: 4 << 20,
            max_log_bytes: 2 << 30,
            max_retained_bytes: 256 << 20,
            max_waiting_reads: 10_000,
            snapshot_patience: election_timeout * 4,
            seed,
        }
    }

    /// How many members make a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    pub(crate) fn check(&self) {
        assert!(self.id.0 != 0, "node id 0 is not a member's");
        assert!(self.voters.contains(&self.id), "node {} is not among the voters {:?}", self.id, self.voters);
        let mut sorted = self.voters.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), self.voters.len(), "a voter is named twice: {:?}", self.voters);
        assert!(self.heartbeat_interval > Duration::ZERO, "the heartbeat interval is zero");
        assert!(
            self.election_timeout > self.heartbeat_interval,
            "an election timeout of {:?} is not longer than the heartbeat interval of {:?}",
            self.election_timeout,
            self.heartbeat_interval
        );
    }
}
