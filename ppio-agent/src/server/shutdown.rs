//! The beginning of a shutdown.

use tokio::sync::watch;

/// Announces a shutdown to connections and invocations.
#[derive(Debug)]
pub(crate) struct ShutdownSignal {
    sender: watch::Sender<()>,
    /// Never reads the value, so that its clones see a shutdown that has begun before.
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

    /// Begins the shutdown: new invocations are rejected, and connections end with their current
    /// request.
    pub(crate) fn begin(&self) {
        self.sender.send_replace(());
    }
}
