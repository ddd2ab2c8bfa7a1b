//! From a new sandbox to an agent that answers.

use std::time::Duration;

use tokio::time::Instant;

use super::SandboxSession;
use crate::error::Error;
use crate::platform::{Command, ProcessEvent, ProcessEvents};
use crate::templates::Launch;
use crate::transport::{Deadline, Repeat};

/// The pause after the first ping that failed; each one after it is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// The longest pause between pings.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long one ping may take.
const PING: Duration = Duration::from_secs(5);
/// As much of a failed agent's output as goes into an error.
const OUTPUT_TAIL: usize = 500;

impl SandboxSession {
    /// Starts the agent where that is the client's task, and waits until it is healthy.
    pub(crate) async fn launch(&self, launch: &Launch, started: Instant) -> Result<(), Error> {
        let deadline = Deadline::after(launch.start_timeout);
        let Some(line) = launch.command_line() else {
            self.until_healthy(deadline).await?;
            tracing::debug!(sandbox_id = self.sandbox_id(), elapsed = ?started.elapsed(), "agent is healthy");
            return Ok(());
        };
        let command = Command::shell(line);
        let envd = self.envd();
        let process = deadline.run("start agent", envd.start(&command)).await??;
        // The agent outlives this call; its output is only listened to until it is healthy.
        tokio::select! {
            healthy = self.until_healthy(deadline) => healthy,
            error = failure_of(process) => Err(error),
        }
    }

    /// Pings until the agent says that it is well. Busy is well: it takes requests.
    pub(super) async fn until_healthy(&self, deadline: Deadline) -> Result<(), Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            let error = match self.ping_by(deadline.at_most(PING), Repeat::Never).await {
                Ok(_) => return Ok(()),
                // No amount of waiting makes a rejected key good.
                Err(error @ Error::Authentication { .. }) => return Err(error),
                Err(error) => error,
            };
            tracing::trace!(sandbox_id = self.sandbox_id(), %error, "not healthy yet");
            if deadline.run("", tokio::time::sleep(pause)).await.is_err() {
                return Err(Error::Runtime {
                    operation: "wait for the agent".into(),
                    status: error.status(),
                    message: format!(
                        "it did not become healthy within {:?}: {error}",
                        deadline.limit()
                    ),
                });
            }
            pause = LONGEST_PAUSE.min(pause + pause / 2);
        }
    }
}

/// Waits for the agent's process to end, which it should not; pending for ever if its events can
/// no longer be heard, because then only the pings can tell.
async fn failure_of(mut process: ProcessEvents) -> Error {
    let mut tail = Vec::new();
    loop {
        match process.next().await {
            Ok(Some(ProcessEvent::Stdout(bytes) | ProcessEvent::Stderr(bytes))) => {
                tail.extend(bytes);
                let excess = tail.len().saturating_sub(OUTPUT_TAIL);
                tail.drain(..excess);
            }
            Ok(Some(ProcessEvent::Ended(status))) => {
                let output = String::from_utf8_lossy(&tail);
                let message = format!(
                    "its process ended with exit code {}: {}",
                    status.exit_code,
                    output.trim()
                );
                return Error::malformed("start the agent", message);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
