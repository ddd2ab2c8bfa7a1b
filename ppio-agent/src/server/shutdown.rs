//! The beginning of a shutdown.

use std::future::Future;
use std::pin::{Pin, pin};

use tokio::sync::watch;

/// Announces a shutdown to connections and invocations.
#[derive(Debug)]
pub(crate) struct Shutdown(watch::Sender<()>);

impl Shutdown {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(()))
    }

    /// A receiver that has not seen the shutdown.
    pub(crate) fn subscribe(&self) -> watch::Receiver<()> {
        self.0.subscribe()
    }

    /// Begins the shutdown: new invocations are rejected, and connections end with their current
    /// request.
    pub(crate) fn begin(&self) {
        self.0.send_replace(());
    }
}

/// Runs a connection to its end, and calls `finish` once when a shutdown begins.
pub(crate) async fn run_until_shutdown<C: Future>(
    connection: C,
    mut shutdown: watch::Receiver<()>,
    finish: impl FnOnce(Pin<&mut C>),
) -> C::Output {
    let mut connection = pin!(connection);
    tokio::select! {
        biased;
        output = connection.as_mut() => return output,
        // An error means that the agent is gone.
        _ = shutdown.changed() => finish(connection.as_mut()),
    }
    connection.await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Wake};

    use super::*;

    /// A waker that records whether it was woken.
    #[derive(Default)]
    struct WakeFlag(AtomicBool);

    impl Wake for WakeFlag {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_waiting_connection_is_woken_and_finished_once() {
        let shutdown = Shutdown::new();
        let finished = Cell::new(0);
        let mut connection = pin!(run_until_shutdown(
            pending::<()>(),
            shutdown.subscribe(),
            |_| finished.set(finished.get() + 1),
        ));
        // The task moves to another worker: only the last waker counts.
        let flags = [(); 2].map(|()| Arc::new(WakeFlag::default()));
        for flag in &flags {
            let waker = Arc::clone(flag).into();
            let poll = connection.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
        }
        shutdown.begin();
        assert!(flags[1].0.load(Ordering::SeqCst));
        let waker = Arc::clone(&flags[1]).into();
        for _ in 0..2 {
            let poll = connection.as_mut().poll(&mut Context::from_waker(&waker));
            assert!(poll.is_pending());
            assert_eq!(finished.get(), 1);
        }
    }
}
