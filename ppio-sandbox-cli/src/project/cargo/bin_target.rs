//! The project's targets and packages, from `cargo metadata`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cargo_metadata::{Metadata, TargetKind};

use super::process::{self, CargoProcess};
use super::toolchain;
use crate::error::{CliError, ExitKind};
use crate::project::Project;

/// A binary target of the project.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BinTarget {
    /// The package's id, which is unique among all dependencies.
    pub(super) package: String,
    pub(super) name: String,
    pub(super) root: PathBuf,
}

impl BinTarget {
    /// Finds the binary whose source file is the entrypoint of agent.yaml.
    pub(super) async fn find(project: &Project) -> Result<Self, CliError> {
        let Some(entrypoint) = &project.config.spec.entrypoint else {
            return Err(
                CliError::new(ExitKind::Usage, "agent.yaml has no entrypoint")
                    .help("add `spec.entrypoint: src/main.rs`"),
            );
        };
        let folder = project.folder();
        let root = folder.join(entrypoint.as_str()).canonicalize();
        let root = root.map_err(|error| {
            let file = entrypoint.as_str();
            let message = if error.kind() == io::ErrorKind::NotFound {
                format!("the entrypoint {file} does not exist")
            } else {
                format!("cannot read the entrypoint {file}")
            };
            CliError::new(ExitKind::Usage, message)
                .caused_by(&error)
                .help("write the file, or correct `spec.entrypoint` in agent.yaml")
        })?;
        let metadata = metadata(folder, &["--no-deps"]).await?;
        let mut others = Vec::new();
        for package in metadata.packages {
            for target in package.targets {
                if !target.kind.contains(&TargetKind::Bin) {
                    continue;
                }
                if target.src_path.canonicalize().ok().as_ref() == Some(&root) {
                    return Ok(Self {
                        package: package.id.repr,
                        name: target.name,
                        root,
                    });
                }
                others.push(target.src_path.into_std_path_buf());
            }
        }
        let others: Vec<_> = others
            .iter()
            .filter_map(|path| path.strip_prefix(folder).ok())
            .map(|path| format!("`{}`", path.display()))
            .collect();
        let message = format!(
            "{} is not the source file of a binary target",
            entrypoint.as_str()
        );
        let error = CliError::new(ExitKind::Usage, message);
        Err(if others.is_empty() {
            error.help("declare the file as a `[[bin]]` in Cargo.toml")
        } else {
            error.help(format!(
                "the project's binaries start in {}; correct `spec.entrypoint` in agent.yaml, or \
                 declare a `[[bin]]`",
                others.join(", ")
            ))
        })
    }
}

/// Returns the folders of the members of the project's workspace and of their path dependencies.
///
/// Runs offline, so it fails for a project whose dependencies were never fetched.
pub(crate) async fn source_folders(project: &Project) -> Result<Vec<PathBuf>, CliError> {
    let metadata = metadata(project.folder(), &["--offline"]).await?;
    let local = metadata
        .packages
        .into_iter()
        .filter(|package| package.source.is_none());
    Ok(local
        .filter_map(|package| Some(package.manifest_path.parent()?.to_owned().into()))
        .collect())
}

/// Checks that cargo can read the package in `folder` and its workspace.
pub(crate) async fn check_manifest(folder: &Path) -> Result<(), CliError> {
    metadata(folder, &["--no-deps", "--offline"])
        .await
        .map(drop)
}

async fn metadata(folder: &Path, options: &[&str]) -> Result<Metadata, CliError> {
    let mut command = process::command(folder);
    command
        .args(["metadata", "--format-version", "1"])
        .args(options)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let output = CargoProcess::spawn(command)?.output().await?;
    if !output.status.success() {
        toolchain::check(folder).await?;
        let mut error = CliError::new(ExitKind::Agent, "cargo cannot read the project");
        let stderr = String::from_utf8_lossy(&output.stderr);
        error.causes.extend(stderr.lines().map(str::to_owned));
        return Err(error.help("correct Cargo.toml"));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| CliError::system("cannot read the output of `cargo metadata`", error))
}
