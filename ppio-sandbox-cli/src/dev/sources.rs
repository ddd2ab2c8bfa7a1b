//! Decides which changed files affect a build.

use std::path::Path;

use super::{dot_env, python};

/// Whether only an author writes the file: not an agent, and not cargo, which writes Cargo.lock.
pub(super) fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    matches!(extension, Some("rs"))
        || python::is_source(path)
        || is_one_of(
            path,
            &["Cargo.toml", "agent.yaml", "agent.yml", dot_env::FILE_NAME],
        )
}

/// Whether the file decides which packages a build reads.
pub(super) fn is_cargo_manifest(path: &Path) -> bool {
    is_one_of(path, &["Cargo.toml", "Cargo.lock"])
}

fn is_one_of(path: &Path, names: &[&str]) -> bool {
    path.file_name()
        .and_then(|name| name.to_str())
        .is_some_and(|name| names.contains(&name))
}
