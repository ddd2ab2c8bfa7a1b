//! Cargo as a process group.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};

use super::toolchain;
use crate::error::CliError;
use crate::external_program::ProgramError;

/// Cargo and every process that it starts. Dropping the value kills them, unless cargo has exited
/// and was waited for.
#[derive(Debug)]
pub(super) struct CargoProcess {
    pub(super) child: Child,
}

/// Returns a cargo command that runs in `folder`.
pub(super) fn command(folder: &Path) -> Command {
    let mut command = Command::new(toolchain::cargo());
    command.current_dir(folder).stdin(Stdio::null());
    command
}

impl CargoProcess {
    pub(super) fn spawn(mut command: Command) -> Result<Self, CliError> {
        let program = command.as_std().get_program().to_owned();
        // rustc and build scripts must end as well, even if no terminal signals the group.
        let child = command.process_group(0).spawn().map_err(|source| {
            let program = program.display().to_string();
            toolchain::broken(&match source.kind() {
                io::ErrorKind::NotFound => ProgramError::Missing { program },
                _ => ProgramError::NotStarted { program, source },
            })
        })?;
        Ok(Self { child })
    }

    pub(super) async fn wait(&mut self) -> Result<ExitStatus, CliError> {
        let status = self.child.wait().await;
        status.map_err(|error| CliError::system("cannot wait for cargo", error))
    }

    /// Reads standard output and standard error to their ends, and waits for the exit of cargo.
    pub(super) async fn output(mut self) -> Result<Output, CliError> {
        let (stdout, stderr) = (self.child.stdout.take(), self.child.stderr.take());
        let (stdout, stderr) = tokio::try_join!(read_all(stdout), read_all(stderr))
            .map_err(|error| CliError::system("cannot read the output of cargo", error))?;
        let status = self.wait().await?;
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }
}

impl Drop for CargoProcess {
    fn drop(&mut self) {
        // The child has an id until it has been waited for, so the id cannot have been reused.
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn read_all(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}
