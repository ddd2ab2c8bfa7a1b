//! How many threads the author's synchronous code may hold.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Threads kept free of invocations, so that a synchronous health check runs while every other
/// thread sleeps in an author's code.
const RESERVED: usize = 16;

/// A share of the tokio runtime's blocking threads.
///
/// tokio's own pool queues without a limit once all of its threads are taken, and a health check
/// would wait in that queue. So invocations wait for a permit here, before the queue.
#[derive(Clone)]
pub(crate) struct BlockingPool(Arc<Semaphore>);

impl BlockingPool {
    /// A pool of `threads`, at least one.
    pub(crate) fn new(threads: usize) -> Self {
        Self(Arc::new(Semaphore::new(threads.max(1))))
    }

    /// How many threads the tokio runtime needs for a pool of this size.
    pub(crate) fn runtime_threads(threads: usize) -> usize {
        threads.max(1) + RESERVED
    }

    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).try_acquire_owned().ok()
    }

    /// Waits for a thread, first come first served. Never fails: the semaphore is never closed.
    pub(crate) async fn acquire(self) -> Option<OwnedSemaphorePermit> {
        self.0.acquire_owned().await.ok()
    }
}
