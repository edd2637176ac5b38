//! The bytes of the log. All numbers are little-endian; everything begins at a multiple of 8.
//!
//! ```text
//! segment   = segment header, write, write, ..., zeros to the end of the file
//!
//! segment header                               write header
//!    0  magic "BOWLWAL\0"            8            0  number of the write        8
//!    8  format version               4            8  length of the records      8
//!   12  length of the header         4           16  flags (1: first in segment) 4
//!   16  cluster                      8           20  CRC32C of the records      4
//!   24  directory                   16           24  zero                       4
//!   40  segment                      8           28  CRC32C of bytes 0..28      4
//!   48  number of its first write    8           32  records
//!   56  bytes filled ahead           8
//!   64  groups                       4         record
//!   68  zero                         4            0  group                      8
//!   72  for each group: group 8, term 8,          8  term                       8
//!       vote 8, index and term of the            16  index, or vote             8
//!       snapshot 8 and 8, last index 8           24  length of the payload      4
//!    .  CRC32C of all of it          4           28  kind                       1
//!    .  zero                         4           29  zero                       3
//!                                                32  payload, zeros up to a multiple of 8
//! ```
//!
//! Format 1 is the same without the snapshot's term, and its snapshot's index is always 0. Every segment has its own
//! format: those of format 1 are read, and format 2 is written. In every version the header begins with magic,
//! version and length, has directory and segment in their places, and ends with its checksum: so a newer
//! segment is told from a broken one.
//!
//! The checksums are seeded with the directory's and the segment's id. So the bytes of another segment are
//! not taken for this one's, whether they are left over in a file that is used again or copied in by hand;
//! and a client, who knows neither, cannot store a value that looks like a write.
//!
//! A write's header has a checksum of its own. When only a part of a write reached the disk, an intact
//! header is still proof that the write was begun, and hence that all before it had been synced.

use std::collections::BTreeMap;

use bowline_raft::{Entry, EntryKind, GroupId, HardState, Index, LogId, NodeId, SnapshotWrite, Write};
use bytes::Bytes;

use crate::identity::DirectoryId;

/// The version that this code writes.
pub(super) const FORMAT: u32 = 2;
/// The version before there were snapshots, which it reads too.
const FORMAT_WITHOUT_SNAPSHOTS: u32 = 1;

pub(super) const WRITE_HEADER: usize = 32;
const RECORD_HEADER: usize = 32;
const SEGMENT_HEADER: usize = 72;
const GROUP_STATE: usize = 48;
const GROUP_STATE_WITHOUT_SNAPSHOTS: usize = 40;
/// More groups than any node has; a longer header is a broken one.
const MAX_GROUPS: usize = 1 << 16;
const MAX_NEWER_HEADER: usize = 64 << 20;

const MAGIC: &[u8; 8] = b"BOWLWAL\0";
const FLAG_FIRST: u32 = 1;
/// Record kinds from here on are the log's own; those below are the kinds of entries.
const KIND_HARD_STATE: u8 = 0x80;
const KIND_COMPACTED: u8 = 0x81;
const KIND_INSTALLED: u8 = 0x82;

/// What a segment's header says of a group, as it was before the segment's first write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct GroupState {
    pub(super) hard_state: HardState,
    /// Entries up to here are in a snapshot, not in the log.
    pub(super) snapshot: LogId,
    /// The last entry.
    pub(super) last_index: Index,
}

pub(super) type GroupStates = BTreeMap<GroupId, GroupState>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) cluster: u64,
    pub(super) directory: DirectoryId,
    pub(super) segment: u64,
    pub(super) first_write: u64,
    /// How long the file was made before anything was written to it. It is never shorter.
    pub(super) filled_bytes: u64,
    pub(super) groups: GroupStates,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct WriteHeader {
    pub(super) number: u64,
    /// Length of the records, in bytes; a multiple of 8.
    pub(super) body_bytes: u64,
    pub(super) body_crc: u32,
    /// The first write of its segment.
    pub(super) first: bool,
}

/// What every checksum in a segment begins with.
pub(super) fn seed(directory: DirectoryId, segment: u64) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&directory.0.to_le_bytes()), &segment.to_le_bytes())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("4 bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("8 bytes"))
}

fn vote_number(vote: Option<NodeId>) -> u64 {
    vote.map_or(0, |node| node.0)
}

fn vote_of(number: u64) -> Option<NodeId> {
    (number != 0).then_some(NodeId(number))
}

impl SegmentHeader {
    /// The header at the beginning of a file, or why there is none.
    pub(super) fn decode(bytes: &[u8], seed: u32) -> Result<Self, NoHeader> {
        let length = Self::length(bytes).ok_or(NoHeader::Broken)?;
        let whole = bytes.get(..length).ok_or(NoHeader::Broken)?;
        let groups_end = length - 8;
        // The foreign and the newer are told apart from the broken, if their own checksum holds.
        let own_seed = self::seed(DirectoryId(u128_at(whole, 24)), u64_at(whole, 40));
        let crc = u32_at(whole, groups_end);
        let version = u32_at(whole, 8);
        if crc != crc32c::crc32c_append(own_seed, &whole[..groups_end]) || u32_at(whole, groups_end + 4) != 0
        {
            return Err(NoHeader::Broken);
        }
        if version > FORMAT {
            return Err(NoHeader::Version(version));
        }
        let groups = &whole[SEGMENT_HEADER..groups_end];
        let header = Self {
            cluster: u64_at(whole, 16),
            directory: DirectoryId(u128_at(whole, 24)),
            segment: u64_at(whole, 40),
            first_write: u64_at(whole, 48),
            filled_bytes: u64_at(whole, 56),
            groups: groups.chunks_exact(group_state_bytes(version)).map(decode_group).collect(),
        };
        if own_seed != seed {
            return Err(NoHeader::Foreign(Box::new(header)));
        }
        Ok(header)
    }

    /// How long the header is that begins there, if one does.
    pub(super) fn length(bytes: &[u8]) -> Option<usize> {
        let fixed = bytes.get(..SEGMENT_HEADER)?;
        let (version, length, groups) =
            (u32_at(fixed, 8), u32_at(fixed, 12) as usize, u32_at(fixed, 64) as usize);
        let fits = match version {
            0 => false,
            // What a newer one holds is not known here, only where its checksum is.
            newer if newer > FORMAT => (SEGMENT_HEADER + 8..=MAX_NEWER_HEADER).contains(&length),
            _ => groups <= MAX_GROUPS && length == SEGMENT_HEADER + groups * group_state_bytes(version) + 8,
        };
        (&fixed[..8] == MAGIC && fits && length.is_multiple_of(8) && u32_at(fixed, 68) == 0).then_some(length)
    }

    /// How many bytes [`length`](Self::length) looks at.
    pub(super) const FIXED_BYTES: usize = SEGMENT_HEADER;

    pub(super) fn encode(&self) -> Vec<u8> {
        assert!(self.groups.len() <= MAX_GROUPS, "{} groups in one log", self.groups.len());
        let length = SEGMENT_HEADER + self.groups.len() * GROUP_STATE + 8;
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&FORMAT.to_le_bytes());
        out.extend_from_slice(&u32::try_from(length).expect("few groups").to_le_bytes());
        out.extend_from_slice(&self.cluster.to_le_bytes());
        out.extend_from_slice(&self.directory.0.to_le_bytes());
        out.extend_from_slice(&self.segment.to_le_bytes());
        out.extend_from_slice(&self.first_write.to_le_bytes());
        out.extend_from_slice(&self.filled_bytes.to_le_bytes());
        out.extend_from_slice(&u32::try_from(self.groups.len()).expect("few groups").to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for (group, state) in &self.groups {
            let GroupState { hard_state: HardState { term, vote }, snapshot, last_index } = *state;
            let numbers = [group.0, term, vote_number(vote), snapshot.index, snapshot.term, last_index];
            for number in numbers {
                out.extend_from_slice(&number.to_le_bytes());
            }
        }
        let crc = crc32c::crc32c_append(seed(self.directory, self.segment), &out);
        out.extend_from_slice(&crc.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        assert_eq!(out.len(), length);
        out
    }
}

/// Why there is no segment header.
#[derive(Debug)]
pub(super) enum NoHeader {
    /// Nothing there, or a part, or damaged.
    Broken,
    /// Intact, of another format version.
    Version(u32),
    /// Intact, but made for another directory, or as another segment.
    Foreign(Box<SegmentHeader>),
}

fn u128_at(bytes: &[u8], at: usize) -> u128 {
    u128::from_le_bytes(bytes[at..at + 16].try_into().expect("16 bytes"))
}

fn group_state_bytes(version: u32) -> usize {
    if version == FORMAT_WITHOUT_SNAPSHOTS { GROUP_STATE_WITHOUT_SNAPSHOTS } else { GROUP_STATE }
}

fn decode_group(bytes: &[u8]) -> (GroupId, GroupState) {
    let hard_state = HardState { term: u64_at(bytes, 8), vote: vote_of(u64_at(bytes, 16)) };
    let (snapshot, last_index) = match bytes.len() {
        GROUP_STATE_WITHOUT_SNAPSHOTS => (LogId::new(0, u64_at(bytes, 24)), u64_at(bytes, 32)),
        _ => (LogId::new(u64_at(bytes, 32), u64_at(bytes, 24)), u64_at(bytes, 40)),
    };
    (GroupId(u64_at(bytes, 0)), GroupState { hard_state, snapshot, last_index })
}

impl WriteHeader {
    /// The header that begins there, if an intact one does.
    pub(super) fn decode(bytes: &[u8], seed: u32) -> Option<Self> {
        let bytes = bytes.get(..WRITE_HEADER)?;
        let (number, body_bytes, flags) = (u64_at(bytes, 0), u64_at(bytes, 8), u32_at(bytes, 16));
        // The cheap conditions first: a search for headers comes by here at every eighth byte.
        let shaped =
            number != 0 && body_bytes.is_multiple_of(8) && flags <= FLAG_FIRST && u32_at(bytes, 24) == 0;
        if !shaped || u32_at(bytes, 28) != crc32c::crc32c_append(seed, &bytes[..28]) {
            return None;
        }
        Some(Self { number, body_bytes, body_crc: u32_at(bytes, 20), first: flags & FLAG_FIRST != 0 })
    }

    fn encode(&self, out: &mut [u8], seed: u32) {
        out[0..8].copy_from_slice(&self.number.to_le_bytes());
        out[8..16].copy_from_slice(&self.body_bytes.to_le_bytes());
        out[16..20].copy_from_slice(&u32::from(self.first).to_le_bytes());
        out[20..24].copy_from_slice(&self.body_crc.to_le_bytes());
        out[24..28].fill(0);
        let crc = crc32c::crc32c_append(seed, &out[..28]);
        out[28..32].copy_from_slice(&crc.to_le_bytes());
    }
}

/// Begins a write in `out`: leaves room for its header.
pub(super) fn begin_write(out: &mut Vec<u8>) {
    out.clear();
    out.resize(WRITE_HEADER, 0);
}

/// Ends a write: puts the header in front of the records that were added since.
pub(super) fn finish_write(out: &mut [u8], number: u64, first: bool, seed: u32) {
    let body = &out[WRITE_HEADER..];
    assert!(body.len().is_multiple_of(8), "records of {} bytes", body.len());
    let body_crc = crc32c::crc32c_append(seed, body);
    WriteHeader { number, body_bytes: body.len() as u64, body_crc, first }
        .encode(&mut out[..WRITE_HEADER], seed);
}

/// Adds the records of one group.
pub(super) fn encode_records(out: &mut Vec<u8>, group: GroupId, write: &Write) {
    if let Some(HardState { term, vote }) = write.hard_state {
        encode_record(out, group, KIND_HARD_STATE, term, vote_number(vote), &[]);
    }
    if let Some(SnapshotWrite { last, data }) = &write.snapshot {
        let kind = if data.is_none() { KIND_COMPACTED } else { KIND_INSTALLED };
        encode_record(out, group, kind, last.term, last.index, &[]);
    }
    for entry in &write.entries {
        encode_record(out, group, entry.kind as u8, entry.id.term, entry.id.index, &entry.payload);
    }
}

fn encode_record(out: &mut Vec<u8>, group: GroupId, kind: u8, term: u64, index: u64, payload: &[u8]) {
    let length = u32::try_from(payload.len()).expect("a payload is far below 4 GiB");
    let mut header = [0; RECORD_HEADER];
    header[0..8].copy_from_slice(&group.0.to_le_bytes());
    header[8..16].copy_from_slice(&term.to_le_bytes());
    header[16..24].copy_from_slice(&index.to_le_bytes());
    header[24..28].copy_from_slice(&length.to_le_bytes());
    header[28] = kind;
    out.extend_from_slice(&header);
    out.extend_from_slice(payload);
    out.resize(out.len().next_multiple_of(8), 0);
}

/// What a record says of its group.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Record {
    HardState(HardState),
    /// The entries up to this one are in a snapshot, and those behind it stay.
    Compacted(LogId),
    /// A snapshot up to this entry stands in place of the whole log.
    Installed(LogId),
    Entry(Entry),
}

/// Why the records of a write whose checksum holds cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BadRecord {
    /// Of a kind that this version does not know.
    Kind(u8),
    /// Longer than the write that holds it.
    Length,
}

/// The records of a write's body, one after another; each payload in memory of its own.
pub(super) fn decode_records(mut body: &[u8]) -> impl Iterator<Item = Result<(GroupId, Record), BadRecord>> {
    std::iter::from_fn(move || {
        if body.is_empty() {
            return None;
        }
        let Some(header) = body.get(..RECORD_HEADER) else {
            body = &[];
            return Some(Err(BadRecord::Length));
        };
        let (group, term, number) = (GroupId(u64_at(header, 0)), u64_at(header, 8), u64_at(header, 16));
        let (length, kind) = (u32_at(header, 24) as usize, header[28]);
        let Some(payload) = body.get(RECORD_HEADER..RECORD_HEADER + length) else {
            body = &[];
            return Some(Err(BadRecord::Length));
        };
        let record = match kind {
            KIND_HARD_STATE => Ok(Record::HardState(HardState { term, vote: vote_of(number) })),
            KIND_COMPACTED => Ok(Record::Compacted(LogId::new(term, number))),
            KIND_INSTALLED => Ok(Record::Installed(LogId::new(term, number))),
            _ => EntryKind::from_u8(kind).ok_or(BadRecord::Kind(kind)).map(|kind| {
                let payload = Bytes::copy_from_slice(payload);
                Record::Entry(Entry { id: LogId::new(term, number), kind, payload })
            }),
        };
        body = &body[(RECORD_HEADER + length).next_multiple_of(8).min(body.len())..];
        Some(record.map(|record| (group, record)))
    })
}
