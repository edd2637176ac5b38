//! A node's directory: that it is the right one, and that nobody else uses it.
//!
//! A voter that comes back with an empty disk, or with somebody else's, has forgotten what it promised: it
//! could vote a second time in a term, or help to elect a leader without entries that it had acknowledged.
//! So a directory is made once, says whose it is, and is refused to anybody else. And because an operator can
//! make a *new* one for an old node, every directory has an id of its own, which peers remember.
//!
//! The order for a server: [`Directory::create`] at the first boot of a new cluster, else [`Directory::open`];
//! then, if [`life`](Directory::life) is still 0, make the log, else open it; then
//! [`begin_life`](Directory::begin_life), and only now answer anybody. So a crash in the middle of the first
//! boot is made good by the next start.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use bowline_raft::NodeId;

use crate::disk::{Disk, RealDisk};
use crate::identity::{DirectoryId, Identity, IdentityError, MAX_CLUSTER_BYTES};

const LOCK: &str = "lock";

/// A node's directory, locked as long as this lives.
#[derive(Debug)]
pub struct Directory {
    disk: RealDisk,
    identity: Identity,
    /// Held, never read: the lock goes with it.
    _lock: File,
}

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A call to the file system failed.
    #[error("{directory}: could not {operation}: {source}")]
    Io {
        /// The directory.
        directory: String,
        /// What was tried.
        operation: &'static str,
        /// What the file system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error(
        "{directory}: locked by a living process{}. Two nodes cannot share a directory; stop that one first, or \
         give this one its own",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
    )]
    Locked {
        /// The directory.
        directory: String,
        /// Who has it, if that can be read.
        pid: Option<u32>,
    },
    /// There is no node in it.
    #[error(
        "{directory}: empty: no node has ever been here. If this is the first start of a new cluster, start it \
         with --new. If node {node} had its data here before, bring the data back: a member that comes back with \
         an empty disk has forgotten what it promised to the others"
    )]
    Empty {
        /// The directory.
        directory: String,
        /// Who looked for its data.
        node: NodeId,
    },
    /// There is a log or a snapshot in it, and nothing that says whose.
    #[error(
        "{directory}: there is a log or a snapshot ({file}), but the file `node` that says whose it is is missing. Put it \
         back; if it is lost, replace the node, as one that has lost its disk"
    )]
    NoIdentity {
        /// The directory.
        directory: String,
        /// One of the files.
        file: String,
    },
    /// A new one was to be made where one is.
    #[error(
        "{directory}: holds the data of node {node} of cluster \"{cluster}\" already; start it without --new, or \
         give the new node an empty directory"
    )]
    AlreadyThere {
        /// The directory.
        directory: String,
        /// Whose it is.
        node: NodeId,
        /// Of which cluster.
        cluster: String,
    },
    /// It is another node's.
    #[error(
        "{directory}: belongs to node {found}, and this is node {expected}. Start it with --id {found}, or give \
         node {expected} its own directory"
    )]
    OtherNode {
        /// The directory.
        directory: String,
        /// Whose it is.
        found: NodeId,
        /// Who wanted it.
        expected: NodeId,
    },
    /// It is another cluster's.
    #[error(
        "{directory}: belongs to cluster \"{found}\", and this node was started for cluster \"{expected}\". Start it with \
         --cluster {found}, or give it the directory of the right cluster"
    )]
    OtherCluster {
        /// The directory.
        directory: String,
        /// Whose it is.
        found: String,
        /// Who wanted it.
        expected: String,
    },
    /// It was made for other members.
    #[error(
        "{directory}: was made for the members {found}, and --peers names {expected}. Members cannot be changed \
         yet (addresses can); name the same ids",
        found = list(found), expected = list(expected)
    )]
    OtherMembers {
        /// The directory.
        directory: String,
        /// For whom it was made.
        found: Vec<NodeId>,
        /// Who was named now.
        expected: Vec<NodeId>,
    },
    /// No cluster can be called that.
    #[error(
        "a cluster's name has 1 to {MAX_CLUSTER_BYTES} bytes and no control characters; {name:?} does not do"
    )]
    BadClusterName {
        /// The name.
        name: String,
    },
    /// Members and node do not fit together.
    #[error("node {node} is not among the members {members}; name it too, each id once, and none 0", members = list(members))]
    BadMembers {
        /// This node.
        node: NodeId,
        /// The members as given.
        members: Vec<NodeId>,
    },
    /// A peer shows another directory than before.
    #[error(
        "{directory}: node {peer} has come with the directory {now}, and first came with {first}. A member that \
         lost its disk must not come back under its old id; give it back its first directory"
    )]
    OtherPeerDirectory {
        /// This node's directory.
        directory: String,
        /// The peer.
        peer: NodeId,
        /// What was seen first.
        first: DirectoryId,
        /// What it shows now.
        now: DirectoryId,
    },
    /// Somebody who is not another member.
    #[error("{directory}: node {peer} is not another member of this cluster")]
    NotAPeer {
        /// This node's directory.
        directory: String,
        /// Who it says it is.
        peer: NodeId,
    },
    /// The file that says whose the directory is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
}

fn list(members: &[NodeId]) -> String {
    members.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",")
}

impl Directory {
    /// Makes a directory for `node`, and the path to it. Durable on return. Files of others that lie there
    /// are let be.
    pub fn create(
        path: &Path,
        node: NodeId,
        cluster: &str,
        members: &[NodeId],
    ) -> Result<Self, DirectoryError> {
        if cluster.is_empty() || cluster.len() > MAX_CLUSTER_BYTES || cluster.contains(char::is_control) {
            return Err(DirectoryError::BadClusterName { name: cluster.to_string() });
        }
        let members = checked_members(node, members)?;
        let (location, disk) = at(path, RealDisk::make(path), "make the directory")?;
        let lock = lock(path)?;
        if let Some(Identity { node, cluster, .. }) = Identity::read(&disk)? {
            return Err(DirectoryError::AlreadyThere { directory: location, node, cluster });
        }
        no_log(&disk)?;
        let (_, random) = at(path, crate::random_id(), "draw a random number")?;
        let directory = DirectoryId(random);
        let cluster = cluster.to_string();
        let identity = Identity { cluster, node, members, directory, life: 0, peers: Default::default() };
        identity.write(&disk)?;
        Ok(Self { disk, identity, _lock: lock })
    }

    /// Opens the directory of `node`. `cluster` may be left out: it is in there.
    pub fn open(
        path: &Path,
        node: NodeId,
        cluster: Option<&str>,
        members: &[NodeId],
    ) -> Result<Self, DirectoryError> {
        let expected = checked_members(node, members)?;
        if !path.exists() {
            return Err(DirectoryError::Empty { directory: path.display().to_string(), node });
        }
        let (directory, disk) = at(path, RealDisk::open(path), "open the directory")?;
        let lock = lock(path)?;
        let Some(identity) = Identity::read(&disk)? else {
            no_log(&disk)?;
            return Err(DirectoryError::Empty { directory, node });
        };
        if let Some(expected) = cluster.filter(|cluster| *cluster != identity.cluster) {
            let (found, expected) = (identity.cluster, expected.to_string());
            return Err(DirectoryError::OtherCluster { directory, found, expected });
        }
        if identity.node != node {
            return Err(DirectoryError::OtherNode { directory, found: identity.node, expected: node });
        }
        if identity.members != expected {
            return Err(DirectoryError::OtherMembers { directory, found: identity.members, expected });
        }
        Ok(Self { disk, identity, _lock: lock })
    }

    /// What the directory says of the node.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The number of the present life; before [`begin_life`](Self::begin_life) that of the last one, 0 if the
    /// node has never run.
    pub fn life(&self) -> u64 {
        self.identity.life
    }

    /// Begins a new life, and gives back its number, which never comes again: it is durable on return.
    pub fn begin_life(&mut self) -> Result<u64, DirectoryError> {
        let life = self.identity.life + 1;
        self.replace(Identity { life, ..self.identity.clone() })?;
        Ok(life)
    }

    /// Checks the directory that a peer shows against the first that it showed, which is durable on return.
    pub fn remember_peer(&mut self, peer: NodeId, now: DirectoryId) -> Result<(), DirectoryError> {
        let directory = self.disk.location();
        if peer == self.identity.node || !self.identity.members.contains(&peer) {
            return Err(DirectoryError::NotAPeer { directory, peer });
        }
        match self.identity.peers.get(&peer) {
            Some(first) if *first == now => Ok(()),
            Some(first) => Err(DirectoryError::OtherPeerDirectory { directory, peer, first: *first, now }),
            None => {
                let mut identity = self.identity.clone();
                identity.peers.insert(peer, now);
                self.replace(identity)
            }
        }
    }

    fn replace(&mut self, identity: Identity) -> Result<(), DirectoryError> {
        identity.write(&self.disk)?;
        self.identity = identity;
        Ok(())
    }
}

/// The members in order, if they are members and the node is one of them.
fn checked_members(node: NodeId, members: &[NodeId]) -> Result<Vec<NodeId>, DirectoryError> {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    sorted.dedup();
    if sorted.len() != members.len() || sorted.first() == Some(&NodeId(0)) || !sorted.contains(&node) {
        return Err(DirectoryError::BadMembers { node, members: members.to_vec() });
    }
    Ok(sorted)
}

fn at<T>(path: &Path, result: io::Result<T>, operation: &'static str) -> Result<(String, T), DirectoryError> {
    let directory = path.display().to_string();
    match result {
        Ok(value) => Ok((directory, value)),
        Err(source) => Err(DirectoryError::Io { directory, operation, source }),
    }
}

/// A log or a snapshot without the file that says whose it is: not an empty directory.
fn no_log(disk: &RealDisk) -> Result<(), DirectoryError> {
    let directory = disk.location();
    let names = disk.list();
    let names = names.map_err(|source| DirectoryError::Io {
        directory: directory.clone(),
        operation: "list the files",
        source,
    })?;
    let ours = |name: &String| name.ends_with(".wal") || name.ends_with(".snapshot");
    match names.into_iter().filter(ours).min() {
        Some(file) => Err(DirectoryError::NoIdentity { directory, file }),
        None => Ok(()),
    }
}

fn lock(path: &Path) -> Result<File, DirectoryError> {
    let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path.join(LOCK));
    let (directory, mut file) = at(path, opened, "open the lock file")?;
    match file.try_lock() {
        Ok(()) => {
            // For the message that a second process prints; not worth failing for.
            let _ = file
                .set_len(0)
                .and_then(|()| file.rewind())
                .and_then(|()| write!(file, "{}", std::process::id()));
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            Err(DirectoryError::Locked { directory, pid })
        }
        Err(TryLockError::Error(source)) => {
            Err(DirectoryError::Io { directory, operation: "lock the lock file", source })
        }
    }
}
