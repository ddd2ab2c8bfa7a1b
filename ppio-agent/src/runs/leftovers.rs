//! Finds tasks that a run spawned and spans that it opened, if they outlive the answer of the run.
//! The result is for the developer of the agent. Tasks and spans are checked only if runs are
//! inspected.
//!
//! tokio counts the tasks of a process, but does not record which task spawned them. The tasks of a
//! run can therefore be counted only if no other run overlaps with it, for example if a developer
//! sends one request after another. Other tasks are subtracted from the count: connections,
//! background tasks, and tasks of the runtime.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::sleep;
use tracing::Span;

use super::producer::Producer;
use super::registry::RunRegistry;
use crate::exchange::context::RequestContext;
use crate::exchange::counted::Counted;
use crate::exchange::log_ids::log_about;
use crate::exchange::open_spans;
use crate::exchange::task_tracker::TaskTracker;

/// The log target of the line about tasks and spans that outlive a run.
const LOG_TARGET: &str = "ppio::tasks";
/// The delay before each of the two checks after the answer: tasks and spans that end sooner do not
/// count as left behind.
const CHECK_DELAY: Duration = Duration::from_secs(1);
/// The number of counts, of which the lowest is used, since a task that is just ending may be
/// counted.
const COUNT_REPEATS: usize = 5;
const COUNT_INTERVAL: Duration = Duration::from_millis(20);

/// The check of one run, which begins before the run starts.
pub(super) struct Leftovers {
    runs: Arc<RunRegistry>,
    background: TaskTracker,
    context: RequestContext,
    span: Span,
    /// The number of tasks before the start of the run; `None` if another run was active or the
    /// number was not available.
    before: Option<i64>,
    number: u64,
    _own: Counted,
    /// Counts the run as active until it ends.
    active: Option<Counted>,
}

impl Leftovers {
    pub(super) fn begin(
        runs: &Arc<RunRegistry>,
        background: &TaskTracker,
        context: &RequestContext,
        span: &Span,
    ) -> Self {
        let tasks = runs.inspected_tasks();
        let is_alone = tasks.active.load(Relaxed) == 0;
        Self {
            before: is_alone.then(|| count_tasks(runs, background)).flatten(),
            number: tasks.begun.fetch_add(1, Relaxed) + 1,
            _own: tasks.count_own(),
            active: Some(Counted::new(&tasks.active)),
            runs: Arc::clone(runs),
            background: background.clone(),
            context: context.clone(),
            span: span.clone(),
        }
    }

    /// Polls a run to its end, and logs the tasks and spans that outlive it.
    pub(super) async fn watch(mut self, producer: Producer) {
        producer.await;
        self.active = None;
        let mut left = Left::default();
        for _ in 0..2 {
            sleep(CHECK_DELAY).await;
            left = self.left().await;
            if left == Left::default() {
                return;
            }
        }
        let (tasks, open_spans) = (left.tasks, left.spans.join(", "));
        log_about(&self.context, &self.span, || {
            tracing::info!(
                target: LOG_TARGET,
                tasks,
                open_spans,
                "tasks or spans of this run continue after its answer"
            );
        });
    }

    async fn left(&self) -> Left {
        let spans = open_spans::of(self.context.request_id());
        let mut tasks = self.more_tasks();
        for _ in 1..COUNT_REPEATS {
            if tasks == 0 {
                break;
            }
            sleep(COUNT_INTERVAL).await;
            tasks = tasks.min(self.more_tasks());
        }
        Left { tasks, spans }
    }

    /// Returns how many more tasks there are than before the run; 0 if other runs have begun since,
    /// or if one of the two numbers is not available.
    fn more_tasks(&self) -> i64 {
        let begun = self.runs.inspected_tasks().begun.load(Relaxed);
        let before = self.before.filter(|_| begun == self.number);
        match (before, count_tasks(&self.runs, &self.background)) {
            (Some(before), Some(now)) => now.saturating_sub(before).max(0),
            _ => 0,
        }
    }
}

/// Returns the number of tasks other than connections, background tasks and the runtime's own;
/// `None` if the number is not available.
fn count_tasks(runs: &RunRegistry, background: &TaskTracker) -> Option<i64> {
    let tasks = runs.inspected_tasks();
    let connections = tasks.connections.get()?.load(Relaxed);
    let own = tasks.own.load(Relaxed) + usize::from(runs.expires());
    let known = connections + own + background.running();
    let alive = Handle::try_current().ok()?.metrics().num_alive_tasks();
    Some(i64::try_from(alive).ok()? - i64::try_from(known).ok()?)
}

/// The tasks and spans that a run left behind.
#[derive(Debug, Default, PartialEq, Eq)]
struct Left {
    tasks: i64,
    spans: Vec<&'static str>,
}
