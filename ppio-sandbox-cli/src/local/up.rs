//! `local up`.

use std::path::Path;

use ppio_sandbox_local::{Error, LocalPlatform, LocalPlatformBuilder, RunningPlatform};

use super::report;
use crate::arguments::UpArguments;
use crate::error::{CliError, ExitKind};
use crate::platform::local::{self, PythonInterpreter, background};
use crate::signals::ExitSignals;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: UpArguments, terminal: &Terminal) -> Result<(), CliError> {
    let home = local::home()?;
    let isolate_network = local::isolates_network(&arguments)?;
    if arguments.in_background {
        // Puts this process into its own session, so that it receives no signals from the terminal.
        let _ = rustix::process::setsid();
    } else if let Some(running) = LocalPlatform::running_at(&home) {
        return already_running(&running, &arguments, isolate_network, terminal);
    } else if arguments.detach {
        let running = background::start(&home, &arguments, terminal).await?;
        report::print(&running, terminal);
        return Ok(());
    }

    // The signal handlers are installed before the start, so that no signal is lost.
    let mut signals = ExitSignals::listen()?;
    let builder = tokio::select! {
        biased;
        // Nothing has been started yet.
        kind = signals.next() => {
            return Err(CliError::new(kind, "the local platform was not started"));
        }
        builder = builder(&home, &arguments) => builder.isolate_network(isolate_network),
    };
    let platform = builder.start().await.map_err(|error| start_error(&error))?;
    if let Some(running) = LocalPlatform::running_at(&home).filter(|_| !arguments.in_background) {
        report::print(&running, terminal);
    }
    let kind = signals.next().await;
    terminal.note("stopping the sandboxes");
    tokio::select! {
        ended = platform.shutdown() => ended.map_err(|error| {
            CliError::system("the local platform did not stop cleanly", error)
        })?,
        // A second signal: the watchdog kills the remaining processes.
        _ = signals.next() => {}
    }
    match kind {
        ExitKind::Interrupted => Err(CliError::new(kind, "the local platform was stopped")),
        // SIGTERM is the regular end of the platform.
        _ => Ok(()),
    }
}

async fn builder(home: &Path, arguments: &UpArguments) -> LocalPlatformBuilder {
    let mut builder = LocalPlatform::builder()
        .home(home)
        .port(arguments.port)
        .tls(arguments.tls);
    for path in &arguments.expose {
        builder = builder.expose(path);
    }
    if let Ok(interpreter) = PythonInterpreter::find().await {
        for folder in interpreter.folders_to_expose() {
            builder = builder.expose(folder);
        }
    }
    builder
}

/// Reports the running platform. Returns an error without `--detach`, or if the platform lacks a
/// requested setting. `--expose` is an error in any case.
fn already_running(
    running: &RunningPlatform,
    arguments: &UpArguments,
    isolate_network: bool,
    terminal: &Terminal,
) -> Result<(), CliError> {
    let other_port =
        arguments.port != 0 && !running.url().ends_with(&format!(":{}", arguments.port));
    let other_settings = other_port
        || (arguments.tls && !running.tls())
        || (isolate_network && !running.isolates_network())
        || !arguments.expose.is_empty();
    if !arguments.detach || other_settings {
        let message = format!(
            "the local platform is already running at {} (process {})",
            running.url(),
            running.pid()
        );
        let error = CliError::new(ExitKind::Platform, message);
        return Err(if other_settings {
            error.help(
                "to use other settings, stop the platform first with `ppio-sandbox-cli local down`",
            )
        } else {
            error.help("use the running platform, or stop it with `ppio-sandbox-cli local down`")
        });
    }
    terminal.note("the local platform is already running");
    report::print(running, terminal);
    Ok(())
}

fn start_error(error: &Error) -> CliError {
    let converted = CliError::system("the local platform cannot start", error);
    match error {
        Error::HomeInUse { .. } => CliError {
            kind: ExitKind::Platform,
            ..converted
        }
        .help("another platform uses this home folder; see `ppio-sandbox-cli local status`"),
        Error::Listen { .. } => {
            converted.help("choose another port with `--port`, or leave out `--port`")
        }
        Error::Network { .. } => converted.help(
            "install bubblewrap and pasta, as in `apt install bubblewrap passt`, and let the \
             user open /dev/net/tun, or start the platform without `--isolate-network` and \
             PPIO_LOCAL_ISOLATE_NETWORK",
        ),
        Error::Home { .. } => {
            converted.help("set PPIO_LOCAL_HOME to a folder that you can write to")
        }
        _ => converted,
    }
}
