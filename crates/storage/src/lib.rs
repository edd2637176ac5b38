//! What a node keeps on its disk, and how it gets it back.
//!
//! A node's directory holds three kinds of files:
//!
//! | file | holds | module |
//! |---|---|---|
//! | `<16 hex digits>.wal` | the segments of the write-ahead log that all groups of the node share | [`wal`] |
//! | `node` | who the node is: cluster, ids, the directory's own id, how often it was started | [`identity`] |
//! | `lock` | nothing that matters; its lock keeps a second process out | [`directory`] |
//!
//! Everything goes through the small synchronous [`Disk`] trait, so that the simulator can put a disk under
//! the same code that loses, tears and fails writes. Who wants to do something else in the meantime runs
//! the log on a thread of its own.
//!
//! There are two promises. What [`Wal::sync`] has returned for is read back by every later [`Wal::open`],
//! whatever crash comes between. And what was damaged afterwards is refused with a [`WalError`] that names
//! the place, or, where damage cannot be told from a crash in the middle of the very last write, reported as
//! a [`TornTail`]; it is never read as something else.
#![forbid(unsafe_code)]

pub mod directory;
pub mod disk;
pub mod identity;
pub mod wal;

pub use directory::{Directory, DirectoryError};
pub use disk::{Disk, DiskFile, RealDisk};
pub use identity::{DirectoryId, Identity, IdentityError};
pub use wal::{Recovered, RecoveredGroup, TornTail, Wal, WalConfig, WalError};
