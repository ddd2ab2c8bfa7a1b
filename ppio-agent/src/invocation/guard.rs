//! Admits an invocation, and counts and logs it once when it ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::watch;
use tracing::{Level, Span};

use super::counters::{Counters, InvocationEnd};
use crate::exchange::Exchange;
use crate::exchange::context::RequestContext;
use crate::exchange::error::{Error, ErrorChain};
use crate::exchange::log_ids::log_about;
use crate::exchange::per_connection::PerConnection;
use crate::exchange::rejection::Rejection;
use crate::exchange::runtime_settings::RuntimeSettings;

/// The target of the line that an invocation ends with: at level `info`, or `error` if it failed.
///
/// Writing the line costs more than answering a small request, so `info` is off by default.
pub(crate) const LOG_TARGET: &str = "ppio::invocation";

/// Decides whether an invocation may start.
pub(crate) struct Admission {
    pub(crate) counters: Counters,
    names: Names,
    max_concurrency: Option<usize>,
    /// How many invocations run; counted only if there is a limit.
    running: AtomicUsize,
    /// An invocation that has run for longer makes `/ping` answer `HealthyBusy`: platforms reclaim
    /// idle sandboxes, and a request that is silent for minutes looks idle to them.
    busy_after: Duration,
    /// How many invocations have run for longer.
    long: AtomicUsize,
    /// Changes when a shutdown begins.
    shutdown: watch::Receiver<()>,
}

/// What log lines call a piece of work, and the code that did it.
#[derive(Clone, Copy)]
struct Names {
    work: &'static str,
    code: &'static str,
}

impl Admission {
    pub(crate) fn new(settings: &RuntimeSettings, shutdown: watch::Receiver<()>) -> Self {
        Self {
            counters: Counters::new(),
            names: Names {
                work: "invocation",
                code: "the entrypoint",
            },
            max_concurrency: settings.max_concurrency,
            busy_after: settings.busy_after,
            running: AtomicUsize::new(0),
            long: AtomicUsize::new(0),
            shutdown,
        }
    }

    /// The same for requests of the author's own routes, which `max_concurrency` does not limit.
    pub(crate) fn of_routes(settings: &RuntimeSettings, shutdown: watch::Receiver<()>) -> Self {
        Self {
            names: Names {
                work: "request of a route",
                code: "the route",
            },
            max_concurrency: None,
            ..Self::new(settings, shutdown)
        }
    }

    /// Whether an invocation has run for long.
    pub(crate) fn has_long(&self) -> bool {
        self.long.load(Ordering::Relaxed) > 0
    }
}

/// A running invocation. If it is dropped before it ended, the invocation was cancelled.
pub(crate) struct InvocationGuard {
    admission: PerConnection<Admission>,
    context: RequestContext,
    span: Span,
    started: Instant,
    ended: bool,
    long: bool,
}

impl InvocationGuard {
    /// Counts the invocation, and rejects it during a shutdown or over `max_concurrency`.
    pub(crate) fn begin(
        admission: &PerConnection<Admission>,
        exchange: &Exchange,
        context: RequestContext,
    ) -> Result<Self, Rejection> {
        admission.counters.count_start();
        let limit = admission.max_concurrency;
        let running = limit.map(|_| admission.running.fetch_add(1, Ordering::Relaxed));
        // From here on dropping the guard counts down again.
        let mut guard = Self {
            admission: admission.clone(),
            context,
            span: exchange.span.clone(),
            started: exchange.started,
            ended: false,
            long: false,
        };
        // An error means that the server is gone.
        let rejection = if admission.shutdown.has_changed().unwrap_or(true) {
            Some(Rejection::ShuttingDown)
        } else {
            limit
                .filter(|&limit| running.is_some_and(|running| running >= limit))
                .map(|limit| Rejection::Overloaded { limit })
        };
        match rejection {
            None => Ok(guard),
            Some(rejection) => {
                guard.end(InvocationEnd::ServerError, 0);
                Err(rejection)
            }
        }
    }

    pub(crate) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// When the invocation has to be marked as a long one; `None` if it is.
    ///
    /// Whatever waits for an invocation has a timer anyway, so no invocation needs one of its own
    /// while it is fast.
    pub(crate) fn becomes_long_at(&self) -> Option<Instant> {
        (!self.long).then(|| self.started + self.admission.busy_after)
    }

    /// Counts the invocation among those that have run for long.
    pub(crate) fn mark_long(&mut self) {
        if !std::mem::replace(&mut self.long, true) {
            self.admission.long.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the invocation with a response, counts and logs it by its status, and returns how long
    /// it took.
    pub(crate) fn responded(&mut self, status: StatusCode, items: u64) -> Duration {
        let end = match status {
            status if status.is_server_error() => InvocationEnd::ServerError,
            status if status.is_client_error() => InvocationEnd::ClientError,
            _ => InvocationEnd::Success,
        };
        let duration = self.end(end, items);
        let (status, duration_ms) = (status.as_u16(), milliseconds(duration));
        let Names { work, code } = self.admission.names;
        if end == InvocationEnd::ServerError {
            self.log(|| {
                tracing::error!(
                    target: LOG_TARGET,
                    error = format_args!("{code} returned a response with this status"),
                    status,
                    duration_ms,
                    "{work} failed"
                );
            });
        } else if tracing::enabled!(target: LOG_TARGET, Level::INFO) {
            self.log(|| {
                if end == InvocationEnd::ClientError {
                    tracing::info!(target: LOG_TARGET, status, duration_ms, "{work} refused");
                } else {
                    tracing::info!(target: LOG_TARGET, status, duration_ms, items, "{work} finished");
                }
            });
        }
        duration
    }

    /// Ends the invocation with an error, and returns the error.
    pub(crate) fn failed(&mut self, error: Error) -> Error {
        self.stream_failed(&error, 0);
        error
    }

    pub(crate) fn stream_failed(&mut self, error: &Error, items: u64) {
        let status = error.status();
        let error_type = error.error_type();
        let work = self.admission.names.work;
        if error.rejection().is_some_and(Rejection::is_cancellation) {
            let duration_ms = milliseconds(self.end(InvocationEnd::Cancelled, items));
            self.log(|| {
                tracing::info!(target: "ppio", %error, duration_ms, items, "{work} cancelled");
            });
        } else if status.is_server_error() {
            let duration_ms = milliseconds(self.end(InvocationEnd::ServerError, items));
            self.log(|| {
                tracing::error!(
                    target: LOG_TARGET,
                    error = %ErrorChain(error),
                    error_type,
                    status = status.as_u16(),
                    duration_ms,
                    items,
                    "{work} failed"
                );
            });
        } else {
            let duration_ms = milliseconds(self.end(InvocationEnd::ClientError, items));
            // At `info`, so that invalid requests cannot fill the default log.
            self.log(|| {
                tracing::info!(
                    target: LOG_TARGET,
                    error = %ErrorChain(error),
                    error_type,
                    status = status.as_u16(),
                    duration_ms,
                    "{work} refused"
                );
            });
        }
    }

    pub(crate) fn cancelled(&mut self, items: u64) {
        let duration_ms = milliseconds(self.end(InvocationEnd::Cancelled, items));
        let work = self.admission.names.work;
        self.log(|| {
            // Not this module's path, which `ppio::invocation=warn` of the default filter covers.
            tracing::info!(target: "ppio", duration_ms, items, "client disconnected; {work} cancelled");
        });
    }

    fn log(&self, write: impl FnOnce()) {
        log_about(&self.context, &self.span, write);
    }

    /// Reads the clock once, for the counters, the log and the response.
    fn end(&mut self, end: InvocationEnd, items: u64) -> Duration {
        self.ended = true;
        let duration = self.started.elapsed();
        self.admission.counters.count_end(end, duration, items);
        duration
    }
}

/// To the microsecond, since most agents that call nothing answer within a millisecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

impl Drop for InvocationGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.cancelled(0);
        }
        self.context.cancel();
        if self.long {
            self.admission.long.fetch_sub(1, Ordering::Relaxed);
        }
        if self.admission.max_concurrency.is_some() {
            self.admission.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
