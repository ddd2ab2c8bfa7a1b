//! Tasks that outlive the call that spawned them, such as creating a sandbox, whose response must
//! be read, killing a sandbox that has no handle left, and cancelling a dropped invocation.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::watch;

/// Counts the running tasks, so that [`finish`](Self::finish) can wait for them. Each task has its
/// own deadline and owns what it needs.
#[derive(Debug, Default)]
pub(crate) struct BackgroundTasks {
    running: watch::Sender<usize>,
    /// How many callers wait in [`finish`](Self::finish).
    finishing: watch::Sender<usize>,
}

/// Adds one to a count until the guard is dropped.
struct CountGuard(watch::Sender<usize>);

impl CountGuard {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count.clone())
    }
}

impl Drop for CountGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl BackgroundTasks {
    /// Spawns `task` on the current runtime, or on `fallback` outside of a runtime.
    pub(crate) fn spawn(&self, fallback: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        let runtime = Handle::try_current().unwrap_or_else(|_| fallback.clone());
        let guard = CountGuard::new(&self.running);
        runtime.spawn(async move {
            task.await;
            drop(guard);
        });
    }

    /// Waits until no task is running. Cancel safe.
    pub(crate) async fn finish(&self) {
        let _finishing = CountGuard::new(&self.finishing);
        // Fails only if the sender is dropped, and `self` holds it.
        let _ = self.running.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Waits until a caller waits in [`finish`](Self::finish): tasks should then end soon. Cancel
    /// safe.
    pub(crate) async fn finishing(&self) {
        let _ = self
            .finishing
            .subscribe()
            .wait_for(|count| *count > 0)
            .await;
    }
}
