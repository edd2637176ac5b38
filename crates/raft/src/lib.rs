//! Raft as a plain state machine: input in, effects out.
//!
//! Raft keeps a log the same on several machines: a leader is elected, takes commands, and tells
//! the others; a command that is on the disks of a majority is committed, and never lost as long
//! as a majority of the disks survive. The algorithm is Ongaro and Ousterhout's ("In Search of an
//! Understandable Consensus Algorithm", extended version: *the paper*) and Ongaro's dissertation
//! (*the thesis*). This crate is that algorithm and nothing else: it has no clock, no thread, no
//! socket, no file, no async and no randomness but a seed. Whoever drives it supplies those, and so
//! the same code runs in a server, in a simulation of a hostile network, and in a test that deals
//! out messages by hand.
//!
//! # A tour
//!
//! A [`Node`] is one member of one group. It takes inputs and collects effects:
//!
//! ```text
//!           Input                                      Ready
//!   step(from, message) ─┐                        ┌─ messages    may be sent at once, in any order
//!   tick(now)           ─┤   ┌────────────────┐   ├─ write       make durable, then persisted(seq)
//!   propose(bytes)      ─┼──▶│      Node      │──▶├─ committed   apply in order, then applied(index)
//!   read(id)            ─┤   └────────────────┘   ├─ reads       serve once `index` is applied
//!   persisted(seq)      ─┤                        ├─ role        role, term or leader changed
//!   applied(index)      ─┘                        └─ alarms      what an operator must hear of
//! ```
//!
//! There is no order to get wrong between the parts of a [`Ready`]: whatever promises something
//! leaves only when what it promises has been reported durable by [`Node::persisted`].
//!
//! | paper, thesis | what | where |
//! |---|---|---|
//! | 5.1 | terms, and what a later one does to everybody | [`Node::step`], `follow` in `node.rs` |
//! | 5.2, thesis 9.6, 4.2.3 | elections, pre-vote, leader stickiness | `candidate.rs` |
//! | 5.3 | replication, the consistency check, fast backing up | `leader.rs`, `follower.rs`, `progress.rs` |
//! | 5.4.1 | the election restriction: one comparison of [`LogId`]s | `candidate.rs` |
//! | 5.4.2 | the commit rule, against Figure 8 | `advance_commit` in `leader.rs` |
//! | 8, thesis 6.4 | linearizable reads | `read.rs` |
//! | thesis 6.2 | check-quorum: a leader that hears no majority for two election timeouts steps down | `tick_leader` in `leader.rs` |
//! | thesis 10.2.1 | the leader writes to its disk beside replication | `durability.rs` |
//! | Figure 2, RPC by RPC | the course labs' interface: calls, one blob of state, commands handed out | [`peer`] |
//!
//! Whoever has a network of calls, or wants to begin with the least, takes a [`peer::Peer`]: a node
//! behind the interface that the course labs give to Raft. `examples/counter.rs` is a driver of it.
//!
//! # One command's way
//!
//! [`Node::propose`] appends it to the leader's log in memory. The next [`Ready`] carries it twice:
//! in `write`, for the leader's own disk, and in an AppendEntries to each follower. A follower's
//! `step` appends it, its `ready` asks for a write, and `persisted` there makes the follower
//! acknowledge. When the leader knows it on a majority of disks, its own included as soon as
//! `persisted` says so, the next `ready` hands it out as `committed`; the followers learn of it
//! with the next AppendEntries, whatever that carries.
//!
//! # What always holds
//!
//! - At most one leader a term; two logs that share an entry's [`LogId`] are the same up to it; what
//!   is committed stands in the log of every later leader (paper, Figure 3).
//! - A node asks for votes, grants one, and counts its own, only when that vote is on its disk.
//! - A node acknowledges `min(durable, verified)`: what is on its disk and was covered by an
//!   AppendEntries of the present term; nothing as long as the term itself is not on its disk.
//! - `applied <= delivered <= commit <= last` and `durable <= last`; what is applied is durable
//!   here too. Within one life, term, commit and applied never go back, and a vote never changes
//!   within its term.
//! - A read is granted only by echoes of rounds that began after it came.
//! - Everything that grows has a limit in [`Config`].
//!
//! A broken invariant of this node's own is an assertion, on in release builds too: a node that
//! cannot trust itself stops. What comes from the network is never trusted so far: it is a
//! [`Reject`], and nothing has changed.
//!
//! # What is not here yet
//!
//! Snapshots: the whole log is kept, in memory as well, up to [`Config::max_log_bytes`]. Changes of
//! membership.
#![forbid(unsafe_code)]

mod candidate;
pub mod codec;
mod config;
mod durability;
mod error;
mod follower;
mod leader;
mod log;
mod message;
mod node;
pub mod peer;
mod progress;
mod quorum;
mod read;
mod ready;
mod role;
mod snapshot;
mod types;

pub use config::Config;
pub use error::{ProposeError, ReadError, Reject};
pub use leader::PeerStatus;
pub use log::entries_behind_snapshot;
pub use message::{AppendEntries, AppendReply, Body, Conflict, Envelope, InstallSnapshot, Message, Outcome};
pub use node::Node;
pub use ready::{Alarm, ReadGrant, Ready, Restore, RoleChange, RoleKind};
pub use types::{Entry, EntryKind, GroupId, HardState, Index, LogId, NodeId, SnapshotWrite, Term, Write};
