//! The paths of the workspace root, the target directory and programs.

use std::env;
use std::path::{Path, PathBuf};

/// Returns the folder that contains the workspace's `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest)
}

/// Returns the target directory: `CARGO_TARGET_DIR`, or `target`.
pub(crate) fn target() -> PathBuf {
    // `join` returns an absolute directory unchanged.
    root().join(env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into()))
}

/// Returns the cargo that started xtask, so that a toolchain override stays in effect.
pub(crate) fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

/// Returns the path of an installed program.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // On Debian, servers are not in the PATH of ordinary users.
    env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
