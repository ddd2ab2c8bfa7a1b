//! Counters of the tasks of the process, if runs are inspected.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};

use crate::exchange::counted::Counted;

/// Counters of the tasks of the process.
#[derive(Debug, Default)]
pub(crate) struct InspectedTasks {
    /// The number of connections, each of which is a task.
    pub(super) connections: OnceLock<Arc<AtomicUsize>>,
    /// The number of tasks of the agent runtime itself: tasks that execute a run, look for tasks
    /// and spans that outlive a run, or send notifications.
    pub(super) own: Arc<AtomicUsize>,
    /// The number of runs that have not ended.
    pub(super) active: Arc<AtomicUsize>,
    /// The number of runs that have begun.
    pub(super) begun: AtomicU64,
}

impl InspectedTasks {
    /// Counts a task as the runtime's own until the returned value is dropped.
    pub(crate) fn count_own(&self) -> Counted {
        Counted::new(&self.own)
    }

    /// Sets the counter of the connections.
    pub(crate) fn set_connections(&self, connections: Arc<AtomicUsize>) {
        let _ = self.connections.set(connections);
    }
}
