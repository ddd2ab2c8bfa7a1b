//! Ctrl-C, and a polite request to end: the work is dropped, what must be tidied up is tidied up by its owner.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::{Failure, Fault};

/// The ears of the last listener, which stay open: what comes between two pieces of work is for the second.
///
/// Once somebody has listened a signal no longer ends the process by itself, so it would be lost otherwise.
static KEPT: Mutex<Option<Signals>> = Mutex::new(None);

#[derive(Debug)]
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

/// The signals that ask a program to end.
#[derive(Debug)]
pub(crate) struct Interruptions {
    /// There until it is dropped.
    signals: Option<Signals>,
}

impl Interruptions {
    /// Listens from now on; the signals no longer end the process by themselves. One that came after the last listener
    /// left counts too.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).take();
        let signals = match kept {
            Some(signals) => signals,
            None => Signals::open()
                .map_err(|error| Failure::system("cannot listen to signals", error))?,
        };
        Ok(Self {
            signals: Some(signals),
        })
    }

    /// Waits for one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Fault {
        match &mut self.signals {
            Some(signals) => signals.next().await,
            None => std::future::pending().await,
        }
    }
}

impl Drop for Interruptions {
    fn drop(&mut self) {
        *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = self.signals.take();
    }
}

impl Signals {
    fn open() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Fault {
        tokio::select! {
            _ = self.interrupt.recv() => Fault::Interrupted,
            _ = self.terminate.recv() => Fault::Terminated,
            _ = self.hang_up.recv() => Fault::Terminated,
        }
    }
}

/// Does the work, or drops it half-way and fails when the process is asked to end.
///
/// Work that leaves something behind wraps only itself in this and tidies up after it, outside.
pub(crate) async fn unless_interrupted<T>(
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let mut interruptions = Interruptions::listen()?;
    tokio::select! {
        biased;
        fault = interruptions.next() => Err(Failure::new(fault, "interrupted")),
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
    async fn what_comes_between_two_pieces_of_work_ends_the_second() {
        // Tells when the runtime has passed the signal on to everybody who listens.
        let mut witness = signal(SignalKind::interrupt()).unwrap();
        unless_interrupted(ready(Ok(()))).await.unwrap();
        kill_process(getpid(), rustix::process::Signal::INT).unwrap();
        witness.recv().await;
        let second = unless_interrupted(pending::<Result<(), Failure>>());
        let second = tokio::time::timeout(Duration::from_secs(20), second).await;
        assert_eq!(
            second.expect("it ends").unwrap_err().fault,
            Fault::Interrupted
        );
        // Once is enough.
        unless_interrupted(ready(Ok(()))).await.unwrap();
    }
}
