//! From a new sandbox to an agent that answers.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::sandbox_session::SandboxSession;
use crate::error::Error;
use crate::platform::{Call, Command, ProcessEvent, ProcessEvents};
use crate::templates::{START_TIMEOUT, StartCommand};
use crate::transport::{Deadline, Idempotency};

/// The pause after the first ping that failed; each one after it is half as long again.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause between pings.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// How long one ping may take.
const PING: Duration = Duration::from_secs(5);
/// As much of a failed agent's output as goes into an error.
const OUTPUT_TAIL: usize = 500;

/// Why the last ping failed, for the error of a wait that was given up.
#[derive(Default)]
struct LastFailure(Mutex<Option<Error>>);

impl LastFailure {
    fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The error of an agent that was not ready within `limit`.
    fn not_ready(self, limit: Duration) -> Error {
        let last = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let why = last
            .as_ref()
            .map_or_else(String::new, |error| format!(": {error}"));
        Error::Runtime {
            operation: "wait for the agent".into(),
            status: last.as_ref().and_then(Error::status),
            message: format!("it did not become healthy within {limit:?}{why}"),
        }
    }
}

impl SandboxSession {
    /// Waits until the agent is healthy, and starts it where that is the client's task.
    ///
    /// It is pinged at once, while its template is still being looked up: most agents start by
    /// themselves, and of one that answers nothing more need be known.
    pub(crate) async fn launch(
        &self,
        lookup: impl Future<Output = Result<StartCommand, Error>>,
        start_timeout: Option<Duration>,
    ) -> Result<(), Error> {
        let begun = Instant::now();
        let last = LastFailure::default();
        let outcome = {
            let mut ready = pin!(self.until_ready(&last));
            let patience = Deadline::after(start_timeout.unwrap_or(START_TIMEOUT));
            let lookup = patience.run("look up template", lookup);
            let launch = tokio::select! {
                biased;
                ready = &mut ready => return ready,
                launch = lookup => launch.and_then(|launch| launch),
            };
            let launch = launch.unwrap_or_else(|error| {
                // An agent that starts by itself needs no template to become healthy.
                tracing::warn!(template_id = self.template_id(), %error, "cannot look up the template");
                // That it took too long says less than what the agent's port says.
                if !matches!(error, Error::Timeout { .. }) {
                    last.set(error);
                }
                StartCommand::of(None)
            });
            let limit = start_timeout.unwrap_or(launch.start_timeout);
            let deadline = Deadline::since(begun, limit);
            let launched = async {
                let Some(line) = launch.command_line() else {
                    return ready.await;
                };
                let process = self.envd().start(&Command::shell(line)).await?;
                // The agent outlives this call; it is only listened to until it is healthy.
                tokio::select! {
                    ready = ready => ready,
                    error = failure_of(process) => Err(error),
                }
            };
            deadline
                .run("start agent", launched)
                .await
                .map_err(|_| limit)
        };
        outcome.unwrap_or_else(|limit| Err(last.not_ready(limit)))
    }

    /// Waits until a resumed agent answers.
    pub(super) async fn until_healthy_within(&self, limit: Duration) -> Result<(), Error> {
        let last = LastFailure::default();
        let healthy = Deadline::after(limit).run("ping agent", self.until_healthy(&last));
        match healthy.await {
            Ok(outcome) => outcome,
            Err(_) => Err(last.not_ready(limit)),
        }
    }

    /// Waits for the agent, then for the other ports that the session was asked to have.
    async fn until_ready(&self, last: &LastFailure) -> Result<(), Error> {
        self.until_healthy(last).await?;
        for port in &self.core.other_ports {
            self.until_open(*port, last).await?;
        }
        Ok(())
    }

    /// Pings until the agent says that it is well. Busy is well: it takes requests.
    async fn until_healthy(&self, last: &LastFailure) -> Result<(), Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            match self
                .ping_by(Deadline::after(PING), Idempotency::Never)
                .await
            {
                Ok(_) => return Ok(()),
                // No amount of waiting makes a rejected key good.
                Err(error @ Error::Authentication { .. }) => return Err(error),
                Err(error) => {
                    tracing::trace!(sandbox_id = self.sandbox_id(), %error, "not healthy yet");
                    last.set(error);
                }
            }
            tokio::time::sleep(pause).await;
            pause = LONGEST_PAUSE.min(pause + pause / 2);
        }
    }

    /// Waits until something listens on `port`: the edge answers 502 until then.
    async fn until_open(&self, port: u16, last: &LastFailure) -> Result<(), Error> {
        let service = self.core.port(port);
        let silent = |why: String| last.set(Error::protocol(&format!("port {port}"), why));
        silent("no answer yet".to_owned());
        let mut pause = FIRST_PAUSE;
        loop {
            let call = Call::get("look at a port", "/").idempotency(Idempotency::Never);
            let look = service.open(call, Deadline::after(PING)).await;
            let closed = match look {
                Ok(answer) if answer.status() != StatusCode::BAD_GATEWAY => return Ok(()),
                Ok(answer) => answer.status().to_string(),
                Err(error) => error.to_string(),
            };
            silent(closed);
            tokio::time::sleep(pause).await;
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
                return Error::protocol("start the agent", message);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
