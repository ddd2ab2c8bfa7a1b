//! Finds what a run leaves behind: tasks that it spawned and spans that it opened, which go on after
//! its answer. For the developer of an agent, where runs are inspected.
//!
//! tokio counts the tasks of a process, not who spawned them. So those of a run are known only if no
//! other run was there meanwhile, as when a developer sends one request after another; what else
//! the count has is subtracted: connections, background tasks, and tasks of the runtime.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;
use tracing::Span;

use super::inspected_tasks::InspectedTasks;
use super::producer::Producer;
use super::registry::RunRegistry;
use crate::exchange::context::RequestContext;
use crate::exchange::log_ids::log_about;
use crate::exchange::open_spans;
use crate::exchange::task_tracker::TaskTracker;

/// The target of the line about what is left.
const LOG_TARGET: &str = "ppio::tasks";
/// How long after the answer is looked first, and again: what ends sooner is not left behind.
const SETTLE: Duration = Duration::from_secs(1);

/// One run, from before its start.
pub(super) struct Leftovers {
    runs: Arc<RunRegistry>,
    background: TaskTracker,
    context: RequestContext,
    span: Span,
    /// The tasks before its start; `None` if another run was there.
    before: Option<i64>,
    number: u64,
}

/// Counts a task, or a run, until it is dropped.
struct Counted<F: Fn(&InspectedTasks) -> &AtomicUsize>(Arc<RunRegistry>, F);

impl Leftovers {
    pub(super) fn begin(
        runs: &Arc<RunRegistry>,
        background: &TaskTracker,
        context: &RequestContext,
        span: &Span,
    ) -> Self {
        let tasks = runs.inspected_tasks();
        let mut leftovers = Self {
            runs: Arc::clone(runs),
            background: background.clone(),
            context: context.clone(),
            span: span.clone(),
            before: None,
            number: tasks.begun.fetch_add(1, Relaxed) + 1,
        };
        if tasks.active.load(Relaxed) == 0 {
            leftovers.before = leftovers.tasks();
        }
        leftovers
    }

    /// Runs a run to its end, and logs what it leaves behind.
    pub(super) async fn watch(self, producer: Producer) {
        let _own = Counted::new(&self.runs, |tasks| &tasks.own);
        let active = Counted::new(&self.runs, |tasks| &tasks.active);
        producer.await;
        drop(active);
        sleep(SETTLE).await;
        if self.left() == Left::default() {
            return;
        }
        // A connection that ends at this moment is counted wrongly.
        sleep(SETTLE).await;
        let Left { tasks, spans } = self.left();
        if tasks == 0 && spans.is_empty() {
            return;
        }
        let open_spans = spans.join(", ");
        log_about(&self.context, &self.span, || {
            tracing::info!(
                target: LOG_TARGET,
                tasks,
                open_spans,
                "tasks or spans of this run go on after its answer"
            );
        });
    }

    fn left(&self) -> Left {
        let is_alone = self.runs.inspected_tasks().begun.load(Relaxed) == self.number;
        let tasks = match (self.before.filter(|_| is_alone), self.tasks()) {
            (Some(before), Some(now)) => now.saturating_sub(before).max(0),
            _ => 0,
        };
        Left {
            tasks,
            spans: open_spans::of(self.context.request_id()),
        }
    }

    /// The tasks that are neither the runtime's nor background tasks.
    fn tasks(&self) -> Option<i64> {
        let tasks = self.runs.inspected_tasks();
        let connections = tasks.connections.get()?.load(Relaxed);
        let known = connections
            + tasks.own.load(Relaxed)
            + self.background.running()
            + usize::from(self.runs.expires());
        let alive = Handle::try_current().ok()?.metrics().num_alive_tasks();
        Some(i64::try_from(alive).ok()? - i64::try_from(known).ok()?)
    }
}

/// What goes on.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    tasks: i64,
    spans: Vec<&'static str>,
}

impl<F: Fn(&InspectedTasks) -> &AtomicUsize> Counted<F> {
    fn new(runs: &Arc<RunRegistry>, counter: F) -> Self {
        counter(runs.inspected_tasks()).fetch_add(1, Relaxed);
        Self(Arc::clone(runs), counter)
    }
}

impl<F: Fn(&InspectedTasks) -> &AtomicUsize> Drop for Counted<F> {
    fn drop(&mut self) {
        (self.1)(self.0.inspected_tasks()).fetch_sub(1, Relaxed);
    }
}
