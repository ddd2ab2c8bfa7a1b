//! The slot of the current thread, which holds the function that the thread polls.

use std::sync::Arc;

use super::sampler;
use super::slot::PollSlot;

/// The slot of a thread. Dropped when the thread ends.
pub(super) struct ThreadSlot(Arc<PollSlot>);

thread_local! {
    pub(super) static THREAD: ThreadSlot = ThreadSlot::register();
}

impl ThreadSlot {
    fn register() -> Self {
        // The target of the link has the ids of the process and of the thread.
        let thread = std::fs::read_link("/proc/thread-self");
        let statistics = thread.map(|thread| format!("/proc/{}/schedstat", thread.display()));
        let slot = Arc::new(PollSlot::new(statistics.ok()));
        sampler::add(Arc::clone(&slot));
        Self(slot)
    }

    /// Begins a poll, which ends when the returned value is dropped.
    #[inline]
    pub(super) fn enter(&self, function: u32, request_id: &[u8]) -> Polled {
        let slot = &*self.0;
        let outer = slot.function();
        // A poll within a poll is of the same request: a handler within middleware.
        if outer == 0 {
            slot.set_request(request_id);
        }
        slot.set_function(function);
        if sampler::is_asleep() {
            sampler::wake();
        }
        Polled { outer }
    }

    /// Ends all current polls, before their [`Polled`] values are dropped.
    #[cfg(feature = "logging")]
    pub(super) fn leave(&self) {
        self.0.set_function(0);
    }
}

impl Drop for ThreadSlot {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// A current poll. `outer` is the function whose poll contains it, 0 for none.
pub(super) struct Polled {
    outer: u32,
}

impl Drop for Polled {
    #[inline]
    fn drop(&mut self) {
        let _ = THREAD.try_with(|thread| thread.0.set_function(self.outer));
    }
}
