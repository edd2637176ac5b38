//! The segment files: made, filled with zeros, begun, written, synced and removed, with an error that says which.

use std::io;

use super::format::{GroupStates, SegmentHeader};
use super::{WalConfig, WalError};
use crate::disk::{Disk, DiskFile, is_full};

/// Zeros are written and synced so many at a time: a few milliseconds, during which no write can start.
pub(super) const FILL_SLICE: usize = 1 << 20;
static ZEROS: [u8; FILL_SLICE] = [0; FILL_SLICE];

/// The segment that writes go to.
#[derive(Debug)]
pub(super) struct Active<F> {
    pub(super) segment: u64,
    pub(super) file: F,
    /// Where the next write goes.
    pub(super) position: u64,
    /// It has its header and no write yet.
    pub(super) empty: bool,
}

/// The segment that comes after it.
#[derive(Debug)]
pub(super) struct Next<F> {
    pub(super) segment: u64,
    pub(super) file: F,
    /// Zeros that are there and synced, in bytes.
    pub(super) filled: u64,
    /// All filled, and its name is durable.
    pub(super) ready: bool,
}

/// The directory with what every message about it needs.
#[derive(Debug)]
pub(super) struct Files<D> {
    pub(super) disk: D,
    pub(super) config: WalConfig,
    /// A call failed in a way after which the files are not known any more.
    pub(super) failed: bool,
}

pub(super) fn segment_name(segment: u64) -> String {
    format!("{segment:016x}.wal")
}

pub(super) fn segment_of(name: &str) -> Option<u64> {
    let number = u64::from_str_radix(name.strip_suffix(".wal")?, 16).ok()?;
    // Only as this module writes it: no sign, no other length.
    (segment_name(number) == name).then_some(number)
}

impl<D: Disk> Files<D> {
    pub(super) fn new(disk: D, config: WalConfig) -> Self {
        assert!(config.segment_bytes >= WalConfig::MIN_SEGMENT_BYTES, "{config:?}");
        Self { disk, config, failed: false }
    }

    pub(super) fn check(&self) -> Result<(), WalError> {
        if self.failed { Err(WalError::Failed { directory: self.disk.location() }) } else { Ok(()) }
    }

    pub(super) fn io<T>(
        &self,
        file: &str,
        operation: &'static str,
        result: io::Result<T>,
    ) -> Result<T, WalError> {
        let context = |source| WalError::Io {
            directory: self.disk.location(),
            file: file.to_string(),
            operation,
            source,
        };
        result.map_err(context)
    }

    /// Makes the file of a segment; [`fill`](Self::fill) does the rest.
    pub(super) fn begin_fill(&self, segment: u64) -> Result<Next<D::File>, WalError> {
        let name = segment_name(segment);
        match self.disk.create(&name) {
            Ok(file) => Ok(Next { segment, file, filled: 0, ready: false }),
            Err(error) if is_full(&error) => Err(self.no_space(self.config.segment_bytes)),
            Err(error) => self.io(&name, "create", Err(error)),
        }
    }

    /// Takes over a file that was being filled, or had been, when the last process ended. Its zeros need not
    /// be on the disk: the next sync of the file sees to that.
    pub(super) fn resume_fill(&self, segment: u64, filled: u64) -> Result<Next<D::File>, WalError> {
        let name = segment_name(segment);
        let file = self.io(&name, "open", self.disk.open(&name))?;
        Ok(Next { segment, file, filled, ready: false })
    }

    /// Fills up to `budget` bytes more, and syncs them.
    pub(super) fn fill(&mut self, next: &mut Next<D::File>, budget: u64) -> Result<(), WalError> {
        let end = self.config.segment_bytes.min(next.filled.saturating_add(budget));
        let name = segment_name(next.segment);
        let mut written = next.filled;
        while written < end {
            let slice = &ZEROS[..usize::try_from(end - written).unwrap_or(FILL_SLICE).min(FILL_SLICE)];
            match next.file.write_at(slice, written) {
                Ok(()) => written += slice.len() as u64,
                Err(error) if is_full(&error) => {
                    return Err(self.no_space(self.config.segment_bytes - written));
                }
                Err(error) => return self.io(&name, "fill", Err(error)),
            }
        }
        self.sync(&next.file, &name)?;
        next.filled = end;
        if end == self.config.segment_bytes {
            self.sync_dir()?;
            next.ready = true;
        }
        Ok(())
    }

    /// Writes a segment's header. It becomes durable together with the segment's first write.
    pub(super) fn begin_segment(
        &mut self,
        next: Next<D::File>,
        first_write: u64,
        groups: &GroupStates,
    ) -> Result<Active<D::File>, WalError> {
        assert!(next.ready, "segment {} used before its name is durable", next.segment);
        let WalConfig { cluster, directory, segment_bytes } = self.config;
        let Next { segment, file, .. } = next;
        let groups = groups.clone();
        let header =
            SegmentHeader { cluster, directory, segment, first_write, filled_bytes: segment_bytes, groups }
                .encode();
        self.write(&file, &segment_name(segment), &header, 0)?;
        Ok(Active { segment, file, position: header.len() as u64, empty: true })
    }

    pub(super) fn write(
        &mut self,
        file: &D::File,
        name: &str,
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), WalError> {
        let result = file.write_at(bytes, offset);
        // A part may be there. The next start will find it torn; this one does not build on it.
        self.failed |= result.is_err();
        match result {
            Err(error) if is_full(&error) => Err(self.no_space(bytes.len() as u64)),
            result => self.io(name, "write", result),
        }
    }

    pub(super) fn sync(&mut self, file: &D::File, name: &str) -> Result<(), WalError> {
        let result = file.sync_data();
        self.sync_result(name, result)
    }

    pub(super) fn sync_dir(&mut self) -> Result<(), WalError> {
        let result = self.disk.sync_dir();
        self.sync_result(".", result)
    }

    pub(super) fn sync_result(&mut self, file: &str, result: io::Result<()>) -> Result<(), WalError> {
        self.failed |= result.is_err();
        let (directory, file) = (self.disk.location(), file.to_string());
        result.map_err(|source| WalError::Sync { directory, file, source })
    }

    pub(super) fn no_space(&self, needed_bytes: u64) -> WalError {
        // A message; not knowing the figure is no reason to lose it.
        let free_bytes = self.disk.free_bytes().unwrap_or(0);
        WalError::NoSpace { directory: self.disk.location(), needed_bytes, free_bytes }
    }

    /// Removes segments that hold nothing that counts. Whether that is durable does not matter: they would
    /// not count after the next start either.
    pub(super) fn remove(&mut self, segments: &[u64]) -> Result<(), WalError> {
        for segment in segments {
            let name = segment_name(*segment);
            self.io(&name, "remove", self.disk.remove(&name))?;
        }
        Ok(())
    }

    /// Gives back the zeros behind the last write of a segment that will not be written to any more.
    pub(super) fn trim(&mut self, (segment, end): (u64, u64)) -> Result<(), WalError> {
        let name = segment_name(segment);
        match self.disk.open(&name) {
            Ok(file) => self.io(&name, "shorten", file.truncate(end)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => self.io(&name, "open", Err(error)),
        }
    }
}
