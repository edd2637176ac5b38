//! Raft, pure.
#![forbid(unsafe_code)]

mod types;

pub use types::{Entry, EntryKind, GroupId, HardState, Index, LogId, NodeId, Term, Write};
