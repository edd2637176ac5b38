//! The names of snapshot files, and which of them are there.

use std::io;

use bowline_raft::{GroupId, LogId};

use super::SnapshotError;
use crate::disk::Disk;

/// What a file is, by the end of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// Whole: it was synced before it got this name.
    Finished,
    /// Being written by this node.
    New,
    /// Being received from another one.
    Part,
}

impl FileKind {
    const ALL: [Self; 3] = [Self::Finished, Self::New, Self::Part];

    fn suffix(self) -> &'static str {
        match self {
            Self::Finished => ".snapshot",
            Self::New => ".snapshot.new",
            Self::Part => ".snapshot.part",
        }
    }
}

/// A file by what its name says.
pub(crate) type SnapshotFile = (FileKind, GroupId, LogId);

/// The name of a snapshot's file. Index before term, as a person reads it.
pub(super) fn file_name(kind: FileKind, group: GroupId, last: LogId) -> String {
    format!("{group}-{}-{}{}", last.index, last.term, kind.suffix())
}

fn parse(name: &str) -> Option<SnapshotFile> {
    let (kind, stem) =
        FileKind::ALL.into_iter().find_map(|kind| Some((kind, name.strip_suffix(kind.suffix())?)))?;
    let mut numbers = stem.split('-').map(|number| number.parse().ok());
    let (group, index, term) = (GroupId(numbers.next()??), numbers.next()??, numbers.next()??);
    let last = LogId::new(term, index);
    // Only as this module writes it.
    (file_name(kind, group, last) == name).then_some((kind, group, last))
}

/// All snapshot files, in the order of their names.
pub(super) fn list<D: Disk>(disk: &D) -> Result<Vec<SnapshotFile>, SnapshotError> {
    let mut names = At::directory(disk).io("list", disk.list())?;
    names.sort_unstable();
    Ok(names.iter().filter_map(|name| parse(name)).collect())
}

/// Removes the files of that kind of which `unwanted` says so.
pub(super) fn remove_all<D: Disk>(
    disk: &D,
    kind: FileKind,
    unwanted: impl Fn(GroupId, LogId) -> bool,
) -> Result<(), SnapshotError> {
    let files = list(disk)?.into_iter();
    files
        .filter(|(is, group, last)| *is == kind && unwanted(*group, *last))
        .try_for_each(|file| remove(disk, file))
}

/// Removes a file.
pub(crate) fn remove<D: Disk>(disk: &D, (kind, group, last): SnapshotFile) -> Result<(), SnapshotError> {
    let name = file_name(kind, group, last);
    At::file(disk, &name).io("remove", disk.remove(&name))
}

/// A file as messages name it.
#[derive(Clone, Debug)]
pub(super) struct At {
    pub(super) directory: String,
    pub(super) file: String,
}

impl At {
    pub(super) fn file<D: Disk>(disk: &D, name: &str) -> Self {
        Self { directory: disk.location(), file: name.to_string() }
    }

    pub(super) fn directory<D: Disk>(disk: &D) -> Self {
        Self::file(disk, ".")
    }

    pub(super) fn io<T>(&self, operation: &'static str, result: io::Result<T>) -> Result<T, SnapshotError> {
        let Self { directory, file } = self.clone();
        result.map_err(|source| SnapshotError::Io { directory, file, operation, source })
    }

    /// The result of an operation on a file that must be there.
    pub(super) fn found<T>(
        &self,
        operation: &'static str,
        result: io::Result<T>,
    ) -> Result<T, SnapshotError> {
        match result {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Self { directory, file } = self.clone();
                Err(SnapshotError::Missing { directory, file })
            }
            result => self.io(operation, result),
        }
    }

    pub(super) fn sync(&self, result: io::Result<()>) -> Result<(), SnapshotError> {
        let Self { directory, file } = self.clone();
        result.map_err(|source| SnapshotError::Sync { directory, file, source })
    }

    /// The result of a write, in which there may have been no room for `needed_bytes`.
    pub(super) fn write<D: Disk>(
        &self,
        disk: &D,
        needed_bytes: u64,
        result: io::Result<()>,
    ) -> Result<(), SnapshotError> {
        match result {
            Err(error) if crate::disk::is_full(&error) => {
                let Self { directory, file } = self.clone();
                // A message; not knowing the figure is no reason to lose it.
                let free_bytes = disk.free_bytes().unwrap_or(0);
                Err(SnapshotError::NoSpace { directory, file, needed_bytes, free_bytes })
            }
            result => self.io("write", result),
        }
    }

    pub(super) fn damaged(&self, offset: u64, what: String) -> SnapshotError {
        let Self { directory, file } = self.clone();
        SnapshotError::Damaged { directory, file, offset, what }
    }

    pub(super) fn foreign(&self, what: String) -> SnapshotError {
        let Self { directory, file } = self.clone();
        SnapshotError::Foreign { directory, file, what }
    }

    pub(super) fn newer(&self, format: u32) -> SnapshotError {
        let Self { directory, file } = self.clone();
        SnapshotError::Newer { directory, file, format, known: super::format::FORMAT }
    }

    pub(super) fn bad_bytes(&self, offset: u64, what: String) -> SnapshotError {
        let Self { directory, file } = self.clone();
        SnapshotError::BadBytes { directory, file, offset, what }
    }
}
