//! What a node keeps on its disk, and how it gets it back.
//!
//! A node's directory holds four kinds of files:
//!
//! | file | holds | module |
//! |---|---|---|
//! | `<16 hex digits>.wal` | the segments of the write-ahead log that all groups of the node share | [`wal`] |
//! | `<group>-<index>-<term>.snapshot` | the state of a group after an entry | [`snapshot`] |
//! | `node` | who the node is: cluster, ids, the directory's own id, how often it was started | [`identity`] |
//! | `lock` | nothing that matters; its lock keeps a second process out | [`directory`] |
//!
//! Everything goes through the small synchronous [`Disk`] trait, so that the simulator can put a disk under
//! the same code that loses, tears and fails writes. Who wants to do something else in the meantime runs
//! the log on a thread of its own.
//!
//! There are two promises. What [`Wal::sync`] has returned for is read back by every later [`Wal::open`],
//! whatever crash comes between, as entries or as the snapshot that holds them. And what was damaged afterwards
//! is refused with a [`WalError`] or [`SnapshotError`] that names the place, or, where damage cannot be told from a crash in the middle of the very last write, reported as
//! a [`TornTail`]; it is never read as something else.
#![forbid(unsafe_code)]

use std::io;

pub mod directory;
pub mod disk;
pub mod identity;
pub mod snapshot;
pub mod wal;

pub use directory::{Directory, DirectoryError};
pub use disk::{Disk, DiskFile, RealDisk};
pub use identity::{DirectoryId, Identity, IdentityError};
pub use snapshot::{
    ReceivedSnapshot, SnapshotError, SnapshotHeader, SnapshotId, SnapshotReader, SnapshotWriter, Snapshots,
    UnusableSnapshot,
};
pub use wal::{Recovered, RecoveredGroup, TornTail, Wal, WalConfig, WalError};

/// What nothing else of its kind has: 128 random bits of the system.
fn random_id() -> io::Result<u128> {
    let mut random = [0; 16];
    let filled = rustix::rand::getrandom(&mut random, rustix::rand::GetRandomFlags::empty())?;
    assert_eq!(filled, random.len(), "up to 256 random bytes come at once");
    Ok(u128::from_le_bytes(random))
}
