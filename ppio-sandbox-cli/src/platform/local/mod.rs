//! The platform on this machine: finding it and starting it.

pub(crate) mod background;
mod interpreter;
pub(crate) mod isolation_report;

use std::path::PathBuf;

use ppio_sandbox_local::{LocalPlatform, RunningPlatform};

use self::isolation_report::IsolationReport;
use crate::arguments::UpArguments;
use crate::error::{CliError, ExitKind};
use crate::terminal::Terminal;

pub(crate) use interpreter::PythonInterpreter;

/// Returns the folder with the platform's files.
pub(crate) fn home() -> Result<PathBuf, CliError> {
    LocalPlatform::default_home().map_err(|error| {
        CliError::new(ExitKind::Usage, "the local platform has no home folder")
            .caused_by(&error)
            .help("set PPIO_LOCAL_HOME to a folder that you can write to")
    })
}

/// Whether `--isolate-network`, otherwise `PPIO_LOCAL_ISOLATE_NETWORK`, gives sandboxes with
/// internet access a network of their own.
pub(crate) fn isolates_network(arguments: &UpArguments) -> Result<bool, CliError> {
    let by_default = LocalPlatform::default_isolate_network().map_err(|error| {
        CliError::new(ExitKind::Usage, error.to_string())
            .help("set it to `true` or `false`, or unset it")
    })?;
    Ok(arguments.isolate_network || by_default)
}

/// Returns the platform that runs in the home folder, if any does.
pub(crate) fn running() -> Result<Option<RunningPlatform>, CliError> {
    Ok(LocalPlatform::running_at(home()?))
}

/// Returns the platform that runs in the home folder.
///
/// # Errors
/// If none is running, or there is no home folder.
pub(crate) fn require_running() -> Result<RunningPlatform, CliError> {
    running()?.ok_or_else(|| {
        CliError::new(ExitKind::Platform, "the local platform is not running").help(
            "run `ppio-sandbox-cli local up --detach`, or set PPIO_API_KEY to use the \
             cloud",
        )
    })
}

/// Returns the platform that runs in the home folder. If none does, starts one in the background
/// and prints a note.
///
/// A start that is interrupted is stopped again. After the note, the platform keeps running until
/// `local down`, even if the command that started it fails.
///
/// # Errors
/// If there is no home folder, if `PPIO_LOCAL_ISOLATE_NETWORK` is not valid, if the platform cannot
/// be started, or if the running platform shares this machine's network although the variable is
/// `true`.
pub(crate) async fn running_or_started(terminal: &Terminal) -> Result<RunningPlatform, CliError> {
    let home = home()?;
    let arguments = UpArguments::default();
    let isolates_network = isolates_network(&arguments)?;
    if let Some(running) = LocalPlatform::running_at(&home) {
        if isolates_network && !running.isolates_network() {
            let message = format!(
                "PPIO_LOCAL_ISOLATE_NETWORK is set, and sandboxes of the local platform at {} \
                 share this machine's network",
                running.url()
            );
            return Err(CliError::new(ExitKind::Platform, message).help(
                "run `ppio-sandbox-cli local down`, so that the platform is started again, or \
                 unset the variable",
            ));
        }
        return Ok(running);
    }
    let running = background::start(&home, &arguments, terminal).await?;
    terminal.note(&format!(
        "started the local platform at {}; `ppio-sandbox-cli local down` stops it",
        running.url()
    ));
    terminal.warn(&IsolationReport::of(&running).summary());
    Ok(running)
}
