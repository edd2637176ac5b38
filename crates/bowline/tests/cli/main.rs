//! The binary as its users meet it. One program of tests, so that it is linked once.

mod client;
mod dev;
mod dev_refusals;
mod lab;
mod support;
mod usage;
