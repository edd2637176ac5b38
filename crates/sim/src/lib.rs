//! Virtual worlds, in which the code that runs in production meets more bad luck in a minute than in years.
//!
//! | module | stands for |
//! |---|---|
//! | [`disk`] | a node's directory, on a disk that loses, tears and fails writes |
#![forbid(unsafe_code)]

pub mod disk;

pub use disk::{DiskFaults, SimDisk};
