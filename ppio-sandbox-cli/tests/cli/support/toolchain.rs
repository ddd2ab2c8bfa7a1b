//! The toolchain that builds these tests, for commands whose environment is otherwise empty.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Returns the variables with which a command finds this toolchain and the registry.
///
/// The toolchain's folder comes before rustup's proxies in `PATH`. With the home folder of a test,
/// the proxies would install a toolchain into it, or leave the user's toolchain half installed when
/// they are interrupted.
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
        // This setting takes effect if a proxy of rustup is run nevertheless.
        ("RUSTUP_AUTO_INSTALL", "0".into()),
    ]
}
