//! The measured programs and how they are started.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{COALESCED, EXPORTING, OTEL, PYTHON, WORKER_THREADS};
use crate::error::Error;
use crate::server::Server;
use crate::{interop, workspace};

/// The paths of the measured programs, and the receiver that was started for them.
pub(super) struct Programs {
    release: PathBuf,
    logs: PathBuf,
    /// The Python package's interpreter, if the package is measured as well.
    python: Option<PathBuf>,
    /// The receiver to which servers export.
    receiver: Option<Server>,
}

impl Programs {
    pub(super) fn find() -> Result<Self, Error> {
        Ok(Self {
            python: Some(interop::python()?),
            ..Self::find_without_python()?
        })
    }

    pub(super) fn find_without_python() -> Result<Self, Error> {
        let logs = workspace::target().join("bench");
        fs::create_dir_all(&logs)
            .map_err(|error| format!("cannot create {}: {error}", logs.display()))?;
        Ok(Self {
            release: workspace::target().join("release"),
            logs,
            python: None,
            receiver: None,
        })
    }

    pub(super) fn find_with_receiver() -> Result<Self, Error> {
        let mut programs = Self::find_without_python()?;
        programs.receiver = Some(programs.start("otlp-receiver")?);
        Ok(programs)
    }

    pub(super) fn path(&self, program: &str) -> PathBuf {
        self.release.join(program)
    }

    pub(super) fn start(&self, name: &str) -> Result<Server, Error> {
        let command = if let (PYTHON, Some(python)) = (name, &self.python) {
            let mut python = Command::new(python);
            python.arg(workspace::root().join("benches/python/agent.py"));
            python
        } else if name == COALESCED {
            let mut server = Command::new(self.path("raw-hyper"));
            server.arg("--coalesce");
            server
        } else if let (Some(program), Some(receiver)) =
            (name.strip_suffix(EXPORTING), &self.receiver)
        {
            let mut server = Command::new(self.path(&format!("{program}{OTEL}")));
            let endpoint = format!("http://{}", receiver.address);
            server.env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
            server
        } else {
            Command::new(self.path(name))
        };
        let log = self.logs.join(format!("{name}.log"));
        Server::start(command, &log, WORKER_THREADS).map_err(|error| format!("{name}: {error}"))
    }
}
