//! Background tasks that continue after their request is answered.
//!
//! [`spawn`] starts a background task. Work that runs elsewhere, such as a job of another service,
//! is a task from [`add`] until [`complete`]. [`info`] lists the running tasks.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::Value;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::task_tracker::{RunningTask, TaskTracker};

/// Starts a background task that continues after its request is answered.
///
/// While a task runs, `/ping` answers `HealthyBusy`, so that the platform does not reclaim the
/// sandbox. A shutdown waits for the task within the shutdown grace. The task runs in the context
/// of the request that started it, and its log lines carry `name` and the request's ids.
///
/// ```
/// #[ppio::entrypoint]
/// async fn agent(document: String) -> &'static str {
///     ppio::task::spawn("index", async move {
///         index(&document).await;
///     });
///     "indexing"
/// }
///
/// async fn index(document: &str) { /* takes minutes */ }
/// ```
///
/// # Panics
/// If called outside of a tokio runtime. A panic of the task is returned by the handle.
pub fn spawn<F>(name: impl Into<String>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let name = name.into();
    let context = AgentRuntimeContext::current();
    // A field `name` would be the second one in the JSON of a log line: that of a span is the first.
    let span = tracing::info_span!("task", task = name);
    let running = tracker().start(name, None);
    let work = async move {
        let _running = running;
        future.await
    }
    .instrument(span);
    match context {
        Some(context) => {
            let (watch, request) = (context.task_watch(), context.clone());
            let work = AgentRuntimeContext::scope(context, work);
            tokio::spawn(async move { watch.run(request.request_id_bytes(), work).await })
        }
        None => tokio::spawn(work),
    }
}

/// Adds a task that is not a future of this program: the agent is busy until [`complete`] is called
/// with the returned id.
///
/// As with [`spawn`], `/ping` answers `HealthyBusy` meanwhile, and a shutdown waits for the task
/// within the shutdown grace. [`info`] returns `metadata`.
///
/// ```
/// use ppio::{json, task};
///
/// let id = task::add("transcode", json!({ "file": "talk.mp4" }));
/// // a callback of the other service, in a later request or on any thread
/// assert!(task::complete(id));
/// assert!(!task::complete(id));
/// ```
pub fn add(name: impl Into<String>, metadata: impl Into<Option<Value>>) -> u64 {
    let task = tracker().start(name.into(), metadata.into());
    let id = task.id();
    added().insert(id, task);
    id
}

/// Ends the task that [`add`] added with this id. Returns `false` if there is no such task.
pub fn complete(id: u64) -> bool {
    let task = added().remove(&id);
    task.is_some()
}

/// Returns the running tasks, oldest first: those of the current request's agent, and those that
/// were started outside of a request.
///
/// The JSON of the result has the format of AgentCore's runtime: `{"active_count": 1,
/// "running_jobs": [{"name": "index", "duration": 0.5}]}`.
pub fn info() -> TaskInfo {
    TaskInfo::of(&tracker())
}

/// The background tasks of an agent; see [`info`].
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct TaskInfo {
    /// The number of running tasks.
    pub active_count: usize,
    /// The running tasks, oldest first.
    pub running_jobs: Vec<RunningJob>,
}

/// One running background task.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RunningJob {
    /// The id, with which [`complete`] ends a task that [`add`] added.
    #[serde(skip)]
    pub id: u64,
    /// The name passed to [`spawn`] or [`add`].
    pub name: String,
    /// How long the task has run; in seconds in JSON.
    #[serde(serialize_with = "seconds")]
    pub duration: Duration,
    /// The metadata passed to [`add`].
    #[serde(skip)]
    pub metadata: Option<Value>,
}

impl TaskInfo {
    pub(crate) fn of(tracker: &TaskTracker) -> Self {
        let tasks = tracker.tasks().into_iter();
        let running_jobs: Vec<_> = tasks
            .map(|(id, task)| RunningJob {
                id,
                name: task.name.into_owned(),
                duration: task.started.elapsed(),
                metadata: task.metadata,
            })
            .collect();
        Self {
            active_count: running_jobs.len(),
            running_jobs,
        }
    }
}

fn seconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(duration.as_secs_f64())
}

/// Returns the tasks that were added and are not complete.
fn added() -> MutexGuard<'static, BTreeMap<u64, RunningTask>> {
    static ADDED: Mutex<BTreeMap<u64, RunningTask>> = Mutex::new(BTreeMap::new());
    ADDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the tracker of the current request's agent; outside of a request, that of the process.
pub(crate) fn tracker() -> TaskTracker {
    let context = AgentRuntimeContext::current();
    let tasks = context.as_ref().and_then(RequestContext::tasks);
    tasks.unwrap_or(TaskTracker::process()).clone()
}
