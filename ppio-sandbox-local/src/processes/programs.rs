//! The programs that start a process in a sandbox.
//!
//! They run with the platform's rights, so a caller or a template must not influence them: their
//! paths are absolute, and their environment is set by the platform.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The directories of the system's programs, which a sandbox sees as they are on the machine.
pub(super) const SYSTEM_PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

#[derive(Debug, Clone)]
pub(crate) struct SystemPrograms {
    pub(crate) setsid: PathBuf,
    pub(crate) setpriv: PathBuf,
    pub(crate) env: PathBuf,
    /// Needed only if no cgroup limits the share of the processors.
    pub(crate) taskset: Option<PathBuf>,
}

impl SystemPrograms {
    /// Finds the programs. An error names the one that is missing.
    pub(crate) fn find() -> Result<Self, String> {
        Ok(Self {
            setsid: find_program("setsid")?,
            setpriv: find_program("setpriv")?,
            env: find_program("env")?,
            taskset: find_program("taskset").ok(),
        })
    }
}

/// Returns the absolute path of a program: the system's own, else the first on the platform's
/// `PATH`.
pub(crate) fn find_program(name: &str) -> Result<PathBuf, String> {
    which::which_in(name, Some(SYSTEM_PATH), "/")
        .or_else(|_| which::which(name))
        .map_err(|_| format!("{name} is not installed"))
        .and_then(|path| std::path::absolute(path).map_err(|error| error.to_string()))
}

/// Appends `program` with its arguments.
pub(crate) fn push_program<S: Into<OsString>>(
    arguments: &mut Vec<OsString>,
    program: &Path,
    own: impl IntoIterator<Item = S>,
) {
    arguments.push(program.into());
    arguments.extend(own.into_iter().map(Into::into));
}

/// Returns the options that make `setpriv` switch to a user without privileges.
pub(crate) fn unprivileged_user(user: u32) -> [OsString; 5] {
    [
        format!("--reuid={user}"),
        format!("--regid={user}"),
        "--clear-groups".to_owned(),
        "--inh-caps=-all".to_owned(),
        "--ambient-caps=-all".to_owned(),
    ]
    .map(OsString::from)
}
