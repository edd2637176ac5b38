//! A node's log: what it writes to its standard error, in a file that does not grow for ever.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// When a log has this size it becomes `log.1`, in the place of the one before, and a new one begins.
const LIMIT_BYTES: u64 = 8 << 20;

/// How much of the end of a log is looked at for its last lines.
const TAIL_BYTES: u64 = 16 << 10;

/// A log that is written to.
pub(super) struct Log {
    path: PathBuf,
    /// `None` after an error, until the next try.
    file: Option<File>,
    size_bytes: u64,
}

impl Log {
    /// Goes on at the end of what is there.
    pub(super) fn open(path: PathBuf) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        let size_bytes = file.metadata()?.len();
        Ok(Self { path, file: Some(file), size_bytes })
    }

    /// Takes everything that comes from `source`, to its end. What cannot be written is lost, and still taken:
    /// a server must not wait because the disk of its log is full.
    pub(super) fn take_all(mut self, mut source: impl Read) {
        let mut chunk = vec![0; 64 << 10];
        loop {
            match source.read(&mut chunk) {
                Ok(0) => return,
                Ok(length) => self.write(&chunk[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        if self.size_bytes >= LIMIT_BYTES {
            self.file = None;
            if fs::rename(&self.path, self.path.with_extension("1")).is_err() {
                return;
            }
        }
        if self.file.is_none() {
            let Ok(reopened) = Self::open(self.path.clone()) else { return };
            *self = reopened;
        }
        let Some(file) = &mut self.file else { return };
        match file.write_all(bytes) {
            Ok(()) => self.size_bytes += bytes.len() as u64,
            Err(_) => self.file = None,
        }
    }
}

/// The last lines of the log at `path`, at most `count`; none if it cannot be read.
pub(super) fn last_lines(path: &Path, count: usize) -> Vec<String> {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        // Beside the test's own program, which is below the target directory: a real disk.
        let program = std::env::current_exe().unwrap();
        tempfile::tempdir_in(program.parent().unwrap()).unwrap()
    }

    #[test]
    fn a_log_is_bounded_and_keeps_what_is_youngest() {
        let directory = directory();
        let path = directory.path().join("log");
        let line = [&[b'x'; 1023][..], b"\n"].concat();
        let lines = 3 * usize::try_from(LIMIT_BYTES).unwrap() / line.len();
        Log::open(path.clone()).unwrap().take_all(line.repeat(lines).as_slice());
        Log::open(path.clone()).unwrap().take_all(&b"the last\n"[..]);
        let sizes = ["log", "log.1"].map(|name| fs::metadata(directory.path().join(name)).unwrap().len());
        let most = LIMIT_BYTES + (64 << 10);
        assert!(sizes.iter().all(|size| *size <= most) && sizes[1] >= LIMIT_BYTES, "{sizes:?}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
        assert_eq!(last_lines(&path, 1), ["the last"]);
    }

    #[test]
    fn a_log_that_cannot_be_written_is_still_taken() {
        let directory = directory();
        let log = Log::open(directory.path().join("log")).unwrap();
        fs::remove_dir_all(directory.path()).unwrap();
        let mut source = io::repeat(b'x').take(2 * LIMIT_BYTES);
        log.take_all(&mut source);
        assert_eq!(source.limit(), 0);
    }

    #[test]
    fn the_last_lines_of_nothing_are_none() {
        assert!(last_lines(Path::new("/nowhere/log"), 5).is_empty());
    }
}
