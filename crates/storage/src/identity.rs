//! Who a node is, as its directory remembers it: the file `node`.
//!
//! ```text
//! bowline node
//! format=1
//! cluster=shop
//! node=2
//! members=1,2,3
//! directory=5f3c...          128 random bits, made with the directory
//! life=7                     how often the node was started
//! peer.1=9a41...             the first directory that was seen of each other member
//! checksum=1c291ca3          CRC32C of everything above
//! ```
//!
//! A text, so that it can be read with `cat`; checked, so that it is not edited by accident. In every version
//! of the format the first line stays, and the last is the checksum: so a newer file is told from a damaged one.
//!
//! The file is replaced as a whole: written under another name, synced, renamed, and the directory synced.
//! After a crash either the old or the new one is there.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use bowline_raft::NodeId;

use crate::disk::{Disk, DiskFile};

/// The name of the file.
pub const FILE: &str = "node";
const TEMPORARY: &str = "node.tmp";
const FIRST_LINE: &str = "bowline node";
const FORMAT: u32 = 1;
/// Some thousand members; a longer file is not one of ours.
const MAX_BYTES: u64 = 1 << 20;
/// The longest cluster name, in bytes.
pub const MAX_CLUSTER_BYTES: usize = 255;

/// What tells one directory from every other, also from a later one of the same node. Random, never zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DirectoryId(pub u128);

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster's name: 1 to [`MAX_CLUSTER_BYTES`] bytes, no control characters.
    pub cluster: String,
    /// The node's own id.
    pub node: NodeId,
    /// All members, this node too; ascending, no id twice.
    pub members: Vec<NodeId>,
    /// The id of this directory.
    pub directory: DirectoryId,
    /// How often the node was started; 0 before the first time, when it has promised nothing yet.
    pub life: u64,
    /// The directory of each other member, as first seen.
    pub peers: BTreeMap<NodeId, DirectoryId>,
}

/// Why the file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A call to the file system failed.
    #[error("{directory}: could not {operation} the file `node`: {source}")]
    Io {
        /// The node's directory.
        directory: String,
        /// What was tried.
        operation: &'static str,
        /// What the file system said.
        source: io::Error,
    },
    /// The file is not as it was written.
    #[error(
        "{directory}: the file `node` is damaged: {what}. Nothing was changed. Put back the file as it was; if \
         it is lost, replace the node, as one that has lost its disk"
    )]
    Damaged {
        /// The node's directory.
        directory: String,
        /// What is wrong.
        what: String,
    },
    /// Written by a newer version of this program.
    #[error(
        "{directory}: the file `node` has format {format}, and this program knows {FORMAT}. Start the version that \
         wrote it"
    )]
    Newer {
        /// The node's directory.
        directory: String,
        /// The file's format.
        format: u32,
    },
}

impl Identity {
    /// Reads the file; `None` when there is none.
    pub fn read<D: Disk>(disk: &D) -> Result<Option<Self>, IdentityError> {
        let damaged =
            |what: &str| IdentityError::Damaged { directory: disk.location(), what: what.to_string() };
        let file = match disk.open(FILE) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return failed(disk, "open", Err(error)),
        };
        let size = failed(disk, "read the length of", file.size_bytes())?;
        if size > MAX_BYTES {
            return Err(damaged("it is too long"));
        }
        let mut bytes = vec![0; usize::try_from(size).expect("a short file")];
        failed(disk, "read", file.read_at(&mut bytes, 0))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is no text"))?;
        let (body, checksum) = text
            .rfind("checksum=")
            .map(|at| text.split_at(at))
            .ok_or_else(|| damaged("it has no checksum, so its end is missing"))?;
        if checksum != checksum_line(body) {
            return Err(damaged("its checksum does not hold"));
        }
        let mut lines = body.lines();
        if lines.next() != Some(FIRST_LINE) {
            return Err(damaged("it does not begin as it should"));
        }
        let format =
            lines.next().and_then(|line| line.strip_prefix("format=")).and_then(|text| text.parse().ok());
        match format {
            Some(FORMAT) => {
                Self::parse(lines).map(Some).ok_or_else(|| damaged("a line is not as it should be"))
            }
            Some(format) => Err(IdentityError::Newer { directory: disk.location(), format }),
            None => Err(damaged("it names no format")),
        }
    }

    /// Replaces the file. Durable on return.
    pub fn write<D: Disk>(&self, disk: &D) -> Result<(), IdentityError> {
        match disk.remove(TEMPORARY) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => failed(disk, "replace", Err(error))?,
            _ => {}
        }
        let file = failed(disk, "create", disk.create(TEMPORARY))?;
        failed(disk, "write", file.write_at(self.to_text().as_bytes(), 0))?;
        failed(disk, "sync", file.sync_data())?;
        failed(disk, "rename", disk.rename(TEMPORARY, FILE))?;
        failed(disk, "sync the directory of", disk.sync_dir())
    }

    fn to_text(&self) -> String {
        let Self { cluster, node, members, directory, life, peers } = self;
        let members: Vec<String> = members.iter().map(NodeId::to_string).collect();
        let mut text = format!(
            "{FIRST_LINE}\nformat={FORMAT}\ncluster={cluster}\nnode={node}\nmembers={}\ndirectory={directory}\n\
             life={life}\n",
            members.join(",")
        );
        for (peer, directory) in peers {
            text += &format!("peer.{peer}={directory}\n");
        }
        let checksum = checksum_line(&text);
        text + &checksum
    }

    fn parse<'a>(mut lines: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix('=');
        let cluster = value("cluster")?.to_string();
        let node = NodeId(value("node")?.parse().ok()?);
        let members =
            value("members")?.split(',').map(|id| id.parse().ok().map(NodeId)).collect::<Option<Vec<_>>>()?;
        let directory = parse_directory(value("directory")?)?;
        let life = value("life")?.parse().ok()?;
        let peer = |line: &str| {
            let (id, directory) = line.strip_prefix("peer.")?.split_once('=')?;
            Some((NodeId(id.parse().ok()?), parse_directory(directory)?))
        };
        let peers = lines.map(peer).collect::<Option<_>>()?;
        Some(Self { cluster, node, members, directory, life, peers })
    }
}

fn checksum_line(body: &str) -> String {
    format!("checksum={:08x}\n", crc32c::crc32c(body.as_bytes()))
}

fn parse_directory(text: &str) -> Option<DirectoryId> {
    u128::from_str_radix(text, 16).ok().map(DirectoryId)
}

fn failed<D: Disk, T>(disk: &D, operation: &'static str, result: io::Result<T>) -> Result<T, IdentityError> {
    result.map_err(|source| IdentityError::Io { directory: disk.location(), operation, source })
}
