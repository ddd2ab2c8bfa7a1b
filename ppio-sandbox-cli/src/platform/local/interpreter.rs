//! The Python interpreter that local agents run with.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use crate::external_program::{ProgramError, stdout_of};

/// The script that prints the version, and the folders of the interpreter and of the one that a
/// virtual environment was created from.
const PROBE_SCRIPT: &str = "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.prefix); print(sys.base_prefix)";

/// The `python3` on the PATH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PythonInterpreter {
    pub(crate) version: String,
    folders: Vec<PathBuf>,
}

impl PythonInterpreter {
    /// Finds the interpreter by running it.
    pub(crate) async fn find() -> Result<Self, ProgramError> {
        let mut command = Command::new("python3");
        command.args(["-c", PROBE_SCRIPT]);
        let output = stdout_of(command).await?;
        Ok(Self::from_output(&output))
    }

    fn from_output(output: &str) -> Self {
        let mut lines = output.lines();
        let version = lines.next().unwrap_or_default().to_owned();
        let mut folders: Vec<_> = lines.map(PathBuf::from).collect();
        folders.dedup();
        Self { version, folders }
    }

    /// Returns the folders that have to be exposed to sandboxes.
    pub(crate) fn folders_to_expose(&self) -> impl Iterator<Item = &Path> {
        let folders = self.folders.iter().map(PathBuf::as_path);
        // Never `/`, which would expose home directories.
        folders.filter(|folder| !folder.starts_with("/usr") && folder.parent().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_outside_the_system_are_exposed() {
        let exposed = |output| -> Vec<PathBuf> {
            let interpreter = PythonInterpreter::from_output(output);
            interpreter
                .folders_to_expose()
                .map(Path::to_owned)
                .collect()
        };
        assert!(exposed("3.12.1\n/usr\n/usr\n").is_empty());
        assert!(exposed("3.12.1\n/\n/\n").is_empty());
        assert_eq!(
            exposed("3.12.1\n/opt/py\n/opt/py\n"),
            [PathBuf::from("/opt/py")]
        );
        assert_eq!(
            exposed("3.12.1\n/srv/venv\n/opt/py\n"),
            [PathBuf::from("/srv/venv"), PathBuf::from("/opt/py")]
        );
        assert!(exposed("").is_empty());
    }
}
