//! Uploaded archives, tar.gz or plain tar, which may be malicious.
//!
//! An archive is unpacked from one open directory to the next. What an entry may be is checked
//! against the entries before it, the same way at the upload and when it is unpacked.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::files::{ConfinedPath, OpenDirectory};

/// Of one archive, unpacked, in bytes.
const MAX_UNPACKED: u64 = 4 * 1024 * 1024 * 1024;
/// Of one archive, directories that are only part of a path included.
const MAX_ENTRIES: usize = 100_000;
/// Of all paths of one archive together, in bytes.
const MAX_PATHS: usize = 64 * 1024 * 1024;
/// Archives and compressed files may unpack to this many times their size, and to [`FREE_SIZE`] in
/// any case. Sources and programs shrink to a tenth, not to a two-hundredth.
const MAX_RATIO: u64 = 200;
const FREE_SIZE: u64 = 64 * 1024 * 1024;
/// Of what precedes the content of one entry, in bytes: it is read into memory.
const MAX_HEADER: u64 = 1024 * 1024;
/// The longest path of an entry and the longest name in it, in bytes, and how deep it may lie.
const MAX_PATH: usize = 4000;
const MAX_NAME: usize = 255;
const MAX_LEVELS: usize = 250;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

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
        "the archive's entry {0:?} lies below, or takes the place of, another entry that is no directory, or of a directory"
    )]
    Conflict(String),
    #[error(
        "the archive's entry {0:?} is a hard link to something else than an earlier file of the archive"
    )]
    HardLink(String),
    #[error("the archive's entry {0:?} has a path that is too long or too deep")]
    Path(String),
    #[error("failed to unpack: {0}")]
    Io(#[from] io::Error),
}

impl ArchiveError {
    /// Whether the archive is malformed, rather than a call of this machine failed.
    pub(crate) fn is_of_archive(&self) -> bool {
        !matches!(self, Self::Io(_))
    }

    /// Whether the archive is merely too large.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(self, Self::TooLarge(_) | Self::TooMany)
    }
}

/// Reads a whole archive without unpacking it. Blocks.
pub(crate) fn inspect(archive: &Path) -> Result<(), ArchiveError> {
    walk(archive, |_, _, _| Ok(()))
}

/// Unpacks into `target`, an empty directory. Blocks.
pub(crate) fn unpack(archive: &Path, target: &Path) -> Result<(), ArchiveError> {
    let mut tree = UnpackTarget {
        root: OpenDirectory::on_host(target)?,
        last: None,
    };
    walk(archive, |path, kind, content| tree.add(path, kind, content))
}

/// How many bytes may become of `packed` compressed ones.
pub(crate) fn unpacked_limit(packed: u64) -> u64 {
    MAX_UNPACKED.min(packed.saturating_mul(MAX_RATIO).max(FREE_SIZE))
}

/// What a checked entry creates.
#[derive(Debug)]
enum CheckedEntry {
    Directory,
    File { mode: u32 },
    Link { target: PathBuf },
    HardLink { earlier: PathBuf },
}

/// The directory that an archive is unpacked into.
struct UnpackTarget {
    root: OpenDirectory,
    /// The directory of the last entry, which usually is that of the next.
    last: Option<(PathBuf, OpenDirectory)>,
}

impl UnpackTarget {
    fn add(&mut self, path: &Path, new: &CheckedEntry, content: &mut dyn Read) -> io::Result<()> {
        if let CheckedEntry::Directory = new {
            self.directory(path)?;
            return Ok(());
        }
        let place = self.entry_path(path)?;
        match fs::remove_file(place.host_path()?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        match new {
            CheckedEntry::Directory => {}
            CheckedEntry::File { mode } => {
                let mut file = place.create()?;
                io::copy(content, &mut file)?;
                // Without setuid and setgid.
                file.set_permissions(fs::Permissions::from_mode(mode & 0o777))?;
            }
            CheckedEntry::Link { target } => place.make_link(target)?,
            CheckedEntry::HardLink { earlier } => {
                let earlier = self.entry_path(earlier)?;
                fs::hard_link(earlier.host_path()?, place.host_path()?)?;
            }
        }
        Ok(())
    }

    fn entry_path(&mut self, path: &Path) -> io::Result<ConfinedPath> {
        let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().unwrap_or(Path::new(""));
        Ok(self.directory(parent)?.child(name))
    }

    /// Opens a directory and makes what is missing on the way; a link on the way is an error.
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

/// What the entries so far create, by path.
#[derive(Debug, Default)]
struct ArchivePlan {
    entries: HashMap<PathBuf, PlannedEntry>,
    path_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PlannedEntry {
    Directory,
    /// Of this many bytes.
    File(u64),
    Link,
}

impl ArchivePlan {
    /// Adds an entry, if it neither lies below a link or a file nor replaces a directory.
    fn add(&mut self, path: &Path, new: PlannedEntry) -> Result<(), ArchiveError> {
        let conflict = || ArchiveError::Conflict(path.display().to_string());
        let parents = path.ancestors().skip(1);
        for parent in parents.filter(|parent| !parent.as_os_str().is_empty()) {
            match self.entries.get(parent) {
                // With it its own parents were added.
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

    /// The size of an earlier file.
    fn file(&self, path: &Path) -> Option<u64> {
        match self.entries.get(path)? {
            PlannedEntry::File(size) => Some(*size),
            PlannedEntry::Directory | PlannedEntry::Link => None,
        }
    }
}

fn open(archive: &Path) -> io::Result<Box<dyn Read>> {
    let mut file = File::open(archive)?;
    let mut magic = [0; 2];
    let is_gzip = matches!(file.read(&mut magic)?, 2) && magic == GZIP_MAGIC;
    file.rewind()?;
    Ok(if is_gzip {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

/// Checks every entry and hands it to `visit`, with its content.
fn walk(
    archive: &Path,
    mut visit: impl FnMut(&Path, &CheckedEntry, &mut dyn Read) -> io::Result<()>,
) -> Result<(), ArchiveError> {
    let packed = fs::metadata(archive)?.len();
    let limit = unpacked_limit(packed);
    let budget = Rc::new(ReadBudget {
        total: Cell::new(limit),
        header: Cell::new(MAX_HEADER),
        exceeded: Cell::default(),
    });
    let malformed = |error: io::Error| match budget.exceeded.get() {
        Some(BudgetExceeded::Total) => ArchiveError::TooLarge(limit),
        Some(BudgetExceeded::Header) => ArchiveError::Header,
        None => ArchiveError::Malformed(error.to_string()),
    };
    let mut archive = Archive::new(CountedReader {
        inner: open(archive)?,
        budget: Rc::clone(&budget),
    });
    let mut plan = ArchivePlan::default();
    let mut entries = archive.entries().map_err(malformed)?;
    for index in 0.. {
        budget.header.set(MAX_HEADER);
        let Some(entry) = entries.next() else {
            break;
        };
        if index >= MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let mut entry = entry.map_err(malformed)?;
        budget.header.set(u64::MAX);
        if let Some((path, new)) = check(&mut entry, &mut plan, &budget, &malformed)? {
            visit(&path, &new, &mut entry).map_err(|error| match budget.exceeded.get() {
                None => ArchiveError::Io(error),
                Some(_) => malformed(error),
            })?;
        }
        // The rest of the content does not count as the header of the next entry.
        io::copy(&mut entry, &mut io::sink()).map_err(malformed)?;
    }
    Ok(())
}

/// Checks one entry. `None` when it creates nothing.
fn check<R: Read>(
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
            if !link_stays_inside(&path, &target) || is_too_long(&target) {
                return Err(escape());
            }
            (CheckedEntry::Link { target }, PlannedEntry::Link)
        }
        EntryType::Link => {
            let earlier = entry.link_name().map_err(malformed)?;
            let earlier = stays_inside(&earlier.unwrap_or_default()).ok_or_else(escape)?;
            let size = plan.file(&earlier).filter(|_| earlier != path);
            let size = size.ok_or_else(|| ArchiveError::HardLink(shown.clone()))?;
            // A copy of the tree holds the content once more.
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

/// The path without `.` parts; `None` when it is absolute or climbs.
fn stays_inside(path: &Path) -> Option<PathBuf> {
    path.components()
        .filter(|part| !matches!(part, Component::CurDir))
        .map(|part| match part {
            Component::Normal(name) => Some(name),
            _ => None,
        })
        .collect()
}

/// Whether a link at `place` stays in the archive. `..` is allowed only at its start: after a name,
/// which may be that of another link, it may lead anywhere.
fn link_stays_inside(place: &Path, link: &Path) -> bool {
    let mut depth = place.components().count().saturating_sub(1);
    let mut parts = link.components().peekable();
    while let Some(part) = parts.next_if(|part| !matches!(part, Component::Normal(_))) {
        match part {
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir))
}

/// What may still be read.
#[derive(Debug)]
struct ReadBudget {
    total: Cell<u64>,
    /// Until the content of the next entry.
    header: Cell<u64>,
    exceeded: Cell<Option<BudgetExceeded>>,
}

#[derive(Debug, Clone, Copy, thiserror::Error)]
enum BudgetExceeded {
    #[error("the archive unpacks to too much")]
    Total,
    #[error("the header of an entry is too large")]
    Header,
}

impl ReadBudget {
    fn spend(&self, count: u64) -> Result<(), BudgetExceeded> {
        for (left, exceeded) in [
            (&self.total, BudgetExceeded::Total),
            (&self.header, BudgetExceeded::Header),
        ] {
            let Some(rest) = left.get().checked_sub(count) else {
                self.exceeded.set(Some(exceeded));
                return Err(exceeded);
            };
            left.set(rest);
        }
        Ok(())
    }
}

struct CountedReader<R> {
    inner: R,
    budget: Rc<ReadBudget>,
}

impl<R: Read> Read for CountedReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.budget.spend(count as u64).map_err(io::Error::other)?;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn archive(fill: impl FnOnce(&mut tar::Builder<GzEncoder<File>>)) -> tempfile::NamedTempFile {
        let archive = tempfile::NamedTempFile::new().unwrap();
        let encoder = GzEncoder::new(archive.reopen().unwrap(), Compression::fast());
        let mut builder = tar::Builder::new(encoder);
        fill(&mut builder);
        builder.into_inner().unwrap().finish().unwrap();
        archive
    }

    fn entry(
        builder: &mut tar::Builder<GzEncoder<File>>,
        path: &str,
        kind: EntryType,
        link: &str,
        data: &[u8],
    ) {
        let mut header = tar::Header::new_gnu();
        // The library refuses to write such paths.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data).unwrap();
    }

    #[test]
    fn an_archive_is_unpacked() {
        let file = archive(|builder| {
            entry(builder, "./src/", EntryType::Directory, "", b"");
            entry(builder, "./src/main.py", EntryType::Regular, "", b"print()");
            entry(builder, "link", EntryType::Symlink, "src/main.py", b"");
        });
        inspect(file.path()).unwrap();
        let target = tempfile::tempdir().unwrap();
        unpack(file.path(), target.path()).unwrap();
        assert_eq!(fs::read(target.path().join("link")).unwrap(), b"print()");
    }

    #[test]
    fn archives_that_lead_out_are_refused() {
        for (path, kind, link) in [
            ("../evil", EntryType::Regular, ""),
            ("/etc/evil", EntryType::Regular, ""),
            ("a/../../evil", EntryType::Regular, ""),
            ("link", EntryType::Symlink, "/etc"),
            ("a/link", EntryType::Symlink, "../../etc"),
            ("a/link", EntryType::Symlink, "b/../../../etc"),
            ("a/link", EntryType::Symlink, "b/.."),
            (".", EntryType::Regular, ""),
            ("hard", EntryType::Link, "/etc/passwd"),
            ("hard", EntryType::Link, "../../etc/passwd"),
        ] {
            let file = archive(|builder| entry(builder, path, kind, link, b""));
            assert!(
                matches!(inspect(file.path()), Err(ArchiveError::Escape(_))),
                "{path} {link}"
            );
            let target = tempfile::tempdir().unwrap();
            assert!(unpack(file.path(), target.path()).is_err(), "{path} {link}");
        }
    }

    /// What is in the directory beside the one that an archive is unpacked into, and the outcome.
    fn unpack_beside_others(file: &Path) -> (Result<(), ArchiveError>, Vec<String>) {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::write(directory.path().join("secret"), "secret").unwrap();
        let outcome = unpack(file, &target);
        assert_eq!(
            fs::read(directory.path().join("secret")).unwrap(),
            b"secret"
        );
        let names = fs::read_dir(directory.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        (outcome, names.filter(|name| name != "target").collect())
    }

    #[test]
    fn an_entry_cannot_lie_below_a_link_or_a_file() {
        type Entries = &'static [(&'static str, EntryType, &'static str)];
        let tables: &[Entries] = &[
            // A link, and what is written through it.
            &[
                ("d", EntryType::Symlink, "."),
                ("d/x", EntryType::Regular, ""),
            ],
            &[
                ("a/b/d", EntryType::Symlink, "../.."),
                ("a/b/d/x", EntryType::Regular, ""),
            ],
            &[
                ("a/d", EntryType::Symlink, "../a"),
                ("a/d/e", EntryType::Symlink, "../.."),
                ("a/d/e/secret", EntryType::Regular, ""),
            ],
            &[
                ("d", EntryType::Symlink, "."),
                ("d/x/", EntryType::Directory, ""),
            ],
            &[
                ("d", EntryType::Symlink, "."),
                ("d/", EntryType::Directory, ""),
            ],
            // A directory that becomes a link.
            &[
                ("d/x", EntryType::Regular, ""),
                ("d", EntryType::Symlink, "."),
            ],
            &[
                ("d", EntryType::Regular, ""),
                ("d/x", EntryType::Regular, ""),
            ],
            // Hard links to what is no file, or not in the archive, or not yet.
            &[("l", EntryType::Symlink, "x"), ("h", EntryType::Link, "l")],
            &[
                ("d/", EntryType::Directory, ""),
                ("h", EntryType::Link, "d"),
            ],
            &[("h", EntryType::Link, "x"), ("x", EntryType::Regular, "")],
            &[("x", EntryType::Regular, ""), ("x", EntryType::Link, "x")],
            &[
                ("a/x", EntryType::Regular, ""),
                ("d", EntryType::Symlink, "a"),
                ("h", EntryType::Link, "d/x"),
            ],
        ];
        for entries in tables {
            let file = archive(|builder| {
                for (path, kind, link) in *entries {
                    entry(builder, path, *kind, link, b"");
                }
            });
            let inspected = inspect(file.path());
            let (unpacked, beside) = unpack_beside_others(file.path());
            for outcome in [inspected, unpacked] {
                let error = outcome.expect_err(&format!("{entries:?}"));
                let named = entries
                    .iter()
                    .any(|(path, ..)| error.to_string().contains(path.trim_end_matches('/')));
                assert!(named && error.is_of_archive(), "{entries:?}: {error}");
            }
            assert_eq!(beside, ["secret"], "{entries:?}");
        }
        for kind in [EntryType::Char, EntryType::Block, EntryType::Fifo] {
            let file = archive(|builder| entry(builder, "device", kind, "", b""));
            let error = inspect(file.path()).unwrap_err();
            assert!(
                matches!(&error, ArchiveError::Kind(name) if name == "device"),
                "{error}"
            );
        }
    }

    #[test]
    fn links_and_modes_are_kept_within_bounds() {
        let file = archive(|builder| {
            entry(
                builder,
                "node/bin/tool",
                EntryType::Symlink,
                "../tool.js",
                b"",
            );
            entry(builder, "node/tool.js", EntryType::Regular, "", b"old");
            entry(builder, "node/tool.js", EntryType::Regular, "", b"tool");
            entry(builder, "hard", EntryType::Link, "./node/tool.js", b"");
            let mut header = tar::Header::new_gnu();
            header.set_mode(0o6755);
            header.set_size(0);
            builder
                .append_data(&mut header, "setuid", &b""[..])
                .unwrap();
        });
        inspect(file.path()).unwrap();
        let target = tempfile::tempdir().unwrap();
        unpack(file.path(), target.path()).unwrap();
        for name in ["node/bin/tool", "hard"] {
            assert_eq!(
                fs::read(target.path().join(name)).unwrap(),
                b"tool",
                "{name}"
            );
        }
        let mode = fs::metadata(target.path().join("setuid"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o755);
    }

    #[test]
    fn hard_links_and_headers_count_towards_the_limits() {
        // Hard links: in a copy each is a file of its own.
        let file = archive(|builder| {
            entry(builder, "x", EntryType::Regular, "", &vec![0; 1024 * 1024]);
            for number in 0..80 {
                entry(builder, &format!("h{number}"), EntryType::Link, "x", b"");
            }
        });
        assert!(matches!(
            inspect(file.path()),
            Err(ArchiveError::TooLarge(_))
        ));
        // A name, which is read into memory.
        let name = vec![b'x'; 2 * 1024 * 1024];
        let file = archive(|builder| {
            entry(builder, "long", EntryType::GNULongName, "", &name);
            entry(builder, "x", EntryType::Regular, "", b"");
        });
        assert!(matches!(inspect(file.path()), Err(ArchiveError::Header)));
        for path in ["x".repeat(300), "x/".repeat(300), "x/".repeat(2500)] {
            let file = archive(|builder| {
                entry(builder, "long", EntryType::GNULongName, "", path.as_bytes());
                entry(builder, "x", EntryType::Regular, "", b"");
            });
            assert!(matches!(inspect(file.path()), Err(ArchiveError::Path(_))));
        }
    }

    #[test]
    fn archives_with_a_high_ratio_are_refused() {
        let zeros = vec![0; 1024 * 1024];
        let file = archive(|builder| {
            for _ in 0..80 {
                entry(builder, "zeros", EntryType::Regular, "", &zeros);
            }
        });
        assert!(matches!(
            inspect(file.path()),
            Err(ArchiveError::TooLarge(_))
        ));
    }

    #[test]
    fn other_files_are_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), "not an archive").unwrap();
        assert!(matches!(
            inspect(file.path()),
            Err(ArchiveError::Malformed(_))
        ));
    }
}
