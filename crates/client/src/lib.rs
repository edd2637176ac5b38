//! A client of a Bowline cluster that knows what became of each call.
//!
//! Any Redis library can talk to Bowline. What a Redis library cannot know is what became of a command whose reply was
//! lost with the connection: sent again, an INCR may count twice. This client sends every write within a session
//! (`ONCE`), under a number that all its sendings share. So it can ask another node when one dies, as often as it takes, and
//! the write still happens once.
//!
//! ```no_run
//! # async fn example() -> Result<(), bowline_client::CallError> {
//! use bowline_client::{Client, Reply};
//!
//! let mut client = Client::new(["127.0.0.1:7379", "127.0.0.1:7380", "127.0.0.1:7381"]);
//! client.put("greeting", "hello").await?;
//! client.append("greeting", ", world").await?;
//! assert_eq!(client.get("greeting").await?, "hello, world");
//! assert_eq!(client.call(["INCR", "visits"]).await?, Reply::Int(1));
//! # Ok(()) }
//! ```
//!
//! # Errors
//!
//! A call ends with its reply, or says what is known ([`CallError`]):
//!
//! | error | the call |
//! |---|---|
//! | [`NotExecuted`](CallError::NotExecuted) | certainly has no effect, now or later |
//! | [`Unknown`](CallError::Unknown) | may have had its effect, once, or have it yet |
//! | [`Failed`](CallError::Failed) | was answered by this error |
//!
//! It tries until its time limit is over, 30 seconds unless [`Client::with_time_limit`] says otherwise. So while a majority
//! of the nodes is there, errors are rare: a node that dies, or the leader, costs a pause.
//!
//! # Handles, tasks and connections
//!
//! A [`Client`] makes one call at a time: its calls take `&mut self`, and the session's numbers rely on it. A clone has a
//! clerk and a session of its own, so give each task a clone. Clones are cheap. All of them share one connection to each
//! node, which is made when it is needed and again when it was lost; and a clone takes over the clerk, with its session, of one
//! that was dropped, so that a clone for every request opens no more sessions than there were handles at the same time.
//!
//! # Cancellation
//!
//! A call's future may be dropped at any time, as by `tokio::time::timeout` or `select!`. Nobody is told then what became of
//! it: it may have its effect, once, but only before the next write of that handle, or never. For its number stays used, and
//! the next call has a higher one, behind which the nodes let nothing lower happen. A write that the task of its connection
//! has not taken up yet, as when the connection is not there or others stand in front of it, is never sent.
//!
//! # A node that says nothing
//!
//! A connection on which a node owes an answer, and for six seconds neither says anything nor takes more of what it was
//! asked, is given up, and another node is asked. That is longer than a node holds a command while nobody leads. So a
//! cluster without a majority says that it has none, and the call is known not to have been executed. For that a time
//! limit has to be longer than six seconds; and a write that was told so is not sent again in the last six, of whose answer
//! nobody might hear.
//!
//! # Runtime
//!
//! Calls want a tokio runtime with its time and input enabled.
#![forbid(unsafe_code)]

/// The examples of the README are compiled with those of this crate.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
mod readme {}

mod client;
mod connection;
mod resp;

pub use bowline_kv::Reply;
pub use bowline_kv::clerk::CallError;
pub use bowline_kv::command::MAX_VALUE_BYTES;
pub use client::Client;
pub use connection::{Connection, Lost};
