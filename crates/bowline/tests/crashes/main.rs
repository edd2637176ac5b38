//! Clusters of real processes that are killed, frozen and restarted under load.
//!
//! One program, so that the test that mostly waits (`frozen_leader`, which comes first by its name) does it
//! beside the others.

use bowline_harness as harness;

mod client;
mod frozen_leader;
mod greetings;
mod killed_leader;
mod linearizable;
mod load;
mod lost_majority;
mod nemesis;
mod pipelines;
mod rolling_restart;
mod snapshots;
mod transfers;
