//! The log on the simulated disk: whatever the disk does, what was synced is read back, and nothing else is.

mod crashes;
mod damage;
mod faults;
mod model;
#[path = "../common/points.rs"]
mod points;
