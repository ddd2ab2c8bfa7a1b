//! The data that the invocations of a connection share.

use std::sync::Arc;

use http::{Extensions, HeaderMap};
use tokio::sync::watch;

use super::blocking_pool::BlockingPool;
use super::counters::Counters;
use super::guard::Admission;
use super::handler::Handler;
use super::session_gate::SessionGate;
use crate::exchange::Exchange;
use crate::exchange::context::{ContextShared, NewContext, RequestContext};
use crate::exchange::per_connection::PerConnection;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::exchange::task_tracker::TaskTracker;
use crate::stalls::Watch;

/// The watches that record the polls of an [`Invoker`]'s entrypoint and of its background tasks.
#[derive(Clone, Copy)]
pub(crate) struct InvokerWatches {
    pub(crate) entrypoint: Watch,
    /// The watch of background tasks.
    pub(crate) tasks: Watch,
}

/// Runs the invocations of one connection.
pub(crate) struct Invoker {
    pub(super) handler: Handler,
    admission: PerConnection<Admission>,
    pub(super) pool: BlockingPool,
    pub(super) has_middleware: bool,
    shared: PerConnection<ContextShared>,
    pub(super) sessions: Option<Arc<SessionGate>>,
}

impl Invoker {
    pub(crate) fn new(
        handler: Handler,
        settings: RuntimeSettings,
        has_middleware: bool,
        shutdown: watch::Receiver<()>,
        watches: InvokerWatches,
    ) -> Self {
        let admission = Admission::new(&settings, shutdown, watches.entrypoint);
        Self {
            handler,
            admission: PerConnection::new(admission),
            pool: BlockingPool::new(settings.blocking_threads),
            has_middleware,
            sessions: SessionGate::new(settings.session_concurrency, settings.session_queue),
            shared: PerConnection::new(ContextShared {
                settings,
                tasks: TaskTracker::new(),
                task_watch: watches.tasks,
            }),
        }
    }

    /// Returns the same invoker for another connection.
    pub(crate) fn for_connection(&self) -> Self {
        Self {
            handler: Arc::clone(&self.handler),
            admission: self.admission.for_connection(),
            pool: self.pool.for_connection(),
            has_middleware: self.has_middleware,
            shared: self.shared.for_connection(),
            sessions: self.sessions.clone(),
        }
    }

    /// Replaces the handler with the one that `map` returns for it.
    pub(crate) fn map_handler(mut self, map: impl FnOnce(Handler) -> Handler) -> Self {
        self.handler = map(self.handler);
        self
    }

    pub(crate) fn settings(&self) -> &RuntimeSettings {
        &self.shared.settings
    }

    /// Returns the context of a request.
    #[inline]
    pub(crate) fn context(
        &self,
        exchange: &Exchange,
        headers: HeaderMap,
        extensions: Extensions,
    ) -> RequestContext {
        RequestContext::from(NewContext {
            request_id: exchange.request_id.clone(),
            headers,
            extensions,
            deadline: exchange.deadline,
            requested_deadline: exchange.requested_deadline,
            trace: exchange.trace.clone(),
            shared: self.shared.clone(),
        })
    }

    pub(crate) fn admission(&self) -> &PerConnection<Admission> {
        &self.admission
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn blocking_pool(&self) -> &BlockingPool {
        &self.pool
    }

    /// Returns the tracker of the background tasks that invocations started.
    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    /// Whether a background task runs, or an invocation has run for so long that the platform has
    /// to keep the sandbox.
    pub(crate) fn is_busy(&self) -> bool {
        self.tasks().running() > 0 || self.admission.has_long()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.admission.counters
    }
}
