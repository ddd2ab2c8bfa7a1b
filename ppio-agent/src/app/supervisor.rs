//! Runs the server of a program, and ends it.

use std::io;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use tokio::task::JoinError;
use tokio::time::{sleep, timeout};

use super::runtime_app::AgentRuntimeApp;
use super::start_error::StartError;
use crate::lifecycle::LifecycleError;
use crate::server::signals::Signals;
use crate::server::{ABORT_TIMEOUT, AgentRuntimeServer};

/// Waits for signals and for the end of the grace.
///
/// The supervisor has its own runtime and thread, because user code can block all threads of the
/// agent's runtime, which then neither receives signals nor wakes timers.
pub(super) struct Supervisor {
    runtime: Runtime,
    signals: Signals,
}

impl Supervisor {
    /// Starts to receive signals.
    pub(super) fn new() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let signals = {
            let _context = runtime.enter();
            Signals::new()?
        };
        Ok(Self { runtime, signals })
    }

    /// Runs the startup functions on the threads of `agent` and listens; returns `None` if a signal
    /// arrived first.
    pub(super) fn bind(
        &mut self,
        agent: &Handle,
        app: AgentRuntimeApp,
    ) -> Result<Option<AgentRuntimeServer>, StartError> {
        let mut binding = agent.spawn(app.bind());
        let signals = &mut self.signals;
        self.runtime.block_on(async {
            tokio::select! {
                bound = &mut binding => match bound {
                    Ok(bound) => bound.map(Some),
                    Err(error) => std::panic::resume_unwind(error.into_panic()),
                },
                () = signals.next() => {
                    tracing::info!(target: LOG_TARGET, "a signal ended the start of the agent");
                    binding.abort();
                    // A startup function that blocks its thread cannot be aborted.
                    let _ = timeout(ABORT_TIMEOUT, binding).await;
                    Ok(None)
                }
            }
        })
    }

    /// Serves on the threads of `agent` until a signal. Returns when the shutdown has ended, at the
    /// latest soon after the end of the grace or after a second signal.
    pub(super) fn serve(
        self,
        agent: &Handle,
        server: AgentRuntimeServer,
    ) -> Result<(), StartError> {
        let Self {
            runtime,
            mut signals,
        } = self;
        let longest = server.longest_shutdown();
        let (shutdown, begun) = oneshot::channel();
        let (abort, aborted) = oneshot::channel();
        let mut serving =
            agent.spawn(server.serve_until_aborted(received(begun), received(aborted)));
        runtime.block_on(async {
            tokio::select! {
                () = signals.next() => {}
                outcome = &mut serving => return result(outcome),
            }
            let _ = shutdown.send(());
            tokio::select! {
                outcome = &mut serving => return result(outcome),
                () = signals.next() => {}
                // The server ends its shutdown itself when the grace is over, unless its threads
                // are blocked.
                () = sleep(longest + Duration::from_millis(100)) => {}
            }
            let _ = abort.send(());
            // The server waits for aborted requests before it returns.
            if let Ok(outcome) = timeout(ABORT_TIMEOUT, serving).await {
                return result(outcome);
            }
            tracing::warn!(
                target: LOG_TARGET,
                "the agent's code blocks its threads; exiting without waiting (code that blocks \
                 belongs in a plain `fn` or in `tokio::task::spawn_blocking`)"
            );
            #[cfg(feature = "otel")]
            crate::telemetry::flush(ABORT_TIMEOUT).await;
            Ok(())
        })
    }
}

fn result(outcome: Result<Result<(), LifecycleError>, JoinError>) -> Result<(), StartError> {
    match outcome {
        Ok(result) => Ok(result?),
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The log target of the lines that the supervisor writes.
const LOG_TARGET: &str = "ppio::server";

async fn received(signal: oneshot::Receiver<()>) {
    // A dropped sender is not a signal.
    if signal.await.is_err() {
        std::future::pending::<()>().await;
    }
}
