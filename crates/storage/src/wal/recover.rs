//! Reading the log back. Changes nothing on the disk: what must change, the caller does afterwards.
//!
//! First every file's beginning is looked at, to see which segments *are there*: header and first write
//! intact. The writes are then read through those, in the order of their numbers, each up to where the next
//! begins; a gap is damage. Where the last one stops, and in the files that are not there, nothing intact of a
//! later write may be found, or the stop is damage too.
//!
//! A client's value lies in the log as it came. It cannot pose as a write, since it would need a checksum
//! that is seeded with the directory's id.

use std::collections::BTreeMap;

use bowline_raft::{GroupId, Index};

use super::files::{Files, segment_name, segment_of};
use super::format::{
    self, BadRecord, GroupState, GroupStates, NoHeader, Record, SegmentHeader, WRITE_HEADER, WriteHeader,
};
use super::{Recovered, RecoveredGroup, TornTail, WalError};
use crate::disk::{Disk, DiskFile};

/// What was found, and what to do about it.
pub(super) struct Found {
    pub(super) recovered: Recovered,
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
    /// Bytes in the segments that stay.
    pub(super) bytes: u64,
}

/// A segment that is there.
struct Segment {
    header: SegmentHeader,
    /// The length of the header, in bytes.
    header_bytes: u64,
    /// Writes from here on are void: a later segment has them.
    void_from: u64,
}

/// Where the writes of a segment stop.
struct Stop {
    /// The write that is not there or not whole.
    write: u64,
    offset: u64,
}

type Groups = BTreeMap<GroupId, RecoveredGroup>;

/// The state of each group, as a segment's header has it.
pub(super) fn states(groups: &Groups) -> GroupStates {
    let state = |group: &RecoveredGroup| GroupState {
        hard_state: group.hard_state,
        snapshot_index: group.snapshot_index,
        last_index: group.snapshot_index + group.entries.len() as Index,
    };
    groups.iter().map(|(id, group)| (*id, state(group))).collect()
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
    let mut replay = Replay { files, not_there: &not_there, next: 1, groups: Groups::new(), bytes: 0 };
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
    let (groups, bytes, last_write) = (replay.groups, replay.bytes, replay.next - 1);
    let superseded: Vec<u64> = there
        .iter()
        .filter(|segment| segment.header.first_write >= last_write.min(segment.void_from))
        .map(|segment| segment.header.segment)
        .collect();
    let highest = *numbers.last().expect("one is there");
    let usable = |(number, size): &(u64, u64)| *number == highest && *size <= files.config.segment_bytes;
    let blank = blank.filter(usable);
    not_there.retain(|number| blank.is_none_or(|(blank, _)| *number != blank));
    Ok(Found {
        recovered: Recovered { groups, torn_tail },
        last_write,
        last_body,
        before_last,
        next_segment: blank.map_or(highest + 1, |(number, _)| number),
        next_filled: blank.map(|(_, size)| size),
        not_there,
        trim: (last.header.segment, end),
        bytes: if superseded.contains(&last.header.segment) { bytes - end } else { bytes },
        superseded,
    })
}

/// The log as far as it has been read.
struct Replay<'a, D: Disk> {
    files: &'a Files<D>,
    not_there: &'a [u64],
    /// The number of the write that comes next.
    next: u64,
    groups: Groups,
    /// Bytes of headers and writes that count.
    bytes: u64,
}

/// What the last segment gave beside the groups.
struct Tail {
    last_body: Vec<u8>,
    before_last: GroupStates,
    /// Where the last write ends, in bytes.
    end: u64,
    torn_tail: Option<TornTail>,
    /// The last file behind it with nothing but zeros, and its length.
    blank: Option<(u64, u64)>,
}

/// What the files behind the last segment are.
#[derive(Default)]
struct Unused {
    /// The last one that is all zeros, and its length.
    blank: Option<(u64, u64)>,
    /// The first one that is not: its first write was begun and not finished.
    torn: Option<TornTail>,
}

/// A segment, and where it stopped.
type StoppedIn = (u64, Stop);

impl<D: Disk> Replay<'_, D> {
    /// Reads a segment that others follow. Gives back where it stopped.
    fn older_segment(&mut self, segment: &Segment, before: Option<StoppedIn>) -> Result<StoppedIn, WalError> {
        self.check_beginning(segment, before)?;
        let number = segment.header.segment;
        let bytes = read_all(self.files, number)?;
        let seed = format::seed(self.files.config.directory, number);
        let mut offset = segment.header_bytes;
        while self.next < segment.void_from {
            let Some((body, end)) = write_at(&bytes, offset, seed, self.next) else { break };
            self.apply(self.next, body, number, offset)?;
            offset = end;
            self.next += 1;
        }
        self.bytes += offset;
        Ok((number, Stop { write: self.next, offset }))
    }

    /// Reads the last segment, and looks for what must not be behind its end.
    fn last_segment(&mut self, segment: &Segment, before: Option<StoppedIn>) -> Result<Tail, WalError> {
        self.check_beginning(segment, before)?;
        let number = segment.header.segment;
        let bytes = read_all(self.files, number)?;
        let seed = format::seed(self.files.config.directory, number);
        let mut offset = segment.header_bytes;
        // One behind: the groups as they were before the last write are wanted.
        let mut held: Option<(&[u8], u64)> = None;
        while let Some((body, end)) = write_at(&bytes, offset, seed, self.next) {
            if let Some((body, offset)) = held.replace((body, offset)) {
                self.apply(self.next - 1, body, number, offset)?;
            }
            offset = end;
            self.next += 1;
        }
        let (last_body, last_offset) = held.expect("a segment that is there has its first write");
        let before_last = states(&self.groups);
        self.apply(self.next - 1, last_body, number, last_offset)?;
        self.bytes += offset;
        let stop = Stop { write: self.next, offset };
        // The write that is not whole may have left its own header, at its own place.
        let later = headers(&bytes, offset, seed)
            .find(|(at, header)| (*at as u64, header.number) != (offset, self.next));
        if let Some((at, header)) = later {
            let what = format!("it is broken, and write {} is intact at offset {at}", header.number);
            return Err(self.corrupt(number, &stop, what));
        }
        let size = bytes.len() as u64;
        let cut_bytes = (size < segment.header.filled_bytes).then_some((size, segment.header.filled_bytes));
        let from = usize::try_from(offset).expect("in memory");
        let torn = (cut_bytes.is_some() || bytes[from..].iter().any(|byte| *byte != 0)).then(|| TornTail {
            file: segment_name(number),
            offset,
            write: stop.write,
            cut_bytes,
        });
        let unused = self.check_unused(number)?;
        let last_body = last_body.to_vec();
        Ok(Tail { last_body, before_last, end: offset, torn_tail: torn.or(unused.torn), blank: unused.blank })
    }

    /// A segment must begin where the one before it stopped, and agree with it about the groups.
    fn check_beginning(&self, segment: &Segment, before: Option<StoppedIn>) -> Result<(), WalError> {
        let SegmentHeader { segment: number, first_write, groups, .. } = &segment.header;
        let name = segment_name(*number);
        if *first_write == self.next {
            if *groups == states(&self.groups) {
                return Ok(());
            }
            let what = "the segment's header and the segments before it disagree about the groups";
            return Err(self.corrupt(*number, &Stop { write: *first_write, offset: 0 }, what.to_string()));
        }
        assert!(*first_write > self.next, "void segments are passed over");
        // What is missing was in a file whose beginning is broken, or at the end of the one before it.
        let above = before.as_ref().map_or(0, |(number, _)| *number);
        let suspect = self.not_there.iter().find(|other| (above..*number).contains(*other));
        match (suspect, before) {
            (Some(suspect), _) => {
                let what =
                    format!("the segment's beginning is broken, and {name} goes on with write {first_write}");
                Err(self.corrupt(*suspect, &Stop { write: self.next, offset: 0 }, what))
            }
            (None, Some((above, stop))) => {
                let what = format!("it is broken or missing, and {name} goes on with write {first_write}");
                Err(self.corrupt(above, &stop, what))
            }
            (None, None) => {
                let what =
                    format!("the files before this one are missing: it begins with write {first_write}");
                Err(self.corrupt(*number, &Stop { write: self.next, offset: 0 }, what))
            }
        }
    }

    /// Looks through the files behind the last segment for anything that proves that they had been in use.
    fn check_unused(&self, last: u64) -> Result<Unused, WalError> {
        let mut unused = Unused::default();
        for number in self.not_there.iter().copied().filter(|number| *number > last) {
            let bytes = read_all(self.files, number)?;
            let seed = format::seed(self.files.config.directory, number);
            let stop = Stop { write: self.next, offset: 0 };
            if let Ok(header) = SegmentHeader::decode(&bytes, seed)
                && header.first_write > self.next
            {
                let what =
                    format!("it is missing, and this segment begins with write {}", header.first_write);
                return Err(self.corrupt(number, &stop, what));
            }
            let later =
                headers(&bytes, 0, seed).find(|(_, header)| !header.first || header.number > self.next);
            if let Some((at, header)) = later {
                let what = format!(
                    "the segment's beginning is broken, and write {} is intact at offset {at}",
                    header.number
                );
                return Err(self.corrupt(number, &stop, what));
            }
            if bytes.iter().all(|byte| *byte == 0) {
                unused.blank = Some((number, bytes.len() as u64));
            } else if unused.torn.is_none() {
                let file = segment_name(number);
                unused.torn = Some(TornTail { file, offset: 0, write: self.next, cut_bytes: None });
            }
        }
        Ok(unused)
    }

    /// Takes over the records of a write.
    fn apply(&mut self, write: u64, body: &[u8], segment: u64, offset: u64) -> Result<(), WalError> {
        for record in format::decode_records(body) {
            match record {
                Ok(Record::HardState(group, hard_state)) => {
                    self.groups.entry(group).or_default().hard_state = hard_state;
                }
                Ok(Record::Entry(group, entry)) => {
                    let RecoveredGroup { snapshot_index, entries, .. } =
                        self.groups.entry(group).or_default();
                    let index = entry.id.index;
                    let last = *snapshot_index + entries.len() as Index;
                    if index <= *snapshot_index || index > last + 1 {
                        let what = format!("entry {index} of group {group} does not follow entry {last}");
                        return Err(self.corrupt(segment, &Stop { write, offset }, what));
                    }
                    // It replaces what stood there, and everything behind that goes.
                    entries.truncate(usize::try_from(index - *snapshot_index - 1).expect("in memory"));
                    entries.push(entry);
                }
                Err(BadRecord::Kind(kind)) => {
                    return Err(WalError::Newer {
                        directory: self.files.disk.location(),
                        file: segment_name(segment),
                        what: format!(
                            "the write at offset {offset} holds a record of the unknown kind {kind}"
                        ),
                    });
                }
                Err(BadRecord::Length) => {
                    let what = "a record is longer than the write that holds it".to_string();
                    return Err(self.corrupt(segment, &Stop { write, offset }, what));
                }
            }
        }
        Ok(())
    }

    fn corrupt(&self, segment: u64, stop: &Stop, what: String) -> WalError {
        let (directory, file) = (self.files.disk.location(), segment_name(segment));
        WalError::Corrupt { directory, file, offset: stop.offset, write: stop.write, what }
    }
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

fn read_all<D: Disk>(files: &Files<D>, number: u64) -> Result<Vec<u8>, WalError> {
    let name = segment_name(number);
    let file = files.io(&name, "open", files.disk.open(&name))?;
    let size = files.io(&name, "read the length of", file.size_bytes())?;
    let mut bytes = vec![0; usize::try_from(size).expect("a file fits into memory")];
    files.io(&name, "read", file.read_at(&mut bytes, 0))?;
    Ok(bytes)
}

/// The records of write `number`, if it is intact at `offset`, and where it ends.
fn write_at(bytes: &[u8], offset: u64, seed: u32, number: u64) -> Option<(&[u8], u64)> {
    let rest = bytes.get(usize::try_from(offset).ok()?..)?;
    let header = WriteHeader::decode(rest, seed)?;
    let end = usize::try_from(header.body_bytes).ok()?.checked_add(WRITE_HEADER)?;
    let body = rest.get(WRITE_HEADER..end)?;
    let intact = header.number == number && header.body_crc == crc32c::crc32c_append(seed, body);
    intact.then_some((body, offset + end as u64))
}

/// Every intact write header at or behind `from`, wherever it may be.
fn headers(bytes: &[u8], from: u64, seed: u32) -> impl Iterator<Item = (usize, WriteHeader)> {
    let from = usize::try_from(from).expect("in memory");
    // Most of what is searched is zeros, and a header begins with a number that is not.
    let (places, _) = bytes[from..].as_chunks::<8>();
    let not_zero = places.iter().enumerate().filter(|(_, place)| u64::from_le_bytes(**place) != 0);
    not_zero
        .map(move |(place, _)| from + place * 8)
        .filter_map(move |at| WriteHeader::decode(&bytes[at..], seed).map(|header| (at, header)))
}
