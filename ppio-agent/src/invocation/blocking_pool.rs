//! Limits the threads that synchronous user code occupies.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::exchange::per_connection::PerConnection;

/// Threads that invocations never occupy, so that a synchronous health check runs while all others
/// sleep in user code.
const RESERVED: usize = 16;

/// A share of the tokio runtime's blocking threads.
///
/// Once all of its threads are taken, tokio queues without a limit, and a health check would wait
/// in that queue. So invocations wait for a permit here first.
#[derive(Clone)]
pub(crate) struct BlockingPool(PerConnection<Semaphore>);

impl BlockingPool {
    /// A pool of at least one thread.
    pub(crate) fn new(threads: usize) -> Self {
        Self(PerConnection::new(Semaphore::new(threads.max(1))))
    }

    /// The same pool for the requests of another connection.
    pub(crate) fn for_connection(&self) -> Self {
        Self(self.0.for_connection())
    }

    /// How many threads the tokio runtime needs for a pool of this size.
    pub(crate) fn runtime_threads(threads: usize) -> usize {
        threads.max(1) + RESERVED
    }

    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(self.0.shared()).try_acquire_owned().ok()
    }

    /// Waits for a thread, in the order of the calls. The semaphore is never closed, so this never
    /// returns `None`.
    pub(crate) async fn acquire(self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(self.0.shared()).acquire_owned().await.ok()
    }
}
