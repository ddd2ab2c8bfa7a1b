//! Checks an entry of an archive against the entries before it.

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use tar::EntryType;

use super::budget::ReadBudget;
use super::error::{ArchiveError, MAX_ENTRIES, MAX_LEVELS, MAX_NAME, MAX_PATH, MAX_PATHS};

/// The file, directory or link that a checked entry creates.
#[derive(Debug)]
pub(super) enum CheckedEntry {
    Directory,
    File { mode: u32 },
    Link { target: PathBuf },
    HardLink { earlier: PathBuf },
}

/// The files, directories and links that the entries so far create, by path.
#[derive(Debug, Default)]
pub(super) struct ArchivePlan {
    entries: HashMap<PathBuf, PlannedEntry>,
    path_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlannedEntry {
    Directory,
    /// A file of this many bytes.
    File(u64),
    Link,
}

impl ArchivePlan {
    /// Adds an entry. An error if the entry lies below a link or a file, replaces a directory, or
    /// is a directory that replaces a link or a file.
    fn add(&mut self, path: &Path, new: PlannedEntry) -> Result<(), ArchiveError> {
        let conflict = || ArchiveError::Conflict(path.display().to_string());
        let parents = path.ancestors().skip(1);
        for parent in parents.filter(|parent| !parent.as_os_str().is_empty()) {
            match self.entries.get(parent) {
                // The parents of this directory were added together with the directory.
                Some(PlannedEntry::Directory) => break,
                Some(_) => return Err(conflict()),
                None => {
                    self.insert(parent, PlannedEntry::Directory)?;
                }
            }
        }
        let old = self.insert(path, new)?;
        let is_directory = |entry| entry == PlannedEntry::Directory;
        match old {
            Some(old) if is_directory(old) != is_directory(new) => Err(conflict()),
            _ => Ok(()),
        }
    }

    fn insert(
        &mut self,
        path: &Path,
        new: PlannedEntry,
    ) -> Result<Option<PlannedEntry>, ArchiveError> {
        let old = self.entries.insert(path.to_owned(), new);
        if old.is_none() {
            self.path_bytes += path.as_os_str().len();
        }
        if self.entries.len() > MAX_ENTRIES || self.path_bytes > MAX_PATHS {
            return Err(ArchiveError::TooMany);
        }
        Ok(old)
    }

    /// Returns the size of an earlier file.
    fn file(&self, path: &Path) -> Option<u64> {
        match self.entries.get(path)? {
            PlannedEntry::File(size) => Some(*size),
            PlannedEntry::Directory | PlannedEntry::Link => None,
        }
    }
}

/// Checks one entry. `None` when it creates nothing.
pub(super) fn check<R: Read>(
    entry: &mut tar::Entry<'_, R>,
    plan: &mut ArchivePlan,
    budget: &ReadBudget,
    malformed: &dyn Fn(io::Error) -> ArchiveError,
) -> Result<Option<(PathBuf, CheckedEntry)>, ArchiveError> {
    let kind = entry.header().entry_type();
    if kind == EntryType::XGlobalHeader {
        return Ok(None);
    }
    let path = entry.path().map_err(malformed)?.into_owned();
    let shown = path.display().to_string();
    let escape = || ArchiveError::Escape(shown.clone());
    let path = stays_inside(&path).ok_or_else(escape)?;
    if is_too_long(&path) {
        return Err(ArchiveError::Path(shown.chars().take(MAX_NAME).collect()));
    }
    if path.as_os_str().is_empty() {
        // The directory that the archive is unpacked into.
        return match kind {
            EntryType::Directory => Ok(None),
            _ => Err(escape()),
        };
    }
    let (new, planned) = match kind {
        EntryType::Regular | EntryType::Continuous => {
            let mode = entry.header().mode().map_err(malformed)?;
            (
                CheckedEntry::File { mode },
                PlannedEntry::File(entry.size()),
            )
        }
        EntryType::Directory => (CheckedEntry::Directory, PlannedEntry::Directory),
        EntryType::Symlink => {
            let target = entry.link_name().map_err(malformed)?;
            let target = target.unwrap_or_default().into_owned();
            // The link may lead anywhere: no entry can lie below it, and in a sandbox it leads to
            // a file of the sandbox.
            if is_too_long(&target) {
                return Err(ArchiveError::Path(shown));
            }
            (CheckedEntry::Link { target }, PlannedEntry::Link)
        }
        EntryType::Link => {
            let earlier = entry.link_name().map_err(malformed)?;
            let earlier = stays_inside(&earlier.unwrap_or_default()).ok_or_else(escape)?;
            let size = plan.file(&earlier).filter(|_| earlier != path);
            let size = size.ok_or_else(|| ArchiveError::HardLink(shown.clone()))?;
            // A copy of the tree has the content a second time.
            budget
                .spend(size)
                .map_err(|error| malformed(io::Error::other(error)))?;
            (CheckedEntry::HardLink { earlier }, PlannedEntry::File(size))
        }
        _ => return Err(ArchiveError::Kind(shown)),
    };
    plan.add(&path, planned)?;
    Ok(Some((path, new)))
}

fn is_too_long(path: &Path) -> bool {
    let bytes = path.as_os_str().as_bytes();
    bytes.len() > MAX_PATH
        || bytes.contains(&0)
        || path.components().count() > MAX_LEVELS
        || path.iter().any(|name| name.len() > MAX_NAME)
}

/// Returns the path without `.` parts; `None` if it is absolute or has a `..` part.
fn stays_inside(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}
