//! The program that `#[ppio::entrypoint]` generates.

use std::error::Error as StdError;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use crate::app::AgentRuntimeApp;
use crate::app::healthcheck;
use crate::app::logging;
use crate::app::start_error::StartError;

/// Runs the annotated agent of this program: what the generated `main` does.
///
/// An entrypoint that does not stand in the root of its crate is run by a `main` of the author's:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     ppio::run()
/// }
/// ```
///
/// With the argument `--healthcheck` it asks the running service for `/ping` instead and exits
/// with 0 when that is answered with 200, otherwise with 1: the `HEALTHCHECK` of a container image
/// that has no `curl`.
pub fn run() -> ExitCode {
    let result = AgentRuntimeApp::annotated().and_then(|app| {
        if std::env::args_os()
            .skip(1)
            .any(|arg| arg == "--healthcheck")
        {
            return Ok(healthcheck::ask(&app));
        }
        logging::start(&app.agent().settings);
        app.run().map(|()| ExitCode::SUCCESS)
    });
    result.unwrap_or_else(|error| {
        report(&error);
        ExitCode::FAILURE
    })
}

/// Says on standard error why nothing runs: to a person there, as a log line elsewhere.
fn report(error: &StartError) {
    let source = error.source().map(|source| format!(": {source}"));
    let source = source.unwrap_or_default();
    if std::io::stderr().is_terminal() || !tracing::enabled!(tracing::Level::ERROR) {
        eprintln!("error: {error}{source}");
    } else {
        tracing::error!("{error}{source}");
    }
}
