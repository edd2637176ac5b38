//! A snapshot that comes from another node.

use std::io;

use super::files::{At, FileKind, file_name, list, remove_all};
use super::format::{BLOCK_HEADER_BYTES, Cursor, HEADER_BYTES, Unit};
use super::reader::{SnapshotReader, Sought};
use super::{SnapshotError, SnapshotId};
use crate::disk::{Disk, DiskFile};

/// Takes a snapshot file as another node sends it, in pieces of any length, and checks each block when it is
/// complete: nothing else is written. It is a snapshot when [`finish`](Self::finish) has returned, and nothing
/// before that.
///
/// Holds one block in memory. The file is removed when the log names a snapshot that is as new
/// ([`Wal::remove_replaced`](crate::Wal::remove_replaced)): nobody needs this one then.
#[derive(Debug)]
pub struct ReceivedSnapshot<D: Disk> {
    disk: D,
    file: D::File,
    at: At,
    sought: Sought,
    id: SnapshotId,
    /// Behind what is checked and written; none before the header is.
    cursor: Option<Cursor>,
    /// What came of the next block.
    buffer: Vec<u8>,
    /// The footer is written.
    complete: bool,
    /// A sync has failed, and a second one would prove nothing.
    failed: bool,
}

impl<D: Disk> ReceivedSnapshot<D> {
    pub(super) fn open(disk: D, sought: Sought, id: SnapshotId) -> Result<Self, SnapshotError> {
        remove_all(&disk, FileKind::Part, |group, last| group == sought.group && last != sought.last)?;
        let name = file_name(FileKind::Part, sought.group, sought.last);
        let at = At::file(&disk, &name);
        if list(&disk)?.contains(&(FileKind::Part, sought.group, sought.last)) {
            let file = at.io("open", disk.open(&name))?;
            if let Some((file, cursor)) = resume(file, &at, sought, id)? {
                let (cursor, buffer) = (Some(cursor), Vec::new());
                return Ok(Self {
                    disk,
                    file,
                    at,
                    sought,
                    id,
                    cursor,
                    buffer,
                    complete: false,
                    failed: false,
                });
            }
            at.io("remove", disk.remove(&name))?;
        }
        let file = at.io("create", disk.create(&name))?;
        let (cursor, buffer) = (None, Vec::new());
        Ok(Self { disk, file, at, sought, id, cursor, buffer, complete: false, failed: false })
    }

    /// How much of the file is here, in bytes: the sender goes on from there.
    pub fn offset(&self) -> u64 {
        self.checked_bytes() + self.buffer.len() as u64
    }

    /// All of it is here.
    pub fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes the bytes that stand at `offset` in the sender's file.
    ///
    /// [`SnapshotError::BadBytes`] when they are not what belongs there, or do not begin at
    /// [`offset`](Self::offset): the sender can go on from what that says now. [`SnapshotError::Foreign`] and
    /// [`SnapshotError::Newer`] are for good. [`SnapshotError::NoSpace`] leaves what was there before.
    pub fn append(&mut self, offset: u64, mut bytes: &[u8]) -> Result<(), SnapshotError> {
        if offset != self.offset() {
            return Err(self.at.bad_bytes(self.offset(), format!("what came belongs at offset {offset}")));
        }
        while !bytes.is_empty() {
            if self.complete {
                return Err(self.at.bad_bytes(self.offset(), "more came behind its end".to_string()));
            }
            let wanted = self.unit_bytes()?;
            let missing = wanted - self.buffer.len();
            let (now, later) = bytes.split_at(missing.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            bytes = later;
            // With the first bytes of a block its length becomes known.
            if self.buffer.len() == self.unit_bytes()? {
                let taken = self.take_unit();
                self.buffer.clear();
                taken?;
            }
        }
        Ok(())
    }

    /// Reads what is here: whether it makes sense is to be known before it is [finished](Self::finish), since from then
    /// on the next [`Wal::open`](crate::Wal::open) may take it for the state. [`SnapshotError::BadBytes`] if it is
    /// not complete.
    pub fn read(&self) -> Result<SnapshotReader<D::File>, SnapshotError> {
        if !self.complete {
            return Err(self.not_whole());
        }
        let file = self.at.found("open", self.disk.open(&self.at.file))?;
        SnapshotReader::begin(file, self.at.clone(), self.sought)
    }

    /// Makes durable what is here so far, but for a block that is not complete. To be called every few MiB, so that
    /// the last sync is short. An error is final: the process must end.
    pub fn sync(&mut self) -> Result<(), SnapshotError> {
        if self.failed {
            return self.at.sync(Err(io::Error::other("a sync of it has failed before")));
        }
        let result = self.file.sync_data();
        self.failed = result.is_err();
        self.at.sync(result)
    }

    /// Gives the file its name. Durable on return, and from now on a write to the log may name it. Gives back its
    /// length, in bytes. [`SnapshotError::BadBytes`] if it is not complete; then it is as if the process had
    /// ended, and [`Snapshots::receive`](super::Snapshots::receive) goes on with what is here.
    /// [`SnapshotError::Missing`] if it was removed meanwhile.
    pub fn finish(mut self) -> Result<u64, SnapshotError> {
        if !self.complete {
            return Err(self.not_whole());
        }
        self.sync()?;
        let finished = file_name(FileKind::Finished, self.sought.group, self.sought.last);
        self.at.found("rename", self.disk.rename(&self.at.file, &finished))?;
        At::directory(&self.disk).sync(self.disk.sync_dir())?;
        Ok(self.checked_bytes())
    }

    /// Gives it up, and its room back.
    pub fn discard(self) -> Result<(), SnapshotError> {
        match self.at.found("remove", self.disk.remove(&self.at.file)) {
            Err(SnapshotError::Missing { .. }) => Ok(()),
            result => result,
        }
    }

    fn checked_bytes(&self) -> u64 {
        let footer = if self.complete { super::format::FOOTER_BYTES as u64 } else { 0 };
        self.cursor.as_ref().map_or(0, |cursor| cursor.offset() + footer)
    }

    /// How long that is of which the buffer has the beginning: at least one byte more than the buffer has.
    fn unit_bytes(&mut self) -> Result<usize, SnapshotError> {
        if self.cursor.is_none() {
            return Ok(HEADER_BYTES);
        }
        if self.buffer.len() < BLOCK_HEADER_BYTES {
            return Ok(BLOCK_HEADER_BYTES);
        }
        Cursor::unit_bytes(&self.buffer).ok_or_else(|| {
            self.buffer.clear();
            self.bad_block()
        })
    }

    /// Checks and writes what the buffer has, which is whole.
    fn take_unit(&mut self) -> Result<(), SnapshotError> {
        let offset = self.checked_bytes();
        let Some(cursor) = &self.cursor else {
            let header = match self.sought.check(&self.at, &self.buffer) {
                Err(SnapshotError::Damaged { what, .. }) => return Err(self.at.bad_bytes(0, what)),
                result => result?,
            };
            if header.id != self.id {
                return Err(self.at.bad_bytes(0, format!("its id is {}, not {}", header.id, self.id)));
            }
            self.write(offset)?;
            self.cursor = Some(Cursor::new(header.id));
            return Ok(());
        };
        let mut behind = cursor.clone();
        let Some(unit) = behind.check(&self.buffer) else { return Err(self.bad_block()) };
        self.write(offset)?;
        self.cursor = Some(behind);
        self.complete = unit == Unit::Footer;
        Ok(())
    }

    fn write(&self, offset: u64) -> Result<(), SnapshotError> {
        let written = self.file.write_at(&self.buffer, offset);
        self.at.write(&self.disk, self.buffer.len() as u64, written)
    }

    fn not_whole(&self) -> SnapshotError {
        self.at.bad_bytes(self.offset(), "it ends there, and is not whole".to_string())
    }

    fn bad_block(&self) -> SnapshotError {
        let blocks = self.cursor.as_ref().map_or(0, Cursor::blocks);
        self.at.bad_bytes(self.checked_bytes(), format!("block {blocks} is not intact"))
    }
}

/// Goes through what an earlier process received, up to the first block that is not intact: some of it may never
/// have reached the disk. What is intact is written once more in its place: after a failed sync the cache
/// shows what the disk lacks, and no later sync would write it. None if not even the header is what is
/// looked for.
fn resume<F: DiskFile>(
    file: F,
    at: &At,
    sought: Sought,
    id: SnapshotId,
) -> Result<Option<(F, Cursor)>, SnapshotError> {
    let mut reader = match SnapshotReader::begin(file, at.clone(), sought) {
        Ok(reader) if reader.header().id == id => reader,
        Err(error @ SnapshotError::Io { .. }) => return Err(error),
        Ok(_) | Err(_) => return Ok(None),
    };
    let mut header = [0; HEADER_BYTES];
    reader.read_at(&mut header, 0)?;
    reader.write_at(&header, 0)?;
    loop {
        let offset = reader.cursor().offset();
        match reader.next_block() {
            Ok(Some(_)) => reader.write_at(reader.last_unit(), offset)?,
            Err(error @ SnapshotError::Io { .. }) => return Err(error),
            // The footer is sent again, if it had come.
            Ok(None) | Err(_) => break,
        }
    }
    let (file, cursor) = reader.into_parts();
    at.io("shorten", file.truncate(cursor.offset()))?;
    Ok(Some((file, cursor)))
}
