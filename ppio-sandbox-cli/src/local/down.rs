//! `local down`.

use std::time::Duration;

use ppio_sandbox_local::RunningPlatform;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use crate::arguments::DownArguments;
use crate::error::{CliError, ExitKind};
use crate::terminal::Terminal;

/// The longest time that the platform may take to stop its sandboxes and itself after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest time that the platform may take to end after SIGKILL.
const KILL_TIMEOUT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(20);

pub(crate) async fn run(_arguments: DownArguments, terminal: &Terminal) -> Result<(), CliError> {
    let Some(running) = crate::platform::local::running()? else {
        terminal.result(&serde_json::json!({ "stopped": false }), || {
            "the local platform is not running".to_owned()
        });
        return Ok(());
    };
    let progress = terminal.spinner("stopping the local platform and its sandboxes");
    send(&running, Signal::TERM)?;
    let stopped = timeout(STOP_TIMEOUT, wait_until_ended(&running))
        .await
        .is_ok();
    if !stopped {
        send(&running, Signal::KILL)?;
        let killed = timeout(KILL_TIMEOUT, wait_until_ended(&running)).await;
        killed.map_err(|_| {
            let message = format!(
                "process {} of the local platform did not end",
                running.pid()
            );
            CliError::new(ExitKind::System, message)
        })?;
    }
    // Erases the spinner before other output.
    drop(progress);
    if !stopped {
        terminal.warn(&format!(
            "the local platform did not stop within {} s and was killed with its sandboxes",
            STOP_TIMEOUT.as_secs()
        ));
    }
    terminal.result(
        &serde_json::json!({ "stopped": true, "url": running.url(), "pid": running.pid() }),
        || format!("stopped the local platform at {}", running.url()),
    );
    Ok(())
}

async fn wait_until_ended(running: &RunningPlatform) {
    while running.is_running() {
        sleep(POLL_INTERVAL).await;
    }
}

fn send(running: &RunningPlatform, signal: Signal) -> Result<(), CliError> {
    let pid = i32::try_from(running.pid()).ok().and_then(Pid::from_raw);
    // The process may have ended meanwhile.
    let sent = pid.map_or(Ok(()), |pid| kill_process(pid, signal));
    match sent {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(CliError::system(
            format!(
                "cannot stop process {} of the local platform",
                running.pid()
            ),
            std::io::Error::from(error),
        )),
    }
}
