//! A project on disk: where its agent.yaml is, and what it says.

pub(crate) mod author;
pub(crate) mod cargo_build;
pub(crate) mod docker_ignore;
pub(crate) mod edit;
pub(crate) mod secrets;

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use ppio_agent_protocol::{AgentConfig, ConfigError};

use crate::error::{Failure, Fault};

/// What the file may be called; the first that is there counts.
const FILE_NAMES: [&str; 2] = ["agent.yaml", "agent.yml"];

/// The file agent.yaml as text, valid or not.
#[derive(Debug, Clone)]
pub(crate) struct AgentFile {
    path: PathBuf,
    text: String,
    /// Whether it was there.
    exists: bool,
}

/// A project whose agent.yaml is valid.
#[derive(Debug, Clone)]
pub(crate) struct Project {
    pub(crate) file: AgentFile,
    pub(crate) config: AgentConfig,
}

impl AgentFile {
    /// Finds agent.yaml in `folder` or in the nearest folder above it, as cargo does with its manifest.
    pub(crate) fn find(folder: &Path) -> Result<Self, Failure> {
        let start = opened(folder)?;
        let path = at_or_above(&start).ok_or_else(|| {
                let what = format!(
                    "no agent.yaml in {} or any folder above it",
                    start.display()
                );
                Failure::new(Fault::Usage, what).next(
                    "start a project with `ppio-sandbox-cli agent init --name my-agent`, or name its folder with `--project`",
                )
            })?;
        let text = read(&path)?;
        Ok(Self {
            path,
            text,
            exists: true,
        })
    }

    /// The same, or a new one with this text for the folder where there is none. It is not written yet.
    pub(crate) fn find_or_new(folder: &Path, text: &str) -> Result<Self, Failure> {
        let start = opened(folder)?;
        if at_or_above(&start).is_some() {
            return Self::find(folder);
        }
        Ok(Self {
            path: start.join(FILE_NAMES[0]),
            text: text.to_owned(),
            exists: false,
        })
    }

    /// What a reader of the disk sees.
    pub(crate) fn on_disk(&self) -> &str {
        if self.exists { &self.text } else { "" }
    }

    /// The same file, should it hold this text.
    pub(crate) fn with_text(&self, text: String) -> Self {
        Self {
            text,
            ..self.clone()
        }
    }

    /// Reads it again: others may have written it.
    pub(crate) fn reload(&mut self) -> Result<(), Failure> {
        self.text = read(&self.path)?;
        Ok(())
    }

    /// The folder it stands in: the project's.
    pub(crate) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("/"))
    }

    /// Its whole path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What it is called, for messages.
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

    /// Reads it as the model; the failure shows the place.
    pub(crate) fn parse(&self) -> Result<AgentConfig, Failure> {
        AgentConfig::from_yaml(&self.text).map_err(|error| self.invalid(&error))
    }

    /// Replaces the file in one step, so that nobody ever sees half of it. Its permissions stay, and so does a
    /// symbolic link that stands in its place.
    pub(crate) fn write(&mut self, text: String) -> Result<(), Failure> {
        replace(&self.path, &text).map_err(|error| {
            Failure::system(format!("cannot write {}", self.path.display()), error)
        })?;
        self.text = text;
        self.exists = true;
        Ok(())
    }

    fn invalid(&self, error: &ConfigError) -> Failure {
        let mut what = self.name();
        for place in [error.line(), error.column()].into_iter().flatten() {
            what = format!("{what}:{place}");
        }
        what = match error.path() {
            Some(path) => format!("{what}: {path}: {}", error.problem()),
            None => format!("{what}: {}", error.problem()),
        };
        let mut failure = Failure::new(Fault::Usage, what);
        if let (Some(line), Some(column)) = (error.line(), error.column())
            && let Some(excerpt) = excerpt(&self.text, line, column)
        {
            failure.why.push(excerpt);
        }
        let missing = error.problem().starts_with("the field is missing");
        if missing && error.path().is_some() {
            return failure.next("`ppio-sandbox-cli agent configure` asks for what is missing");
        }
        failure.next(format!("correct {}", self.path.display()))
    }
}

impl Project {
    /// Finds and reads the project of a folder.
    pub(crate) fn open(folder: &Path) -> Result<Self, Failure> {
        let file = AgentFile::find(folder)?;
        let config = file.parse()?;
        Ok(Self { file, config })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.file.folder()
    }

    pub(crate) fn name(&self) -> &str {
        self.config.metadata.name.as_str()
    }

    /// The template that the agent was deployed as; what was really built counts before what was asked for.
    pub(crate) fn template_id(&self) -> Option<&str> {
        let built = self
            .config
            .status
            .as_ref()
            .and_then(|status| status.template_id.as_deref());
        let wanted = self
            .config
            .spec
            .sandbox
            .as_ref()
            .and_then(|sandbox| sandbox.template_id.as_deref());
        built.or(wanted).filter(|id| !id.is_empty())
    }
}

/// The line with the mistake, and a mark under its column.
fn excerpt(text: &str, line: usize, column: usize) -> Option<String> {
    let source = text.lines().nth(line.checked_sub(1)?)?;
    let number = line.to_string();
    let gutter = " ".repeat(number.len());
    let before: String = source
        .chars()
        .take(column.saturating_sub(1))
        // A tab is as wide as a tab.
        .map(|c| if c == '\t' { '\t' } else { ' ' })
        .collect();
    Some(format!("{number} | {source}\n  {gutter} | {before}^"))
}

fn opened(folder: &Path) -> Result<PathBuf, Failure> {
    folder.canonicalize().map_err(|error| {
        let what = format!("cannot open the folder {}", folder.display());
        Failure::new(Fault::Usage, what).because(&error)
    })
}

fn at_or_above(folder: &Path) -> Option<PathBuf> {
    folder
        .ancestors()
        .flat_map(|folder| FILE_NAMES.map(|name| folder.join(name)))
        .find(|path| path.is_file())
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read {}", path.display());
        match error.kind() {
            io::ErrorKind::InvalidData => Failure::new(Fault::Usage, what).because(&error),
            _ => Failure::system(what, error),
        }
    })
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    // One that is not there yet has neither links nor permissions.
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

    const VALID: &str = "metadata:\n  name: my-agent\n  version: \"1.0.0\"\n  author: a@example.com\nspec:\n  entrypoint: src/main.rs\n";

    fn folder_with(text: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("agent.yaml"), text).unwrap();
        folder
    }

    #[test]
    fn a_project_is_found_from_a_folder_inside_it() {
        let folder = folder_with(VALID);
        let inside = folder.path().join("src/deep");
        fs::create_dir_all(&inside).unwrap();
        let project = Project::open(&inside).unwrap();
        assert_eq!(project.folder(), folder.path().canonicalize().unwrap());
        assert_eq!((project.name(), project.template_id()), ("my-agent", None));
    }

    #[test]
    fn no_project_says_how_to_start_one() {
        let folder = tempfile::tempdir().unwrap();
        let failure = Project::open(folder.path()).unwrap_err();
        assert_eq!(failure.fault, Fault::Usage);
        assert!(failure.next.unwrap().contains("agent init"));
    }

    #[test]
    fn mistakes_show_their_line_and_column() {
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
            let failure = Project::open(folder_with(&text).path()).unwrap_err();
            assert!(failure.what.starts_with(what), "{failure:?}");
            assert_eq!(failure.why, [excerpt], "{failure:?}");
            assert_eq!(failure.fault, Fault::Usage);
        }
        let failure =
            Project::open(folder_with(&VALID.replace("  author: a@example.com\n", "")).path())
                .unwrap_err();
        assert!(failure.next.unwrap().contains("agent configure"));
    }

    #[test]
    fn writing_keeps_permissions_and_links_and_leaves_nothing_beside() {
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
