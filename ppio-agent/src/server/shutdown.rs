//! The beginning of a shutdown, as connections and invocations learn of it.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use tokio::sync::Notify;

/// Set once, when a shutdown begins.
#[derive(Debug, Default)]
pub(crate) struct Draining {
    begun: AtomicBool,
    changed: Notify,
}

impl Draining {
    /// Begins it: no new invocations, and connections end with the request that they serve.
    pub(crate) fn begin(&self) {
        self.begun.store(true, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.load(Ordering::SeqCst)
    }

    /// Serves a connection to its end, and tells it to `finish` when a shutdown begins.
    ///
    /// Waiting takes a lock that all connections share. So a connection gets in line once; later
    /// polls, of which every request causes some, look at the flag alone.
    pub(crate) async fn watch<C: Future>(
        &self,
        connection: C,
        finish: impl FnOnce(Pin<&mut C>),
    ) -> C::Output {
        let mut connection = pin!(connection);
        let mut changed = pin!(self.changed.notified());
        let mut in_line: Option<Waker> = None;
        let mut finish = Some(finish);
        poll_fn(|cx| {
            if finish.is_some() {
                let waits = |waker: &Waker| waker.will_wake(cx.waker());
                if !in_line.as_ref().is_some_and(waits) {
                    // Before the flag is read, so that a shutdown in between is not missed.
                    let _ = changed.as_mut().poll(cx);
                    in_line = Some(cx.waker().clone());
                }
                if self.has_begun()
                    && let Some(finish) = finish.take()
                {
                    finish(connection.as_mut());
                }
            }
            connection.as_mut().poll(cx)
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;
    use std::sync::Arc;
    use std::task::{Context, Wake};

    use super::*;

    /// A task that notes that it was woken.
    #[derive(Default)]
    struct Task(AtomicBool);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_connection_that_waits_is_woken_and_told_once() {
        let draining = Draining::default();
        let told = AtomicBool::new(false);
        let mut watched = pin!(draining.watch(pending::<()>(), |_| {
            assert!(!told.swap(true, Ordering::SeqCst));
        }));
        // The task moves: only the last waker counts.
        let tasks = [(); 2].map(|()| Arc::new(Task::default()));
        for task in &tasks {
            let waker = Arc::clone(task).into();
            assert!(
                watched
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        draining.begin();
        assert!(tasks[1].0.load(Ordering::SeqCst));
        let waker = Arc::clone(&tasks[1]).into();
        for _ in 0..2 {
            assert!(
                watched
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            assert!(told.load(Ordering::SeqCst));
        }
    }

    #[test]
    fn a_connection_that_comes_late_is_told_at_once() {
        let draining = Draining::default();
        draining.begin();
        let told = AtomicBool::new(false);
        let mut watched =
            pin!(draining.watch(pending::<()>(), |_| told.store(true, Ordering::SeqCst)));
        assert!(
            watched
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_pending()
        );
        assert!(told.load(Ordering::SeqCst));
    }
}
