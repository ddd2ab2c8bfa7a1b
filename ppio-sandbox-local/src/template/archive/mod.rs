//! Uploaded archives, tar.gz or plain tar, which may be malicious.
//!
//! An archive is unpacked from one open directory to the next. Each entry is checked against the
//! entries before it, by the same rules at the upload and when the archive is unpacked.

mod budget;
mod check;
mod error;
mod unpack;

use std::fs::{self, File};
use std::io::{self, Read, Seek as _};
use std::path::Path;
use std::rc::Rc;

use flate2::read::GzDecoder;
use tar::Archive;

use self::budget::{BudgetExceeded, CountedReader, ReadBudget};
use self::check::{ArchivePlan, CheckedEntry, check};
use self::error::{FREE_SIZE, MAX_ENTRIES, MAX_HEADER, MAX_RATIO, MAX_UNPACKED};
use self::unpack::UnpackTarget;

pub(crate) use self::error::ArchiveError;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads a whole archive without unpacking it. Blocks.
pub(crate) fn inspect(archive: &Path) -> Result<(), ArchiveError> {
    walk(archive, |_, _, _| Ok(()))
}

/// Unpacks into `target`, an empty directory. Blocks.
pub(crate) fn unpack(archive: &Path, target: &Path) -> Result<(), ArchiveError> {
    let mut tree = UnpackTarget::open(target)?;
    walk(archive, |path, kind, content| tree.add(path, kind, content))
}

/// Returns the maximum number of bytes that `packed` compressed bytes may unpack to.
pub(crate) fn unpacked_limit(packed: u64) -> u64 {
    MAX_UNPACKED.min(packed.saturating_mul(MAX_RATIO).max(FREE_SIZE))
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
    let budget = Rc::new(ReadBudget::new(limit, MAX_HEADER));
    let malformed = |error: io::Error| match budget.exceeded() {
        Some(BudgetExceeded::Total) => ArchiveError::TooLarge(limit),
        Some(BudgetExceeded::Header) => ArchiveError::Header,
        None => ArchiveError::Malformed(error.to_string()),
    };
    let mut archive = Archive::new(CountedReader::new(open(archive)?, Rc::clone(&budget)));
    let mut plan = ArchivePlan::default();
    let mut entries = archive.entries().map_err(malformed)?;
    for index in 0.. {
        budget.set_header(MAX_HEADER);
        let Some(entry) = entries.next() else {
            break;
        };
        if index >= MAX_ENTRIES {
            return Err(ArchiveError::TooMany);
        }
        let mut entry = entry.map_err(malformed)?;
        budget.set_header(u64::MAX);
        if let Some((path, new)) = check(&mut entry, &mut plan, &budget, &malformed)? {
            visit(&path, &new, &mut entry).map_err(|error| match budget.exceeded() {
                None => ArchiveError::Io(error),
                Some(_) => malformed(error),
            })?;
        }
        // The rest of the content does not count as the header of the next entry.
        io::copy(&mut entry, &mut io::sink()).map_err(malformed)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
