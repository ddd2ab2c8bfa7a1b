//! A path inside a sandbox, held by its directory.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FileType, Mode, OFlags, fstat, mkdirat, openat};
use rustix::io::Errno;

use super::ownership::Owner;

/// A path inside a sandbox together with the directory that it was found in, held open.
///
/// The programs of a sandbox may replace directories by links at any time. So every use starts at
/// the open directory and follows no link from there.
#[derive(Debug, Clone)]
pub(crate) struct ConfinedPath {
    /// Absolute, as the sandbox sees it, without `.` and `..`.
    pub(crate) inside: PathBuf,
    pub(super) directory: Arc<OwnedFd>,
    /// The path below that directory: empty for the root itself, usually one name, more names where
    /// directories do not exist.
    pub(super) rest: Vec<OsString>,
}

/// Opens a directory to resolve names in, without the right to read it.
pub(super) const PATH_ONLY: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

impl ConfinedPath {
    /// A path for calls of this process that do not follow a link at its end. Valid while `self`
    /// exists.
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

    /// The metadata, of a link those of the link itself.
    pub(crate) fn metadata(&self) -> io::Result<Metadata> {
        fs::symlink_metadata(self.host_path()?)
    }

    /// Opens a file or a directory for reading; a named pipe does not block.
    pub(crate) fn open(&self) -> io::Result<File> {
        let name = match &*self.rest {
            [] => OsStr::new("."),
            [name] => name,
            _ => {
                return Err(self
                    .host_path()
                    .err()
                    .unwrap_or_else(|| Errno::NOENT.into()));
            }
        };
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        match openat(&*self.directory, name, flags, Mode::empty()) {
            Ok(file) => Ok(file.into()),
            // Links were followed before; this one was created since.
            Err(Errno::LOOP) => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it was replaced by a symbolic link",
            )),
            Err(error) => Err(error.into()),
        }
    }

    /// Creates a file that does not exist yet. Like everything created here, it gets the owner of
    /// its directory.
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
                // It was created meanwhile; a link is refused.
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

    /// Another name in the same directory.
    pub(crate) fn beside(&self, name: &str) -> io::Result<Self> {
        // An error where the directory does not exist.
        self.host_path()?;
        Ok(Self {
            inside: self.inside.with_file_name(name),
            directory: Arc::clone(&self.directory),
            rest: vec![name.into()],
        })
    }
}

/// Makes one directory, opens it and gives it to the owner of `parent`. By its descriptor: a
/// sandbox may put something else in its place at any time, but no directory that is not the
/// sandbox's.
fn make_one(parent: &OwnedFd, name: &OsStr) -> rustix::io::Result<OwnedFd> {
    mkdirat(parent, name, Mode::from_raw_mode(0o777))?;
    let made = openat(parent, name, PATH_ONLY | OFlags::DIRECTORY, Mode::empty())?;
    let given = Owner::of(parent).and_then(|owner| owner.give(&made));
    given.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(made)
}

/// The directory behind a descriptor. The dot keeps it from being taken for a link.
pub(super) fn in_proc(directory: &impl AsRawFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}/.", directory.as_raw_fd()))
}
