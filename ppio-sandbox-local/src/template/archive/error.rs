//! The errors of archives that are refused, and the limits of archives.

use std::io;

/// The largest unpacked size of an archive, in bytes.
pub(super) const MAX_UNPACKED: u64 = 4 * 1024 * 1024 * 1024;
/// The maximum number of entries in an archive, including the directories that occur only in a
/// path.
pub(super) const MAX_ENTRIES: usize = 100_000;
/// The largest total length of the paths of an archive, in bytes.
pub(super) const MAX_PATHS: usize = 64 * 1024 * 1024;
/// Archives and compressed files may unpack to this many times their size, and to [`FREE_SIZE`] in
/// any case, but to no more than [`MAX_UNPACKED`]. Sources and programs shrink to a tenth, not to a
/// two-hundredth.
pub(super) const MAX_RATIO: u64 = 200;
pub(super) const FREE_SIZE: u64 = 64 * 1024 * 1024;
/// The maximum number of bytes before the content of an entry. These bytes are read into memory.
pub(super) const MAX_HEADER: u64 = 1024 * 1024;
/// The longest path of an entry, in bytes.
pub(super) const MAX_PATH: usize = 4000;
/// The longest name in the path of an entry, in bytes.
pub(super) const MAX_NAME: usize = 255;
/// The maximum number of names in the path of an entry.
pub(super) const MAX_LEVELS: usize = 250;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the upload is not a tar archive, compressed with gzip or not: {0}")]
    Malformed(String),
    #[error("the archive unpacks to more than {0} bytes")]
    TooLarge(u64),
    #[error(
        "the archive holds more than {MAX_ENTRIES} entries, or paths of more than {MAX_PATHS} bytes"
    )]
    TooMany,
    #[error("the header of an entry of the archive is larger than {MAX_HEADER} bytes")]
    Header,
    #[error("the archive's entry {0:?} leads out of the directory it is unpacked in")]
    Escape(String),
    #[error("the archive's entry {0:?} is neither a file, a directory nor a link")]
    Kind(String),
    #[error(
        "the archive's entry {0:?} is below or replaces an entry that is not a directory, or \
         replaces a directory"
    )]
    Conflict(String),
    #[error(
        "the archive's entry {0:?} is a hard link to something else than an earlier file of the \
         archive"
    )]
    HardLink(String),
    #[error("the archive's entry {0:?} has a path that is too long or too deep")]
    Path(String),
    #[error("failed to unpack the archive")]
    Io(#[from] io::Error),
}

impl ArchiveError {
    /// Whether the archive is the cause, as opposed to a failed system call of this machine.
    pub(crate) fn is_of_archive(&self) -> bool {
        !matches!(self, Self::Io(_))
    }

    /// Whether the archive is merely too large.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::TooMany)
    }
}
