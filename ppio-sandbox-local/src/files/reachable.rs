//! Whether a user without rights can reach a file of this machine.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Whether every user can enter the directories above `path`, and `path` itself if it is a
/// directory.
pub(crate) fn every_user_passes(path: &Path) -> bool {
    let passes = |place: &Path| {
        std::fs::metadata(place).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    };
    // A file need not be executable.
    let on_the_way = |path: PathBuf| {
        let skipped = usize::from(path.is_file());
        path.ancestors().skip(skipped).all(passes)
    };
    path.canonicalize().is_ok_and(on_the_way)
}
