//! Which files of this machine a user without rights can reach.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

/// Whether users without rights can go to `path`.
pub(crate) fn every_user_passes(path: &Path) -> bool {
    let passes = |place: &Path| {
        std::fs::metadata(place).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    };
    // A file that is only read need not be a program.
    let on_the_way = |path: PathBuf| {
        let skipped = usize::from(path.is_file());
        path.ancestors().skip(skipped).all(passes)
    };
    path.canonicalize().is_ok_and(on_the_way)
}
