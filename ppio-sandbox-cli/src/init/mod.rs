//! `agent init`.

mod scaffold;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ppio_agent_protocol::{AgentName, AuthorEmail, Entrypoint};
use serde_json::json;

use crate::arguments::InitArguments;
use crate::error::{CliError, ExitKind};
use crate::init::scaffold::{ProjectFile, RuntimeSource, Scaffold};
use crate::project::author;
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
        .map_err(|error| CliError::system(format!("cannot find {}", given.display()), error))?;
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
        inside_workspace: in_workspace(&folder),
    };
    let files = scaffold.files()?;
    write(&folder, &files).map_err(|error| {
        CliError::system(format!("cannot write into {}", given.display()), error)
    })?;
    print_result(&scaffold, &given, &files, terminal);
    Ok(())
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
    if let (RuntimeSource::Checkout(path), false) =
        (&scaffold.runtime, scaffold.entrypoint.is_python())
    {
        let version = env!("CARGO_PKG_VERSION");
        terminal.note(&format!(
            "Cargo.toml takes ppio-agent from {}, the checkout that this program was built from, which \
             `docker build` cannot read. Change it to `ppio-agent = \"{version}\"` once that is published.",
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
                "name another folder, or add agent.yaml to an existing project with `ppio-sandbox-cli agent configure`",
            ));
        }
    }
    Ok(())
}

/// Whether a folder above is a cargo workspace, which cargo would take for the project's.
fn in_workspace(folder: &Path) -> bool {
    folder.ancestors().skip(1).any(|folder| {
        fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|manifest| {
            manifest
                .lines()
                .any(|line| line.trim_start().starts_with("[workspace"))
        })
    })
}

/// Writes all files or none: into a temporary folder, which is then moved.
fn write(folder: &Path, files: &[ProjectFile]) -> io::Result<()> {
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
        return fs::rename(content, folder);
    }
    let mut placed: Vec<PathBuf> = Vec::new();
    let moved = fs::read_dir(&content)?.try_for_each(|entry| {
        let entry = entry?;
        let target = folder.join(entry.file_name());
        fs::rename(entry.path(), &target)?;
        placed.push(target);
        Ok(())
    });
    if moved.is_err() {
        for path in placed {
            let _ = if path.is_dir() {
                fs::remove_dir_all(path)
            } else {
                fs::remove_file(path)
            };
        }
    }
    moved
}

/// Quotes a text for a shell if necessary.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
