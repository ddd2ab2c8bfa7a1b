//! Creates the entries of an archive relative to open directories, so that no link is followed.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use super::check::CheckedEntry;
use crate::files::{ConfinedPath, OpenDirectory};

/// The directory that an archive is unpacked into.
pub(super) struct UnpackTarget {
    root: OpenDirectory,
    /// The directory of the last entry, which is usually also the directory of the next entry.
    last: Option<(PathBuf, OpenDirectory)>,
}

impl UnpackTarget {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        Ok(Self {
            root: OpenDirectory::on_host(directory)?,
            last: None,
        })
    }

    /// Creates the directory, file or link of an entry.
    pub(super) fn add(
        &mut self,
        path: &Path,
        entry: &CheckedEntry,
        content: &mut dyn Read,
    ) -> io::Result<()> {
        if let CheckedEntry::Directory = entry {
            self.directory(path)?;
            return Ok(());
        }
        let new_path = self.entry_path(path)?;
        match fs::remove_file(new_path.host_path()?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match entry {
            CheckedEntry::Directory => {}
            CheckedEntry::File { mode } => {
                let mut file = new_path.create()?;
                io::copy(content, &mut file)?;
                // An archive must not create files with setuid, setgid or sticky bits.
                file.set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
            }
            CheckedEntry::Link { target } => new_path.make_link(target)?,
            CheckedEntry::HardLink { earlier } => {
                let earlier = self.entry_path(earlier)?;
                fs::hard_link(earlier.host_path()?, new_path.host_path()?)?;
            }
        }
        Ok(())
    }

    fn entry_path(&mut self, path: &Path) -> io::Result<ConfinedPath> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok(self.directory(parent)?.child(name))
    }

    /// Opens a directory and creates missing directories of its path. A link in the path is an
    /// error.
    fn directory(&mut self, path: &Path) -> io::Result<OpenDirectory> {
        if let Some((last, directory)) = &self.last
            && last == path
        {
            return Ok(directory.clone());
        }
        let mut directory = self.root.clone();
        for name in path {
            let mut next = directory.child(name);
            match next.make_directory() {
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                _ => {}
            }
            directory = OpenDirectory::open(&next)?;
        }
        self.last = Some((path.to_owned(), directory.clone()));
        Ok(directory)
    }
}
