//! agent.yaml on disk.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ppio_agent_protocol::{AgentConfig, AgentConfigError};

use crate::error::{CliError, ExitKind};

/// The names of agent.yaml; the first that exists is used.
const FILE_NAMES: [&str; 2] = ["agent.yaml", "agent.yml"];

/// The text of agent.yaml, which need not be valid.
#[derive(Debug, Clone)]
pub(crate) struct AgentFile {
    path: PathBuf,
    text: String,
    /// Whether the file exists.
    exists: bool,
}

impl AgentFile {
    /// Finds agent.yaml in `folder` or in the nearest folder above it, as cargo does with its
    /// manifest.
    pub(crate) fn find(folder: &Path) -> Result<Self, CliError> {
        let start = canonical(folder)?;
        let path = at_or_above(&start).ok_or_else(|| {
            let message = format!(
                "no agent.yaml in {} or any folder above it",
                start.display()
            );
            CliError::new(ExitKind::Usage, message).help(
                "start a project with `ppio-sandbox-cli agent init --name my-agent`, or name \
                     its folder with `--project DIR`",
            )
        })?;
        let text = read(&path)?;
        Ok(Self {
            path,
            text,
            exists: true,
        })
    }

    /// As [`find`](Self::find), but if there is no file, returns a new one with this text, without
    /// writing it.
    pub(crate) fn find_or_new(folder: &Path, text: &str) -> Result<Self, CliError> {
        let start = canonical(folder)?;
        if at_or_above(&start).is_some() {
            return Self::find(folder);
        }
        Ok(Self {
            path: start.join(FILE_NAMES[0]),
            text: text.to_owned(),
            exists: false,
        })
    }

    /// Returns the text that was read or written last, empty if the file does not exist.
    pub(crate) fn on_disk(&self) -> &str {
        if self.exists { &self.text } else { "" }
    }

    /// Returns the same file with another text, which is not written.
    pub(crate) fn with_text(&self, text: String) -> Self {
        Self {
            text,
            ..self.clone()
        }
    }

    /// Reads the file again.
    pub(crate) fn reload(&mut self) -> Result<(), CliError> {
        self.text = read(&self.path)?;
        Ok(())
    }

    /// Returns the project's folder.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Returns the absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file name, for messages.
    pub(crate) fn name(&self) -> String {
        self.path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Parses the text. The error shows the line of the mistake if the line is known.
    pub(crate) fn parse(&self) -> Result<AgentConfig, CliError> {
        AgentConfig::from_yaml(&self.text).map_err(|error| self.invalid(&error))
    }

    /// Replaces the file atomically. Keeps its permissions and a symbolic link in its place.
    pub(crate) fn write(&mut self, text: String) -> Result<(), CliError> {
        replace(&self.path, &text).map_err(|error| {
            CliError::system(format!("cannot write {}", self.path.display()), error)
        })?;
        self.text = text;
        self.exists = true;
        Ok(())
    }

    fn invalid(&self, error: &AgentConfigError) -> CliError {
        let mut message = self.name();
        for place in [error.line(), error.column()].into_iter().flatten() {
            message = format!("{message}:{place}");
        }
        message = match error.path() {
            Some(path) => format!("{message}: {path}: {}", error.problem()),
            None => format!("{message}: {}", error.problem()),
        };
        let mut failure = CliError::new(ExitKind::Usage, message);
        if let (Some(line), Some(column)) = (error.line(), error.column())
            && let Some(excerpt) = excerpt(&self.text, line, column)
        {
            failure.causes.push(excerpt);
        }
        if error.is_missing_field() {
            return failure.help("add the field with `ppio-sandbox-cli agent configure`");
        }
        failure.help(format!("correct {}", self.path.display()))
    }
}

/// Returns the line with the error, and a mark under its column.
fn excerpt(text: &str, line: usize, column: usize) -> Option<String> {
    let source = text.lines().nth(line.checked_sub(1)?)?;
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let before: String = source
        .chars()
        .take(column.saturating_sub(1))
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    Some(format!("{number} | {source}\n  {gutter} | {before}^"))
}

fn canonical(folder: &Path) -> Result<PathBuf, CliError> {
    folder.canonicalize().map_err(|error| {
        let message = format!("cannot open the folder {}", folder.display());
        CliError::new(ExitKind::Usage, message).caused_by(&error)
    })
}

fn at_or_above(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .flat_map(|folder| FILE_NAMES.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

fn read(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|error| {
        let message = format!("cannot read {}", path.display());
        match error.kind() {
            io::ErrorKind::InvalidData => CliError::new(ExitKind::Usage, message).caused_by(&error),
            _ => CliError::system(message, error),
        }
    })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A new file has no link to keep.
    let (path, permissions) = match path.canonicalize() {
        Ok(path) => {
            let permissions = fs::metadata(&path)?.permissions();
            (path, permissions)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            (path.to_owned(), fs::Permissions::from_mode(0o644))
        }
        Err(error) => return Err(error),
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    let mut file = tempfile::Builder::new()
        .prefix(".agent.yaml.")
        .tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().set_permissions(permissions)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_in(folder: &Path) -> Result<AgentConfig, CliError> {
        AgentFile::find(folder)?.parse()
    }

    const VALID: &str = "metadata:\n  name: my-agent\n  version: \"1.0.0\"\n  author: a@example.com\nspec:\n  entrypoint: src/main.rs\n";

    fn folder_with(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("agent.yaml"), text).unwrap();
        folder
    }

    #[test]
    fn a_file_above_the_folder_is_found() {
        let folder = folder_with(VALID);
        let inside = folder.path().join("src/deep");
        fs::create_dir_all(&inside).unwrap();
        let file = AgentFile::find(&inside).unwrap();
        assert_eq!(file.folder(), folder.path().canonicalize().unwrap());
        assert_eq!(file.parse().unwrap().metadata.name.as_str(), "my-agent");
    }

    #[test]
    fn the_error_without_a_file_says_how_to_start_a_project() {
        let folder = tempfile::tempdir().unwrap();
        let failure = parse_in(folder.path()).unwrap_err();
        assert_eq!(failure.kind, ExitKind::Usage);
        assert!(failure.help.unwrap().contains("agent init"));
    }

    #[test]
    fn errors_show_the_line_and_the_column() {
        for (text, what, excerpt) in [
            (
                VALID.replace("my-agent", "My Agent"),
                "agent.yaml:2:9: metadata.name: ",
                "2 |   name: My Agent\n    |         ^",
            ),
            (
                VALID.replace("spec:", "\tspec:"),
                "agent.yaml:5:1: ",
                "5 | \tspec:\n    | ^",
            ),
        ] {
            let failure = parse_in(folder_with(&text).path()).unwrap_err();
            assert!(failure.message.starts_with(what), "{failure:?}");
            assert_eq!(failure.causes, [excerpt], "{failure:?}");
            assert_eq!(failure.kind, ExitKind::Usage);
        }
        let failure = parse_in(folder_with(&VALID.replace("  author: a@example.com\n", "")).path())
            .unwrap_err();
        assert!(failure.help.unwrap().contains("agent configure"));
    }

    #[test]
    fn writing_keeps_permissions_and_links_and_leaves_no_other_file() {
        let folder = folder_with(VALID);
        let real = folder.path().join("real.yaml");
        let link = folder.path().join("agent.yaml");
        fs::rename(&link, &real).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink("real.yaml", &link).unwrap();
        let mut file = AgentFile::find(folder.path()).unwrap();
        file.write("new\n".into()).unwrap();
        assert_eq!(fs::read_to_string(&real).unwrap(), "new\n");
        assert_eq!(
            fs::metadata(&real).unwrap().permissions().mode() & 0o777,
            0o640
        );
        assert!(link.is_symlink());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
}
