//! Sandboxes as process groups, which work everywhere and hide nothing.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::interface::{HostCommand, Isolation, SandboxCommand, StartFuture};
use super::kind::IsolationKind;
use super::launcher::ProcessLauncher;
use super::namespaces::Namespaces;
use super::search_path::search_path;
use super::shims::{BASH_ENV_FILE, SHIMS_DIRECTORY};
use super::users::SandboxUser;
use crate::files;
use crate::processes::{self, SystemPrograms};

#[derive(Debug)]
pub(crate) struct ProcessGroupIsolation {
    programs: SystemPrograms,
    exposed: Vec<PathBuf>,
    host_path: String,
}

impl ProcessGroupIsolation {
    pub(crate) fn new(exposed: &[PathBuf], programs: SystemPrograms) -> Self {
        // Nothing is hidden, so programs on the platform's PATH can be run too.
        let host_path = std::env::var("PATH").unwrap_or_default();
        Self {
            programs,
            exposed: exposed.to_vec(),
            host_path,
        }
    }
}

impl Isolation for ProcessGroupIsolation {
    fn kind(&self) -> IsolationKind {
        IsolationKind::ProcessGroup
    }

    fn programs(&self) -> &SystemPrograms {
        &self.programs
    }

    fn counts_processes(&self, user: &SandboxUser) -> bool {
        // For the platform's user the kernel counts everything that this user runs.
        user.id().is_some()
    }

    fn start<'a>(&'a self, _place: &'a ProcessLauncher) -> StartFuture<'a> {
        Box::pin(async { Ok(None) })
    }

    fn host_command(
        &self,
        launcher: &ProcessLauncher,
        _init: Option<&Namespaces>,
        run: &SandboxCommand,
    ) -> HostCommand {
        let root = launcher.root();
        let on_host = |inside: &str| files::join(&root, Path::new(inside));
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut variables = run.environment.clone();
        if let Some(home) = variables.get_mut("HOME") {
            *home = text(on_host(home));
        }
        variables.insert("TMPDIR".into(), text(on_host("/tmp")));
        let stand_ins = on_host(SHIMS_DIRECTORY);
        variables
            .entry("BASH_ENV".into())
            .or_insert_with(|| text(stand_ins.join(BASH_ENV_FILE)));
        let own_path = variables
            .get("PATH")
            .map(String::as_str)
            .unwrap_or_default();
        let rest = format!("{}:{own_path}", self.host_path);
        let path = search_path(&stand_ins, &self.exposed, &rest);
        variables.insert("PPIO_LOCAL_PATH".into(), path.clone());
        variables.insert("PATH".into(), path);
        // An absolute path is looked up below the sandbox's root first, then on this machine.
        let inside = on_host(&run.program);
        let program = if run.program.starts_with('/') && inside.exists() {
            inside.into_os_string()
        } else {
            OsString::from(&run.program)
        };
        let directory = on_host(&run.directory);
        let directory = if directory.is_dir() {
            directory
        } else {
            run.directory.clone().into()
        };
        let program = std::iter::once(program)
            .chain(run.arguments.iter().map(OsString::from))
            .collect();
        let mut entering = Vec::new();
        processes::push_program(&mut entering, &self.programs.setpriv, ["--no-new-privs"]);
        if let Some(user) = launcher.user() {
            entering.extend(processes::unprivileged_user(user));
            entering.push("--bounding-set=-all".into());
        }
        entering.push("--".into());
        HostCommand {
            entering,
            enters_namespaces: false,
            program,
            variables,
            directory,
        }
    }
}
