//! The shell around the pure core: what talks to clients, to peers and to the disk.
//!
//! Nothing is decided here. `shell` is the loop that carries out what the replica wants;
//! `client`, `peers`, `disk` and `snapshot` move its bytes; [`resp`] and [`face`] are the Redis protocol and
//! the commands about a connection; [`run`] puts a server together from its [`Options`].
#![forbid(unsafe_code)]

pub mod face;
pub mod resp;

mod accept;
mod client;
mod disk;
mod error;
mod files;
mod frame;
mod inbox;
mod options;
mod outbox;
mod peers;
mod server;
mod shell;
mod snapshot;

pub use error::ServerError;
pub use options::{Access, Member, Options, parse_members};
pub use server::run;
pub use snapshot::LoadError;
