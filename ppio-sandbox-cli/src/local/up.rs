//! `local up`.

use std::path::Path;

use ppio_sandbox_local::{Error, LocalPlatform, LocalPlatformBuilder, RunningPlatform};

use super::report;
use crate::arguments::UpArguments;
use crate::error::{Failure, Fault};
use crate::platform::local::{self, Interpreter, background};
use crate::signals::Interruptions;
use crate::terminal::Terminal;

pub(crate) async fn run(arguments: UpArguments, terminal: &Terminal) -> Result<(), Failure> {
    let home = local::home()?;
    if arguments.in_background {
        // A session of its own: the terminal's Ctrl-C and end are not its business.
        let _ = rustix::process::setsid();
    } else if let Some(running) = LocalPlatform::running_at(&home) {
        return runs_already(&running, &arguments, terminal);
    } else if arguments.detach {
        let running = background::start(&home, &arguments, terminal).await?;
        report::print(&running, terminal);
        return Ok(());
    }

    // Before the start, so that nothing that asks it to end is lost.
    let mut interruptions = Interruptions::listen()?;
    let builder = tokio::select! {
        biased;
        // Nothing is there yet that would have to end in order.
        fault = interruptions.next() => {
            return Err(Failure::new(fault, "the local platform has not started"));
        }
        builder = builder(&home, &arguments) => builder,
    };
    let platform = builder.start().await.map_err(|error| refused(&error))?;
    if let Some(running) = LocalPlatform::running_at(&home).filter(|_| !arguments.in_background) {
        report::print(&running, terminal);
    }
    let fault = interruptions.next().await;
    terminal.note("stopping the sandboxes");
    tokio::select! {
        ended = platform.shutdown() => ended.map_err(|error| {
            Failure::system("the local platform did not end in order", error)
        })?,
        // Impatience: what is left is the watchdog's.
        _ = interruptions.next() => {}
    }
    match fault {
        Fault::Interrupted => Err(Failure::new(fault, "the local platform has stopped")),
        // Being asked to end is how it ends.
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
    if let Some(interpreter) = Interpreter::find().await {
        for folder in interpreter.hidden_folders() {
            builder = builder.expose(folder);
        }
    }
    builder
}

/// In the background is where it was wanted; a second one in the foreground cannot be.
fn runs_already(
    running: &RunningPlatform,
    arguments: &UpArguments,
    terminal: &Terminal,
) -> Result<(), Failure> {
    let other_port =
        arguments.port != 0 && !running.url().ends_with(&format!(":{}", arguments.port));
    let other_settings =
        other_port || (arguments.tls && !running.tls()) || !arguments.expose.is_empty();
    if !arguments.detach || other_settings {
        let what = format!(
            "the local platform runs already at {} (process {})",
            running.url(),
            running.pid()
        );
        let failure = Failure::new(Fault::Platform, what);
        return Err(if other_settings {
            failure
                .next("stop it with `ppio-sandbox-cli local down` to start it with other settings")
        } else {
            failure.next("use it as it is, or stop it with `ppio-sandbox-cli local down`")
        });
    }
    terminal.note("the local platform runs already");
    report::print(running, terminal);
    Ok(())
}

fn refused(error: &Error) -> Failure {
    let failure = Failure::system("the local platform cannot start", error);
    match error {
        Error::HomeInUse { .. } => Failure {
            fault: Fault::Platform,
            ..failure
        }
        .next("another one runs there; see `ppio-sandbox-cli local status`"),
        Error::Listen { .. } => failure.next("choose another port with `--port`, or leave it out"),
        Error::Home { .. } => failure.next("set PPIO_LOCAL_HOME to a folder of yours"),
        _ => failure,
    }
}
