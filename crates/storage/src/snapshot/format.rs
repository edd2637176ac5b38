//! The bytes of a snapshot file. All numbers are little-endian.
//!
//! ```text
//! snapshot = header, block, block, ..., footer
//!
//! header                                       block
//!    0  magic "BOWLSNP\0"            8            0  length of the payload      4
//!    8  format version               4            4  CRC32C                     4
//!   12  CRC32C of all other bytes    4            8  payload, 1 to 65536 bytes
//!   16  cluster                      8
//!   24  group                        8         footer
//!   32  id of the file              16            0  zero, as no block has it   4
//!   48  term of the last entry       8            4  CRC32C                     4
//!   56  index of the last entry      8            8  number of blocks           8
//!   64  when it was made             8           16  bytes of all payloads      8
//! ```
//!
//! The checksums of blocks and footer are seeded with the file's id and the block's number. So a block of
//! another file, or one in another place, is not taken for the one that belongs there. In every version of the
//! format a file begins with magic, version and a checksum of its first 72 bytes: so a newer file is told from a
//! damaged one.

use bowline_raft::{GroupId, LogId};

use super::{SnapshotHeader, SnapshotId};

/// The version that this code writes, and the only one that it reads.
pub(super) const FORMAT: u32 = 1;

pub(super) const HEADER_BYTES: usize = 72;
pub(super) const BLOCK_HEADER_BYTES: usize = 8;
pub(super) const FOOTER_BYTES: usize = 24;
/// The longest payload of a block, in bytes.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 << 10;

const MAGIC: &[u8; 8] = b"BOWLSNP\0";

/// Why there is no header.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoHeader {
    Broken,
    /// Intact, of another format version.
    Version(u32),
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

fn header_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..HEADER_BYTES])
}

pub(super) fn encode_header(cluster: u64, header: &SnapshotHeader) -> [u8; HEADER_BYTES] {
    let SnapshotHeader { group, last, id, made_us } = header;
    let mut out = [0; HEADER_BYTES];
    out[0..8].copy_from_slice(MAGIC);
    out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    out[16..24].copy_from_slice(&cluster.to_le_bytes());
    out[24..32].copy_from_slice(&group.0.to_le_bytes());
    out[32..48].copy_from_slice(&id.0.to_le_bytes());
    out[48..56].copy_from_slice(&last.term.to_le_bytes());
    out[56..64].copy_from_slice(&last.index.to_le_bytes());
    out[64..72].copy_from_slice(&made_us.to_le_bytes());
    let crc = header_crc(&out);
    out[12..16].copy_from_slice(&crc.to_le_bytes());
    out
}

/// The cluster, and what else the header says.
pub(super) fn decode_header(bytes: &[u8]) -> Result<(u64, SnapshotHeader), NoHeader> {
    if bytes.len() < HEADER_BYTES || &bytes[..8] != MAGIC || u32_at(bytes, 12) != header_crc(bytes) {
        return Err(NoHeader::Broken);
    }
    let version = u32_at(bytes, 8);
    if version != FORMAT {
        return Err(NoHeader::Version(version));
    }
    let id = SnapshotId(u128::from_le_bytes(bytes[32..48].try_into().expect("16 bytes")));
    let (group, last) = (GroupId(u64_at(bytes, 24)), LogId::new(u64_at(bytes, 48), u64_at(bytes, 56)));
    Ok((u64_at(bytes, 16), SnapshotHeader { group, last, id, made_us: u64_at(bytes, 64) }))
}

/// A place between two blocks, and what the blocks before it come to.
#[derive(Clone, Debug)]
pub(super) struct Cursor {
    seed: u32,
    blocks: u64,
    payload_bytes: u64,
}

/// What stands behind a cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unit {
    Block,
    Footer,
}

impl Cursor {
    /// Before the first block.
    pub(super) fn new(id: SnapshotId) -> Self {
        Self { seed: crc32c::crc32c(&id.0.to_le_bytes()), blocks: 0, payload_bytes: 0 }
    }

    /// Where it is, in bytes from the beginning of the file.
    pub(super) fn offset(&self) -> u64 {
        HEADER_BYTES as u64 + self.blocks * BLOCK_HEADER_BYTES as u64 + self.payload_bytes
    }

    /// How many blocks are before it.
    pub(super) fn blocks(&self) -> u64 {
        self.blocks
    }

    /// Puts a block into `out`, and steps behind it.
    pub(super) fn encode_block(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        assert!((1..=MAX_PAYLOAD_BYTES).contains(&payload.len()), "a block of {} bytes", payload.len());
        let length = u32::try_from(payload.len()).expect("a block is short").to_le_bytes();
        out.clear();
        out.extend_from_slice(&length);
        out.extend_from_slice(&self.crc(&length, payload).to_le_bytes());
        out.extend_from_slice(payload);
        self.step(payload.len());
    }

    /// The footer that belongs here.
    pub(super) fn encode_footer(&self) -> [u8; FOOTER_BYTES] {
        let mut out = [0; FOOTER_BYTES];
        out[8..16].copy_from_slice(&self.blocks.to_le_bytes());
        out[16..24].copy_from_slice(&self.payload_bytes.to_le_bytes());
        let crc = self.crc(&[0; 4], &out[8..]);
        out[4..8].copy_from_slice(&crc.to_le_bytes());
        out
    }

    /// How long a block or footer is that begins with these 8 bytes; none if nothing does.
    pub(super) fn unit_bytes(head: &[u8]) -> Option<usize> {
        match u32_at(head, 0) as usize {
            0 => Some(FOOTER_BYTES),
            length if length <= MAX_PAYLOAD_BYTES => Some(BLOCK_HEADER_BYTES + length),
            _ => None,
        }
    }

    /// Checks the block or footer that stands here, whole, and steps behind a block. None if it is not intact.
    pub(super) fn check(&mut self, unit: &[u8]) -> Option<Unit> {
        let (head, payload) = unit.split_at(BLOCK_HEADER_BYTES);
        if u32_at(head, 4) != self.crc(&head[..4], payload) {
            return None;
        }
        if u32_at(head, 0) == 0 {
            return (unit == self.encode_footer()).then_some(Unit::Footer);
        }
        self.step(payload.len());
        Some(Unit::Block)
    }

    /// Whether a file of that length, which ends with this footer, can be whole.
    pub(super) fn ends(id: SnapshotId, footer: &[u8], file_bytes: u64) -> bool {
        let end = Self { blocks: u64_at(footer, 8), payload_bytes: u64_at(footer, 16), ..Self::new(id) };
        let most = file_bytes / BLOCK_HEADER_BYTES as u64;
        // What is larger than the file is no figure of its own, and too large to reckon with.
        end.blocks <= most
            && end.payload_bytes <= file_bytes
            && end.offset() + FOOTER_BYTES as u64 == file_bytes
            && *footer == end.encode_footer()
    }

    fn crc(&self, length: &[u8], payload: &[u8]) -> u32 {
        let crc = crc32c::crc32c_append(self.seed, &self.blocks.to_le_bytes());
        crc32c::crc32c_append(crc32c::crc32c_append(crc, length), payload)
    }

    fn step(&mut self, payload_bytes: usize) {
        self.blocks += 1;
        self.payload_bytes += payload_bytes as u64;
    }
}
