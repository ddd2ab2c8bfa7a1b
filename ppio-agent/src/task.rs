//! Work that outlives the request that started it.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

use crate::exchange::context::AgentRuntimeContext;

/// Tasks started outside of a request belong to the process.
static PROCESS: LazyLock<Tasks> = LazyLock::new(Tasks::default);

/// Starts background work that goes on after its request is answered.
///
/// While any such work runs, `/ping` says `HealthyBusy`, which tells the platform not to reclaim
/// the sandbox. A graceful shutdown waits for it within the shutdown grace. The work sees the
/// context of the request that started it, and its log lines carry `name` and the request's ids.
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
/// Outside of a tokio runtime. A panic of the work itself is returned by the handle.
pub fn spawn<F>(name: impl Into<String>, future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let context = AgentRuntimeContext::current();
    let tasks = context
        .as_ref()
        .and_then(|context| context.tasks())
        .unwrap_or(&PROCESS);
    let running = tasks.enter();
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

/// Counts the background work of one app.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tasks(Arc<Counter>);

#[derive(Debug, Default)]
struct Counter {
    running: AtomicUsize,
    idle: Notify,
}

impl Tasks {
    fn enter(&self) -> Running {
        self.0.running.fetch_add(1, Ordering::Relaxed);
        Running(Arc::clone(&self.0))
    }

    /// How many tasks run now, those of the process included.
    pub(crate) fn running(&self) -> usize {
        self.0.running.load(Ordering::Relaxed) + PROCESS.0.running.load(Ordering::Relaxed)
    }

    /// Waits until none runs, no longer than `grace`; tells whether that was reached.
    pub(crate) async fn wait_idle(&self, grace: Duration) -> bool {
        let idle = async {
            for counter in [&self.0, &PROCESS.0] {
                loop {
                    let notified = counter.idle.notified();
                    if counter.running.load(Ordering::Acquire) == 0 {
                        break;
                    }
                    notified.await;
                }
            }
        };
        tokio::time::timeout(grace, idle).await.is_ok()
    }
}

/// One running task; dropped when it ends, panics or is aborted.
struct Running(Arc<Counter>);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.running.fetch_sub(1, Ordering::Release) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
