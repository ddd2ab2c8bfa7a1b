//! Cargo subcommands of other packages, either already installed or built into the target
//! directory.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::step::Step;
use crate::workspace;

/// A subcommand of cargo, such as `cargo-deny`.
pub(crate) struct CargoTool {
    /// The name of the package and of its program.
    pub(crate) name: &'static str,
    /// The version to build if none is on the PATH.
    pub(crate) version: &'static str,
}

impl CargoTool {
    /// Returns the program on the PATH.
    pub(crate) fn installed(&self) -> Option<PathBuf> {
        let installed = PathBuf::from(self.name);
        self.version_of(&installed).is_ok().then_some(installed)
    }

    /// Returns the program on the PATH, or else the one in the target directory, built if needed.
    pub(crate) fn program(&self) -> Result<PathBuf, Error> {
        if let Some(installed) = self.installed() {
            return Ok(installed);
        }
        let tools = workspace::target().join("tools");
        let built = tools.join("bin").join(self.name);
        let is_current = self
            .version_of(&built)
            .is_ok_and(|output| self.is_version(&output));
        if !is_current {
            self.build(&tools)?;
        }
        Ok(built)
    }

    /// Returns the output of `--version`.
    fn version_of(&self, program: &Path) -> Result<String, Error> {
        // A subcommand gets its own name as the first argument.
        let subcommand = self.name.trim_start_matches("cargo-");
        Step::new(self.name, program)
            .args([subcommand, "--version"])
            .output()
    }

    /// Whether the output of `--version` contains [`version`](Self::version).
    fn is_version(&self, output: &str) -> bool {
        output.split_whitespace().any(|word| word == self.version)
    }

    fn build(&self, tools: &Path) -> Result<(), Error> {
        let scratch = tools.join("build");
        // Built without optimization, which takes a third of the time; the tools do little work.
        Step::cargo(self.name)
            .args(["install", "--locked", "--debug", "--force", "--root"])
            .args([tools])
            .args([format!("{}@{}", self.name, self.version)])
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_TARGET_DIR", &scratch)
            .run()?;
        // The build directory is not needed again.
        std::fs::remove_dir_all(&scratch)
            .map_err(|error| format!("cannot remove {}: {error}", scratch.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_version_is_not_current() {
        let tool = CargoTool {
            name: "cargo-deny",
            version: "0.20.2",
        };
        assert!(tool.is_version("cargo-deny 0.20.2\n"));
        for output in ["cargo-deny 0.1.0\n", "cargo-deny 0.20.20", ""] {
            assert!(!tool.is_version(output), "{output:?}");
        }
    }
}
