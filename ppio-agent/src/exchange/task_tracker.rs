//! The background tasks of an agent, and the status that its code forces.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ppio_agent_protocol::PingStatus;
use serde_json::Value;
use tokio::sync::Notify;

/// The tasks that were started, and the status that was forced, outside of a request.
static PROCESS: LazyLock<TaskTracker> = LazyLock::new(TaskTracker::new);

/// The running background tasks, and the forced status.
#[derive(Clone)]
pub(crate) struct TaskTracker(Arc<TrackerState>);

#[derive(Default)]
struct TrackerState {
    /// The tasks by their ids, so that the first one is the oldest.
    tasks: Mutex<BTreeMap<u64, Task>>,
    idle: Notify,
    forced: Mutex<Option<PingStatus>>,
}

/// A running background task.
#[derive(Clone)]
pub(crate) struct Task {
    pub(crate) name: Cow<'static, str>,
    pub(crate) metadata: Option<Value>,
    pub(crate) started: Instant,
}

impl TaskTracker {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Returns the tracker of tasks that were started outside of a request.
    pub(crate) fn process() -> &'static Self {
        &PROCESS
    }

    /// Counts a task until the returned value is dropped.
    pub(crate) fn start(
        &self,
        name: impl Into<Cow<'static, str>>,
        metadata: Option<Value>,
    ) -> RunningTask {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        let task = Task {
            name: name.into(),
            metadata,
            started: Instant::now(),
        };
        self.0.tasks().insert(id, task);
        RunningTask {
            state: Arc::clone(&self.0),
            id,
        }
    }

    /// Returns how many tasks run now, including those started outside of a request.
    pub(crate) fn running(&self) -> usize {
        let own = self.0.tasks().len();
        own + PROCESS.0.tasks().len()
    }

    /// Returns the tasks that run now with their ids, including those started outside of a request.
    pub(crate) fn tasks(&self) -> BTreeMap<u64, Task> {
        let mut tasks = self.0.tasks().clone();
        tasks.extend(PROCESS.0.tasks().clone());
        tasks
    }

    /// Returns the tasks that run now, without those started outside of a request.
    pub(crate) fn own_tasks(&self) -> impl Iterator<Item = Task> {
        self.0.tasks().clone().into_values()
    }

    /// Waits at most `timeout` for the tasks of this tracker to end, then for those that were
    /// started outside of a request.
    pub(crate) async fn wait_idle(&self, timeout: Duration) {
        let idle = async {
            for tracker in [self, &PROCESS] {
                loop {
                    let notified = tracker.0.idle.notified();
                    if tracker.0.tasks().is_empty() {
                        break;
                    }
                    notified.await;
                }
            }
        };
        // A timeout is not an error: the caller reads `running` afterwards.
        let _ = tokio::time::timeout(timeout, idle).await;
    }

    /// Forces a status of the health check.
    pub(crate) fn force_status(&self, status: PingStatus) {
        *self.0.forced() = Some(status);
    }

    /// Removes the forced status, and any status that was forced outside of a request.
    pub(crate) fn clear_forced_status(&self) {
        *self.0.forced() = None;
        *PROCESS.0.forced() = None;
    }

    /// Returns the forced status; a status of this agent takes precedence over one that was forced
    /// outside of a request.
    pub(crate) fn forced_status(&self) -> Option<PingStatus> {
        let own = *self.0.forced();
        own.or_else(|| *PROCESS.0.forced())
    }
}

impl TrackerState {
    fn tasks(&self) -> MutexGuard<'_, BTreeMap<u64, Task>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forced(&self) -> MutexGuard<'_, Option<PingStatus>> {
        self.forced.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Keeps one task in its tracker. This value is dropped when the task ends, panics or is aborted.
pub(crate) struct RunningTask {
    state: Arc<TrackerState>,
    id: u64,
}

impl RunningTask {
    pub(crate) fn id(&self) -> u64 {
        self.id
    }
}

impl Drop for RunningTask {
    fn drop(&mut self) {
        let mut tasks = self.state.tasks();
        tasks.remove(&self.id);
        if tasks.is_empty() {
            self.state.idle.notify_waiters();
        }
    }
}
