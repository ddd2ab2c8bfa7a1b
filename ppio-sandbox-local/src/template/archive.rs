//! Uploaded archives (tar.gz, or plain tar from clients told not to compress), which nobody has to trust.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::path::{Component, Path, PathBuf};

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

/// Of one archive, unpacked, in bytes.
const MAX_UNPACKED: u64 = 4 * 1024 * 1024 * 1024;
const MAX_ENTRIES: usize = 100_000;
/// Archives may unpack to this many times their size, and to [`FREE_SIZE`] in any case. Sources
/// and programs shrink to a tenth, not to a two-hundredth.
const MAX_RATIO: u64 = 200;
const FREE_SIZE: u64 = 64 * 1024 * 1024;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

#[derive(Debug, thiserror::Error)]
pub(crate) enum ArchiveError {
    #[error("the upload is not a tar archive, compressed with gzip or not: {0}")]
    Malformed(String),
    #[error("the archive unpacks to more than {0} bytes")]
    TooLarge(u64),
    #[error("the archive holds more than {MAX_ENTRIES} entries")]
    TooMany,
    #[error("the archive's entry {0:?} leads out of the directory it is unpacked in")]
    Escape(String),
    #[error("the archive's entry {0:?} is neither a file, a directory nor a symbolic link")]
    Kind(String),
    #[error("failed to unpack: {0}")]
    Io(#[from] io::Error),
}

/// Reads a whole archive without unpacking it. Blocks.
pub(crate) fn inspect(archive: &Path) -> Result<(), ArchiveError> {
    walk(archive, |_, _| Ok(()))
}

/// Unpacks into `target`, a directory that nothing else writes to. Blocks.
pub(crate) fn unpack(archive: &Path, target: &Path) -> Result<(), ArchiveError> {
    // Links come last: until then there is none that a file could be written through.
    let mut links: Vec<(PathBuf, PathBuf)> = Vec::new();
    walk(archive, |path, entry| {
        let place = target.join(path);
        match entry.header().entry_type() {
            EntryType::Directory => fs::create_dir_all(&place)?,
            EntryType::Symlink => {
                let link = entry.link_name()?.unwrap_or_default().into_owned();
                links.push((place, link));
            }
            _ => {
                if let Some(parent) = place.parent() {
                    fs::create_dir_all(parent)?;
                }
                entry.unpack(&place)?;
            }
        }
        Ok(())
    })?;
    for (place, link) in links {
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        std::os::unix::fs::symlink(link, place)?;
    }
    Ok(())
}

type Entry<'a> = tar::Entry<'a, Counted<Box<dyn Read>>>;

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

fn walk(
    archive: &Path,
    mut visit: impl FnMut(&Path, &mut Entry<'_>) -> io::Result<()>,
) -> Result<(), ArchiveError> {
    let packed = fs::metadata(archive)?.len();
    let limit = MAX_UNPACKED.min((packed * MAX_RATIO).max(FREE_SIZE));
    let malformed = |error: io::Error| match error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Bomb>())
    {
        Some(Bomb) => ArchiveError::TooLarge(limit),
        None => ArchiveError::Malformed(error.to_string()),
    };
    let mut archive = Archive::new(Counted {
        inner: open(archive)?,
        left: limit,
    });
    for (index, entry) in archive.entries().map_err(malformed)?.enumerate() {
        if index >= MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let mut entry = entry.map_err(malformed)?;
        let path = entry.path().map_err(malformed)?.into_owned();
        let shown = path.display().to_string();
        let clean = stays_inside(&path).ok_or_else(|| ArchiveError::Escape(shown.clone()))?;
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Continuous | EntryType::Directory => {}
            EntryType::Symlink => {
                let link = entry
                    .link_name()
                    .map_err(malformed)?
                    .unwrap_or_default()
                    .into_owned();
                if !link_stays_inside(&clean, &link) {
                    return Err(ArchiveError::Escape(shown));
                }
            }
            EntryType::XGlobalHeader => continue,
            _ => return Err(ArchiveError::Kind(shown)),
        }
        visit(&clean, &mut entry).map_err(malformed)?;
    }
    Ok(())
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

fn link_stays_inside(place: &Path, link: &Path) -> bool {
    let mut depth = place.components().count().saturating_sub(1);
    for part in link.components() {
        match part {
            Component::Normal(_) => depth += 1,
            Component::CurDir => {}
            Component::ParentDir if depth > 0 => depth -= 1,
            _ => return false,
        }
    }
    true
}

/// Marks the error of a reader that was made to produce too much.
#[derive(Debug, thiserror::Error)]
#[error("the archive unpacks to too much")]
struct Bomb;

struct Counted<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(count as u64)
            .ok_or_else(|| io::Error::other(Bomb))?;
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
        // Written by hand: the library refuses to make the paths that are tested here.
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(data.len() as u64);
        header.set_cksum();
        builder.append(&header, data).unwrap();
    }

    #[test]
    fn good_archives_unpack() {
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
        ] {
            let file = archive(|builder| entry(builder, path, kind, link, b""));
            assert!(
                matches!(inspect(file.path()), Err(ArchiveError::Escape(_))),
                "{path} {link}"
            );
            let target = tempfile::tempdir().unwrap();
            assert!(unpack(file.path(), target.path()).is_err(), "{path} {link}");
        }
        let file = archive(|builder| entry(builder, "hard", EntryType::Link, "/etc/passwd", b""));
        assert!(matches!(inspect(file.path()), Err(ArchiveError::Kind(_))));
    }

    #[test]
    fn bombs_are_refused() {
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
