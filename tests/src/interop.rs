//! The published packages that `cargo xtask test` fetches for the interoperation tests.

use std::path::PathBuf;

/// A Python interpreter that has `tests/interop/requirements.txt` installed, or `None` after saying
/// why the calling test does nothing.
pub fn python_interpreter() -> Option<PathBuf> {
    variable("PPIO_INTEROP_PYTHON")
}

/// A Python interpreter that has `tests/interop/agent-client-requirements.txt` installed, or `None`
/// after saying why the calling test does nothing.
pub fn agent_client_interpreter() -> Option<PathBuf> {
    variable("PPIO_INTEROP_AGENT_CLIENT_PYTHON")
}

/// The `node_modules` folder that has `tests/interop/package-lock.json` installed, or `None` after saying
/// why the calling test does nothing.
pub fn node_modules() -> Option<PathBuf> {
    variable("PPIO_INTEROP_NODE_MODULES")
}

/// A Chromium, or `None` after saying why the calling test does nothing.
pub fn browser() -> Option<PathBuf> {
    variable("PPIO_INTEROP_BROWSER")
}

fn variable(name: &str) -> Option<PathBuf> {
    let value = std::env::var_os(name);
    if value.is_none() {
        eprintln!("skipped: {name} is not set; `cargo xtask test` sets it");
    }
    value.map(PathBuf::from)
}
