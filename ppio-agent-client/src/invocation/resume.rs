//! Opens the stream of a run again after its connection broke.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::items::ItemReader;
use super::response::AgentResponse;
use super::run_calls::RunTarget;
use crate::error::Error;
use crate::transport::{Deadline, RetryPolicy};

/// The longest pause before another attempt. It is short, so that the stream continues soon after a
/// paused sandbox is resumed.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// The time after which a new connection ends an outage. A connection that breaks sooner, without
/// having delivered an item, belongs to the outage before it.
const STABLE_AFTER: Duration = Duration::from_secs(1);

/// A time without a connection that delivers items.
#[derive(Debug)]
struct Outage {
    deadline: Deadline,
    attempts: u32,
}

/// The position in the stream of a run, and the current outage of the stream.
#[derive(Debug)]
pub(super) struct Resumption {
    run: RunTarget,
    last: u64,
    limit: Duration,
    connected_at: Instant,
    outage: Option<Outage>,
}

/// A future that returns the reader of a new connection.
pub(super) struct Reconnecting(Pin<Box<dyn Future<Output = Connected> + Send>>);

/// The reader of a new connection and the number of attempts of the outage so far, or the error of
/// an outage that has lasted too long.
pub(super) type Connected = Result<(ItemReader, u32), Error>;

impl Resumption {
    pub(super) fn new(run: RunTarget, last: u64, limit: Duration) -> Self {
        Self {
            run,
            last,
            limit,
            connected_at: Instant::now(),
            outage: None,
        }
    }

    /// The number of the last item that was received; `None` before the first.
    pub(super) fn last(&self) -> Option<u64> {
        (self.last > 0).then_some(self.last)
    }

    /// Checks the id of an item. Returns `false` if the item was received before.
    pub(super) fn accept(&mut self, id: Option<&str>) -> Result<bool, Error> {
        let number = id.and_then(|id| id.parse::<u64>().ok());
        let wrong = |message: String| Err(Error::protocol("read stream", message));
        let Some(number) = number else {
            let found = id.map_or_else(|| "no id".to_owned(), |id| format!("the id {id:?}"));
            return wrong(format!(
                "an item of a resumable stream has {found} instead of its number"
            ));
        };
        if number <= self.last {
            return Ok(false);
        }
        if number > self.last + 1 {
            return wrong(format!(
                "item {number} follows item {}, so that items are missing",
                self.last
            ));
        }
        self.last = number;
        self.outage = None;
        Ok(true)
    }

    /// Returns a future that opens the stream again after `error`, with retries until the outage
    /// has lasted too long.
    pub(super) fn reconnect(&mut self, error: Error) -> Reconnecting {
        if self.connected_at.elapsed() >= STABLE_AFTER {
            self.outage = None;
        }
        let outage = self.outage.get_or_insert_with(|| Outage {
            deadline: Deadline::after(self.limit),
            attempts: 0,
        });
        let policy = self.run.session.retry_policy();
        let attempts = Attempts {
            run: self.run.clone(),
            last: self.last,
            deadline: outage.deadline,
            policy: RetryPolicy {
                max_delay: policy.max_delay.min(MAX_PAUSE),
                ..policy
            },
            number: outage.attempts,
        };
        Reconnecting(Box::pin(attempts.run(error)))
    }

    /// Takes over the connection that [`reconnect`](Self::reconnect) has established.
    pub(super) fn reconnected(&mut self, attempts: u32) {
        self.connected_at = Instant::now();
        if let Some(outage) = &mut self.outage {
            outage.attempts = attempts;
        }
    }
}

impl Reconnecting {
    pub(super) fn as_future(&mut self) -> Pin<&mut (dyn Future<Output = Connected> + Send)> {
        self.0.as_mut()
    }
}

impl fmt::Debug for Reconnecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reconnecting")
    }
}

/// The attempts of one outage.
struct Attempts {
    run: RunTarget,
    last: u64,
    deadline: Deadline,
    policy: RetryPolicy,
    number: u32,
}

impl Attempts {
    /// Opens the stream again, with retries; the first attempt of an outage is made immediately.
    /// Returns the last error if it is permanent, or if the next pause would outlast the deadline.
    async fn run(mut self, mut error: Error) -> Connected {
        loop {
            if let Some(number) = self.number.checked_sub(1) {
                let pause = self.policy.pause(number, error.retry_after());
                if pause >= self.deadline.remaining() {
                    return Err(error);
                }
                sleep(pause).await;
            }
            self.number = self.number.saturating_add(1);
            tracing::debug!(
                run_id = self.run.id, last = self.last, error = %error.report(),
                "resuming a stream"
            );
            match self.open().await {
                Ok(reader) => return Ok((reader, self.number)),
                Err(failure) if is_temporary(&failure) => error = failure,
                Err(failure) => return Err(failure),
            }
        }
    }

    async fn open(&self) -> Result<ItemReader, Error> {
        let policy = RetryPolicy {
            max_retries: 0,
            ..self.policy
        };
        let call = self.run.open_events(self.last, policy, self.deadline)?;
        call.send(AgentResponse::into_items_with_ids).await
    }
}

/// Whether the stream may be available later: after a network failure, a restart of the agent, or
/// the resumption of its sandbox.
fn is_temporary(error: &Error) -> bool {
    match error {
        // `SandboxOperation` means that the sandbox is paused.
        Error::Network { .. } | Error::RateLimit { .. } | Error::SandboxOperation { .. } => true,
        Error::Invocation { status, .. } => {
            status.is_some_and(|status| status >= 500 || status == 408)
        }
        _ => false,
    }
}
