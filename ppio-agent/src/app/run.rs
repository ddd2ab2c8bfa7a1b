//! Runs an agent as a program.

use std::error::Error as StdError;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;

use super::healthcheck;
#[cfg(feature = "logging")]
use super::logging;
use super::runtime_app::AgentRuntimeApp;
use super::start_error::StartError;
use super::supervisor::Supervisor;
#[cfg(feature = "otel")]
use crate::exchange::agent_info::AgentInfo;
use crate::invocation::blocking_pool::BlockingPool;
use crate::server::reachable;

const NO_OPENAPI: &str = "it is disabled: set PPIO_AGENT_ENABLE_OPENAPI=true, and build the agent \
    with the feature `schema`";

/// Runs the annotated agent of this program, as the generated `main` does.
///
/// If the entrypoint is not in the root module of its crate, the program needs a `main`:
///
/// ```no_run
/// fn main() -> std::process::ExitCode {
///     ppio::run()
/// }
/// ```
///
/// Arguments, log and shutdown are those of [`AgentRuntimeApp::run`]. Errors are written to
/// standard error, and the exit code is then 1.
pub fn run() -> ExitCode {
    match AgentRuntimeApp::annotated().and_then(AgentRuntimeApp::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            #[cfg(feature = "otel")]
            crate::telemetry::flush_blocking(crate::server::ABORT_TIMEOUT);
            ExitCode::FAILURE
        }
    }
}

/// Writes the error of a start or a shutdown to standard error: as text on a terminal, without a
/// log, or if the health check failed; otherwise as a log line.
fn report(error: &StartError) {
    let source = error.source().map(|source| format!(": {source}"));
    let source = source.unwrap_or_default();
    if let StartError::Unhealthy(_) = error {
        eprintln!("{error}");
    } else if std::io::stderr().is_terminal() || !tracing::enabled!(tracing::Level::ERROR) {
        eprintln!("error: {error}{source}");
    } else {
        tracing::error!("{error}{source}");
    }
}

impl AgentRuntimeApp {
    /// Starts the log, runs the startup functions, and serves on a new tokio runtime until SIGTERM
    /// or SIGINT, then shuts down. A signal while startup functions run ends these functions.
    ///
    /// With the argument `--healthcheck`, this method calls `/ping` of the running service instead;
    /// the result is `Ok` if the answer is a 200. This can be the `HEALTHCHECK` of a container
    /// image without `curl`.
    ///
    /// With the argument `--openapi`, this method prints the document of `/openapi.json` to
    /// standard output instead. No startup function runs, and no port is opened.
    ///
    /// With the feature `logging`, log lines and panics go to standard error, unless the program
    /// has a `tracing` subscriber of its own.
    ///
    /// # Errors
    /// If a startup function fails, the journal cannot be used, the agent cannot listen on the
    /// address, the runtime cannot start, a shutdown function fails, an `OTEL_*` variable has a
    /// value that is not supported (feature `otel`), the health check fails, or the `OpenAPI`
    /// document cannot be printed. This method also fails inside a tokio runtime, as with
    /// `#[tokio::main]`: use [`AgentRuntimeServer`](crate::AgentRuntimeServer) in that case.
    pub fn run(self) -> Result<(), StartError> {
        let has = |argument: &str| std::env::args_os().skip(1).any(|arg| arg == argument);
        if has("--healthcheck") {
            return healthcheck::check(self.resolved());
        }
        if has("--openapi") {
            return self.print_openapi();
        }
        if tokio::runtime::Handle::try_current().is_ok() {
            return Err(StartError::InsideRuntime);
        }
        #[cfg(feature = "otel")]
        let exports = self.start_telemetry();
        #[cfg(feature = "logging")]
        self.start_logging();
        #[cfg(all(feature = "otel", not(feature = "logging")))]
        crate::telemetry::layers::install();
        // This error is returned only after logging has started, so that it is logged like every
        // other error.
        #[cfg(feature = "otel")]
        exports?;
        serve(self)
    }

    /// Prints the document of `/openapi.json`.
    fn print_openapi(&self) -> Result<(), StartError> {
        let Some(document) = self.openapi() else {
            return Err(StartError::OpenApi(NO_OPENAPI.to_owned()));
        };
        let mut stdout = io::stdout().lock();
        let printed = stdout
            .write_all(&document)
            .and_then(|()| stdout.write_all(b"\n"))
            .and_then(|()| stdout.flush());
        printed.map_err(|error| StartError::OpenApi(error.to_string()))
    }

    /// Exports traces, metrics and logs as the `OTEL_*` variables specify, for programs that do not
    /// serve the agent with [`run`](Self::run). Call this method before
    /// [`start_logging`](Self::start_logging), or before the program installs a subscriber of its
    /// own with a [`layer`](crate::trace::layer). Without an endpoint nothing is exported. The
    /// agent sends the remaining telemetry when it shuts down.
    ///
    /// # Errors
    /// If an `OTEL_*` variable has a value that is not supported.
    #[cfg(feature = "otel")]
    pub fn start_telemetry(&self) -> Result<(), StartError> {
        let AgentInfo { name, version, .. } = self.info();
        Ok(crate::telemetry::start(name, version)?)
    }

    /// Starts the log that [`run`](Self::run) writes, for programs that serve the agent in another
    /// way. A subscriber that the program has installed is not replaced.
    #[cfg(feature = "logging")]
    pub fn start_logging(&self) {
        logging::start(self.resolved());
    }
}

fn serve(app: AgentRuntimeApp) -> Result<(), StartError> {
    let settings = app.settings();
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .enable_all()
        .thread_name("ppio")
        .max_blocking_threads(BlockingPool::runtime_threads(settings.blocking_threads));
    if let Some(threads) = settings.worker_threads {
        builder.worker_threads(threads);
    }
    let runtime = builder.build().map_err(StartError::Runtime)?;
    // A program that reads the line written below may send a signal immediately.
    let mut supervisor = Supervisor::new().map_err(StartError::Runtime)?;
    let result = match supervisor.bind(runtime.handle(), app) {
        Ok(Some(server)) => {
            // A closed standard output is not an error.
            let _ = writeln!(io::stdout(), "{}", listening_on(server.local_addr()));
            supervisor.serve(runtime.handle(), server)
        }
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    // Code that never returns must not keep the process alive.
    runtime.shutdown_background();
    result
}

/// Returns the line that names the address. Some browsers do not open a wildcard address, so the
/// line also has an address that every browser opens.
fn listening_on(address: SocketAddr) -> String {
    let open = reachable(address);
    if open == address {
        format!("listening on http://{address}")
    } else {
        format!("listening on http://{address}, open http://{open}")
    }
}
