//! Decides which paths of a project are sent.

use std::fs;
use std::io;
use std::path::Path;

use super::project_files::unreadable;
use crate::error::{CliError, ExitKind};
use crate::project::docker_ignore::{DockerIgnore, PatternError};
use crate::project::secrets::SecretNames;

/// Repositories, caches and settings of file managers, which are of no use in a sandbox.
const NEVER_SENT: &str = "**/.git\n**/.hg\n**/.svn\n**/__pycache__\n**/*.pyc\n**/.DS_Store\n";

#[derive(Debug)]
pub(super) struct SendRules {
    pub(super) secrets: SecretNames,
    pub(super) never: DockerIgnore,
    /// The patterns of [`NEVER_SENT`], then those of the project's `.dockerignore`, whose `!` lines
    /// may override the former.
    pub(super) ignore: DockerIgnore,
    /// The patterns of `--include`.
    pub(super) include: DockerIgnore,
}

pub(super) enum Decision<'a> {
    Send,
    /// The path is left out by `.dockerignore` or [`NEVER_SENT`]. Contents of such a folder may
    /// still be sent.
    Ignore,
    /// This part of the path has the name of a secret: the path itself or one of its folders.
    Secret(&'a Path),
}

impl SendRules {
    /// Reads the project's `.dockerignore`, and parses the patterns of `--include`.
    pub(super) fn read(project: &Path, include: &[String]) -> Result<Self, CliError> {
        let path = project.join(".dockerignore");
        let own = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(unreadable(&path, error)),
        };
        let invalid = |error: PatternError| {
            CliError::new(ExitKind::Usage, error.to_string()).help("correct the pattern")
        };
        // Parsed alone first, so that an error names the line in the file.
        DockerIgnore::parse(&own).map_err(invalid)?;
        Ok(Self {
            secrets: SecretNames::new()
                .map_err(|error| CliError::system("cannot read the list of secrets", error))?,
            never: DockerIgnore::parse(NEVER_SENT).map_err(invalid)?,
            ignore: DockerIgnore::parse(&format!("{NEVER_SENT}{own}")).map_err(invalid)?,
            include: include_patterns(include)?,
        })
    }

    /// Returns whether a path is sent. Applies, in this order: [`NEVER_SENT`] without the paths
    /// that a `!` line of `.dockerignore` restores, `--include`, the names of secrets,
    /// `.dockerignore`. So a `!` line never sends a path with the name of a secret.
    pub(super) fn decide<'a>(&self, path: &'a Path) -> Decision<'a> {
        if self.never.leaves_out(path) && self.ignore.leaves_out(path) {
            return Decision::Ignore;
        }
        if self.include.matches(path) {
            return Decision::Send;
        }
        match self.secrets.secret_part_of(path) {
            Some(secret) => Decision::Secret(secret),
            None if self.ignore.leaves_out(path) => Decision::Ignore,
            None => Decision::Send,
        }
    }
}

/// Parses the patterns of `--include`, which have the syntax of `.dockerignore`, but do not begin
/// with `!` or `#`.
pub(super) fn include_patterns(patterns: &[String]) -> Result<DockerIgnore, CliError> {
    let invalid = |pattern: &str, why: &str| {
        CliError::new(ExitKind::Usage, format!("--include: {pattern:?} {why}"))
            .help("write a path of the project or a pattern, as in `--include 'certs/*.pem'`")
    };
    for pattern in patterns {
        if pattern.starts_with(['!', '#']) || pattern.contains('\n') {
            return Err(invalid(pattern, "is not a pattern"));
        }
        DockerIgnore::parse(pattern)
            .map_err(|error| invalid(pattern, &format!("is not a pattern: {}", error.reason())))?;
    }
    let lines = patterns.join("\n");
    DockerIgnore::parse(&lines).map_err(|error| invalid(&lines, &error.reason()))
}
