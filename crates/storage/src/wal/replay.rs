//! Reading the writes of the segments, one after another.

use bowline_raft::{GroupId, LogId};

use super::WalError;
use super::error::TornTail;
use super::files::{Files, segment_name};
use super::format::{self, BadRecord, GroupStates, Record, SegmentHeader, WRITE_HEADER, WriteHeader};
use super::group::{Group, Groups, states};
use super::older::OlderSegments;
use crate::disk::{Disk, DiskFile};

/// A segment that is there.
pub(super) struct Segment {
    pub(super) header: SegmentHeader,
    /// The length of the header, in bytes.
    pub(super) header_bytes: u64,
    /// Writes from here on are void: a later segment has them.
    pub(super) void_from: u64,
}

/// Where the writes of a segment stop.
pub(super) struct Stop {
    /// The write that is not there or not whole.
    write: u64,
    offset: u64,
}

/// The log as far as it has been read.
pub(super) struct Replay<'a, D: Disk> {
    files: &'a Files<D>,
    not_there: &'a [u64],
    /// The number of the write that comes next.
    pub(super) next: u64,
    pub(super) groups: Groups,
    /// The segments that have been read.
    pub(super) older: OlderSegments,
    /// The first of them, and the write with which it begins.
    first: (u64, u64),
}

/// What the last segment gave beside the groups.
pub(super) struct Tail {
    pub(super) last_body: Vec<u8>,
    pub(super) before_last: GroupStates,
    /// Where the last write ends, in bytes.
    pub(super) end: u64,
    pub(super) torn_tail: Option<TornTail>,
    /// The last file behind it with nothing but zeros, and its length.
    pub(super) blank: Option<(u64, u64)>,
}

/// What the files behind the last segment are.
#[derive(Default)]
pub(super) struct Unused {
    /// The last one that is all zeros, and its length.
    blank: Option<(u64, u64)>,
    /// The first one that is not: its first write was begun and not finished.
    torn: Option<TornTail>,
}

/// A segment, and where it stopped.
pub(super) type StoppedIn = (u64, Stop);

impl<'a, D: Disk> Replay<'a, D> {
    /// Before anything has been read. `not_there` are the files without a segment in them.
    pub(super) fn new(files: &'a Files<D>, not_there: &'a [u64]) -> Self {
        Self {
            files,
            not_there,
            next: 1,
            groups: Groups::new(),
            older: OlderSegments::default(),
            first: (0, 1),
        }
    }

    /// Reads a segment that others follow. Gives back where it stopped.
    pub(super) fn older_segment(
        &mut self,
        segment: &Segment,
        before: Option<StoppedIn>,
    ) -> Result<StoppedIn, WalError> {
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
        self.older.push(number, offset, &states(&self.groups));
        Ok((number, Stop { write: self.next, offset }))
    }

    /// Reads the last segment, and looks for what must not be behind its end.
    pub(super) fn last_segment(
        &mut self,
        segment: &Segment,
        before: Option<StoppedIn>,
    ) -> Result<Tail, WalError> {
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

    /// A segment must begin where the one before it stopped, and agree with it about the groups. The first one may
    /// begin anywhere: what was before it is in snapshots, or [`check_gaps`](Self::check_gaps) will say so.
    fn check_beginning(&mut self, segment: &Segment, before: Option<StoppedIn>) -> Result<(), WalError> {
        let SegmentHeader { segment: number, first_write, groups, .. } = &segment.header;
        let name = segment_name(*number);
        if *first_write != self.next {
            assert!(*first_write > self.next, "void segments are passed over");
            // What is missing was in a file whose beginning is broken, or at the end of the one before it.
            let above = before.as_ref().map_or(0, |(number, _)| *number);
            let suspect = self.not_there.iter().find(|other| (above..*number).contains(other));
            if let Some(suspect) = suspect {
                let what =
                    format!("the segment's beginning is broken, and {name} goes on with write {first_write}");
                return Err(self.corrupt(*suspect, &Stop { write: self.next, offset: 0 }, what));
            }
            if let Some((above, stop)) = before {
                let what = format!("it is broken or missing, and {name} goes on with write {first_write}");
                return Err(self.corrupt(above, &stop, what));
            }
            self.next = *first_write;
            self.first = (*number, *first_write);
            self.groups = self.beginning(groups).ok_or_else(|| self.disagree(segment))?;
        }
        if *groups == states(&self.groups) { Ok(()) } else { Err(self.disagree(segment)) }
    }

    /// The groups as the header of the first segment has them.
    fn beginning(&self, states: &GroupStates) -> Option<Groups> {
        states.iter().map(|(id, state)| Some((*id, Group::beginning(state)?))).collect()
    }

    fn disagree(&self, segment: &Segment) -> WalError {
        let SegmentHeader { segment, first_write, .. } = segment.header;
        let what = "the segment's header and what was before it disagree about the groups";
        self.corrupt(segment, &Stop { write: first_write, offset: 0 }, what.to_string())
    }

    /// To be asked when all is read, and the groups have the snapshots that there are: is every entry behind those
    /// there?
    pub(super) fn check_gaps(&self) -> Result<(), WalError> {
        let (number, first_write) = self.first;
        let gap = self.groups.iter().find_map(|(id, group)| Some((*id, group.gap()?)));
        let any = self.groups.values().any(|group| group.snapshot != LogId::ZERO);
        let lost = match gap {
            Some((group, (from, to))) => format!("the entries {from} to {to} of group {group}"),
            None if first_write > 1 && !any => "the votes in them".to_string(),
            None => return Ok(()),
        };
        let what = format!(
            "the files before this one are missing: it begins with write {first_write}, and {lost} are in no snapshot"
        );
        Err(self.corrupt(number, &Stop { write: 1, offset: 0 }, what))
    }

    /// Looks through the files behind the last segment for anything that proves that they had been in use.
    pub(super) fn check_unused(&self, last: u64) -> Result<Unused, WalError> {
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
            let wrong = match record {
                Ok((group, record)) => self.take(group, record),
                Err(BadRecord::Kind(kind)) => {
                    return Err(WalError::Newer {
                        directory: self.files.disk.location(),
                        file: segment_name(segment),
                        what: format!(
                            "the write at offset {offset} holds a record of the unknown kind {kind}"
                        ),
                    });
                }
                Err(BadRecord::Length) => Some("a record is longer than the write that holds it".to_string()),
            };
            if let Some(what) = wrong {
                return Err(self.corrupt(segment, &Stop { write, offset }, what));
            }
        }
        Ok(())
    }

    /// Takes over a record. Gives back what is wrong with it, if it does not follow what was before it.
    fn take(&mut self, id: GroupId, record: Record) -> Option<String> {
        let group = self.groups.entry(id).or_default();
        let last = group.last_index();
        let (fits, what) = match record {
            Record::HardState(hard_state) => {
                group.hard_state = hard_state;
                return None;
            }
            Record::Compacted(snapshot) => (group.compact(snapshot), format!("the snapshot at {snapshot}")),
            Record::Installed(snapshot) => {
                self.older.replaced(id, 1);
                (group.install(snapshot), format!("the installed snapshot at {snapshot}"))
            }
            Record::Entry(entry) => {
                let index = entry.id.index;
                if index <= last {
                    self.older.replaced(id, index);
                }
                (group.put(entry), format!("entry {index}"))
            }
        };
        let snapshot = group.snapshot;
        (!fits).then(|| {
            format!("{what} of group {id} does not follow entry {last} and the snapshot at {snapshot}")
        })
    }

    fn corrupt(&self, segment: u64, stop: &Stop, what: String) -> WalError {
        let (directory, file) = (self.files.disk.location(), segment_name(segment));
        WalError::Corrupt { directory, file, offset: stop.offset, write: stop.write, what }
    }
}

pub(super) fn read_all<D: Disk>(files: &Files<D>, number: u64) -> Result<Vec<u8>, WalError> {
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
pub(super) fn headers(bytes: &[u8], from: u64, seed: u32) -> impl Iterator<Item = (usize, WriteHeader)> {
    let from = usize::try_from(from).expect("in memory");
    // Most of what is searched is zeros, and a header begins with a number that is not.
    let (places, _) = bytes[from..].as_chunks::<8>();
    let not_zero = places.iter().enumerate().filter(|(_, place)| u64::from_le_bytes(**place) != 0);
    not_zero
        .map(move |(place, _)| from + place * 8)
        .filter_map(move |at| WriteHeader::decode(&bytes[at..], seed).map(|header| (at, header)))
}
