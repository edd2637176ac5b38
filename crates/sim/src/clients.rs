//! Clients that propose unique payloads, and remember what was acknowledged.
//!
//! A proposal is acknowledged when the node that took it applies it. A node that goes down in between never
//! acknowledges it: it may have taken effect or not.

use std::collections::BTreeMap;

use bowline_raft::{Entry, Index, LogId, NodeId};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::invariants::{Verdict, ensure, place};

/// All clients together.
#[derive(Debug)]
pub struct Clients {
    random: StdRng,
    longest_payload: usize,
    proposed: u64,
    waiting: BTreeMap<(NodeId, LogId), Waiting>,
    /// In the order in which they were acknowledged.
    acknowledged: Vec<(Index, Bytes)>,
    /// The highest index that was acknowledged.
    latest: Index,
}

#[derive(Debug)]
struct Waiting {
    payload: Bytes,
    /// What had been acknowledged when this was proposed is in front of it.
    behind: Index,
}

impl Clients {
    /// Clients that have asked nothing yet.
    pub fn new(random: StdRng, longest_payload: usize) -> Self {
        Self {
            random,
            longest_payload,
            proposed: 0,
            waiting: BTreeMap::new(),
            acknowledged: Vec::new(),
            latest: 0,
        }
    }

    /// The source of what they do.
    pub fn random(&mut self) -> &mut StdRng {
        &mut self.random
    }

    /// A payload that never was before.
    pub fn next_payload(&mut self) -> Bytes {
        self.proposed += 1;
        let mut payload = self.proposed.to_be_bytes().to_vec();
        let length = self.random.random_range(0..=self.longest_payload);
        payload.resize(payload.len().max(length), 0);
        self.random.fill_bytes(&mut payload[8..]);
        Bytes::from(payload)
    }

    /// A node has taken it.
    pub fn taken(&mut self, by: NodeId, id: LogId, payload: Bytes) {
        self.waiting.insert((by, id), Waiting { payload, behind: self.latest });
    }

    /// A node has applied this: whoever waits there for it is answered.
    pub fn applied(&mut self, by: NodeId, entry: &Entry) -> Verdict {
        let Some(Waiting { payload, behind }) = self.waiting.remove(&(by, entry.id)) else {
            return Ok(());
        };
        let index = entry.id.index;
        self.latest = self.latest.max(index);
        let right = payload == entry.payload && index > behind;
        self.acknowledged.push((index, payload));
        ensure(right, "acknowledged in order", || {
            format!("what node {by} acknowledges at {} is not what was proposed behind {behind}", entry.id)
        })
    }

    /// A node is gone, and answers nobody.
    pub fn hang_up(&mut self, on: NodeId) {
        self.waiting.retain(|(by, _), _| *by != on);
    }

    /// How many were acknowledged.
    pub fn acknowledged(&self) -> u64 {
        self.acknowledged.len() as u64
    }

    /// How many were proposed.
    pub fn proposed(&self) -> u64 {
        self.proposed
    }

    /// Every acknowledged payload is where it was acknowledged, and no payload is there twice.
    pub fn check(&self, log: &[Entry]) -> Verdict {
        let lost = "no acknowledged write is lost";
        for (index, payload) in &self.acknowledged {
            let there = log.get(place(*index)).map(|entry| &entry.payload);
            ensure(there == Some(payload), lost, || {
                format!("index {index} was acknowledged, and something else or nothing is there")
            })?;
        }
        let mut seen = BTreeMap::new();
        for entry in log.iter().filter(|entry| !entry.payload.is_empty()) {
            let before = seen.insert(&entry.payload, entry.id);
            ensure(before.is_none(), "nothing happens twice", || {
                format!("{} carries the same as {before:?}", entry.id)
            })?;
        }
        Ok(())
    }
}
