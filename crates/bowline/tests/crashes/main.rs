//! Clusters of real processes that are killed, frozen and restarted under load.
//!
//! One program, so that the test that mostly waits (`frozen_leader`, which comes first by its name) does it
//! beside the others.

use bowline_harness as harness;

mod frozen_leader;
mod greetings;
mod killed_leader;
mod load;
mod lost_majority;
mod pipelines;
mod rolling_restart;
mod snapshots;
