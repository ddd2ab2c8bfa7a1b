//! The size of directories.

use std::fs;
use std::path::Path;

/// Returns the sum of the lengths of all files below `root`, in bytes. A directory that cannot be
/// read counts as empty.
pub(crate) fn disk_usage(root: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(root) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => disk_usage(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
