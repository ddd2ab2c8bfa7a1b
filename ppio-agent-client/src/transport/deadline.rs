//! The deadline of a call.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use crate::error::Error;

const THIRTY_YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 3600);

/// The time by which a call must end, including all its attempts and the pauses between them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    limit: Duration,
}

impl Deadline {
    pub(crate) fn after(limit: Duration) -> Self {
        Self::since(Instant::now(), limit)
    }

    /// Returns the deadline `limit` after `start`.
    pub(crate) fn since(start: Instant, limit: Duration) -> Self {
        // `Duration::MAX` means "no limit" and is beyond the range of the clock.
        let at = start
            .checked_add(limit)
            .unwrap_or_else(|| start + THIRTY_YEARS);
        Self { at, limit }
    }

    /// Returns the earlier of this deadline and `limit` from now.
    pub(crate) fn at_most(self, limit: Duration) -> Self {
        let other = Self::after(limit);
        if other.at < self.at { other } else { self }
    }

    pub(crate) fn remaining(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }

    /// Waits for `future` until the deadline, then fails with [`Error::Timeout`].
    pub(crate) async fn run<F: Future>(
        self,
        operation: &str,
        future: F,
    ) -> Result<F::Output, Error> {
        timeout_at(self.at, future)
            .await
            .map_err(|_| self.error(operation))
    }

    /// Waits until the deadline.
    pub(crate) fn sleep(self) -> Sleep {
        sleep_until(self.at)
    }

    /// Returns the error for a call that did not end by the deadline.
    pub(crate) fn error(self, operation: &str) -> Error {
        Error::Timeout {
            operation: operation.to_owned(),
            limit: self.limit,
        }
    }
}
