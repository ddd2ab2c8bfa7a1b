//! The signal that a shutdown has begun.

use tokio::sync::watch;

/// Signals a shutdown to connections and invocations.
#[derive(Debug)]
pub(crate) struct ShutdownSignal {
    sender: watch::Sender<()>,
    /// The value of this receiver is never marked as seen, so that clones of the receiver also
    /// report a shutdown that has already begun.
    receiver: watch::Receiver<()>,
}

impl ShutdownSignal {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = watch::channel(());
        Self { sender, receiver }
    }

    /// Returns a receiver whose value changes when the shutdown begins, or has changed already if
    /// the shutdown has begun.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.receiver.clone()
    }

    /// Begins the shutdown: new invocations are rejected, and connections end after their current
    /// request.
    pub(crate) fn begin(&self) {
        self.sender.send_replace(());
    }
}
