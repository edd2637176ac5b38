//! One file: the platter, the cache, and what lies between them.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::rngs::StdRng;

use super::{DiskFaults, SECTOR_BYTES};

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) cache: Vec<u8>,
    pub(super) durable: Vec<u8>,
    /// The cache as it was before the first pending change.
    base: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate { size: usize },
}

/// How much of what was pending a power loss keeps.
#[derive(Clone, Copy, Debug)]
pub enum Keep {
    /// All is lost.
    Nothing,
    /// All is there.
    Everything,
    /// Each sector, or name, with this probability.
    Some(f64),
}

impl Keep {
    pub(super) fn draw(random: &mut StdRng) -> Self {
        match random.random_range(0..4) {
            0 => Keep::Nothing,
            1 => Keep::Everything,
            2 => Keep::Some(0.5),
            _ => Keep::Some(random.random_range(0.0..1.0)),
        }
    }

    pub(super) fn this(self, random: &mut StdRng) -> bool {
        match self {
            Keep::Nothing => false,
            Keep::Everything => true,
            Keep::Some(probability) => random.random_bool(probability),
        }
    }
}

impl Inode {
    pub(super) fn change(&mut self, change: Change) {
        if self.pending.is_empty() {
            self.base = self.cache.clone();
        }
        change.apply(&mut self.cache);
        self.pending.push(change);
    }

    /// Carries to the platter what `keep` chooses of what is pending, sector by sector; the rest is pending no
    /// longer. A sector may be there as the cache had it after any of the changes that touched it.
    pub(super) fn settle(&mut self, keep: Keep, random: &mut StdRng, faults: &mut DiskFaults) {
        let pending = std::mem::take(&mut self.pending);
        if pending.is_empty() {
            return;
        }
        let mut versions = vec![std::mem::take(&mut self.base)];
        let mut touched: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut sizes = vec![self.durable.len()];
        for change in pending {
            let mut next = versions.last().expect("one at least").clone();
            change.apply(&mut next);
            let number = versions.len();
            for sector in change.sectors(versions[number - 1].len()) {
                touched.entry(sector).or_default().push(number);
            }
            sizes.push(next.len());
            versions.push(next);
        }
        let size = match keep {
            Keep::Nothing => sizes[0],
            Keep::Everything => sizes[sizes.len() - 1],
            Keep::Some(_) => sizes[random.random_range(0..sizes.len())],
        };
        self.durable.resize(size, 0);
        for (sector, numbers) in touched {
            if !keep.this(random) {
                faults.sectors_lost += 1;
                continue;
            }
            faults.sectors_kept += 1;
            let number = match keep {
                Keep::Everything => numbers[numbers.len() - 1],
                _ => numbers[random.random_range(0..numbers.len())],
            };
            let start = sector * SECTOR_BYTES;
            let end = (start + SECTOR_BYTES).min(size);
            for at in start..end {
                self.durable[at] = versions[number].get(at).copied().unwrap_or(0);
            }
        }
    }
}

impl Change {
    fn apply(&self, contents: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if contents.len() < end {
                    contents.resize(end, 0);
                }
                contents[*offset..end].copy_from_slice(bytes);
            }
            Change::Truncate { size } => contents.resize(*size, 0),
        }
    }

    /// The sectors that it touches in a file that was `before` bytes long.
    fn sectors(&self, before: usize) -> std::ops::Range<usize> {
        match self {
            Change::Write { offset, bytes } => {
                offset / SECTOR_BYTES..(offset + bytes.len()).div_ceil(SECTOR_BYTES)
            }
            Change::Truncate { size } => size / SECTOR_BYTES..before.div_ceil(SECTOR_BYTES),
        }
    }
}
