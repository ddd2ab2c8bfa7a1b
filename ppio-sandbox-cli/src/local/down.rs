//! `local down`.

use std::time::Duration;

use ppio_sandbox_local::RunningPlatform;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{sleep, timeout};

use crate::arguments::DownArguments;
use crate::error::{Failure, Fault};
use crate::terminal::Terminal;

/// How long it may take to end its sandboxes and itself.
const IN_ORDER: Duration = Duration::from_secs(30);
/// How long the system may take to end it after that.
const BY_FORCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

pub(crate) async fn run(_arguments: DownArguments, terminal: &Terminal) -> Result<(), Failure> {
    let Some(running) = crate::platform::local::running()? else {
        terminal.result(&serde_json::json!({ "stopped": false }), || {
            "the local platform does not run".to_owned()
        });
        return Ok(());
    };
    let progress = terminal.spinner("stopping the local platform and its sandboxes");
    send(&running, Signal::TERM)?;
    let in_order = timeout(IN_ORDER, gone(&running)).await.is_ok();
    if !in_order {
        send(&running, Signal::KILL)?;
        let killed = timeout(BY_FORCE, gone(&running)).await;
        killed.map_err(|_| {
            let what = format!(
                "process {} of the local platform does not end",
                running.pid()
            );
            Failure::new(Fault::System, what)
        })?;
    }
    // Before anything is printed into its line.
    drop(progress);
    if !in_order {
        terminal.warn(&format!(
            "it did not end within {} s and was killed, its sandboxes with it",
            IN_ORDER.as_secs()
        ));
    }
    terminal.result(
        &serde_json::json!({ "stopped": true, "url": running.url(), "pid": running.pid() }),
        || format!("stopped the local platform at {}", running.url()),
    );
    Ok(())
}

async fn gone(running: &RunningPlatform) {
    while running.is_running() {
        sleep(POLL).await;
    }
}

fn send(running: &RunningPlatform, signal: Signal) -> Result<(), Failure> {
    let pid = i32::try_from(running.pid()).ok().and_then(Pid::from_raw);
    // One that has ended meanwhile is what was wanted.
    let sent = pid.map_or(Ok(()), |pid| kill_process(pid, signal));
    match sent {
        Ok(()) | Err(rustix::io::Errno::SRCH) => Ok(()),
        Err(error) => Err(Failure::system(
            format!(
                "cannot stop process {} of the local platform",
                running.pid()
            ),
            std::io::Error::from(error),
        )),
    }
}
