//! `cargo xtask supply-chain`: checks the licences, versions and sources of all crates with `deny.toml`.

use std::path::PathBuf;

use crate::error::Error;
use crate::step::Step;
use crate::workspace;

/// The version that is installed if cargo-deny is not on the PATH.
const DENY_VERSION: &str = "0.20.2";

/// Runs the checks that need no database of advisories, which changes daily and has to be fetched.
pub(crate) fn run() -> Result<(), Error> {
    // The first run fetches crates that only builds for other systems need.
    Step::new("licences, bans and sources of crates", program()?)
        .args(["--locked", "check", "licenses", "bans", "sources"])
        .args(["--hide-inclusion-graph"])
        .env("CARGO", workspace::cargo())
        .run()
}

/// The installed cargo-deny, or one that is built into the target directory.
fn program() -> Result<PathBuf, Error> {
    let installed = PathBuf::from("cargo-deny");
    if Step::new("cargo-deny", &installed)
        .args(["--version"])
        .output()
        .is_ok()
    {
        return Ok(installed);
    }
    let tools = workspace::target().join("tools");
    let built = tools.join("bin/cargo-deny");
    let scratch = tools.join("build");
    let is_current = Step::new("cargo-deny", &built)
        .args(["--version"])
        .output()
        .is_ok_and(|version| is_version(&version));
    if !is_current {
        // Without optimisations: a third of the time, and the checks take two seconds.
        Step::cargo("cargo-deny")
            .args(["install", "--locked", "--debug", "--force", "--root"])
            .args([&tools])
            .args([format!("cargo-deny@{DENY_VERSION}")])
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TARGET_DIR", &scratch)
            .run()?;
        // The build directory is not needed again.
        std::fs::remove_dir_all(&scratch)
            .map_err(|error| format!("cannot remove {}: {error}", scratch.display()))?;
    }
    Ok(built)
}

/// Whether the output of `--version` is that of [`DENY_VERSION`].
fn is_version(output: &str) -> bool {
    output.split_whitespace().any(|word| word == DENY_VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_current() {
        assert!(is_version(&format!("cargo-deny {DENY_VERSION}\n")));
        for output in ["cargo-deny 0.1.0\n", "cargo-deny 0.20.20", ""] {
            assert!(!is_version(output), "{output:?}");
        }
    }
}
