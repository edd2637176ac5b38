//! What stands in the log's entries: checked before it gets there, and read when it is carried out.

use bowline_raft::{self as raft, EntryKind};

use crate::codec::DecodeError;
use crate::command::Command;
use crate::entry::{FLOOR_ONLY, Request, Requests};

/// Whether this version can carry out the entries that a message brings. To be asked before the message is
/// given to [`Replica::message`](super::Replica::message): what is in the log must be carried out, and there a node that cannot read it
/// can only stop. Whether it can read a snapshot is known when its image has been [read](crate::ImageReader),
/// which is to be done before the message that brings the snapshot is given to the replica.
///
/// # Errors
///
/// What is wrong with the first entry that it cannot read.
pub fn check_entries(message: &raft::Message) -> Result<(), DecodeError> {
    let raft::Body::AppendEntries(append) = &message.body else { return Ok(()) };
    for entry in &append.entries {
        match entry.kind {
            EntryKind::Empty => {}
            EntryKind::Command => {
                for request in Requests::decode(&entry.payload)? {
                    let request = request?;
                    if request.number != FLOOR_ONLY {
                        Command::decode(request.command)?;
                    }
                }
            }
            EntryKind::Configuration => return Err(DecodeError::MembershipChange),
        }
    }
    Ok(())
}

/// The requests of an entry that is, or was about to be, in the log.
///
/// # Panics
///
/// If this version cannot read it. Skipping it would make this replica differ from its peers.
pub(super) fn requests(payload: &[u8]) -> impl Iterator<Item = Request<'_>> {
    decoded(Requests::decode(payload)).map(decoded)
}

/// The time of the leader that made the entry; see [`requests`].
pub(super) fn stamp_ms(payload: &[u8]) -> u64 {
    decoded(Requests::decode(payload)).stamp_ms()
}

fn decoded<T>(result: Result<T, DecodeError>) -> T {
    result.unwrap_or_else(|error| {
        panic!("a log entry that this version cannot read: {error}; update this node")
    })
}
