//! The peer: each request gets exactly one reply, and that reply promises nothing that is not saved.

mod group;
mod life;
mod random;
mod rules;
