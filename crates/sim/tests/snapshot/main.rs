//! Snapshots on the simulated disk: whatever the disk does, what was acknowledged is read back, as entries or
//! as the snapshot that holds them, or the start is refused with a message that says what to do.

mod crashes;
mod damage;
mod model;
#[path = "../common/points.rs"]
mod points;
mod random;
mod received;
mod script;
