//! Runs the server of a program, and ends it.

use std::io;
use std::time::Duration;

use tokio::runtime::{Handle, Runtime};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use crate::server::signals::Signals;
use crate::server::{ABORT_TIMEOUT, AgentRuntimeServer};

/// Waits for signals and for the end of the grace.
///
/// It has a runtime and a thread of its own: user code can block all threads of the agent's
/// runtime, which then neither receives signals nor wakes timers.
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

    /// Serves on the threads of `agent` until a signal, and returns at the latest when the grace is
    /// over, or soon after a second signal.
    pub(super) fn serve(self, agent: &Handle, server: AgentRuntimeServer) {
        let Self {
            runtime,
            mut signals,
        } = self;
        let grace = server.shutdown_grace();
        let (shutdown, begun) = oneshot::channel();
        let (abort, aborted) = oneshot::channel();
        let mut serving =
            agent.spawn(server.serve_until_aborted(received(begun), received(aborted)));
        runtime.block_on(async {
            tokio::select! {
                () = signals.next() => {}
                _ = &mut serving => return,
            }
            let _ = shutdown.send(());
            tokio::select! {
                _ = &mut serving => return,
                () = signals.next() => {}
                // The server itself ends the grace, unless its threads are blocked.
                () = sleep(grace + ABORT_TIMEOUT + Duration::from_millis(100)) => {}
            }
            let _ = abort.send(());
            if timeout(ABORT_TIMEOUT, serving).await.is_err() {
                tracing::warn!(
                    target: LOG_TARGET,
                    "the agent's code blocks its threads; ending without it (code that blocks \
                     belongs in a plain `fn` or in `tokio::task::spawn_blocking`)"
                );
            }
        });
    }
}

/// The target of what the server itself logs.
const LOG_TARGET: &str = "ppio::server";

async fn received(signal: oneshot::Receiver<()>) {
    // A dropped sender is not a signal.
    if signal.await.is_err() {
        std::future::pending::<()>().await;
    }
}
