//! What can go wrong with the log. Each text says what happened, to what, and what to do.

use std::fmt;
use std::io;

use crate::snapshot::SnapshotError;

/// Why the log could not be made, opened or written.
#[derive(Debug, thiserror::Error)]
pub enum WalError {
    /// A call to the file system failed. The log takes nothing more.
    #[error("{directory}: could not {operation} {file}: {source}")]
    Io {
        /// The log's directory.
        directory: String,
        /// The file in it.
        file: String,
        /// What was tried.
        operation: &'static str,
        /// What the file system said.
        source: io::Error,
    },
    /// A sync failed. What the disk holds is not known, and a second try could succeed without having
    /// written anything: the process must end. The next start reads what is there and writes it again.
    #[error(
        "{directory}: syncing {file} failed: {source}. What is on the disk is not known, and trying again \
         would not tell; this process must end. Look at the disk, then start the node again"
    )]
    Sync {
        /// The log's directory.
        directory: String,
        /// The file in it, or `.` for the directory itself.
        file: String,
        /// What the file system said.
        source: io::Error,
    },
    /// There is no room. What was to be written is not in the log.
    #[error(
        "{directory}: no space left: {needed_bytes} bytes are needed and {free_bytes} are free. Make room on this \
         file system and start the node again; nothing that was acknowledged is missing"
    )]
    NoSpace {
        /// The log's directory.
        directory: String,
        /// What could not be had.
        needed_bytes: u64,
        /// What the file system still has.
        free_bytes: u64,
    },
    /// An earlier call failed, and since then the log takes nothing.
    #[error("{directory}: the log failed before and takes nothing more; this process must end")]
    Failed {
        /// The log's directory.
        directory: String,
    },
    /// Something that had been durable is damaged or missing.
    #[error(
        "{directory}: the log is damaged: {file}, offset {offset}, write {write}: {what}. Nothing was changed. If \
         there is an undamaged copy of this file, made after the node last stopped, put it in its place (an older \
         copy would lose acknowledged writes). Otherwise keep this directory as it is and replace the node, as \
         one that has lost its disk; the other nodes hold its data"
    )]
    Corrupt {
        /// The log's directory.
        directory: String,
        /// The damaged file.
        file: String,
        /// Where in it, in bytes.
        offset: u64,
        /// The number of the damaged write.
        write: u64,
        /// What is wrong.
        what: String,
    },
    /// Written by a newer version of this program.
    #[error(
        "{directory}: {file} is of a newer version: {what}. Start the version that wrote it; this one would \
         not understand all of it, and changes nothing"
    )]
    Newer {
        /// The log's directory.
        directory: String,
        /// The file.
        file: String,
        /// What is not known here.
        what: String,
    },
    /// The file was made for somebody else.
    #[error(
        "{directory}: {file} does not belong here: {what}. Somebody put it here from elsewhere; put back the \
         file of this node"
    )]
    Foreign {
        /// The log's directory.
        directory: String,
        /// The file.
        file: String,
        /// What it was made for.
        what: String,
    },
    /// There should be a log, and there is none.
    #[error(
        "{directory}: there is no log, or not even its first write is intact, though this node has been started \
         before. If the files were moved, move them back. Otherwise replace the node, as one that has lost its disk"
    )]
    NoLog {
        /// The log's directory.
        directory: String,
    },
    /// There should be no log yet, and there is one.
    #[error(
        "{directory}: {file} holds a log or a snapshot already, which a new log would replace; open it instead"
    )]
    AlreadyThere {
        /// The log's directory.
        directory: String,
        /// A segment with something in it, or a snapshot.
        file: String,
    },
    /// A snapshot that the log names or is to name.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

/// The log ended in a write that was not whole. It was cut off: a write that is not whole was never
/// acknowledged, unless it was damaged afterwards, and for the very last one nobody can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornTail {
    /// The file that ends so.
    pub file: String,
    /// Where the write that is not whole begins, in bytes.
    pub offset: u64,
    /// Its number.
    pub write: u64,
    /// The file was made `.1` bytes long and is only `.0`: it was not a crash that did this.
    pub cut_bytes: Option<(u64, u64)>,
}

impl fmt::Display for TornTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, offset, write, cut_bytes } = self;
        write!(
            f,
            "torn tail: the log ends before write {write}, which is not whole in {file} at offset {offset}"
        )?;
        match cut_bytes {
            None => f.write_str(" (a crash in the middle of a write that was not acknowledged)"),
            Some((is, was)) => write!(
                f,
                ". The file was made {was} bytes long and has {is}: something else than a crash cut it, and if a \
                 write went with it this node forgot what it had promised"
            ),
        }
    }
}
