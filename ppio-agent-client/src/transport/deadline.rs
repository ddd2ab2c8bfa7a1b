//! One point in time that bounds everything a call does.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::Error;

/// When a call must be over, all attempts and pauses between them included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self::since(Instant::now(), limit)
    }

    /// `limit` after `start`.
    pub(crate) fn since(start: Instant, limit: Duration) -> Self {
        // `Duration::MAX` means "no limit"; thirty years do as well and can be added.
        let at = start
            .checked_add(limit)
            .unwrap_or_else(|| start + Duration::from_secs(30 * 365 * 24 * 3600));
        Self { at, limit }
    }

    /// The earlier of this deadline and `limit` from now.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        let other = Self::after(limit);
        if other.at < self.at { other } else { self }
    }

    pub(crate) fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Waits for `future`, or fails with [`Error::Timeout`] when the time has come.
    pub(crate) async fn run<F: Future>(
        self,
        operation: &str,
        future: F,
    ) -> Result<F::Output, Error> {
        timeout_at(self.at, future)
            .await
            .map_err(|_| Error::Timeout {
                operation: operation.to_owned(),
                limit: self.limit,
            })
    }
}
