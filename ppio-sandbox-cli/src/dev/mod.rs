//! `agent dev`: builds and runs the agent on this machine, and repeats both on every change.
//!
//! ```text
//! watch ──changed files──▶ rebuilder ──starts──▶ agent_process ◀──forwards── proxy ◀── client
//!                              └───────────────────sets the phase──────────────┘
//! ```
//!
//! `watch` compares snapshots (`snapshot`) of the source files (`sources`). `rebuilder` is the loop
//! that builds and replaces the agent, and sets the variables of `dot_env` for it. `agent_process`
//! is one process of the agent, in a `process_group` that the `watchdog` kills if this program is
//! killed; `output_reader` splits its output into `output_line`s. `proxy` keeps the port open for
//! `allowed_callers`, with the connections of `server`, and serves the `waiting_page`. `console`
//! prints, and `transcript` keeps cargo's output. `telemetry` receives the traces of the agent, and
//! keeps them with the agent's log for the page. With `--chaos`, `chaos` disturbs what passes the
//! proxy, and has the rebuilder disturb the agent.

mod agent_process;
mod allowed_callers;
mod chaos;
mod clipped;
mod console;
mod dot_env;
mod error_response;
mod output_line;
mod output_reader;
mod process_group;
mod proxy;
mod python;
mod rebuilder;
mod server;
mod snapshot;
mod sources;
pub(crate) mod telemetry;
mod transcript;
mod waiting_page;
mod watch;
mod watchdog;

use std::sync::Arc;

use self::allowed_callers::AllowedCallers;
use self::chaos::Chaos;
use self::console::DevConsole;
use self::proxy::DevProxy;
use self::rebuilder::Rebuilder;
use self::telemetry::DevTelemetry;
use self::watch::FileWatcher;
use self::watchdog::GroupWatchdog;
use crate::arguments::DevArguments;
use crate::error::CliError;
use crate::project::Project;
use crate::signals::ExitSignals;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: DevArguments, terminal: &Terminal) -> Result<(), CliError> {
    let mut signals = ExitSignals::listen()?;
    let project = Project::open(&arguments.project.project)?;
    let variables = dot_env::read(project.folder())?;
    let callers = AllowedCallers::new(&variables);
    let console = Arc::new(DevConsole::new(terminal));
    let chaos = arguments.chaos.map(|seed| {
        console.chaos(seed);
        Chaos::new(seed, &console)
    });
    let (chaos, disturbances) = chaos.unzip();
    let telemetry = DevTelemetry::new();
    let proxy = DevProxy::listen(arguments.port, callers, &telemetry, chaos).await?;
    let watchdog = GroupWatchdog::start()
        .map_err(|error| CliError::system("cannot run /bin/sh as the agent's watchdog", error))?;
    let watchdog = Arc::new(watchdog);
    let watch = FileWatcher::start(project.folder().to_owned())
        .await
        .map_err(|error| CliError::system("cannot read the project's files", error))?;
    if !watch.has_notifications() {
        console.note("this system sends no file notifications; checking for changes every second");
    }
    let mut rebuilder = Rebuilder::new(
        &project,
        arguments.release,
        proxy,
        watch,
        &console,
        &watchdog,
        &telemetry,
    )
    .disturbed_by(disturbances);
    let outcome = tokio::select! {
        // Ctrl-C is the regular end of this command.
        _ = signals.next() => Ok(()),
        error = rebuilder.run() => Err(error),
    };
    tokio::select! {
        () = rebuilder.stop() => {}
        // A second signal: running requests are cut.
        _ = signals.next() => rebuilder.kill().await,
    }
    drop(rebuilder);
    if let Some(watchdog) = Arc::into_inner(watchdog) {
        watchdog
            .finish()
            .map_err(|error| CliError::system("cannot wait for the agent's watchdog", error))?;
    }
    outcome
}
