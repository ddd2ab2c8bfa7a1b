//! Everything that the requests of one app share.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use crate::config::settings::Settings;
use crate::endpoints::metrics::Metrics;
use crate::endpoints::ping::{LastChange, PingHandler};
use crate::invocation::blocking_pool::BlockingPool;
use crate::invocation::handler::Handler;
use crate::server::middleware::Chains;
use crate::server::shutdown::Draining;
use crate::task::Tasks;

/// A configured agent: what was registered, and the state of its service.
pub(crate) struct Agent {
    pub(crate) settings: Settings,
    pub(crate) handler: Handler,
    pub(crate) ping: Option<PingHandler>,
    pub(crate) chains: Chains,
    pub(crate) pool: BlockingPool,
    pub(crate) tasks: Tasks,
    pub(crate) metrics: Metrics,
    pub(crate) last_change: LastChange,
    pub(crate) draining: Draining,
    /// The places of `max_concurrency` that are taken; not counted where there is no limit.
    pub(crate) places: AtomicUsize,
}

impl Agent {
    pub(crate) fn new(
        settings: Settings,
        handler: Handler,
        ping: Option<PingHandler>,
        chains: Chains,
    ) -> Self {
        Self {
            pool: BlockingPool::new(settings.blocking_threads),
            settings,
            handler,
            ping,
            chains,
            tasks: Tasks::default(),
            metrics: Metrics::new(),
            last_change: LastChange::new(),
            draining: Draining::default(),
            places: AtomicUsize::new(0),
        }
    }
}

/// The agent as one connection shares it with its requests.
///
/// Every request takes it several times. A count that all connections share would travel between
/// the cores each time; this one is the connection's own.
#[derive(Clone)]
#[expect(clippy::redundant_allocation, reason = "the second count is the point")]
pub(crate) struct SharedAgent(Arc<Arc<Agent>>);

impl SharedAgent {
    pub(crate) fn new(agent: Arc<Agent>) -> Self {
        Self(Arc::new(agent))
    }
}

impl Deref for SharedAgent {
    type Target = Agent;

    fn deref(&self) -> &Agent {
        &self.0
    }
}
