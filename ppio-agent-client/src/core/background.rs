//! Work that outlives the call that began it: making sandboxes that must not be left half made,
//! and ending those that nobody holds any more.

use std::future::Future;

use tokio::runtime::Handle;
use tokio::sync::watch;

/// Counts the tasks under way, so that [`finish`](Self::finish) can wait for them. Each task has
/// its own deadline, and holds what it needs.
#[derive(Debug, Default)]
pub(crate) struct Background(watch::Sender<usize>);

/// One task under way; gone with it, however it ends.
struct Underway(watch::Sender<usize>);

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Background {
    /// Runs `work` on the current runtime, or on `home` when called from outside of any.
    pub(crate) fn spawn(&self, home: &Handle, work: impl Future<Output = ()> + Send + 'static) {
        let runtime = Handle::try_current().unwrap_or_else(|_| home.clone());
        self.0.send_modify(|count| *count += 1);
        let underway = Underway(self.0.clone());
        runtime.spawn(async move {
            work.await;
            drop(underway);
        });
    }

    /// Waits until nothing goes on any more. Cancel safe.
    pub(crate) async fn finish(&self) {
        // Fails only if the sender is gone, which `self` is.
        let _ = self.0.subscribe().wait_for(|count| *count == 0).await;
    }
}
