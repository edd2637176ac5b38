//! Reading the log back. Changes nothing on the disk: what must change, the caller does afterwards.
//!
//! First every file's beginning is looked at, to see which segments *are there*: header and first write
//! intact. The writes are then read through those, in the order of their numbers, each up to where the next
//! begins; a gap is damage. Where the last one stops, and in the files that are not there, nothing intact of a
//! later write may be found, or the stop is damage too.
//!
//! A client's value lies in the log as it came. It cannot pose as a write, since it would need a checksum
//! that is seeded with the directory's id.

use bowline_raft::{GroupId, Write};

use super::adopt;
use super::files::{Files, segment_name, segment_of};
use super::format::{self, GroupStates, NoHeader, SegmentHeader, WRITE_HEADER, WriteHeader};
use super::group::{Group, states};
use super::older::OlderSegments;
use super::replay::{Replay, Segment, Tail, headers, read_all};
use super::{Recovered, RecoveredGroup, WalError};
use crate::disk::{Disk, DiskFile};

/// What was found, and what to do about it.
pub(super) struct Found {
    pub(super) recovered: Recovered,
    /// The groups as the log has them, and the write that brings them up to what was recovered.
    pub(super) groups: GroupStates,
    pub(super) adopted: Vec<(GroupId, Write)>,
    /// The number of the last intact write, its records, and the groups as they were before it.
    pub(super) last_write: u64,
    pub(super) last_body: Vec<u8>,
    pub(super) before_last: GroupStates,
    /// The segment to go on in: above every number that a file has, but for its own.
    pub(super) next_segment: u64,
    /// How many zeros that segment's file has already, if it had been filled ahead.
    pub(super) next_filled: Option<u64>,
    /// Other files without a segment in them.
    pub(super) not_there: Vec<u64>,
    /// Segments whose writes a later one has, and those that begin with the last write: once that is durable
    /// elsewhere, they hold nothing that counts.
    pub(super) superseded: Vec<u64>,
    /// The segment with the last write, and where in it that write ends.
    pub(super) trim: (u64, u64),
    /// The segments that stay.
    pub(super) older: OlderSegments,
}

/// The segments of a log that was never finished being made; an error if it was.
pub(super) fn unfinished<D: Disk>(files: &Files<D>) -> Result<Vec<u64>, WalError> {
    let segments = segment_numbers(files)?;
    for segment in &segments {
        probe(files, *segment)?;
        let bytes = read_all(files, *segment)?;
        let seed = format::seed(files.config.directory, *segment);
        if headers(&bytes, 0, seed).any(|(_, header)| header.number > 1) {
            return Err(WalError::AlreadyThere {
                directory: files.disk.location(),
                file: segment_name(*segment),
            });
        }
    }
    Ok(segments)
}

/// Reads the log.
pub(super) fn recover<D: Disk>(files: &Files<D>) -> Result<Found, WalError> {
    let numbers = segment_numbers(files)?;
    let mut there = Vec::new();
    let mut not_there = Vec::new();
    for number in &numbers {
        match probe(files, *number)? {
            Some(segment) => there.push(segment),
            None => not_there.push(*number),
        }
    }
    let mut void_from = u64::MAX;
    for segment in there.iter_mut().rev() {
        segment.void_from = void_from;
        void_from = void_from.min(segment.header.first_write);
    }
    let mut replay = Replay::new(files, &not_there);
    let Some((last, older)) = there.split_last() else {
        replay.check_unused(0)?;
        return Err(WalError::NoLog { directory: files.disk.location() });
    };
    let mut expected_in = None;
    for segment in older.iter().filter(|segment| segment.header.first_write < segment.void_from) {
        expected_in = Some(replay.older_segment(segment, expected_in)?);
    }
    let tail = replay.last_segment(last, expected_in)?;
    let Tail { last_body, before_last, end, torn_tail, blank } = tail;
    let groups = states(&replay.groups);
    let adopted = adopt::adopt(files, &mut replay.groups)?;
    replay.check_gaps()?;
    let last_write = replay.next - 1;
    let superseded: Vec<u64> = there
        .iter()
        .filter(|segment| segment.header.first_write >= last_write.min(segment.void_from))
        .map(|segment| segment.header.segment)
        .collect();
    let Replay { groups: recovered, mut older, .. } = replay;
    if !superseded.contains(&last.header.segment) {
        older.push(last.header.segment, end, &groups);
    }
    let highest = *numbers.last().expect("one is there");
    let usable = |(number, size): &(u64, u64)| *number == highest && *size <= files.config.segment_bytes;
    let blank = blank.filter(usable);
    not_there.retain(|number| blank.is_none_or(|(blank, _)| *number != blank));
    let groups_of = |(id, group): (GroupId, Group)| {
        let (hard_state, snapshot) = (group.hard_state, group.snapshot);
        (id, RecoveredGroup { hard_state, snapshot, entries: group.into_entries() })
    };
    let recovered = recovered.into_iter().map(groups_of).collect();
    let unusable_snapshots = adopted.unusable;
    Ok(Found {
        recovered: Recovered { groups: recovered, torn_tail, unusable_snapshots },
        groups,
        adopted: adopted.writes,
        last_write,
        last_body,
        before_last,
        next_segment: blank.map_or(highest + 1, |(number, _)| number),
        next_filled: blank.map(|(_, size)| size),
        not_there,
        trim: (last.header.segment, end),
        older,
        superseded,
    })
}

/// The numbers of all segment files, ascending.
fn segment_numbers<D: Disk>(files: &Files<D>) -> Result<Vec<u64>, WalError> {
    let names = files.io(".", "list", files.disk.list())?;
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| segment_of(name)).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The segment in that file, if one is there. Reads no more than its beginning.
fn probe<D: Disk>(files: &Files<D>, number: u64) -> Result<Option<Segment>, WalError> {
    let name = segment_name(number);
    let file = files.io(&name, "open", files.disk.open(&name))?;
    let size = files.io(&name, "read the length of", file.size_bytes())?;
    let read = |offset: u64, length: u64| -> Result<Option<Vec<u8>>, WalError> {
        if offset.checked_add(length).is_none_or(|end| end > size) {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(length).expect("a file fits into memory")];
        files.io(&name, "read", file.read_at(&mut bytes, offset))?;
        Ok(Some(bytes))
    };
    let seed = format::seed(files.config.directory, number);
    let Some(fixed) = read(0, SegmentHeader::FIXED_BYTES as u64)? else { return Ok(None) };
    let Some(length) = SegmentHeader::length(&fixed) else { return Ok(None) };
    let header_bytes = length as u64;
    let Some(bytes) = read(0, header_bytes)? else { return Ok(None) };
    let header = match SegmentHeader::decode(&bytes, seed) {
        Ok(header) => header,
        Err(NoHeader::Broken) => return Ok(None),
        Err(NoHeader::Version(version)) => {
            let what = format!("its format is {version}, and this program reads {}", format::FORMAT);
            return Err(WalError::Newer { directory: files.disk.location(), file: name, what });
        }
        Err(NoHeader::Foreign(header)) => {
            let what = format!(
                "it was made as {} in the directory with the id {}",
                segment_name(header.segment),
                header.directory
            );
            return Err(WalError::Foreign { directory: files.disk.location(), file: name, what });
        }
    };
    if header.cluster != files.config.cluster {
        let what = format!("it is of cluster {:016x}, not {:016x}", header.cluster, files.config.cluster);
        return Err(WalError::Foreign { directory: files.disk.location(), file: name, what });
    }
    let Some(start) = read(header_bytes, WRITE_HEADER as u64)? else { return Ok(None) };
    let Some(first) = WriteHeader::decode(&start, seed) else { return Ok(None) };
    let Some(body) = read(header_bytes + WRITE_HEADER as u64, first.body_bytes)? else { return Ok(None) };
    let intact = first.first
        && first.number == header.first_write
        && first.body_crc == crc32c::crc32c_append(seed, &body);
    Ok(intact.then_some(Segment { header, header_bytes, void_from: u64::MAX }))
}
