//! The laboratory: the scenarios of the course labs, in virtual time.
//!
//! The labs define Raft by a suite of tests on a network that delays, loses, reorders and falls apart. Each of them
//! is here, under its own name, and runs on the production code: a run takes milliseconds instead of half a
//! minute, a thousand different runs take minutes, and a seed makes the same run again.
//!
//! | module | what |
//! |---|---|
//! | [`scenario`] | the list of all, and how one is found |
//! | [`raft_a`], [`raft_b`], [`raft_c`] | elections, replication, persistence and bad networks |
//! | [`raft_d`] | snapshots |
//! | [`kv_a`], [`kv_b`] | the key/value service, without and with snapshots |
//! | [`kv_sessions`] | sessions that end too early |
//! | [`kv_expiry`] | keys whose time ends, and clocks that are wrong |
//! | [`raft_2016`] | the first edition's suite |
//! | [`network`] | the simulated network's own tests |
//! | [`config`], `checks`, `applier` | the harness: what a scenario may do and ask |
//! | [`kv`] | the harness of the key/value service |
//! | [`group`] | what both have: servers, their ends, the script's means |
//! | `monitor` | how long it takes until there is a leader |
//! | [`picture`] | the page that shows a run |
//! | [`run`], [`batch`], [`report`] | one run, many runs, and what is printed |
#![forbid(unsafe_code)]

mod applier;
pub mod batch;
mod checks;
pub mod config;
pub mod group;
pub mod kv;
pub mod kv_a;
pub mod kv_b;
pub mod kv_expiry;
pub mod kv_sessions;
mod monitor;
pub mod network;
pub mod picture;
pub mod raft_2016;
pub mod raft_a;
pub mod raft_b;
pub mod raft_c;
pub mod raft_d;
pub mod report;
pub mod run;
pub mod scenario;
mod script;
