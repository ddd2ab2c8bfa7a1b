//! Running a Python agent.

use std::path::{Path, PathBuf};

use tokio::process::Command;

/// The usual folders of a project's virtual environment.
const ENVIRONMENTS: [&str; 2] = [".venv", "venv"];

/// Whether this file is a source of a Python agent, which is restarted after every change of a
/// source.
pub(super) fn is_source(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    let name = path.file_name().and_then(|name| name.to_str());
    matches!(extension, Some("py")) || matches!(name, Some("pyproject.toml" | "requirements.txt"))
}

/// Returns the command that runs the entrypoint with the Python of the project's virtual
/// environment, otherwise with `python3`.
pub(super) fn command(folder: &Path, entrypoint: &str) -> Command {
    let own = ENVIRONMENTS
        .iter()
        .map(|environment| folder.join(environment).join("bin/python"))
        .find(|python| python.exists());
    let mut command = Command::new(own.unwrap_or_else(|| PathBuf::from("python3")));
    command.arg(entrypoint);
    command
}
