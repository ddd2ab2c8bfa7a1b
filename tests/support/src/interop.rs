//! The published packages that `cargo xtask test` fetches for the interoperation tests.
//!
//! Tests that use these packages are ignored; `cargo xtask test` runs them.

use std::path::PathBuf;

/// Returns a Python interpreter that has `tests/interop/requirements.txt` installed.
///
/// # Panics
///
/// If `PPIO_INTEROP_PYTHON` is not set.
pub fn python_interpreter() -> PathBuf {
    variable("PPIO_INTEROP_PYTHON")
}

/// Returns a Python interpreter that has `tests/interop/agent-client-requirements.txt` installed.
///
/// # Panics
///
/// If `PPIO_INTEROP_AGENT_CLIENT_PYTHON` is not set.
pub fn agent_client_interpreter() -> PathBuf {
    variable("PPIO_INTEROP_AGENT_CLIENT_PYTHON")
}

/// Returns the `node_modules` folder that has `tests/interop/package-lock.json` installed.
///
/// # Panics
///
/// If `PPIO_INTEROP_NODE_MODULES` is not set.
pub fn node_modules() -> PathBuf {
    variable("PPIO_INTEROP_NODE_MODULES")
}

/// Returns a Python interpreter that has `tests/interop/protocols-requirements.txt` installed.
///
/// # Panics
///
/// If `PPIO_INTEROP_PROTOCOLS_PYTHON` is not set.
pub fn protocols_interpreter() -> PathBuf {
    variable("PPIO_INTEROP_PROTOCOLS_PYTHON")
}

/// Returns the `node_modules` folder that has `tests/protocols/interop/package-lock.json`
/// installed.
///
/// # Panics
///
/// If `PPIO_INTEROP_PROTOCOLS_NODE_MODULES` is not set.
pub fn protocols_node_modules() -> PathBuf {
    variable("PPIO_INTEROP_PROTOCOLS_NODE_MODULES")
}

/// Returns the path of Chromium or Chrome.
///
/// # Panics
///
/// If `PPIO_INTEROP_BROWSER` is not set.
pub fn browser() -> PathBuf {
    variable("PPIO_INTEROP_BROWSER")
}

fn variable(name: &str) -> PathBuf {
    let value = std::env::var_os(name);
    let value =
        value.unwrap_or_else(|| panic!("{name} is not set; run `cargo xtask test`, which sets it"));
    PathBuf::from(value)
}
