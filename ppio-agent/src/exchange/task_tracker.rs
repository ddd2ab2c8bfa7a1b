//! Counts the background tasks of an agent.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Notify;

/// Counts tasks that were started outside of a request.
static PROCESS: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// The number of running background tasks.
pub(crate) struct TaskTracker(Arc<TaskCount>);

#[derive(Default)]
struct TaskCount {
    running: AtomicUsize,
    idle: Notify,
}

impl TaskTracker {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// The tracker of tasks that were started outside of a request.
    pub(crate) fn process() -> &'static Self {
        &PROCESS
    }

    /// Counts a task until the returned value is dropped.
    pub(crate) fn start(&self) -> RunningTask {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        RunningTask(Arc::clone(&self.0))
    }

    /// How many tasks run now, including those started outside of a request.
    pub(crate) fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed) + PROCESS.0.running.load(Ordering::Relaxed)
    }

    /// Waits at most `timeout` until no task runs.
    pub(crate) async fn wait_idle(&self, timeout: Duration) {
        let idle = async {
            for tracker in [self, &PROCESS] {
                loop {
                    let notified = tracker.0.idle.notified();
                    if tracker.0.running.load(Ordering::Acquire) == 0 {
                        break;
                    }
                    notified.await;
                }
            }
        };
        // The caller reads `running` afterwards.
        let _ = tokio::time::timeout(timeout, idle).await;
    }
}

/// One running task. It is dropped when the task ends, panics or is aborted.
pub(crate) struct RunningTask(Arc<TaskCount>);

impl Drop for RunningTask {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::Release) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
