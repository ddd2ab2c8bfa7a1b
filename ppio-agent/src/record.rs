//! One invocation from its beginning to its end: counted, measured and logged once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use tracing::Span;

use crate::agent::Agent;
use crate::context::RequestContext;
use crate::error::{Chain, Error};
use crate::failure::Failure;
use crate::metrics::End;

/// Holds one of the `max_concurrency` places until it is dropped. An invocation that is dropped
/// before it ended was cancelled.
pub(crate) struct Record {
    agent: Arc<Agent>,
    context: Option<RequestContext>,
    span: Span,
    started: Instant,
    ended: bool,
}

impl Record {
    /// Takes a place, or says why there is none.
    pub(crate) fn begin(
        agent: &Arc<Agent>,
        span: &Span,
        started: Instant,
    ) -> Result<Self, Failure> {
        let before = agent.running.fetch_add(1, Ordering::Relaxed);
        // From here on dropping the record gives the place back.
        let mut record = Self {
            agent: Arc::clone(agent),
            context: None,
            span: span.clone(),
            started,
            ended: false,
        };
        let refused = if agent.draining.load(Ordering::Relaxed) {
            Some(Failure::Draining)
        } else {
            agent
                .settings
                .max_concurrency
                .filter(|&limit| before >= limit)
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

    /// The context that learns when nobody waits any more.
    pub(crate) fn set_context(&mut self, context: RequestContext) {
        self.context = Some(context);
    }

    pub(crate) fn succeeded(&mut self, items: u64) {
        self.end(End::Success, items);
        let _entered = self.span.enter();
        tracing::debug!(
            duration_ms = self.milliseconds(),
            items,
            "invocation finished"
        );
    }

    pub(crate) fn failed(&mut self, error: &Error, items: u64) {
        let server = error.status().is_server_error();
        self.end(
            if server {
                End::ServerError
            } else {
                End::ClientError
            },
            items,
        );
        let _entered = self.span.enter();
        if server {
            tracing::error!(
                error = %Chain(error),
                error_type = error.error_type(),
                status = error.status().as_u16(),
                duration_ms = self.milliseconds(),
                items,
                "invocation failed"
            );
        } else {
            // What callers get wrong must not be able to fill the log.
            tracing::debug!(
                error = %Chain(error),
                error_type = error.error_type(),
                status = error.status().as_u16(),
                "invocation refused"
            );
        }
    }

    pub(crate) fn cancelled(&mut self, items: u64) {
        self.end(End::Cancelled, items);
        let _entered = self.span.enter();
        tracing::info!(
            duration_ms = self.milliseconds(),
            items,
            "client went away; invocation cancelled"
        );
    }

    fn end(&mut self, end: End, items: u64) {
        self.ended = true;
        self.agent.metrics.ended(end, self.started.elapsed(), items);
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if !self.ended {
            self.cancelled(0);
        }
        if let Some(context) = &self.context {
            context.cancel();
        }
        self.agent.running.fetch_sub(1, Ordering::Relaxed);
    }
}
