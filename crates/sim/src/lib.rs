//! Virtual worlds, in which the code that runs in production meets more bad luck in a minute than in years.
//!
//! | module | stands for |
//! |---|---|
//! | [`disk`] | a node's directory, on a disk that loses, tears and fails writes |
//! | [`network`] | what is between the nodes, and does not always carry |
//! | [`process`] | a machine, and the node that runs on it, until it does not |
//! | [`clients`] | those who want something written, and remember what they were told |
//! | [`nemesis`] | bad luck, and the weather |
//! | [`queue`], [`random`] | time, and chance |
//! | [`world`] | all of them together, from one seed |
//! | [`invariants`] | what must hold all the same, after every event |
//! | [`timeline`], [`tally`] | what happened, to be read and to be counted |
//!
//! One seed gives one run, event by event, on every machine.
#![forbid(unsafe_code)]

pub mod clients;
pub mod disk;
pub mod invariants;
pub mod nemesis;
pub mod network;
pub mod process;
pub mod queue;
pub mod random;
pub mod tally;
pub mod timeline;
pub mod world;

pub use disk::{DiskFaults, SimDisk};
