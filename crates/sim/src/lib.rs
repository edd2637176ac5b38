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
//! | [`host`], [`clock`], [`kv_server`] | a server of the labs: a peer or a replica, its clock, its disk |
//! | [`invariants`] | what must hold all the same, after every event |
//! | [`executor`], [`channel`] | tasks that wait in virtual time, and for one another |
//! | [`watch`], [`tracer`] | who sees to that in a world of peers, and who writes down what happens there |
//! | [`timeline`], [`trace`], [`tally`] | what happened, to be read, to be drawn and to be counted |
//! | [`labrpc`] | the network of the laboratory, which carries calls, or fails them |
//! | [`hunt`] | as many runs as there is time for, and what went wrong in them |
//!
//! One seed gives one run, event by event, on every machine.
#![forbid(unsafe_code)]

pub mod channel;
pub mod clients;
pub mod clock;
pub mod disk;
pub mod executor;
pub mod host;
pub mod hunt;
pub mod invariants;
pub mod kv_server;
pub mod labrpc;
pub mod nemesis;
pub mod network;
pub mod process;
pub mod queue;
pub mod random;
pub mod tally;
pub mod timeline;
pub mod trace;
pub mod tracer;
pub mod watch;
pub mod world;

pub use disk::{DiskFaults, SimDisk};
