//! One step of a build.

use std::fmt;
use std::path::PathBuf;

/// One step, checked.
#[derive(Debug, Clone)]
pub(crate) enum TemplateStep {
    /// Files from the archive of `hash`.
    Copy {
        source: String,
        target: String,
        mode: Option<u32>,
        hash: String,
    },
    /// A file or directory of this machine.
    Add {
        source: PathBuf,
        target: String,
    },
    Run {
        command: String,
        user: Option<String>,
    },
    Environment {
        variables: Vec<(String, String)>,
    },
    Directory {
        path: String,
    },
    User {
        name: String,
    },
}

impl fmt::Display for TemplateStep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy { source, target, .. } => write!(formatter, "COPY {source} {target}"),
            Self::Add { source, target } => write!(formatter, "COPY {} {target}", source.display()),
            Self::Run { command, .. } => write!(formatter, "RUN {command}"),
            Self::Environment { variables } => {
                // Names only: values may be secrets.
                let names: Vec<_> = variables.iter().map(|(name, _)| name.as_str()).collect();
                write!(formatter, "ENV {}", names.join(" "))
            }
            Self::Directory { path } => write!(formatter, "WORKDIR {path}"),
            Self::User { name } => write!(formatter, "USER {name}"),
        }
    }
}
