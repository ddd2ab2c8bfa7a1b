//! `agent init`.

mod scaffold;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ppio_agent_protocol::{AgentName, AuthorEmail, Entrypoint};
use serde_json::json;

use crate::arguments::InitArguments;
use crate::error::{Failure, Fault};
use crate::init::scaffold::{File, Runtime, Scaffold};
use crate::project::author;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: InitArguments, terminal: &Terminal) -> Result<(), Failure> {
    let name: AgentName = arguments
        .name
        .parse()
        .map_err(|error| refused("--name", &error))?;
    let entrypoint: Entrypoint = arguments
        .entrypoint
        .parse()
        .map_err(|error| refused("--entrypoint", &error))?;
    let given = arguments.directory.unwrap_or_else(|| name.as_str().into());
    let folder = std::path::absolute(&given)
        .map_err(|error| Failure::system(format!("cannot find {}", given.display()), error))?;
    check_empty(&folder)?;
    let author = match arguments.author {
        Some(author) => author
            .parse::<AuthorEmail>()
            .map_err(|error| refused("--author", &error))?,
        None => author::find(terminal).await?,
    };
    let scaffold = Scaffold {
        name,
        author,
        entrypoint,
        template: arguments.template,
        runtime: Runtime::detect(),
        inside_workspace: in_workspace(&folder),
    };
    let files = scaffold.files()?;
    write(&folder, &files).map_err(|error| {
        Failure::system(format!("cannot write into {}", given.display()), error)
    })?;
    tell(&scaffold, &given, &files, terminal);
    Ok(())
}

fn tell(scaffold: &Scaffold, given: &Path, files: &[File], terminal: &Terminal) {
    let paths: Vec<_> = files.iter().map(|file| &file.path).collect();
    let document = json!({
        "name": scaffold.name.as_str(), "directory": given, "files": paths,
    });
    terminal.result(&document, || {
        let mut text = format!("Made {} in {}:\n", scaffold.name.as_str(), given.display());
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
    if let (Runtime::Checkout(path), false) = (&scaffold.runtime, scaffold.entrypoint.is_python()) {
        let version = env!("CARGO_PKG_VERSION");
        terminal.note(&format!(
            "Cargo.toml takes ppio-agent from {}, the checkout of this program. `docker build` cannot see it: write \
             `ppio-agent = \"{version}\"` once that is published.",
            path.display()
        ));
    }
}

fn refused(flag: &str, error: &dyn std::error::Error) -> Failure {
    Failure::new(Fault::Usage, format!("{flag}: {error}"))
}

/// A folder that is not there, or holds nothing but a repository.
fn check_empty(folder: &Path) -> Result<(), Failure> {
    let shown = folder.display();
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Err(
                Failure::new(Fault::Usage, format!("{shown} is not a folder"))
                    .next("name another folder"),
            );
        }
        Err(error) => return Err(Failure::system(format!("cannot open {shown}"), error)),
    };
    for entry in entries {
        let entry =
            entry.map_err(|error| Failure::system(format!("cannot read {shown}"), error))?;
        if entry.file_name() != ".git" {
            let what = format!(
                "{shown} is not empty: it holds {}",
                entry.file_name().to_string_lossy()
            );
            return Err(Failure::new(Fault::Usage, what).next(
                "name another folder; `ppio-sandbox-cli agent configure` makes an agent of a project that is there",
            ));
        }
    }
    Ok(())
}

/// Whether cargo would take the folder for a part of a workspace above it.
fn in_workspace(folder: &Path) -> bool {
    folder.ancestors().skip(1).any(|folder| {
        fs::read_to_string(folder.join("Cargo.toml")).is_ok_and(|manifest| {
            manifest
                .lines()
                .any(|line| line.trim_start().starts_with("[workspace"))
        })
    })
}

/// Writes all files or none: into a folder beside, which then takes the place of the real one.
fn write(folder: &Path, files: &[File]) -> io::Result<()> {
    let is_there = folder.is_dir();
    let parent = folder.parent().unwrap_or(Path::new("/"));
    if !is_there {
        fs::create_dir_all(parent)?;
    }
    // A folder that is there may be somebody's working directory or mount, so it is kept.
    let beside = if is_there { folder } else { parent };
    let staging = tempfile::Builder::new()
        .prefix(".agent-init-")
        .tempdir_in(beside)?;
    let content = staging.path().join("content");
    for file in files {
        let path = content.join(&file.path);
        fs::create_dir_all(path.parent().unwrap_or(&content))?;
        fs::write(path, &file.text)?;
    }
    if !is_there {
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

/// A text as a shell takes it for one word.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
