//! A node's own snapshot, being written.

use std::io;

use super::files::{At, FileKind, file_name};
use super::format::{self, Cursor, MAX_PAYLOAD_BYTES};
use super::{SnapshotError, SnapshotHeader};
use crate::disk::{Disk, DiskFile};

/// Writes a snapshot under a name of its own, block by block. It is a snapshot when
/// [`finish`](Self::finish) has returned, and nothing before that; what a process leaves unfinished is removed
/// by the next [`Wal::open`](crate::Wal::open).
///
/// Holds one block in memory.
#[derive(Debug)]
pub struct SnapshotWriter<D: Disk> {
    disk: D,
    file: D::File,
    at: At,
    header: SnapshotHeader,
    cursor: Cursor,
    /// The block being written. Kept, so that its memory is used again.
    buffer: Vec<u8>,
    /// A sync has failed, and a second one would prove nothing.
    failed: bool,
}

impl<D: Disk> SnapshotWriter<D> {
    pub(super) fn create(disk: D, cluster: u64, header: SnapshotHeader) -> Result<Self, SnapshotError> {
        super::files::remove_all(&disk, FileKind::New, |group, _| group == header.group)?;
        let name = file_name(FileKind::New, header.group, header.last);
        let at = At::file(&disk, &name);
        let file = at.io("create", disk.create(&name))?;
        let bytes = format::encode_header(cluster, &header);
        at.write(&disk, bytes.len() as u64, file.write_at(&bytes, 0))?;
        Ok(Self { disk, file, at, header, cursor: Cursor::new(header.id), buffer: Vec::new(), failed: false })
    }

    /// What was given to [`Snapshots::create`](super::Snapshots::create).
    pub fn header(&self) -> &SnapshotHeader {
        &self.header
    }

    /// How long the file is by now, in bytes.
    pub fn size_bytes(&self) -> u64 {
        self.cursor.offset()
    }

    /// Adds a block of at most [`MAX_BLOCK_BYTES`](super::MAX_BLOCK_BYTES), which is read back as it is here. What
    /// is longer becomes several blocks, each but the last of that length; what is empty becomes none.
    ///
    /// [`SnapshotError::NoSpace`] leaves the file as it was before the block that found no room.
    pub fn append(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        for payload in bytes.chunks(MAX_PAYLOAD_BYTES) {
            let offset = self.cursor.offset();
            let mut behind = self.cursor.clone();
            behind.encode_block(payload, &mut self.buffer);
            let written = self.file.write_at(&self.buffer, offset);
            self.at.write(&self.disk, self.buffer.len() as u64, written)?;
            self.cursor = behind;
        }
        Ok(())
    }

    /// Makes durable what was added so far. To be called every few MiB, so that the last sync is short. An error
    /// is final: the process must end.
    pub fn sync(&mut self) -> Result<(), SnapshotError> {
        if self.failed {
            return self.at.sync(Err(io::Error::other("a sync of it has failed before")));
        }
        let result = self.file.sync_data();
        self.failed = result.is_err();
        self.at.sync(result)
    }

    /// Ends the file and gives it its name. Durable on return, and from now on a write to the log may name it. Gives
    /// back its length, in bytes.
    pub fn finish(mut self) -> Result<u64, SnapshotError> {
        let footer = self.cursor.encode_footer();
        let offset = self.cursor.offset();
        self.at.write(&self.disk, footer.len() as u64, self.file.write_at(&footer, offset))?;
        self.sync()?;
        let finished = file_name(FileKind::Finished, self.header.group, self.header.last);
        self.at.io("rename", self.disk.rename(&self.at.file, &finished))?;
        At::directory(&self.disk).sync(self.disk.sync_dir())?;
        Ok(offset + footer.len() as u64)
    }

    /// Gives it up, and its room back.
    pub fn discard(self) -> Result<(), SnapshotError> {
        self.at.io("remove", self.disk.remove(&self.at.file))
    }
}
