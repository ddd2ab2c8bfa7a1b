//! The beginning of a shutdown.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Waker;

use tokio::sync::watch;

/// Announces a shutdown to connections and invocations.
#[derive(Debug)]
pub(crate) struct Shutdown {
    sender: watch::Sender<()>,
    /// Never reads the value, so that its clones see a shutdown that has begun before.
    receiver: watch::Receiver<()>,
}

impl Shutdown {
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

/// Runs a connection to its end, and calls `finish` once when a shutdown begins.
///
/// Polling `changed` takes a lock that connections share. So it is polled once, to register the
/// waker; the later polls, of which every request causes some, read one atomic instead.
pub(crate) async fn run_until_shutdown<C: Future>(
    connection: C,
    shutdown: watch::Receiver<()>,
    finish: impl FnOnce(Pin<&mut C>),
) -> C::Output {
    let mut connection = pin!(connection);
    let mut waiting = shutdown.clone();
    let mut changed = pin!(waiting.changed());
    let mut registered: Option<Waker> = None;
    let mut finish = Some(finish);
    poll_fn(|cx| {
        if finish.is_some() {
            let wakes = |waker: &Waker| waker.will_wake(cx.waker());
            if !registered.as_ref().is_some_and(wakes) {
                // Before the check below, so that a shutdown in between is not missed.
                let _ = changed.as_mut().poll(cx);
                registered = Some(cx.waker().clone());
            }
            // An error means that the agent is gone.
            if shutdown.has_changed().unwrap_or(true)
                && let Some(finish) = finish.take()
            {
                finish(connection.as_mut());
            }
        }
        connection.as_mut().poll(cx)
    })
    .await
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

    #[test]
    fn a_connection_after_the_beginning_is_finished_at_once() {
        let shutdown = Shutdown::new();
        shutdown.begin();
        let finished = Cell::new(false);
        let mut connection = pin!(run_until_shutdown(
            pending::<()>(),
            shutdown.subscribe(),
            |_| finished.set(true),
        ));
        let mut context = Context::from_waker(Waker::noop());
        assert!(connection.as_mut().poll(&mut context).is_pending());
        assert!(finished.get());
    }
}
