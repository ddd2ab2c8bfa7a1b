//! `agent init`.

mod scaffold;
mod workspace;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ppio_agent_protocol::{AgentName, AuthorEmail, Entrypoint};
use serde_json::json;

use crate::arguments::InitArguments;
use crate::error::{CliError, ExitKind};
use crate::init::scaffold::{ProjectFile, RuntimeSource, Scaffold};
use crate::init::workspace::WorkspaceMembership;
use crate::project::{author, cargo};
use crate::shell;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: InitArguments, terminal: &Terminal) -> Result<(), CliError> {
    let name: AgentName = arguments
        .name
        .parse()
        .map_err(|error| invalid("--name", &error))?;
    let entrypoint: Entrypoint = arguments
        .entrypoint
        .parse()
        .map_err(|error| invalid("--entrypoint", &error))?;
    let given = arguments.directory.unwrap_or_else(|| name.as_str().into());
    let folder = std::path::absolute(&given)
        .map_err(|error| CliError::system(format!("cannot resolve {}", given.display()), error))?;
    check_empty(&folder)?;
    let author = match arguments.author {
        Some(author) => author
            .parse::<AuthorEmail>()
            .map_err(|error| invalid("--author", &error))?,
        None => author::find_or_ask(terminal).await?,
    };
    let scaffold = Scaffold {
        name,
        author,
        entrypoint,
        template: arguments.template,
        runtime: RuntimeSource::detect(),
        workspace: WorkspaceMembership::find(&folder),
    };
    let files = scaffold.files()?;
    if let (WorkspaceMembership::Member(root), true) =
        (&scaffold.workspace, scaffold.entrypoint.is_python())
    {
        return Err(no_package(root, &given, &folder));
    }
    let written = write(&folder, &files).map_err(|error| {
        CliError::system(format!("cannot write into {}", given.display()), error)
    })?;
    if let (WorkspaceMembership::Member(root), false) =
        (&scaffold.workspace, scaffold.entrypoint.is_python())
        && let Err(error) = cargo::check_manifest(&folder).await
        // Without cargo the manifest cannot be checked.
        && error.kind != ExitKind::System
    {
        written.remove();
        return Err(not_a_member(root, &given, error));
    }
    print_result(&scaffold, &given, &files, terminal);
    Ok(())
}

/// Returns the error for a package that would break the workspace of which it would become a
/// member.
fn not_a_member(root: &Path, given: &Path, error: CliError) -> CliError {
    let message = format!(
        "{} cannot be a member of the workspace in {}",
        given.display(),
        root.display()
    );
    let causes = [vec![error.message], error.causes].concat();
    let help = "correct the workspace, exclude the folder in its Cargo.toml, or use another name \
                or folder";
    CliError {
        causes,
        ..CliError::new(ExitKind::Usage, message).help(help)
    }
}

/// Returns the error for a Python project in a folder that a workspace treats as a package.
fn no_package(root: &Path, given: &Path, folder: &Path) -> CliError {
    let message = format!(
        "{} would break the cargo workspace in {}",
        given.display(),
        root.display()
    );
    let folder = workspace::canonical(folder);
    let inside = folder.strip_prefix(root).unwrap_or(&folder);
    CliError::new(ExitKind::Usage, message)
        .cause("`workspace.members` covers the folder, and a Python project is not a cargo package")
        .help(format!(
            "add `exclude = [{:?}]` to the `[workspace]` of {}, or use another folder",
            inside.display().to_string(),
            root.join("Cargo.toml").display()
        ))
}

fn print_result(scaffold: &Scaffold, given: &Path, files: &[ProjectFile], terminal: &Terminal) {
    let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
    let document = json!({
        "name": scaffold.name.as_str(), "directory": given, "files": paths,
    });
    terminal.result(&document, || {
        let mut text = format!(
            "Created {} in {}:\n",
            scaffold.name.as_str(),
            given.display()
        );
        for path in &paths {
            text.extend(["  ", &path.display().to_string(), "\n"]);
        }
        text.push_str("\nNext:\n");
        if given != Path::new(".") {
            text.extend(["  cd ", &shell_word(&given.to_string_lossy()), "\n"]);
        }
        text.push_str(if scaffold.entrypoint.is_python() {
            "  pip install -r requirements.txt\n"
        } else {
            "  ppio-sandbox-cli agent dev\n"
        });
        text.push_str("  ppio-sandbox-cli agent deploy\n");
        text.push_str("  ppio-sandbox-cli agent invoke --input 'hello there'");
        text
    });
    if let (WorkspaceMembership::Member(root), false) =
        (&scaffold.workspace, scaffold.entrypoint.is_python())
    {
        terminal.note(&format!(
            "The package is a member of the workspace in {}, whose Cargo.toml sets the profiles.",
            root.display()
        ));
    }
    if let (RuntimeSource::Checkout(path), false) =
        (&scaffold.runtime, scaffold.entrypoint.is_python())
    {
        let version = env!("CARGO_PKG_VERSION");
        terminal.note(&format!(
            "Cargo.toml takes ppio-agent from {}, the checkout that this program was built from, \
             which `docker build` cannot read. Use `ppio-agent = \"{version}\"` once \
             that is published.",
            path.display()
        ));
    }
}

fn invalid(flag: &str, error: &dyn std::error::Error) -> CliError {
    CliError::new(ExitKind::Usage, format!("{flag}: {error}"))
}

/// Checks that the folder does not exist, or contains nothing but `.git`.
fn check_empty(folder: &Path) -> Result<(), CliError> {
    let shown = folder.display();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(
                CliError::new(ExitKind::Usage, format!("{shown} is not a folder"))
                    .help("name another folder"),
            );
        }
        Err(error) => return Err(CliError::system(format!("cannot open {shown}"), error)),
    };
    for entry in entries {
        let entry =
            entry.map_err(|error| CliError::system(format!("cannot read {shown}"), error))?;
        if entry.file_name() != ".git" {
            let message = format!(
                "{shown} is not empty: it contains {}",
                entry.file_name().to_string_lossy()
            );
            return Err(CliError::new(ExitKind::Usage, message).help(
                "name another folder, or add agent.yaml to an existing project with \
                 `ppio-sandbox-cli agent configure`",
            ));
        }
    }
    Ok(())
}

/// The outermost files and folders of a new project. Folders above the project, which may have been
/// created as well, are not among them.
struct WrittenFiles(Vec<PathBuf>);

impl WrittenFiles {
    /// Removes the files and folders again.
    fn remove(self) {
        for path in self.0 {
            // The error that caused the removal is reported; a failure of the removal is not.
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
    }
}

/// Writes all files or none: into a temporary folder, from which they are then moved.
fn write(folder: &Path, files: &[ProjectFile]) -> io::Result<WrittenFiles> {
    let exists = folder.is_dir();
    let parent = folder.parent().unwrap_or(Path::new("/"));
    if !exists {
        fs::create_dir_all(parent)?;
    }
    // An existing folder may be a working directory or a mount point, so it is kept.
    let beside = if exists { folder } else { parent };
    let staging = tempfile::Builder::new()
        .prefix(".agent-init-")
        .tempdir_in(beside)?;
    let content = staging.path().join("content");
    for file in files {
        let path = content.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(&content))?;
        fs::write(path, &file.text)?;
    }
    if !exists {
        fs::rename(content, folder)?;
        return Ok(WrittenFiles(vec![folder.to_owned()]));
    }
    let mut written = WrittenFiles(Vec::new());
    let moved = fs::read_dir(&content)?.try_for_each(|entry| {
        let entry = entry?;
        let target = folder.join(entry.file_name());
        fs::rename(entry.path(), &target)?;
        written.0.push(target);
        Ok(())
    });
    match moved {
        Ok(()) => Ok(written),
        Err(error) => {
            written.remove();
            Err(error)
        }
    }
}

/// Quotes a text for a shell if necessary.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        shell::quoted(text)
    }
}
