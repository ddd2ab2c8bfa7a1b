//! Where programs of a sandbox are looked for.

use std::path::{Path, PathBuf};

/// Where a sandbox finds its programs, unless its template or creator says otherwise.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The PATH of a sandbox: stand-ins first, then what was exposed to it, then the rest.
pub(super) fn search_path(stand_ins: &Path, exposed: &[PathBuf], rest: &str) -> String {
    let mut path = stand_ins.display().to_string();
    for programs in exposed.iter().map(|path| path.join("bin")) {
        if programs.is_dir() {
            path = format!("{path}:{}", programs.display());
        }
    }
    format!("{path}:{rest}")
}
