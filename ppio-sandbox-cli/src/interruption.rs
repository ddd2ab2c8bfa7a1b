//! Ctrl-C, and a polite request to end: the work is dropped, what must be tidied up is tidied up by its owner.

use std::future::Future;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::{Failure, Fault};

/// The signals that ask a program to end.
#[derive(Debug)]
pub(crate) struct Interruptions {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interruptions {
    /// Listens from now on; the signals no longer end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let open =
            |kind| signal(kind).map_err(|error| Failure::system("cannot listen to signals", error));
        Ok(Self {
            interrupt: open(SignalKind::interrupt())?,
            terminate: open(SignalKind::terminate())?,
            hang_up: open(SignalKind::hangup())?,
        })
    }

    /// Waits for one. Cancel safe.
    pub(crate) async fn next(&mut self) -> Fault {
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
