//! The floor that everything here stands on: one directory of a file system, as few calls as will do.
//!
//! The calls promise what POSIX does and no more, which is little:
//!
//! - [`DiskFile::write_at`] changes what later reads see. After a power loss any of its 512-byte sectors may
//!   be there or not, until [`DiskFile::sync_data`] has returned.
//! - A sector is written whole or not at all.
//! - A file that was created, renamed or removed may be found either way after a power loss, until
//!   [`Disk::sync_dir`] has returned. Syncing the file itself does not do it.
//! - A sync that failed says nothing about what is on the disk, and the next one may succeed without
//!   having written it. So a failed sync is final.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// One directory, flat: names hold no separator.
pub trait Disk {
    /// An open file of this disk.
    type File: DiskFile;

    /// The directory as messages name it.
    fn location(&self) -> String;

    /// The names of all files, in any order.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Makes a new, empty file. `AlreadyExists` when there is one of that name.
    fn create(&self, name: &str) -> io::Result<Self::File>;

    /// Opens a file to read and write. `NotFound` when there is none of that name.
    fn open(&self, name: &str) -> io::Result<Self::File>;

    /// Gives a file another name, in the place of the file that had it, if any: after a crash one of
    /// the two is there, whole.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Takes a file out of the directory.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes durable which files there are, and their names.
    fn sync_dir(&self) -> io::Result<()>;

    /// How many bytes new files could still take.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// An open file.
pub trait DiskFile {
    /// The file's present length, in bytes.
    fn size_bytes(&self) -> io::Result<u64>;

    /// Fills `buffer` from `offset` on. `UnexpectedEof` when the file ends before.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()>;

    /// Writes all of `bytes` at `offset`, and makes the file longer where it must. `StorageFull` when there
    /// is no room; a part may have been written then.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file off at `size_bytes`.
    fn truncate(&self, size_bytes: u64) -> io::Result<()>;

    /// Makes durable what was written to the file, and the length needed to read it back.
    fn sync_data(&self) -> io::Result<()>;
}

/// Whether there was no room.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// A directory of a real file system. Clones are the same directory.
#[derive(Clone, Debug)]
pub struct RealDisk {
    path: PathBuf,
    directory: Arc<File>,
}

impl RealDisk {
    /// The directory at `path`, which must be there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let directory = File::open(path)?;
        if !directory.metadata()?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        Ok(Self { path: path.to_path_buf(), directory: Arc::new(directory) })
    }

    /// The directory at `path`, made if it is not there, together with those above it. What was made is
    /// durable on return.
    pub fn make(path: &Path) -> io::Result<Self> {
        let missing: Vec<&Path> = path
            .ancestors()
            .filter(|part| !part.as_os_str().is_empty())
            .take_while(|part| !part.exists())
            .collect();
        std::fs::create_dir_all(path)?;
        for made in missing {
            let above = made.parent().filter(|above| !above.as_os_str().is_empty());
            File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Self::open(path)
    }
}

impl Disk for RealDisk {
    type File = File;

    fn location(&self) -> String {
        self.path.display().to_string()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.path)? {
            // A name that is no UTF-8 is not one of ours.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn create(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).create_new(true).open(self.path.join(name))
    }

    fn open(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path.join(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.directory.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let figures = rustix::fs::fstatvfs(&*self.directory)?;
        // What an ordinary user may take, not the part reserved for root.
        Ok(figures.f_bavail.saturating_mul(figures.f_frsize))
    }
}

impl DiskFile for File {
    fn size_bytes(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn truncate(&self, size_bytes: u64) -> io::Result<()> {
        self.set_len(size_bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        File::sync_data(self)
    }
}
