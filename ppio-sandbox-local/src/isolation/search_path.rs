//! The `PATH` of a sandbox.

use std::path::{Path, PathBuf};

/// The `PATH` of a sandbox whose template and creator set none.
pub(crate) const DEFAULT_PATH: &str =
    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Returns the `PATH` of a sandbox: the shims, then the `bin` directories of the exposed paths,
/// then `rest`.
pub(super) fn search_path(shims: &Path, exposed: &[PathBuf], rest: &str) -> String {
    let mut path = shims.display().to_string();
    for programs in exposed.iter().map(|path| path.join("bin")) {
        if programs.is_dir() {
            path = format!("{path}:{}", programs.display());
        }
    }
    format!("{path}:{rest}")
}
