//! The connections that carry clients' commands one way and their answers the other.
//!
//! As TCP's do, they keep the order. When one breaks, a prefix of what is under way still arrives,
//! however late, even when the next one is there already: the two ends notice at different
//! times. The side that dialled reads nothing more once it has noticed; only then does it dial
//! again. Answers go out on the latest connection that was accepted.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StreamId(pub(crate) usize);

pub(crate) struct Stream {
    pub(crate) dialler: u64,
    pub(crate) acceptor: u64,
    /// The lives that the ends belong to.
    pub(crate) dialler_life: u64,
    pub(crate) acceptor_life: u64,
    pub(crate) is_broken: bool,
    /// Nothing arrives before that, in microseconds.
    pub(crate) held_until: u64,
    pub(crate) forwards: VecDeque<Bytes>,
    pub(crate) answers: VecDeque<Bytes>,
}

/// All connections that ever were.
#[derive(Default)]
pub(crate) struct Streams {
    all: Vec<Stream>,
    /// By dialler and acceptor: what the dialler sends on.
    dialled: BTreeMap<(u64, u64), StreamId>,
    /// By acceptor and dialler: what the acceptor answers on.
    accepted: BTreeMap<(u64, u64), StreamId>,
}

impl Streams {
    pub(crate) fn connect(&mut self, dialler: (u64, u64), acceptor: (u64, u64)) {
        let id = StreamId(self.all.len());
        self.all.push(Stream {
            dialler: dialler.0,
            acceptor: acceptor.0,
            dialler_life: dialler.1,
            acceptor_life: acceptor.1,
            is_broken: false,
            held_until: 0,
            forwards: VecDeque::new(),
            answers: VecDeque::new(),
        });
        self.dialled.insert((dialler.0, acceptor.0), id);
        self.accepted.insert((acceptor.0, dialler.0), id);
    }

    pub(crate) fn get(&mut self, id: StreamId) -> &mut Stream {
        &mut self.all[id.0]
    }

    pub(crate) fn dialled(&self, from: u64, to: u64) -> Option<StreamId> {
        self.dialled.get(&(from, to)).copied()
    }

    pub(crate) fn accepted(&self, by: u64, from: u64) -> Option<StreamId> {
        self.accepted.get(&(by, from)).copied()
    }

    /// The dialler has noticed the end.
    pub(crate) fn hang_up(&mut self, id: StreamId) {
        let Stream { dialler, acceptor, .. } = self.all[id.0];
        if self.dialled(dialler, acceptor) == Some(id) {
            self.dialled.remove(&(dialler, acceptor));
        }
    }

    /// Everything that is connected to or from that node.
    pub(crate) fn of(&self, node: u64) -> Vec<StreamId> {
        let touches = |id: &&StreamId| self.all[id.0].dialler == node || self.all[id.0].acceptor == node;
        self.dialled.values().filter(touches).copied().collect()
    }

    pub(crate) fn open(&self) -> Vec<StreamId> {
        self.dialled.values().copied().collect()
    }
}
