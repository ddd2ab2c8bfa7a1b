//! The platform on this machine: the commands about it, one file each, and how it is found.

pub(crate) mod background;
mod interpreter;
pub(crate) mod isolation_report;

use std::path::PathBuf;

use ppio_sandbox_local::{LocalPlatform, RunningPlatform};

use self::isolation_report::Confinement;
use crate::arguments::UpArguments;
use crate::error::{Failure, Fault};
use crate::terminal::Terminal;

pub(crate) use interpreter::Interpreter;

/// Where the platform keeps its files.
pub(crate) fn home() -> Result<PathBuf, Failure> {
    LocalPlatform::default_home().map_err(|error| {
        Failure::new(Fault::Usage, "the local platform has no home")
            .because(&error)
            .next("set PPIO_LOCAL_HOME to a folder of yours")
    })
}

/// The platform that runs in that home now, if one does.
pub(crate) fn running() -> Result<Option<RunningPlatform>, Failure> {
    Ok(LocalPlatform::running_at(home()?))
}

/// The platform that runs in that home now, for who can do nothing without.
pub(crate) fn needed() -> Result<RunningPlatform, Failure> {
    running()?.ok_or_else(|| {
        Failure::new(Fault::Platform, "the local platform does not run").next(
            "start it with `ppio-sandbox-cli local up --detach`; with PPIO_API_KEY set, agents go to the cloud instead",
        )
    })
}

/// The platform that runs in that home; where none does, it is started in the background, and a note says so.
///
/// Interrupted during its start, it is ended again: nobody would know of it. Once the note is printed it runs until
/// `local down`, whatever becomes of the command that started it.
pub(crate) async fn running_or_started(terminal: &Terminal) -> Result<RunningPlatform, Failure> {
    let home = home()?;
    if let Some(running) = LocalPlatform::running_at(&home) {
        return Ok(running);
    }
    let running = background::start(&home, &UpArguments::default(), terminal).await?;
    terminal.note(&format!(
        "started the local platform at {}; `ppio-sandbox-cli local down` stops it",
        running.url()
    ));
    terminal.warn(&Confinement::of(&running).summary());
    Ok(running)
}
