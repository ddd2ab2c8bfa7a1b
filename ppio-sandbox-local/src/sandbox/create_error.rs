//! The errors of the creation of a sandbox.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use super::start_process::ProcessStartError;

/// The longest time for which the ready command of a template may fail after the start command was
/// started.
pub(super) const READY_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    #[error("{limit} sandboxes exist already: kill some, or raise the limit of the local platform")]
    TooMany { limit: usize },
    #[error("no port is free for the agent")]
    NoPort,
    #[error("the platform is shutting down")]
    ShuttingDown,
    #[error("failed to prepare the sandbox's files")]
    Files(#[source] io::Error),
    #[error("failed to start the sandbox")]
    Start(#[source] io::Error),
    #[error("failed to run the template's start command")]
    StartCommand(#[from] ProcessStartError),
    #[error("the template's start command ended with {status}; its last lines: {lines}")]
    StartCommandEnded { status: ExitStatus, lines: String },
    #[error("the template's ready command did not succeed within {} s; last lines of the start command: {lines}", READY_TIMEOUT.as_secs())]
    NotReady { lines: String },
}
