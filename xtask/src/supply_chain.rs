//! The licences, the versions and the sources of all crates, as `deny.toml` allows them.

use std::path::PathBuf;

use crate::step::Step;
use crate::{Failure, workspace};

/// What is installed where cargo-deny is not on the PATH.
const VERSION: &str = "0.20.2";

/// Checks what needs no database of advisories, which changes from day to day and would have to be fetched.
pub(crate) fn run() -> Result<(), Failure> {
    // Fetches crates that no build of this machine needs, the first time.
    Step::new("licences, bans and sources of crates", program()?)
        .args(["--locked", "check", "licenses", "bans", "sources"])
        .args(["--hide-inclusion-graph"])
        .env("CARGO", workspace::cargo())
        .run()
}

/// The installed cargo-deny, or one that is built into the target directory and kept.
fn program() -> Result<PathBuf, Failure> {
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
            .args([format!("cargo-deny@{VERSION}")])
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TARGET_DIR", &scratch)
            .run()?;
        // Nothing is built with it a second time.
        std::fs::remove_dir_all(&scratch)
            .map_err(|error| format!("cannot remove {}: {error}", scratch.display()))?;
    }
    Ok(built)
}

/// Whether the program says that it is [`VERSION`].
fn is_version(said: &str) -> bool {
    said.split_whitespace().any(|word| word == VERSION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_installed_anew() {
        assert!(is_version(&format!("cargo-deny {VERSION}\n")));
        for said in ["cargo-deny 0.1.0\n", "cargo-deny 0.20.20", ""] {
            assert!(!is_version(said), "{said:?}");
        }
    }
}
