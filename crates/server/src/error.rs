//! Why a server did not start, or ended.

use std::io;
use std::net::SocketAddr;

use bowline_raft::NodeId;
use bowline_storage::{DirectoryError, SnapshotError, WalError};

use crate::snapshot::LoadError;

/// What a server ends with when it was not told to stop.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// `--peers` does not name this node.
    #[error(
        "--peers does not name node {id}, which --id says this is; it must name every node of the cluster, this one \
         too: {members}"
    )]
    NotAMember {
        /// The id.
        id: NodeId,
        /// What was given.
        members: String,
    },
    /// The directory is not this node's.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The log cannot be used.
    #[error(transparent)]
    Wal(#[from] WalError),
    /// A snapshot cannot be made, or kept.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The snapshot that this node is to start from cannot be read.
    #[error("cannot start from the snapshot: {0}")]
    Load(LoadError),
    /// A port is taken, or an address is not this machine's.
    #[error("cannot listen for {what} on {addr}: {source}{}", hint(source))]
    Listen {
        /// For whom.
        what: &'static str,
        /// Where.
        addr: String,
        /// What the system said.
        source: io::Error,
    },
    /// Everybody who reaches the port could read and delete everything.
    #[error(
        "{addr} can be reached from other machines, and no password is set: give one in BOWLINE_PASSWORD or by \
         --password-file FILE, listen on 127.0.0.1, or say --no-auth if the network lets nobody in whom you do not \
         trust"
    )]
    NoPassword {
        /// Where it was to listen.
        addr: SocketAddr,
    },
    /// Too few files may be open.
    #[error(
        "{files} files may be open, and a node needs {needed} to serve a client: raise the limit (ulimit -n, \
         LimitNOFILE=)"
    )]
    NoFiles {
        /// What the system allows.
        files: u64,
        /// What must be.
        needed: u64,
    },
    /// Too little room to begin with.
    #[error(
        "{directory}: {room_bytes} bytes of room for the log, and a node needs {needed_bytes} to take a command safely; \
         make room and start it again: nothing is lost"
    )]
    NoRoom {
        /// Where.
        directory: String,
        /// What there is.
        room_bytes: u64,
        /// What must be.
        needed_bytes: u64,
    },
    /// Anything else that the system refused.
    #[error("could not {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "; another process has this port: stop it, or choose another port",
        io::ErrorKind::AddrNotAvailable => "; this machine has no such address",
        io::ErrorKind::PermissionDenied => "; this port may only be used by root",
        _ => "",
    }
}

impl ServerError {
    /// The process's exit code. 3: the disk failed, and starting again would not mend it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Wal(WalError::Sync { .. } | WalError::Io { .. } | WalError::Failed { .. })
            | Self::Snapshot(SnapshotError::Sync { .. } | SnapshotError::Io { .. }) => 3,
            _ => 1,
        }
    }
}

/// Ends the process, at once: its disk cannot be relied on, and whatever else it did could be built on what is lost.
pub(crate) fn die(error: &ServerError) -> ! {
    tracing::error!("{error}");
    std::process::exit(i32::from(error.exit_code()))
}
