//! How a Python agent is run.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// Where `python -m venv` and its like put a project's own environment.
const ENVIRONMENTS: [&str; 2] = [".venv", "venv"];

/// The files that make a Python agent start anew.
pub(super) fn matters(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let name = path.file_name().and_then(|name| name.to_str());
    matches!(extension, Some("py")) || matches!(name, Some("pyproject.toml" | "requirements.txt"))
}

/// Runs the entrypoint in the project's environment, or the one that is active.
pub(super) fn command(folder: &Path, entrypoint: &str) -> Command {
    let own = ENVIRONMENTS
        .iter()
        .map(|environment| folder.join(environment).join("bin/python"))
        .find(|python| python.exists());
    let mut command = Command::new(own.unwrap_or_else(|| PathBuf::from("python3")));
    command.arg(entrypoint);
    command
}
