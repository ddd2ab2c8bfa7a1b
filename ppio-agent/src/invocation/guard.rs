//! One invocation from its beginning to its end: counted, measured and logged once.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use http::StatusCode;
use tracing::{Level, Span};

use crate::app::logging::{self, INVOCATION};
use crate::endpoints::metrics::End;
use crate::exchange::context::RequestContext;
use crate::exchange::error::{Chain, Error};
use crate::exchange::rejection::Failure;
use crate::server::agent::SharedAgent;
use crate::server::router::Exchange;

/// Holds one of the `max_concurrency` places until it is dropped. An invocation that is dropped
/// before it ended was cancelled.
pub(crate) struct Record {
    agent: SharedAgent,
    /// Learns when nobody waits any more.
    context: RequestContext,
    span: Span,
    started: Instant,
    ended: bool,
}

impl Record {
    /// Takes a place, or says why there is none.
    pub(crate) fn begin(exchange: &Exchange, context: RequestContext) -> Result<Self, Failure> {
        let agent = &exchange.agent;
        agent.metrics.began();
        let limit = agent.settings.max_concurrency;
        let taken = limit.map(|_| agent.places.fetch_add(1, Ordering::Relaxed));
        // From here on dropping the record gives the place back.
        let mut record = Self {
            agent: agent.clone(),
            context,
            span: exchange.span.clone(),
            started: exchange.started,
            ended: false,
        };
        let refused = if agent.draining.has_begun() {
            Some(Failure::Draining)
        } else {
            limit
                .filter(|&limit| taken.is_some_and(|taken| taken >= limit))
                .map(|limit| Failure::Overloaded { limit })
        };
        match refused {
            None => Ok(record),
            Some(failure) => {
                record.end(End::ServerError, 0);
                Err(failure)
            }
        }
    }

    pub(crate) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Tells how long it took.
    pub(crate) fn succeeded(&mut self, status: StatusCode, items: u64) -> Duration {
        let duration = self.end(End::Success, items);
        if tracing::enabled!(target: INVOCATION, Level::INFO) {
            let (status, duration_ms) = (status.as_u16(), milliseconds(duration));
            self.log(|| {
                tracing::info!(target: INVOCATION, status, duration_ms, items, "invocation finished");
            });
        }
        duration
    }

    /// Passes the error on.
    pub(crate) fn failed(&mut self, error: Error) -> Error {
        self.stream_failed(&error, 0);
        error
    }

    pub(crate) fn stream_failed(&mut self, error: &Error, items: u64) {
        let status = error.status();
        let error_type = error.error_type();
        if status.is_server_error() {
            let duration_ms = milliseconds(self.end(End::ServerError, items));
            self.log(|| {
                tracing::error!(
                    target: INVOCATION,
                    error = %Chain(error),
                    error_type,
                    status = status.as_u16(),
                    duration_ms,
                    items,
                    "invocation failed"
                );
            });
        } else {
            let duration_ms = milliseconds(self.end(End::ClientError, items));
            // What callers get wrong must not be able to fill a log that does not ask for every invocation.
            self.log(|| {
                tracing::info!(
                    target: INVOCATION,
                    error = %Chain(error),
                    error_type,
                    status = status.as_u16(),
                    duration_ms,
                    "invocation refused"
                );
            });
        }
    }

    pub(crate) fn cancelled(&mut self, items: u64) {
        let duration_ms = milliseconds(self.end(End::Cancelled, items));
        self.log(|| {
            tracing::info!(duration_ms, items, "client went away; invocation cancelled");
        });
    }

    fn log(&self, write: impl FnOnce()) {
        logging::about(&self.context, &self.span, write);
    }

    /// Reads the clock once, for the metrics, the log and the answer.
    fn end(&mut self, end: End, items: u64) -> Duration {
        self.ended = true;
        let duration = self.started.elapsed();
        self.agent.metrics.ended(end, duration, items);
        duration
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.ended {
            self.cancelled(0);
        }
        self.context.cancel();
        if self.agent.settings.max_concurrency.is_some() {
            self.agent.places.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
