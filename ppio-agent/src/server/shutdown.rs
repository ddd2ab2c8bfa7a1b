//! The beginning of a shutdown.

use tokio::sync::watch;

/// Announces a shutdown to connections and invocations.
#[derive(Debug)]
pub(crate) struct ShutdownSignal {
    sender: watch::Sender<()>,
    /// Its value is never read, so that its clones report a shutdown that has already begun.
    receiver: watch::Receiver<()>,
}

impl ShutdownSignal {
    pub(crate) fn new() -> Self {
        let (sender, receiver) = watch::channel(());
        Self { sender, receiver }
    }

    /// A receiver that changes when the shutdown begins, or has changed if it has begun.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.receiver.clone()
    }

    /// Begins the shutdown: new invocations are rejected, and connections end after their current
    /// request.
    pub(crate) fn begin(&self) {
        self.sender.send_replace(());
    }
}
