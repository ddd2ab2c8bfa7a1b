//! Reads the files of a project, and no file outside its folder.
//!
//! Each folder is opened relative to the one above it and without following links, so that a link
//! which replaces a folder or file during the packing is refused.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, openat, statat};
use rustix::io::Errno;

use crate::error::CliError;

/// An open project folder. Paths are relative to it.
#[derive(Debug)]
pub(super) struct ProjectFiles {
    root: OwnedFd,
    /// Absolute and without links.
    path: PathBuf,
}

/// The kind of a path.
#[derive(Debug)]
pub(super) enum FileEntry {
    File(ProjectFileInfo),
    Folder,
    Link(ResolvedLink),
    /// A socket, a pipe, a device.
    Special,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct ProjectFileInfo {
    pub(super) size: u64,
    pub(super) executable: bool,
}

/// The resolved target of a path.
#[derive(Debug)]
pub(super) enum ResolvedLink {
    /// A path of the project, without links.
    Inside(PathBuf),
    Outside(PathBuf),
    /// The target does not exist, or the links form a loop.
    Missing,
}

impl ProjectFiles {
    pub(super) fn open(project: &Path) -> io::Result<Self> {
        let path = project.canonicalize()?;
        let root = File::open(&path)?.into();
        Ok(Self { root, path })
    }

    /// Returns the kind of a path, whose folders must not be links.
    pub(super) fn entry(&self, path: &Path) -> io::Result<FileEntry> {
        let (folder, name) = self.folder_of(path)?;
        let stat = match name {
            Some(name) => statat(&folder, name, AtFlags::SYMLINK_NOFOLLOW)?,
            None => rustix::fs::fstat(&folder)?,
        };
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => FileEntry::File(ProjectFileInfo::of(&stat)),
            FileType::Directory => FileEntry::Folder,
            FileType::Symlink => FileEntry::Link(self.target(path)?),
            _ => FileEntry::Special,
        })
    }

    /// Resolves the links of a path and of its folders. A path without links is its own target.
    pub(super) fn target(&self, path: &Path) -> io::Result<ResolvedLink> {
        let target = match fs::canonicalize(self.path.join(path)) {
            Ok(target) => target,
            Err(error) => {
                return match error.raw_os_error().map(Errno::from_raw_os_error) {
                    Some(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(ResolvedLink::Missing),
                    _ => Err(error),
                };
            }
        };
        Ok(match target.strip_prefix(&self.path) {
            Ok(inside) => ResolvedLink::Inside(inside.to_owned()),
            Err(_) => ResolvedLink::Outside(target),
        })
    }

    /// Returns the first link among a path and its folders, with its unresolved target.
    pub(super) fn first_link(&self, path: &Path) -> Option<(PathBuf, PathBuf)> {
        let mut parts: Vec<_> = path.ancestors().collect();
        parts.reverse();
        parts.into_iter().find_map(|part| {
            let target = fs::read_link(self.path.join(part)).ok()?;
            Some((part.to_owned(), target))
        })
    }

    /// Returns the names in a folder, sorted.
    pub(super) fn names(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        use std::ffi::OsStr;
        use std::os::unix::ffi::OsStrExt as _;

        let mut names = Vec::new();
        for entry in Dir::read_from(self.folder(folder)?)? {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if !matches!(name, b"." | b"..") {
                names.push(PathBuf::from(OsStr::from_bytes(name)));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a regular file for reading.
    ///
    /// # Errors
    /// If the path or one of its folders is a link, or the path is not a regular file or cannot be
    /// opened.
    pub(super) fn open_file(&self, path: &Path) -> io::Result<File> {
        let (folder, name) = self.folder_of(path)?;
        let name = name.ok_or(Errno::ISDIR)?;
        // Opening a pipe without a writer would block.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&folder, name, flags, Mode::empty()).map_err(changed)?;
        let mode = rustix::fs::fstat(&file)?.st_mode;
        if FileType::from_raw_mode(mode) != FileType::RegularFile {
            return Err(io::Error::other("the path is no longer a regular file"));
        }
        Ok(file.into())
    }

    /// Opens the folder of a path. Also returns the last name, `None` for the project itself.
    fn folder_of<'a>(&self, path: &'a Path) -> io::Result<(OwnedFd, Option<&'a Path>)> {
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) => Ok((self.folder(folder)?, Some(Path::new(name)))),
            _ => Ok((self.folder(path)?, None)),
        }
    }

    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut folder = self.root.try_clone()?;
        for part in path.components() {
            let Component::Normal(name) = part else {
                return Err(Errno::INVAL.into());
            };
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            folder = openat(&folder, name, flags, Mode::empty()).map_err(changed)?;
        }
        Ok(folder)
    }
}

/// Returns the error for a path that cannot be read.
pub(super) fn unreadable(path: &Path, error: io::Error) -> CliError {
    CliError::system(format!("cannot read {}", path.display()), error)
}

impl ProjectFileInfo {
    fn of(stat: &Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            executable: stat.st_mode & 0o111 != 0,
        }
    }
}

/// Converts an error of `openat`. Links were resolved before, so a link here was created since.
fn changed(error: Errno) -> io::Error {
    match error {
        Errno::LOOP => io::Error::other("the path was replaced by a link"),
        error => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn folders_of_a_path_must_not_be_links() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("a"), "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        symlink(outside.path(), folder.path().join("data")).unwrap();
        symlink(outside.path().join("a"), folder.path().join("a")).unwrap();
        let files = ProjectFiles::open(folder.path()).unwrap();
        for path in ["data/a", "a"] {
            let error = files.open_file(Path::new(path)).unwrap_err();
            assert!(
                error.to_string().contains("link") || error.kind() == io::ErrorKind::NotADirectory,
                "{path}: {error}"
            );
        }
        assert!(files.open_file(Path::new("../a")).is_err());
    }

    /// A thread swaps a file and a link to a secret again and again; the secret is never read.
    #[test]
    fn a_link_that_replaces_a_file_is_not_followed() {
        let outside = tempfile::tempdir().unwrap();
        let secret = outside.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "plain").unwrap();
        let files = ProjectFiles::open(folder.path()).unwrap();
        let done = AtomicBool::new(false);
        let deadline = Instant::now() + Duration::from_secs(20);
        let (mut read, mut refused) = (0, 0);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // If an assertion below fails, the loop ends by the deadline.
                while !done.load(Ordering::Relaxed) && Instant::now() < deadline {
                    symlink(&secret, &other).unwrap();
                    fs::rename(&other, &path).unwrap();
                    fs::write(&other, "plain").unwrap();
                    fs::rename(&other, &path).unwrap();
                }
            });
            while (read < 200 || refused < 200) && Instant::now() < deadline {
                match files.open_file(Path::new("a")) {
                    Ok(mut file) => {
                        let mut text = String::new();
                        file.read_to_string(&mut text).unwrap();
                        assert_ne!(text, "secret");
                        read += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
            done.store(true, Ordering::Relaxed);
        });
        assert!(read >= 200 && refused >= 200, "{read} {refused}");
    }
}
