//! The replicated key/value store, pure: commands in, replies out, and nothing else.
//!
//! There is no clock, thread, socket or file in here, no randomness but a seed that is passed in, and no
//! iteration over a hash map whose order could show. So every replica that applies the same log comes to
//! the same state, and a simulated world runs this very code.
//!
//! | module | what it says |
//! |---|---|
//! | [`command`] | what a client asks for: parsed from a request, written into the log, read back |
//! | [`reply`] | what it is told, in no protocol yet |
//! | [`glob`] | patterns, as KEYS and CONFIG GET have them |
//! | [`integer`] | numbers, as Redis reads them |
//! | [`slot`] | which of the 16384 slots a key lives in |
//! | [`store`] | keys and values, and what each command does to them |
//! | [`session`] | which numbered requests have been done, and how they were answered |
//! | [`image`] | the whole of it at one index, for a snapshot |
//! | [`replica`] | all of it together with the consensus node |
//! | [`session::once`] | the sessions that clients open, and why nothing runs twice in them |
//! | [`clerk`] | the client's side: whom to ask, and when to ask again |
//! | `contact` | the contacted node's side: numbers, order, retries |
//! | `direct` | requests that may not be forwarded |
//! | `serving` | the leader's side: entries and confirmed reads |
//! | `outgoing` | the leader's answers to other nodes, until they can be sent |
//! | `clock` | the leader's side: the time, which is the median of the members' clocks |
//! | `entry`, `forward` | what stands in the log, and what travels between the two sides |
#![forbid(unsafe_code)]

pub mod clerk;
mod clock;
pub mod command;
mod contact;
mod direct;
mod entry;
mod forward;
pub mod glob;
pub mod image;
pub mod integer;
mod outgoing;
pub mod replica;
pub mod reply;
mod serving;
pub mod session;
pub mod slot;
pub mod store;

mod codec;
mod digest;
mod long_double;
mod natural;

pub use clerk::Clerk;
pub use codec::DecodeError;
pub use command::{Command, CommandSpec};
pub use contact::{Answer, ClientId};
pub use direct::Served;
pub use image::{Image, ImageError, ImageReader, ImageWriter};
pub use replica::{Output, Replica, ReplicaConfig, Status, Time, check_entries};
pub use reply::Reply;
pub use session::{Origin, Sessions, Verdict};
pub use slot::Slots;
pub use store::{Store, Tally};

/// The same cases in every run, so that a test says the same everywhere.
#[cfg(test)]
fn fixed_cases() -> proptest::test_runner::Config {
    use proptest::test_runner::{Config, RngSeed};
    Config { rng_seed: RngSeed::Fixed(1), failure_persistence: None, ..Config::default() }
}
