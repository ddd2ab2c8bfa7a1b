//! Tasks that outlive the call that spawned them: creating a sandbox, whose response must be read,
//! and killing sandboxes that have no handle left.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::watch;

/// Counts the running tasks, so that [`finish`](Self::finish) can wait for them. Each task has its
/// own deadline and owns what it needs.
#[derive(Debug, Default)]
pub(crate) struct BackgroundTasks(watch::Sender<usize>);

/// Counts one task until it is dropped, however the task ends.
struct TaskGuard(watch::Sender<usize>);

impl Drop for TaskGuard {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl BackgroundTasks {
    /// Runs `task` on the current runtime, or on `fallback` outside of any.
    pub(crate) fn spawn(&self, fallback: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        let runtime = Handle::try_current().unwrap_or_else(|_| fallback.clone());
        self.0.send_modify(|count| *count += 1);
        let guard = TaskGuard(self.0.clone());
        runtime.spawn(async move {
            task.await;
            drop(guard);
        });
    }

    /// Waits until no task is running. Cancel safe.
    pub(crate) async fn finish(&self) {
        // Fails only if the sender is dropped, and `self` holds it.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}
