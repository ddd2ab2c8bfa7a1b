//! A path inside a sandbox, relative to an open directory.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;

use super::ownership::Owner;

/// A path inside a sandbox together with the directory that it was found in, which is held open.
///
/// The programs of a sandbox may replace directories by links at any time. So every use starts at
/// the open directory and follows no link from there.
#[derive(Debug, Clone)]
pub(crate) struct ConfinedPath {
    /// The absolute path as the sandbox sees it, without `.` and `..`.
    pub(crate) inside: PathBuf,
    pub(super) directory: Arc<OwnedFd>,
    /// The path below the open directory: empty for the root itself, usually one name, more names
    /// if directories do not exist.
    pub(super) rest: Vec<OsString>,
}

/// The flags that open a file, or a directory to resolve names in, without the right to read it.
pub(super) const PATH_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl ConfinedPath {
    /// Returns a path for calls of this process that do not follow a link at its end. Valid while
    /// `self` exists.
    pub(crate) fn host_path(&self) -> io::Result<PathBuf> {
        let directory = in_proc(&*self.directory);
        match &*self.rest {
            [] => Ok(directory),
            [name] => Ok(directory.join(name)),
            _ => {
                let found = fstat(&*self.directory)?;
                Err(match FileType::from_raw_mode(found.st_mode) {
                    FileType::Directory => Errno::NOENT.into(),
                    _ => Errno::NOTDIR.into(),
                })
            }
        }
    }

    /// Returns the metadata; for a link, that of the link itself.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        fs::symlink_metadata(self.host_path()?)
    }

    /// Opens a file or a directory for reading.
    pub(crate) fn open(&self) -> io::Result<File> {
        let found = openat(
            &*self.directory,
            self.last_name()?,
            PATH_ONLY,
            Mode::empty(),
        )?;
        reopen(
            &found,
            OFlags::RDONLY,
            &[FileType::RegularFile, FileType::Directory],
        )
    }

    /// Opens a file for writing and empties it, or creates it. Its other names and the programs
    /// that have it open see what is written. For a named pipe that no program reads, the error is
    /// `ENXIO`; writing to a full one does not block.
    pub(crate) fn overwrite(&self) -> io::Result<File> {
        let name = self.last_name()?;
        loop {
            match openat(&*self.directory, name, PATH_ONLY, Mode::empty()) {
                Ok(found) => {
                    let kinds = [FileType::RegularFile, FileType::Fifo];
                    return reopen(&found, OFlags::WRONLY | OFlags::TRUNC, &kinds);
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            match self.create() {
                // Another program created the file first.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                created => return created,
            }
        }
    }

    fn last_name(&self) -> io::Result<&OsStr> {
        match &*self.rest {
            [] => Ok(OsStr::new(".")),
            [name] => Ok(name),
            // A directory above the last name does not exist.
            _ => Err(self
                .host_path()
                .err()
                .unwrap_or_else(|| Errno::NOENT.into())),
        }
    }

    /// Creates a file that does not exist yet. The file gets the owner of its directory.
    pub(crate) fn create(&self) -> io::Result<File> {
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(self.host_path()?)?;
        Owner::of(&*self.directory)?.give(&file)?;
        Ok(file)
    }

    /// Creates the parent directories.
    pub(crate) fn make_parents(&mut self) -> io::Result<()> {
        while self.rest.len() > 1 {
            let name = &self.rest[0];
            let next = match make_one(&self.directory, name) {
                // Another program created the directory first; a link is refused.
                Err(Errno::EXIST) => openat(
                    &*self.directory,
                    name,
                    PATH_ONLY | OFlags::DIRECTORY,
                    Mode::empty(),
                )?,
                made => made?,
            };
            self.directory = Arc::new(next);
            self.rest.remove(0);
        }
        Ok(())
    }

    /// Creates the directory and its parents.
    pub(crate) fn make_directory(&mut self) -> io::Result<()> {
        self.make_parents()?;
        match &*self.rest {
            [name] => make_one(&self.directory, name).map(drop)?,
            // The root itself.
            _ => return Err(Errno::EXIST.into()),
        }
        Ok(())
    }

    /// Creates a symbolic link to `target`, which is not checked.
    pub(crate) fn make_link(&self, target: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, self.host_path()?)
    }
}

/// Opens the file of an `O_PATH` descriptor, if the file is of one of `kinds`. Opening a device
/// could change its state, and a terminal could become the controlling terminal of the platform.
fn reopen(found: &OwnedFd, flags: OFlags, kinds: &[FileType]) -> io::Result<File> {
    let kind = FileType::from_raw_mode(fstat(found)?.st_mode);
    if !kinds.contains(&kind) {
        let what = match kind {
            FileType::Directory => return Err(Errno::ISDIR.into()),
            // The links of the path were followed before; this link was created since.
            FileType::Symlink => "it was replaced by a symbolic link",
            FileType::Fifo => "it is a named pipe",
            _ => "it is a device or a socket",
        };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
    }
    let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let file = rustix::fs::open(path, flags, Mode::empty())?;
    Ok(file.into())
}

/// Creates one directory, opens it and, through its descriptor, gives it to the owner of `parent`.
/// A sandbox may replace the directory at any time, but only by a directory that the sandbox owns.
fn make_one(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    mkdirat(parent, name, Mode::from_raw_mode(0o777))?;
    let made = openat(parent, name, PATH_ONLY | OFlags::DIRECTORY, Mode::empty())?;
    let given = Owner::of(parent).and_then(|owner| owner.give(&made));
    given.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(made)
}

/// Returns the path of an open directory. With the final dot, the path names the directory, not the
/// link in `/proc`.
pub(super) fn in_proc(directory: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/.", directory.as_raw_fd()))
}
