//! A directory of a sandbox, held open.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::confined_path::{ConfinedPath, in_proc};

/// A directory of a sandbox that is open for reading.
#[derive(Debug, Clone)]
pub(crate) struct OpenDirectory {
    inside: PathBuf,
    file: Arc<OwnedFd>,
}

impl OpenDirectory {
    /// Opens the directory at `path` for reading.
    ///
    /// # Errors
    ///
    /// `NotADirectory` if a file is at `path`, `InvalidInput` if a link, a named pipe, a device or
    /// a socket is.
    pub(crate) fn open(path: &ConfinedPath) -> io::Result<Self> {
        let file = path.open()?;
        if !file.metadata()?.is_dir() {
            return Err(Errno::NOTDIR.into());
        }
        Ok(Self {
            inside: path.inside.clone(),
            file: Arc::new(file.into()),
        })
    }

    /// Opens a directory of this machine, which is `/` for the paths below it.
    pub(crate) fn on_host(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty())?;
        Ok(Self {
            inside: PathBuf::from("/"),
            file: Arc::new(file),
        })
    }

    /// Returns the path of the directory in the sandbox.
    pub(crate) fn inside(&self) -> &Path {
        &self.inside
    }

    /// Returns the path of an entry of the directory, which need not exist.
    pub(crate) fn child(&self, name: &OsStr) -> ConfinedPath {
        ConfinedPath {
            inside: self.inside.join(name),
            directory: Arc::clone(&self.file),
            rest: vec![name.to_owned()],
        }
    }

    /// Returns a path for this process, valid while `self` exists.
    pub(crate) fn host_path(&self) -> PathBuf {
        in_proc(&*self.file)
    }

    /// Returns the entries of the directory, sorted by name.
    pub(crate) fn entries(&self) -> io::Result<Vec<ConfinedPath>> {
        let mut names = fs::read_dir(self.host_path())?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names.iter().map(|name| self.child(name)).collect())
    }
}

impl ConfinedPath {
    /// Finds a file or directory of this machine. Links in `path` are followed; `inside` is `/`
    /// with the last name of `path`.
    pub(crate) fn on_host(path: &Path) -> io::Result<Self> {
        let real = path.canonicalize()?;
        let names = real.parent().zip(real.file_name()).zip(path.file_name());
        let Some(((parent, real_name), name)) = names else {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} has no name", path.display()),
            ));
        };
        let found = OpenDirectory::on_host(parent)?.child(real_name);
        Ok(Self {
            inside: Path::new("/").join(name),
            ..found
        })
    }
}
