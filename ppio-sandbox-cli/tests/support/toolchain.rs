//! The toolchain that builds these tests, for commands whose environment is otherwise empty.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What a command needs to find this toolchain and the registry, and nothing else.
///
/// Its folder comes first in `PATH`, before the stand-ins that rustup puts there. Those must never run with the home
/// of a test: they would fetch a toolchain into it, or, interrupted, leave the one of whoever runs the tests half
/// installed.
pub(crate) fn variables() -> [(&'static str, OsString); 5] {
    let cargo = Path::new(env!("CARGO"));
    let tools = cargo.parent().expect("cargo is in a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(tools).chain(std::env::split_paths(&path)));
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let or_at_home = |name: &str, folder: &str| {
        std::env::var_os(name).unwrap_or_else(|| home.join(folder).into())
    };
    [
        ("PATH", path.expect("no folder of PATH holds a colon")),
        ("CARGO", cargo.into()),
        ("CARGO_HOME", or_at_home("CARGO_HOME", ".cargo")),
        ("RUSTUP_HOME", or_at_home("RUSTUP_HOME", ".rustup")),
        // Where a stand-in runs all the same.
        ("RUSTUP_AUTO_INSTALL", "0".into()),
    ]
}
