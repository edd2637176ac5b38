//! The directory of a `dev` cluster: made once, for one number of nodes, used by one `dev` at a time.
//!
//! A node starts on an empty directory only at the first boot of its cluster. So `dev` must know whether it
//! has made the directory itself in this run, and what it finds must be whole: it is never filled up.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// The file that holds the number of nodes, and that is locked while a `dev` runs.
const SIZE_FILE: &str = "nodes";

/// A directory, locked.
pub(super) struct Directory {
    path: PathBuf,
    is_new: bool,
    /// Held for its lock.
    _size_file: File,
}

impl Directory {
    /// The directory that an earlier run has made; `None` if there is nothing at `path`.
    ///
    /// # Errors
    /// What is there was not made by `dev`, is of another size, or is in use.
    pub(super) fn open(path: &Path, nodes: u16) -> anyhow::Result<Option<Self>> {
        if !path.try_exists().with_context(|| format!("directory {}", path.display()))? {
            return Ok(None);
        }
        let name = path.display();
        let mut file = match OpenOptions::new().read(true).write(true).open(path.join(SIZE_FILE)) {
            Ok(file) => file,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                bail!(
                    "{name} is there, but was not made by `bowline dev`: choose another with --dir, or remove it \
                 and let `dev` make it"
                )
            }
            Err(error) => {
                return Err(error).with_context(|| format!("file {}", path.join(SIZE_FILE).display()));
            }
        };
        lock(&file, path)?;
        let mut text = String::new();
        file.read_to_string(&mut text).with_context(|| format!("file {}", path.join(SIZE_FILE).display()))?;
        let Ok(size) = text.trim().parse::<u16>() else {
            bail!("{} does not hold a number of nodes: {text:?}", path.join(SIZE_FILE).display());
        };
        if size != nodes {
            bail!(
                "{name} holds a cluster of {size} nodes, and {nodes} are asked for. The number cannot change: start \
                 it with --nodes {size}, or make another cluster with --dir"
            );
        }
        Ok(Some(Self { path: path.to_owned(), is_new: false, _size_file: file }))
    }

    /// Makes the directory, and one for each node in it.
    pub(super) fn create(path: &Path, nodes: u16) -> anyhow::Result<Self> {
        let make = || -> anyhow::Result<File> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::create_dir(path)?;
            let mut file =
                OpenOptions::new().read(true).write(true).create_new(true).open(path.join(SIZE_FILE))?;
            lock(&file, path)?;
            writeln!(file, "{nodes}")?;
            file.sync_all()?;
            for id in 1..=nodes {
                fs::create_dir(path.join(id.to_string()))?;
            }
            Ok(file)
        };
        let file = make().with_context(|| format!("directory {} cannot be made", path.display()))?;
        Ok(Self { path: path.to_owned(), is_new: true, _size_file: file })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where node `id` has its data and its log.
    pub(super) fn of_node(&self, id: u64) -> PathBuf {
        self.path.join(id.to_string())
    }

    /// Whether this run has made it.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }
}

fn lock(file: &File, path: &Path) -> anyhow::Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => {
            bail!(
                "{} is in use by another `bowline dev`: stop that one first, or choose another --dir",
                path.display()
            )
        }
        Err(TryLockError::Error(error)) => Err(error).with_context(|| format!("lock on {}", path.display())),
    }
}
