//! The owners of files that the platform creates in a sandbox.
//!
//! A platform that runs as root gives each sandbox a user of its own, and the sandbox's root
//! directory belongs to that user. A file that the platform creates below that directory gets the
//! owner of the directory that it is created in, so the sandbox can use it. A platform that does
//! not run as root owns all files itself.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Gid, Uid, chownat, fstat};

/// The user and group of files. `None` stands for the platform's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(Option<(u32, u32)>);

impl Owner {
    /// The platform's own user.
    pub(crate) const PLATFORM: Self = Self(None);

    /// Creates the owner with this user id and a group id of the same number.
    pub(crate) fn new(id: u32) -> Self {
        Self(Some((id, id)))
    }

    /// Returns the owner of an open directory.
    pub(crate) fn of(directory: impl AsFd) -> io::Result<Self> {
        if !can_give() {
            return Ok(Self::PLATFORM);
        }
        let found = fstat(directory)?;
        Ok(Self::unless_root(found.st_uid, found.st_gid))
    }

    /// Returns the owner of a directory; a link to one is followed.
    pub(crate) fn of_path(directory: &Path) -> io::Result<Self> {
        if !can_give() {
            return Ok(Self::PLATFORM);
        }
        let found = fs::metadata(directory)?;
        Ok(Self::unless_root(found.uid(), found.gid()))
    }

    fn unless_root(uid: u32, gid: u32) -> Self {
        Self((uid != 0).then_some((uid, gid)))
    }

    /// Gives an open file to this owner. The file may also be a pipe, or a directory opened with
    /// `O_PATH`.
    pub(crate) fn give(self, file: impl AsFd) -> io::Result<()> {
        let Some((uid, gid)) = self.ids() else {
            return Ok(());
        };
        chownat(file, "", uid, gid, AtFlags::EMPTY_PATH).map_err(io::Error::from)
    }

    /// Gives the file at `path` to this owner; for a link, the link itself. Only for paths in
    /// directories that nothing else writes to.
    pub(crate) fn give_path(self, path: &Path) -> io::Result<()> {
        let Some((uid, gid)) = self.ids() else {
            return Ok(());
        };
        chownat(CWD, path, uid, gid, AtFlags::SYMLINK_NOFOLLOW).map_err(io::Error::from)
    }

    /// Returns the user's id. `None` for the platform's user.
    pub(crate) fn id(self) -> Option<u32> {
        self.0.map(|(uid, _)| uid)
    }

    fn ids(self) -> Option<(Option<Uid>, Option<Gid>)> {
        self.0
            .map(|(uid, gid)| (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid))))
    }
}

/// Whether this process may change the owners of files, which only root may.
fn can_give() -> bool {
    rustix::process::geteuid().is_root()
}
