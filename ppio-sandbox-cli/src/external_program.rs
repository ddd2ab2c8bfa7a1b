//! Runs programs of this machine for their output, such as cargo, rustc, python3 and git.

use std::fmt;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use crate::error::{CliError, ExitKind};

/// The longest time for which a program may run.
const RUN_TIMEOUT: Duration = Duration::from_secs(20);
/// The number of lines of a program's standard error that are quoted.
const MAX_LINES: usize = 10;

/// The reason why a program has no output.
#[derive(Debug)]
pub(crate) enum ProgramError {
    /// The program does not exist.
    Missing { program: String },
    /// The program cannot be started.
    NotStarted { program: String, source: io::Error },
    /// The program ended with an error.
    Failed {
        /// The program and its arguments.
        command: String,
        status: ExitStatus,
        /// The first [`MAX_LINES`] lines of its standard error that are not empty.
        stderr: Vec<String>,
    },
    /// The program was stopped after [`RUN_TIMEOUT`].
    TimedOut { command: String },
}

/// Runs a program to its end and returns its standard output.
pub(crate) async fn stdout_of(mut command: Command) -> Result<String, ProgramError> {
    let program = command.as_std().get_program().display().to_string();
    let words = command.as_std().get_args().map(|word| word.display());
    let shown = words.fold(program.clone(), |text, word| format!("{text} {word}"));
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let output = match timeout(RUN_TIMEOUT, output).await {
        Ok(Ok(output)) => output,
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ProgramError::Missing { program });
        }
        Ok(Err(source)) => return Err(ProgramError::NotStarted { program, source }),
        Err(_) => return Err(ProgramError::TimedOut { command: shown }),
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    let lines = stderr.lines().map(str::trim_end);
    let lines = lines.filter(|line| !line.is_empty()).take(MAX_LINES);
    Err(ProgramError::Failed {
        command: shown,
        status: output.status,
        stderr: lines.map(str::to_owned).collect(),
    })
}

impl ProgramError {
    /// Returns the error of a command that needs the program, with the program's standard error.
    pub(crate) fn to_error(&self) -> CliError {
        let error = CliError::new(ExitKind::System, self.to_string());
        match self {
            Self::NotStarted { source, .. } => error.caused_by(source),
            Self::Failed { stderr, .. } => CliError {
                causes: stderr.clone(),
                ..error
            },
            Self::Missing { .. } | Self::TimedOut { .. } => error,
        }
    }
}

impl fmt::Display for ProgramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { program } if program.contains('/') => {
                write!(f, "`{program}` does not exist")
            }
            Self::Missing { program } => write!(f, "`{program}` is not on the PATH"),
            Self::NotStarted { program, .. } => write!(f, "cannot run `{program}`"),
            Self::Failed {
                command, status, ..
            } => write!(f, "`{command}` failed ({status})"),
            Self::TimedOut { command } => {
                write!(f, "`{command}` did not end within {RUN_TIMEOUT:?}")
            }
        }
    }
}
