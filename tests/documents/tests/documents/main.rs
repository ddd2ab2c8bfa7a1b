//! Compares the lists in the documents in `docs/` with the code.

mod agent_yaml;
mod configuration;
mod links;
mod python;

use std::path::{Path, PathBuf};

/// Returns a path in the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// Returns the contents of a file in the repository.
fn read(path: &str) -> String {
    let path = repository(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
