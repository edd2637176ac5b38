//! What is done to a disk.

use std::fmt;

/// An operation that changes something or syncs: where a crash can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// A file is made.
    Create,
    /// Bytes are written into a file.
    Write,
    /// A file is cut, or made longer.
    Truncate,
    /// What was written into a file is made durable.
    Sync,
    /// A file is given another name.
    Rename,
    /// A file is removed.
    Remove,
    /// Names are made durable.
    SyncDirectory,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Create => "create",
            Self::Write => "write",
            Self::Truncate => "truncate",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::SyncDirectory => "sync the directory",
        })
    }
}
