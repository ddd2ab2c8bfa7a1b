//! SIGINT, SIGTERM and SIGHUP: they cancel the running work, and its caller cleans up.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{CliError, ExitKind};

/// The signal streams of the last [`ExitSignals`], kept open after it is dropped.
///
/// Once a stream has been opened, tokio's handler stays installed and the signal no longer ends the
/// process. A signal that arrives while no `ExitSignals` exists is therefore kept for the next one.
static SIGNALS: Mutex<Option<SignalStreams>> = Mutex::new(None);

#[derive(Debug)]
struct SignalStreams {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// Receives the signals that end the process.
#[derive(Debug)]
pub(crate) struct ExitSignals {
    /// `None` only during drop.
    streams: Option<SignalStreams>,
}

impl ExitSignals {
    /// Installs the handlers; from now on the signals do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self, CliError> {
        let kept = SIGNALS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let streams = match kept {
            Some(streams) => streams,
            None => SignalStreams::open()
                .map_err(|error| CliError::system("cannot install signal handlers", error))?,
        };
        Ok(Self {
            streams: Some(streams),
        })
    }

    /// Waits for a signal. Cancel safe.
    pub(crate) async fn next(&mut self) -> ExitKind {
        match &mut self.streams {
            Some(streams) => streams.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for ExitSignals {
    fn drop(&mut self) {
        *SIGNALS.lock().unwrap_or_else(PoisonError::into_inner) = self.streams.take();
    }
}

impl SignalStreams {
    fn open() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> ExitKind {
        tokio::select! {
            _ = self.interrupt.recv() => ExitKind::Interrupted,
            _ = self.terminate.recv() => ExitKind::Terminated,
            _ = self.hang_up.recv() => ExitKind::Terminated,
        }
    }
}

/// Runs `work`; on a signal drops it and returns an error.
///
/// A caller that has something to clean up wraps only the work, and cleans up after this function
/// has returned.
pub(crate) async fn or_interrupted<T>(
    work: impl Future<Output = Result<T, CliError>>,
) -> Result<T, CliError> {
    let mut signals = ExitSignals::listen()?;
    tokio::select! {
        biased;
        kind = signals.next() => Err(CliError::new(kind, "interrupted")),
        outcome = work => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::time::Duration;

    use rustix::process::{getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn a_signal_between_two_waits_ends_the_second() {
        // Receives the signal when tokio has passed it on to every stream.
        let mut witness = signal(SignalKind::interrupt()).unwrap();
        or_interrupted(ready(Ok(()))).await.unwrap();
        kill_process(getpid(), rustix::process::Signal::INT).unwrap();
        witness.recv().await;
        let second = or_interrupted(pending::<Result<(), CliError>>());
        let second = tokio::time::timeout(Duration::from_secs(20), second).await;
        assert_eq!(
            second.expect("the second wait ends").unwrap_err().kind,
            ExitKind::Interrupted
        );
        // The signal is consumed.
        or_interrupted(ready(Ok(()))).await.unwrap();
    }
}
