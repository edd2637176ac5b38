//! How many files this process may have open: connections are files.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::ServerError;

/// What a node has open beside its clients and the other nodes: its log and snapshots, listeners, timers, the standard
/// streams; and a reserve, since a log that cannot be continued ends the node.
const OWN_FILES: u64 = 64;

/// For each member: its connections, those that take the place of lost ones, and a snapshot that is sent.
const FILES_A_MEMBER: u64 = 16;

/// Has so many clients provided for, as far as the system lets it: for how many there are files now.
///
/// # Errors
///
/// There are not even files for one.
pub(crate) fn provide(clients: u64, members: usize) -> Result<u64, ServerError> {
    let own = OWN_FILES + FILES_A_MEMBER * members as u64;
    let wanted = clients.saturating_add(own);
    let before = getrlimit(Resource::Nofile);
    let Some(allowed) = before.current else { return Ok(u64::MAX - own) };
    // All that may be had without asking root: CONFIG SET may want more later.
    for limit in [before.maximum.unwrap_or(wanted), wanted] {
        if limit > allowed && setrlimit(Resource::Nofile, Rlimit { current: Some(limit), ..before }).is_ok() {
            break;
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let most = files.saturating_sub(own);
    if most == 0 {
        return Err(ServerError::NoFiles { files, needed: own + 1 });
    }
    if most < clients {
        tracing::warn!(
            "takes {most} clients instead of {clients}: {files} files may be open, and this node needs {own} itself; \
             raise the limit (ulimit -n, LimitNOFILE=) to {wanted}, or say --max-clients {most}"
        );
    }
    Ok(most)
}
