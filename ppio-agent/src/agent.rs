//! Everything that the requests of one app share.

use std::sync::atomic::{AtomicBool, AtomicUsize};

use crate::blocking_pool::BlockingPool;
use crate::handler::Handler;
use crate::metrics::Metrics;
use crate::middleware::Chains;
use crate::ping::{LastChange, PingHandler};
use crate::settings::Settings;
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
    /// Invocations at work, streams included.
    pub(crate) running: AtomicUsize,
    /// Set when a shutdown begins.
    pub(crate) draining: AtomicBool,
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
            running: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
        }
    }
}
