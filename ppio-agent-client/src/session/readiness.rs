//! Waits until the agent of a new or resumed sandbox is healthy.

use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::StatusCode;
use ppio_agent_protocol::START_COMMAND_ENDED;
use tokio::time::Instant;

use super::sandbox_session::SandboxSession;
use crate::error::Error;
use crate::platform::{Command, ProcessEvent, ProcessEvents, ServiceCall};
use crate::templates::{START_TIMEOUT, StartCommand};
use crate::transport::{Deadline, Idempotency};

/// The pause after the first ping that fails; each later pause is 1.5 times as long as the previous
/// one.
const FIRST_PING_PAUSE: Duration = Duration::from_millis(2);
/// The longest pause between pings.
const MAX_PING_PAUSE: Duration = Duration::from_secs(1);
/// The time limit of one ping.
const PING_TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of bytes of a failed agent's output that an error quotes.
const OUTPUT_TAIL: usize = 500;

/// Why the last ping failed, for the error of a wait that times out.
#[derive(Default)]
struct LastFailure(Mutex<Option<Error>>);

impl LastFailure {
    fn set(&self, error: Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    /// The error for an agent that is not healthy within `limit`.
    fn not_healthy(self, limit: Duration) -> Error {
        let last = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        let why = last
            .as_ref()
            .map_or_else(String::new, |error| format!(": {}", error.report()));
        Error::Runtime {
            operation: "wait for the agent".into(),
            status: last.as_ref().and_then(Error::status),
            message: format!("the agent did not become healthy within {limit:?}{why}"),
        }
    }
}

impl SandboxSession {
    /// Waits until the agent is healthy, and starts the agent if its entrypoint is a Python file.
    ///
    /// The first pings are sent while the template is looked up: most agents start by themselves,
    /// and a healthy agent needs nothing from its template.
    pub(super) async fn start_agent(
        &self,
        lookup: impl Future<Output = Result<StartCommand, Error>>,
        start_timeout: Option<Duration>,
    ) -> Result<(), Error> {
        let started_at = Instant::now();
        let last = LastFailure::default();
        let outcome = {
            let mut ready = pin!(self.ping_until_ready(&last));
            let deadline = Deadline::after(start_timeout.unwrap_or(START_TIMEOUT));
            let lookup = deadline.run("look up template", lookup);
            let command = tokio::select! {
                biased;
                ready = &mut ready => return ready,
                command = lookup => command.and_then(|command| command),
            };
            let command = command.unwrap_or_else(|error| {
                // An agent that starts by itself becomes healthy without its template.
                tracing::warn!(
                    template_id = self.template_id(),
                    error = %error.report(),
                    "cannot look up the template"
                );
                // The error of the last ping is more specific than a timeout of the lookup.
                if !matches!(error, Error::Timeout { .. }) {
                    last.set(error);
                }
                StartCommand::of(None)
            });
            let limit = start_timeout.unwrap_or(command.start_timeout);
            let started = async {
                let Some(line) = command.command_line() else {
                    return ready.await;
                };
                let process = self.envd().start(&Command::shell(line)).await?;
                // The process outlives this call; its events are read until the agent is healthy.
                tokio::select! {
                    ready = ready => ready,
                    error = exit_error(process) => Err(error),
                }
            };
            let deadline = Deadline::since(started_at, limit);
            let started = deadline.run("start agent", started).await;
            started.map_err(|_| limit)
        };
        outcome.unwrap_or_else(|limit| Err(last.not_healthy(limit)))
    }

    /// Waits until a resumed agent is healthy.
    pub(super) async fn wait_until_healthy(&self, limit: Duration) -> Result<(), Error> {
        let last = LastFailure::default();
        let healthy = Deadline::after(limit).run("ping agent", self.ping_until_healthy(&last));
        match healthy.await {
            Ok(outcome) => outcome,
            Err(_) => Err(last.not_healthy(limit)),
        }
    }

    /// Waits for the agent, then for the other ports of the configuration.
    async fn ping_until_ready(&self, last: &LastFailure) -> Result<(), Error> {
        self.ping_until_healthy(last).await?;
        for port in &self.core.other_ports {
            self.wait_for_port(*port, last).await?;
        }
        Ok(())
    }

    /// Pings until the agent is healthy. A busy agent counts as healthy: it accepts requests.
    async fn ping_until_healthy(&self, last: &LastFailure) -> Result<(), Error> {
        let mut pause = FIRST_PING_PAUSE;
        loop {
            let deadline = Deadline::after(PING_TIMEOUT);
            match self.ping_by(deadline, Idempotency::Never).await {
                Ok(_) => return Ok(()),
                // The agent would reject the credentials of every further ping too.
                Err(error @ Error::Authentication { .. }) => return Err(error),
                // The start command has ended, so the agent cannot become healthy.
                Err(Error::Invocation {
                    status,
                    error_type: Some(kind),
                    message,
                    ..
                }) if kind == START_COMMAND_ENDED => {
                    return Err(Error::Runtime {
                        operation: "start the agent".into(),
                        status,
                        message,
                    });
                }
                Err(error) => {
                    let sandbox_id = self.sandbox_id();
                    tracing::trace!(sandbox_id, error = %error.report(), "not healthy yet");
                    last.set(error);
                }
            }
            pause = sleep_between_pings(pause).await;
        }
    }

    /// Waits until something listens on `port`: until then the platform's edge proxy sends 502.
    async fn wait_for_port(&self, port: u16, last: &LastFailure) -> Result<(), Error> {
        let service = self.core.port(port);
        let operation = format!("port {port}");
        last.set(Error::runtime(&operation, "no response yet"));
        let mut pause = FIRST_PING_PAUSE;
        loop {
            let call = ServiceCall::get("check a port", "/").idempotency(Idempotency::Never);
            let response = service.open(call, Deadline::after(PING_TIMEOUT)).await;
            let why = match response {
                Ok(response) if response.status() != StatusCode::BAD_GATEWAY => return Ok(()),
                Ok(response) => response.status().to_string(),
                Err(error) => error.report().to_string(),
            };
            last.set(Error::runtime(&operation, why));
            pause = sleep_between_pings(pause).await;
        }
    }
}

/// Sleeps for `pause`, and returns the next pause.
async fn sleep_between_pings(pause: Duration) -> Duration {
    tokio::time::sleep(pause).await;
    MAX_PING_PAUSE.min(pause + pause / 2)
}

/// Waits for the agent's process to exit, and returns the exit as an error. Never returns if the
/// events of the process cannot be read: then only the pings show whether the agent is healthy.
async fn exit_error(mut process: ProcessEvents) -> Error {
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
                    "the agent's process ended with exit code {}: {}",
                    status.exit_code,
                    output.trim()
                );
                return Error::runtime("start the agent", message);
            }
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }
}
