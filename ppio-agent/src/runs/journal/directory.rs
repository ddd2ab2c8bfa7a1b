//! The directory of a journal: its lock, its key, and the names of its files.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::JournalError;
use crate::exchange::random;

const LOCK: &str = "lock";
const KEY: &str = "key";
const PROBE: &str = "probe";
const SUFFIX: &str = ".run";
/// The number of attempts to lock the directory; a process that is just ending may still hold the
/// lock.
const LOCK_ATTEMPTS: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(20);
/// The number of bytes that are written at start to check that the disk is not full.
const PROBE_SIZE: usize = 64 * 1024;
/// The upper limit of run numbers, so that an addition to a number does not overflow.
const MAX_NUMBER: u64 = 1 << 48;

/// A directory that no other process uses as a journal.
pub(super) struct JournalDirectory {
    path: PathBuf,
    /// The system releases the lock when the file is closed, even if the process is killed.
    _lock: File,
}

/// The name of a file of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    /// The number of the run.
    pub(super) number: u64,
    /// The position among the files of the run, from 0.
    pub(super) segment: u32,
}

/// A file of a run, and the number of the first item in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentFile {
    pub(super) segment: u32,
    pub(super) first: u64,
}

impl JournalDirectory {
    /// Creates the directory, if necessary, locks it, and checks that files can be written to it.
    pub(super) fn lock(path: &Path) -> Result<Self, JournalError> {
        create(path)?;
        let lock = open_lock(&path.join(LOCK))?;
        let directory = Self {
            path: path.to_owned(),
            _lock: lock,
        };
        directory.check_writable()?;
        Ok(directory)
    }

    /// Deletes a file of a run that is no longer kept.
    pub(super) fn delete(&self, name: FileName) {
        let path = self.path(name);
        if let Err(error) = fs::remove_file(&path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %path.display(), %error, "cannot delete a file of the journal");
        }
    }

    pub(super) fn path(&self, name: FileName) -> PathBuf {
        self.path
            .join(format!("{:016x}-{:08x}{SUFFIX}", name.number, name.segment))
    }

    /// Writes and removes a test file. Returns an error if this fails, for example on a full disk.
    fn check_writable(&self) -> io::Result<()> {
        let path = self.path.join(PROBE);
        let written =
            create_private_file(&path).and_then(|mut file| file.write_all(&vec![0; PROBE_SIZE]));
        let removed = fs::remove_file(&path);
        written.and(removed)
    }

    /// Returns the key of the hashes in the files. A key is created only if there is none or if it
    /// is damaged, so that hashes of earlier processes can be compared.
    pub(super) fn key(&self) -> io::Result<[u8; 16]> {
        let path = self.path.join(KEY);
        match fs::read(&path) {
            Ok(found) => {
                if let Ok(key) = found.as_slice().try_into() {
                    return Ok(key);
                }
                tracing::warn!(
                    path = %path.display(),
                    "the hash key of the journal is damaged and is replaced; callers without a \
                     session do not find their earlier runs, and requests that are sent again are \
                     refused or run again"
                );
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let key = random::secret().to_ne_bytes();
        // The key is written whole or not at all, even if the process is killed.
        let new = self.path.join(PROBE);
        create_private_file(&new)?.write_all(&key)?;
        fs::rename(&new, &path)?;
        Ok(key)
    }

    /// Returns the names of the files of runs, sorted by run and position. Unknown files are
    /// ignored, and a warning is logged.
    pub(super) fn files(&self) -> io::Result<Vec<FileName>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if [LOCK, KEY, PROBE].iter().any(|own| name == *own) {
                continue;
            }
            let file = name.to_str().and_then(FileName::parse);
            // Links are not followed, and a pipe would block.
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if let Some(file) = file.filter(|_| is_file) {
                files.push(file);
            } else {
                tracing::warn!(
                    ?name,
                    "ignoring a file in the journal that does not belong to a run"
                );
            }
        }
        files.sort_unstable();
        Ok(files)
    }
}

impl FileName {
    fn parse(name: &str) -> Option<Self> {
        let (number, segment) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let is_hex = |text: &str, length| {
            text.len() == length
                && text
                    .bytes()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        if !is_hex(number, 16) || !is_hex(segment, 8) {
            return None;
        }
        let number = u64::from_str_radix(number, 16).ok()?;
        let segment = u32::from_str_radix(segment, 16).ok()?;
        (number < MAX_NUMBER).then_some(Self { number, segment })
    }
}

/// Creates a file that only this user can read (on Unix), or empties an existing file.
fn create_private_file(path: &Path) -> io::Result<File> {
    options().create(true).truncate(true).open(path)
}

/// Returns options to write a file; if they create it, only this user can read it (on Unix).
pub(super) fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn create(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

fn open_lock(path: &Path) -> Result<File, JournalError> {
    for attempt in 1.. {
        if let Some(lock) = try_lock(path)? {
            return Ok(lock);
        }
        if attempt == LOCK_ATTEMPTS {
            break;
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Err(JournalError::InUse)
}

fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = options().create(true).truncate(false).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_a_number_and_a_segment() {
        let parse = FileName::parse;
        let name = "000000000000000a-00000001.run";
        let (number, segment) = (10, 1);
        assert_eq!(parse(name), Some(FileName { number, segment }));
        for bad in [
            "",
            ".run",
            "-.run",
            "000000000000000A-00000001.run",
            "00000000000000a-00000001.run",
            "+00000000000000a-00000001.run",
            "000000000000000a-00000001",
            "000000000000000a-00000001.run.run",
            "../00000000000a-00000001.run",
            "ffffffffffffffff-00000001.run",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
