//! The binary as its users meet it. One program of tests, so that it is linked once.

mod bench;
mod client;
mod dev;
mod dev_refusals;
mod json;
mod lab;
mod support;
mod usage;
