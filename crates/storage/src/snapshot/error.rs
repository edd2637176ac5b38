//! What can go wrong with a snapshot. Each text says what happened, to what, and what to do.

use std::fmt;
use std::io;

/// Why a snapshot could not be written, received or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// A call to the file system failed.
    #[error("{directory}: could not {operation} {file}: {source}")]
    Io {
        /// The node's directory.
        directory: String,
        /// The file in it, or `.` for the directory itself.
        file: String,
        /// What was tried.
        operation: &'static str,
        /// What the file system said.
        source: io::Error,
    },
    /// A sync failed. What the disk holds is not known, and a second try could succeed without having
    /// written anything: the process must end.
    #[error(
        "{directory}: syncing {file} failed: {source}. What is on the disk is not known, and trying again \
         would not tell; this process must end. Look at the disk, then start the node again"
    )]
    Sync {
        /// The node's directory.
        directory: String,
        /// The file in it, or `.` for the directory itself.
        file: String,
        /// What the file system said.
        source: io::Error,
    },
    /// There is no room. The snapshot is to be given up; the log goes on without it.
    #[error(
        "{directory}: no space left for {file}: {needed_bytes} bytes are needed and {free_bytes} are free. This snapshot \
         is given up and nothing is lost, but the log grows until one can be written. Make room on this file system"
    )]
    NoSpace {
        /// The node's directory.
        directory: String,
        /// The file in it.
        file: String,
        /// What could not be had.
        needed_bytes: u64,
        /// What the file system still has.
        free_bytes: u64,
    },
    /// The log names a snapshot, and it is not there.
    #[error(
        "{directory}: {file} is missing, and the log begins behind it. Nothing was changed. If it was moved, move \
         it back. Otherwise keep this directory as it is and replace the node, as one that has lost its disk; \
         the other nodes hold its data"
    )]
    Missing {
        /// The node's directory.
        directory: String,
        /// The file in it.
        file: String,
    },
    /// The file is not as it was written.
    #[error(
        "{directory}: {file} is damaged at offset {offset}: {what}. Nothing was changed. If there is an undamaged copy \
         of this file, put it in its place. Otherwise keep this directory as it is and replace the node, as one \
         that has lost its disk; the other nodes hold its data"
    )]
    Damaged {
        /// The node's directory.
        directory: String,
        /// The file in it.
        file: String,
        /// Where the part begins that is damaged, in bytes.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// The file's end is missing.
    #[error(
        "{directory}: {file} is cut short: it has {size_bytes} bytes and ends in the middle of what begins at offset \
         {offset}. Nothing was changed. If there is a whole copy of this file, put it in its place. Otherwise keep \
         this directory as it is and replace the node, as one that has lost its disk; the other nodes hold its data"
    )]
    CutShort {
        /// The node's directory.
        directory: String,
        /// The file in it.
        file: String,
        /// Where the part begins that is not whole, in bytes.
        offset: u64,
        /// The file's length, in bytes.
        size_bytes: u64,
    },
    /// Written by a newer version of this program.
    #[error(
        "{directory}: {file} is of a newer version: its format is {format}, and this program reads {known}. Start \
         the version that wrote it; this one would not understand all of it, and changes nothing"
    )]
    Newer {
        /// The node's directory.
        directory: String,
        /// The file in it.
        file: String,
        /// Its format.
        format: u32,
        /// The format that this version knows.
        known: u32,
    },
    /// The file was made for somebody else.
    #[error(
        "{directory}: {file} does not belong here: {what}. Somebody put it here from elsewhere; put back the \
         file of this node, or take this one away if there was none"
    )]
    Foreign {
        /// The node's directory.
        directory: String,
        /// The file in it.
        file: String,
        /// What it was made for.
        what: String,
    },
    /// What a peer sent is not what it said it would send. Nothing of it was taken.
    #[error("{directory}: refused what was sent for {file}: at offset {offset}, {what}")]
    BadBytes {
        /// The node's directory.
        directory: String,
        /// The file in it.
        file: String,
        /// Where it can go on, in bytes: all before it is intact.
        offset: u64,
        /// What is wrong.
        what: String,
    },
}

/// A snapshot newer than the log, which cannot be used and is not needed: the log has all that it has. Worth a line
/// to the operator, since somebody's disk has damaged it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnusableSnapshot {
    /// The file.
    pub file: String,
    /// What is wrong with it.
    pub what: String,
}

impl fmt::Display for UnusableSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, what } = self;
        write!(
            f,
            "{file} cannot be used, and is not needed, since the log does not begin behind it: {what}. It is removed \
             when the next snapshot is there; look at the disk"
        )
    }
}
