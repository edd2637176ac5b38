//! Ports that nobody else takes, for as long as a cluster lives and over the restarts of its nodes.

use std::net::{Ipv4Addr, TcpListener};

/// Below the ports that systems hand out to outgoing connections: one of those could otherwise be sitting on a
/// node's port when it comes back.
const FIRST: u16 = 11_000;

/// So many ports belong together.
const BLOCK: u16 = 20;

/// How many blocks there are.
const BLOCKS: u16 = 400;

/// A block of ports. The first one is kept open: so every other test on this machine, of whatever directory,
/// sees that the block is taken, and it is free again when this process ends, however it does.
pub(crate) struct Ports {
    held: TcpListener,
}

impl Ports {
    /// Takes a block in which every port is free.
    pub(crate) fn take() -> Self {
        // Tests that start together begin to look in different places.
        let start = u16::try_from(std::process::id() % u32::from(BLOCKS)).expect("less than the blocks");
        (0..BLOCKS)
            .map(|n| FIRST + (start + n) % BLOCKS * BLOCK)
            .find_map(|first| {
                let held = bind(first)?;
                (1..BLOCK).all(|offset| bind(first + offset).is_some()).then_some(Self { held })
            })
            .expect("a block of free ports")
    }

    /// The port at this place, from 1, of the block.
    pub(crate) fn get(&self, place: usize) -> u16 {
        let place = u16::try_from(place).ok().filter(|place| (1..BLOCK).contains(place));
        self.held.local_addr().expect("it is bound").port() + place.expect("a place in the block")
    }
}

fn bind(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()
}
