//! What the scripts of several scenarios do.

use bowline_raft::Term;
use bytes::Bytes;

use crate::config::{Lab, int};

/// One of the servers, each as likely as the others.
pub(crate) fn any_server(lab: &Lab) -> usize {
    let n = u64::try_from(lab.n()).expect("a number of servers fits");
    usize::try_from(lab.random_below(n)).expect("below the number of servers")
}

/// A random number below `n`, to count with.
pub(crate) fn random_below(lab: &Lab, n: u64) -> usize {
    usize::try_from(lab.random_below(n)).expect("a small number")
}

/// A random number of 31 bits, as a command.
pub(crate) fn any_int31(lab: &Lab) -> Bytes {
    int(lab.random_below(1 << 31))
}

/// The integer that a command is; `None` if it is something else.
pub(crate) fn integer(command: &Bytes) -> Option<u64> {
    str::from_utf8(command).ok()?.parse().ok()
}

/// Whether every server is in `term`.
pub(crate) async fn all_in_term(lab: &Lab, term: Term) -> bool {
    for server in 0..lab.n() {
        match lab.get_state(server).await {
            Some((now, _)) if now == term => {}
            _ => return false,
        }
    }
    true
}
