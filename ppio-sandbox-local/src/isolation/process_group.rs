//! Sandboxes as plain process groups: works everywhere, hides nothing.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::enclosure::Place;
use super::{Init, InitFuture, Isolation, IsolationKind, Launch, Run, StandIns};
use crate::confined_path;

#[derive(Debug)]
pub(crate) struct ProcessGroup {
    stand_ins: StandIns,
    exposed: Vec<PathBuf>,
    host_path: String,
}

impl ProcessGroup {
    pub(crate) fn new(exposed: &[PathBuf], stand_ins: StandIns) -> Self {
        // Nothing is hidden, so the programs the platform's user can run can be run here too.
        let host_path = std::env::var("PATH").unwrap_or_default();
        Self {
            stand_ins,
            exposed: exposed.to_vec(),
            host_path,
        }
    }
}

impl Isolation for ProcessGroup {
    fn kind(&self) -> IsolationKind {
        IsolationKind::ProcessGroup
    }

    fn start<'a>(&'a self, _place: &'a Place) -> InitFuture<'a> {
        Box::pin(async { Ok(None) })
    }

    fn launch(&self, root: &Path, _init: Option<&Init>, run: &Run) -> Launch {
        let on_host = |inside: &str| confined_path::join(root, Path::new(inside));
        let mut environment: BTreeMap<String, String> = run.environment.clone();
        if let Some(home) = environment.get_mut("HOME") {
            *home = on_host(home).to_string_lossy().into_owned();
        }
        environment.insert(
            "TMPDIR".into(),
            on_host("/tmp").to_string_lossy().into_owned(),
        );
        environment
            .entry("BASH_ENV".into())
            .or_insert_with(|| self.stand_ins.bash_env().to_string_lossy().into_owned());
        let own_path = environment
            .get("PATH")
            .map(String::as_str)
            .unwrap_or_default();
        let rest = format!("{}:{own_path}", self.host_path);
        let path = super::search_path(self.stand_ins.directory(), &self.exposed, &rest);
        environment.insert("PPIO_LOCAL_PATH".into(), path.clone());
        environment.insert("PATH".into(), path);
        // A program given by its place in the sandbox lies below the root on this machine.
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
        let arguments = std::iter::once(program)
            .chain(run.arguments.iter().map(OsString::from))
            .collect();
        Launch {
            arguments,
            environment,
            directory,
        }
    }
}
