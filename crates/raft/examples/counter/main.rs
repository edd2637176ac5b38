//! A counter on three nodes: all that a driver of [`Peer`](bowline_raft::peer::Peer) has to do, with threads and over TCP.
//!
//! ```text
//! cargo run -p bowline-raft --example counter
//! ```
//!
//! The client sends an increment to whoever leads, and again if it is not counted in time. So an increment may stand in
//! the log twice; it has a number, and the service counts it once.

mod nodes;

fn main() -> std::io::Result<()> {
    let (killed, counts) = nodes::run()?;
    println!("node {killed} was killed; the nodes have counted to {counts:?}");
    Ok(())
}
