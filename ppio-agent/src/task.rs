//! Background tasks that continue after their request is answered.

use std::future::Future;

use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::exchange::context::AgentRuntimeContext;
use crate::exchange::task_tracker::TaskTracker;

/// Starts a background task that continues after its request is answered.
///
/// While a task runs, `/ping` answers `HealthyBusy`, so that the platform does not reclaim the
/// sandbox. A shutdown waits for it within the shutdown grace. The task runs in the context of the
/// request that started it, and its log lines carry `name` and the request's ids.
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
/// Outside of a tokio runtime. The handle returns a panic of the task.
pub fn spawn<F>(name: impl Into<String>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let context = AgentRuntimeContext::current();
    let running = context
        .as_ref()
        .and_then(|context| context.tasks())
        .unwrap_or(TaskTracker::process())
        .start();
    let span = tracing::info_span!("task", name = name.into());
    let work = async move {
        let _running = running;
        future.await
    }
    .instrument(span);
    match context {
        Some(context) => tokio::spawn(AgentRuntimeContext::scope(context, work)),
        None => tokio::spawn(work),
    }
}
