//! A snapshot, being read.

use bowline_raft::{GroupId, LogId};

use super::files::{At, FileKind, file_name};
use super::format::{self, BLOCK_HEADER_BYTES, Cursor, FOOTER_BYTES, HEADER_BYTES, NoHeader, Unit};
use super::{SnapshotError, SnapshotHeader};
use crate::disk::{Disk, DiskFile};

/// Reads a snapshot block by block, each checked before it is given out. Holds one block in memory.
///
/// The file may be removed in the meantime, when a newer one has taken its place: what is open stays readable.
#[derive(Debug)]
pub struct SnapshotReader<F> {
    file: F,
    at: At,
    header: SnapshotHeader,
    size_bytes: u64,
    /// It ends as a whole file of its length does.
    whole: bool,
    cursor: Cursor,
    /// The block that was read last, and the first bytes of what is behind it.
    buffer: Vec<u8>,
    /// The first bytes of what stands at the cursor.
    head: [u8; BLOCK_HEADER_BYTES],
}

/// Whose snapshot is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sought {
    pub(crate) cluster: u64,
    pub(crate) group: GroupId,
    pub(crate) last: LogId,
}

impl Sought {
    /// What the header says, if it is the one that is looked for.
    pub(super) fn check(&self, at: &At, bytes: &[u8]) -> Result<SnapshotHeader, SnapshotError> {
        let (cluster, header) = format::decode_header(bytes).map_err(|error| match error {
            NoHeader::Broken => at.damaged(0, "its header is not intact".to_string()),
            NoHeader::Version(format) => at.newer(format),
        })?;
        if cluster != self.cluster {
            return Err(at.foreign(format!("it is of cluster {cluster:016x}, not {:016x}", self.cluster)));
        }
        if header.group != self.group {
            return Err(at.foreign(format!("it is of group {}, not {}", header.group, self.group)));
        }
        if header.last != self.last {
            return Err(at.foreign(format!("it ends with entry {}, not {}", header.last, self.last)));
        }
        Ok(header)
    }
}

impl<F: DiskFile> SnapshotReader<F> {
    /// Opens a finished snapshot; its header and its end are checked.
    pub(crate) fn open<D: Disk<File = F>>(disk: &D, sought: Sought) -> Result<Self, SnapshotError> {
        let name = file_name(FileKind::Finished, sought.group, sought.last);
        let at = At::file(disk, &name);
        let file = at.found("open", disk.open(&name))?;
        let mut reader = Self::begin(file, at, sought)?;
        if !reader.whole {
            return Err(reader.what_is_wrong());
        }
        Ok(reader)
    }

    /// Reads the header, and looks whether the file is whole.
    pub(super) fn begin(file: F, at: At, sought: Sought) -> Result<Self, SnapshotError> {
        let size_bytes = at.io("read the length of", file.size_bytes())?;
        if size_bytes < HEADER_BYTES as u64 {
            return Err(cut_short(&at, 0, size_bytes));
        }
        let mut bytes = [0; HEADER_BYTES];
        at.io("read", file.read_at(&mut bytes, 0))?;
        let header = sought.check(&at, &bytes)?;
        let mut reader = Self {
            file,
            at,
            header,
            size_bytes,
            whole: false,
            cursor: Cursor::new(header.id),
            buffer: Vec::new(),
            head: [0; BLOCK_HEADER_BYTES],
        };
        if let Some(end) =
            size_bytes.checked_sub(FOOTER_BYTES as u64).filter(|end| *end >= HEADER_BYTES as u64)
        {
            let mut footer = [0; FOOTER_BYTES];
            reader.read_at(&mut footer, end)?;
            reader.whole = Cursor::ends(header.id, &footer, size_bytes);
        }
        if size_bytes >= (HEADER_BYTES + BLOCK_HEADER_BYTES) as u64 {
            let mut head = [0; BLOCK_HEADER_BYTES];
            reader.read_at(&mut head, HEADER_BYTES as u64)?;
            reader.head = head;
        }
        Ok(reader)
    }

    /// What the file says of itself.
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// The file's length, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    /// The next block; none behind the last one.
    pub fn next_block(&mut self) -> Result<Option<&[u8]>, SnapshotError> {
        let offset = self.cursor.offset();
        let behind_head = offset + BLOCK_HEADER_BYTES as u64;
        let length = Cursor::unit_bytes(&self.head).filter(|_| behind_head <= self.size_bytes);
        let Some(length) = length else {
            return Err(if behind_head > self.size_bytes {
                cut_short(&self.at, offset, self.size_bytes)
            } else {
                self.damaged_block()
            });
        };
        let end = offset + length as u64;
        if end > self.size_bytes {
            return Err(if self.whole {
                self.damaged_block()
            } else {
                cut_short(&self.at, offset, self.size_bytes)
            });
        }
        self.fill(offset, length, end)?;
        match self.cursor.check(&self.buffer[..length]) {
            None => Err(self.damaged_block()),
            Some(Unit::Block) => {
                let behind = &self.buffer[length..];
                self.head[..behind.len()].copy_from_slice(behind);
                Ok(Some(&self.buffer[BLOCK_HEADER_BYTES..length]))
            }
            Some(Unit::Footer) if end < self.size_bytes => {
                Err(self.at.damaged(end, "there is something behind its end".to_string()))
            }
            Some(Unit::Footer) => Ok(None),
        }
    }

    /// Reads all that is left, and gives nothing out.
    pub fn verify(mut self) -> Result<(), SnapshotError> {
        while self.next_block()?.is_some() {}
        Ok(())
    }

    /// Fills `buffer` with the bytes of the file from `offset` on, as they are: what a peer is sent. The peer
    /// checks them.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<(), SnapshotError> {
        self.at.io("read", self.file.read_at(buffer, offset))
    }

    /// The place behind the blocks that were read.
    pub(super) fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// The whole of what was read last, as it stands in the file.
    pub(super) fn last_unit(&self) -> &[u8] {
        let length = Cursor::unit_bytes(&self.buffer).expect("it was checked");
        &self.buffer[..length]
    }

    /// Writes into the file that is being read.
    pub(super) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), SnapshotError> {
        self.at.io("write", self.file.write_at(bytes, offset))
    }

    /// The file, and the place behind the blocks that were read.
    pub(super) fn into_parts(self) -> (F, Cursor) {
        (self.file, self.cursor)
    }

    /// Reads a block or footer, and the first bytes of what is behind it: so each block is one read.
    fn fill(&mut self, offset: u64, length: usize, end: u64) -> Result<(), SnapshotError> {
        let ahead = (self.size_bytes - end).min(BLOCK_HEADER_BYTES as u64);
        let more = usize::try_from(ahead).expect("a few bytes");
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(length + more, 0);
        let read = self.read_at(&mut buffer, offset);
        self.buffer = buffer;
        read
    }

    fn damaged_block(&self) -> SnapshotError {
        self.at.damaged(self.cursor.offset(), format!("block {} is not intact", self.cursor.blocks()))
    }

    /// The file does not end as it should: where does it go wrong?
    fn what_is_wrong(&mut self) -> SnapshotError {
        loop {
            match self.next_block() {
                Ok(Some(_)) => {}
                // Only if the disk gives back now one thing and now another.
                Ok(None) => {
                    return self.at.damaged(self.cursor.offset(), "its end is not intact".to_string());
                }
                Err(error) => return error,
            }
        }
    }
}

fn cut_short(at: &At, offset: u64, size_bytes: u64) -> SnapshotError {
    let At { directory, file } = at.clone();
    SnapshotError::CutShort { directory, file, offset, size_bytes }
}
