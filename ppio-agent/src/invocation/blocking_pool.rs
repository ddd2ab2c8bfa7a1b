//! Limits the threads that synchronous user code occupies.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::exchange::per_connection::PerConnection;

/// The number of threads that invocations never occupy, so that a synchronous health check runs
/// while user code occupies all other threads.
const RESERVED: usize = 16;

/// A share of the tokio runtime's blocking threads.
///
/// Once all of those threads are taken, tokio queues calls without a limit, and a health check
/// would wait in that queue. Invocations therefore wait for a permit of this pool first.
#[derive(Clone)]
pub(crate) struct BlockingPool(PerConnection<BlockingThreads>);

struct BlockingThreads {
    threads: Arc<Semaphore>,
    #[cfg(feature = "metrics")]
    size: usize,
    /// The number of invocations that wait for a thread.
    waiting: AtomicUsize,
}

/// The usage of a pool.
#[cfg(feature = "metrics")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PoolUse {
    pub(crate) threads: usize,
    pub(crate) in_use: usize,
    /// The number of invocations that wait for a thread.
    pub(crate) waiting: usize,
}

impl BlockingPool {
    /// Creates a pool of at least one thread.
    pub(crate) fn new(threads: usize) -> Self {
        let size = threads.max(1);
        Self(PerConnection::new(BlockingThreads {
            threads: Arc::new(Semaphore::new(size)),
            #[cfg(feature = "metrics")]
            size,
            waiting: AtomicUsize::new(0),
        }))
    }

    /// Returns the same pool for the requests of another connection.
    pub(crate) fn for_connection(&self) -> Self {
        Self(self.0.for_connection())
    }

    /// Returns the number of threads that the tokio runtime needs for a pool of this size.
    pub(crate) fn runtime_threads(threads: usize) -> usize {
        threads.max(1) + RESERVED
    }

    pub(crate) fn try_acquire(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0.threads).try_acquire_owned().ok()
    }

    /// Waits for a thread, in the order of the calls. The semaphore is never closed, so this never
    /// returns `None`.
    pub(crate) async fn acquire(self) -> Option<OwnedSemaphorePermit> {
        let _waiting = Waiting::begin(&self.0.waiting);
        Arc::clone(&self.0.threads).acquire_owned().await.ok()
    }

    #[cfg(feature = "metrics")]
    pub(crate) fn in_use(&self) -> PoolUse {
        let BlockingThreads {
            threads,
            size,
            waiting,
        } = &*self.0;
        PoolUse {
            threads: *size,
            in_use: size.saturating_sub(threads.available_permits()),
            waiting: waiting.load(Ordering::Relaxed),
        }
    }
}

/// Counts an invocation until its wait ends or is cancelled.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::Relaxed);
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
