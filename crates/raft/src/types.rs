//! The vocabulary: who, when, and what stands in the log.

use std::fmt;

use bytes::Bytes;

/// A member of the cluster. Chosen by the operator, never 0, never used again for another machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u64);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A Raft group. 0 is kept for metadata; the first data group is 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub u64);

impl GroupId {
    /// The first data group.
    pub const FIRST_DATA: GroupId = GroupId(1);
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A logical clock (paper section 5.1). 0 before the first election.
pub type Term = u64;

/// A position in the log. The first entry has index 1; 0 means "before the log".
pub type Index = u64;

/// Names an entry: no two different entries of one group ever share it (Log Matching, paper
/// section 5.3). The order is that of the election restriction (section 5.4.1): the later term
/// is the more up-to-date, and within a term the longer log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The term of the leader that made the entry. Compared first.
    pub term: Term,
    /// The entry's place in the log.
    pub index: Index,
}

impl LogId {
    /// What stands before the first entry.
    pub const ZERO: LogId = LogId { term: 0, index: 0 };

    /// The entry at `index`, made in `term`.
    pub const fn new(term: Term, index: Index) -> Self {
        Self { term, index }
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.index, self.term)
    }
}

/// What an entry is. The numbers are those of the log's files and of the wire: never reuse one.
/// An entry of a kind that a node does not know stops it; it is never skipped, since a state
/// machine that skipped it would differ from its peers for ever after.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum EntryKind {
    /// Carries nothing: a new leader's first entry, which lets it commit what earlier terms left.
    Empty = 0,
    /// Carries the service's bytes.
    Command = 1,
    /// Carries a membership. Kept for a later version; no node makes one yet.
    Configuration = 2,
}

impl EntryKind {
    /// The kind with that number, if this version knows it.
    pub const fn from_u8(value: u8) -> Option<Self> {
        match value {
            0 => Some(Self::Empty),
            1 => Some(Self::Command),
            2 => Some(Self::Configuration),
            _ => None,
        }
    }
}

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands and which term made it.
    pub id: LogId,
    /// What it is.
    pub kind: EntryKind,
    /// The service's bytes. Opaque here, and they hold no memory but their own: an entry lives as
    /// long as the log does, and would pin whatever larger buffer it were a slice of.
    pub payload: Bytes,
}

impl Entry {
    /// What an entry costs beside its payload, in bytes: in memory, on disk and on the wire alike,
    /// near enough for a budget.
    pub const OVERHEAD: usize = 64;

    /// The entry's weight in every byte budget.
    pub fn weight(&self) -> usize {
        self.payload.len() + Self::OVERHEAD
    }
}

/// What must survive a restart besides the log (paper, Figure 2, "Persistent state").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term that this node has seen.
    pub term: Term,
    /// Whom it voted for in that term.
    pub vote: Option<NodeId>,
}

/// One write to make durable, as [`Ready`](crate::Ready) hands it out.
///
/// Writes are made in the order of their numbers, and their parts in the order in which they stand
/// here. Each is complete: after it the disk holds the hard state as given; the snapshot as given,
/// and of the log what [`SnapshotWrite`] leaves of it; the log up to `entries[0] - 1` as before, then
/// `entries`, and nothing behind them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The number by which [`Node::persisted`](crate::Node::persisted) is told of it.
    pub seq: u64,
    /// Term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// How far the snapshot reaches, if that changed.
    pub snapshot: Option<SnapshotWrite>,
    /// Entries with contiguous indices. The first replaces whatever stood at its index, and
    /// everything behind that goes.
    pub entries: Vec<Entry>,
}

/// From now on everything up to an entry is in a snapshot (paper section 7), and no longer needed in
/// the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotWrite {
    /// The last entry that the snapshot holds.
    pub last: LogId,
    /// None for a snapshot that this node's service has made, and handed to
    /// [`Node::compact`](crate::Node::compact): the log keeps what stands behind `last`.
    ///
    /// Else one that a leader sent, as it came with its
    /// [`InstallSnapshot`](crate::InstallSnapshot). It must be durable before anything that follows
    /// it, and it stands in place of the whole log, whose end is another history's.
    pub data: Option<Bytes>,
}
