//! What a Redis client meets: the commands that concern its connection and this server, not the data.
//!
//! Client libraries greet a server before the first command of the application: `HELLO 3`, `CLIENT SETINFO`,
//! `INFO` until it says `loading:0`, `COMMAND DOCS`, `CONFIG GET save`. All of that is answered here, by the
//! node that was asked, without the log. [`Connection`] is the state of one client; its
//! [`handle`](Connection::handle) takes a command's arguments and says what is to be done:
//!
//! | the command | [`Action`] | the caller |
//! |---|---|---|
//! | PING, HELLO, CLIENT SETNAME, COMMAND ... | `Reply` | sends it, behind the replies still owed |
//! | GET, SET, anything not known here | `Data` | gives it to the store, which also refuses what it does not know |
//! | WATCH, EXEC with PING or the like in it | `Await` | gives it to the store, takes nothing more until [`answered`](Connection::answered) |
//! | EXEC of data commands | `Exec` | gives it to the store, sends [`Connection::exec_value`] of the answer |
//! | INFO | `Info` | renders it with the figures of this moment, [`info`] |
//! | CLIENT LIST | `ClientList` | lists the connections that it has |
//! | CLIENT KILL | `Kill` | closes those connections |
//! | CLIENT PAUSE, UNPAUSE | `Pause`, `Unpause` | lets commands wait, or no more |
//! | WAIT | `Wait` | takes nothing more, and answers when it knows, or it is time |
//! | CONFIG RESETSTAT | `ResetStats` | sets its counters to zero, answers OK |
//! | QUIT | `Close` | sends it, behind the replies still owed, and closes |
//! | an HTTP request | `Drop` | closes: a web page must not be able to speak to the server |
//!
//! A reply is written in the protocol that its command left behind ([`Connection::protocol`] after `handle`):
//! `HELLO 3` is answered in RESP3, and a GET in front of it, even if answered later, in RESP2.
//!
//! A command that is not served is refused, never accepted and ignored: `CLIENT REPLY OFF` or `CLIENT
//! TRACKING ON` answered by OK would leave a client waiting, or reading stale data from its own cache.

mod auth;
mod client;
mod command;
mod config;
mod connection;
mod data;
mod histogram;
pub mod info;
#[cfg(test)]
mod page;
mod record;
mod room;
mod settings;
mod slowlog;
mod syntax;
mod table;
mod transaction;

pub use client::{ClientFilter, KillFilter, PauseMode};
pub use connection::{Action, Connection};
pub use info::{Metrics, NodeInfo, Sections};
pub use record::Record;
pub use settings::{BadPassword, MAX_PASSWORD_BYTES, Password, Settings};
pub use slowlog::Slow;
pub use table::CommandNumber;

use crate::resp::Value;

/// The version of Redis whose commands and replies this server follows, for clients that look at it: they must not
/// count on what later ones have.
pub const REDIS_VERSION: &str = "7.0.15";

fn wrong_arity(name: &str) -> Value {
    Value::error(format!("ERR wrong number of arguments for '{name}' command"))
}

/// The answer to something of a client's that is longer than it may be.
fn too_long(what: &str, limit: usize) -> Value {
    Value::error(format!("ERR {what} exceeds maximum allowed size ({limit} bytes)"))
}

fn syntax_error() -> Value {
    Value::error("ERR syntax error")
}

/// What an error repeats of what the client sent: at most 128 bytes, up to the first zero byte, as in Redis.
fn echoed(arg: &[u8]) -> &[u8] {
    let shown = &arg[..arg.len().min(128)];
    &shown[..memchr::memchr(0, shown).unwrap_or(shown.len())]
}

/// The same, readable.
fn quoted(arg: &[u8]) -> String {
    String::from_utf8_lossy(echoed(arg)).into_owned()
}
