//! Bad input, to the real binary: what a client, a peer, an operator or a disk gets wrong is answered by a
//! message that says what happened, to what, and what to do; and nothing that was acknowledged is lost.

use bowline_harness as harness;

mod access;
mod damage;
mod directory;
mod limits;
mod log_limit;
mod many_clients;
mod no_space;
mod operator;
mod options;
mod peers;
mod protocol;
mod slow_clients;
mod support;
