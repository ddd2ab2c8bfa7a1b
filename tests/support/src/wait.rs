//! Waits for conditions, each with a deadline.

use std::future::Future;
use std::thread;
use std::time::{Duration, Instant};

/// The time limit for one step of a test. Only a hang takes this long.
pub const DEADLINE: Duration = Duration::from_secs(30);
/// The time between two checks of a condition.
const POLL: Duration = Duration::from_millis(2);

/// Waits for a future and returns its output.
///
/// # Panics
///
/// If the future does not complete within [`DEADLINE`].
pub async fn with_timeout<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("not within {DEADLINE:?}: {what}"))
}

/// Waits until `condition` holds.
///
/// # Panics
///
/// If the condition does not hold within [`DEADLINE`].
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    eventually_some(what, async || condition().then_some(())).await;
}

/// Waits until `condition` returns a value, and returns it.
///
/// # Panics
///
/// If the condition does not hold within [`DEADLINE`].
pub async fn eventually_some<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    with_timeout(what, async {
        loop {
            if let Some(value) = condition().await {
                return value;
            }
            tokio::time::sleep(POLL).await;
        }
    })
    .await
}

/// Waits until `condition` holds, in a test without a runtime.
///
/// # Panics
///
/// If the condition does not hold within [`DEADLINE`].
pub fn eventually_blocking(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {DEADLINE:?}: {what}");
        thread::sleep(POLL);
    }
}
