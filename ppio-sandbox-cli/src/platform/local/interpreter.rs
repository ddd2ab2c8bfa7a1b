//! The Python that agents written in it run with.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

/// How long an interpreter may take to say where it lives.
const ANSWER: Duration = Duration::from_secs(10);
/// The version, then the folders that it needs: its own and, in a virtual environment, the one it was made from.
const QUESTION: &str = "import sys; print('%d.%d.%d' % sys.version_info[:3]); print(sys.prefix); print(sys.base_prefix)";

/// The `python3` on the PATH.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interpreter {
    pub(crate) version: String,
    folders: Vec<PathBuf>,
}

impl Interpreter {
    /// Asks it; `None` where there is none that answers.
    pub(crate) async fn find() -> Option<Self> {
        let asked = Command::new("python3")
            .args(["-c", QUESTION])
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = timeout(ANSWER, asked).await.ok()?.ok()?;
        if !output.status.success() {
            return None;
        }
        Self::from_answer(&String::from_utf8(output.stdout).ok()?)
    }

    fn from_answer(answer: &str) -> Option<Self> {
        let mut lines = answer.lines();
        let version = lines.next()?.to_owned();
        let mut folders: Vec<_> = lines.map(PathBuf::from).collect();
        folders.dedup();
        Some(Self { version, folders })
    }

    /// The folders that sandboxes do not see by themselves.
    pub(crate) fn hidden_folders(&self) -> impl Iterator<Item = &Path> {
        let folders = self.folders.iter().map(PathBuf::as_path);
        // A folder that is the whole system would be shown, home directories included.
        folders.filter(|folder| !folder.starts_with("/usr") && folder.parent().is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_lies_outside_the_system_is_shown() {
        let hidden = |answer| -> Vec<PathBuf> {
            let interpreter = Interpreter::from_answer(answer).unwrap();
            interpreter.hidden_folders().map(Path::to_owned).collect()
        };
        assert!(hidden("3.12.1\n/usr\n/usr\n").is_empty());
        assert!(hidden("3.12.1\n/\n/\n").is_empty());
        assert_eq!(
            hidden("3.12.1\n/opt/py\n/opt/py\n"),
            [PathBuf::from("/opt/py")]
        );
        assert_eq!(
            hidden("3.12.1\n/work/.venv\n/opt/py\n"),
            [PathBuf::from("/work/.venv"), PathBuf::from("/opt/py")]
        );
        assert_eq!(Interpreter::from_answer(""), None);
    }
}
