//! The published packages that `cargo xtask test` fetches for the interoperation tests.

use std::path::PathBuf;

/// A Python interpreter that has `tests/interop/requirements.txt` installed, or `None` after saying
/// why the calling test does nothing.
pub fn python_interpreter() -> Option<PathBuf> {
    let interpreter = std::env::var_os("PPIO_INTEROP_PYTHON");
    if interpreter.is_none() {
        eprintln!("skipped: PPIO_INTEROP_PYTHON is not set; `cargo xtask test` sets it");
    }
    interpreter.map(PathBuf::from)
}
