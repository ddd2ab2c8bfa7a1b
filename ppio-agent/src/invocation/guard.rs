//! Admits an invocation, and counts and logs it once when it ends.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::StatusCode;
use tokio::sync::watch;
use tracing::{Level, Span};

use super::counters::{Counters, InvocationEnd, InvocationProgress};
use crate::exchange::Exchange;
use crate::exchange::context::RequestContext;
use crate::exchange::error::{Error, ErrorChain};
use crate::exchange::log_ids::log_about;
use crate::exchange::per_connection::PerConnection;
use crate::exchange::protocol::Protocol;
use crate::exchange::rejection::Rejection;
use crate::exchange::runtime_settings::RuntimeSettings;
use crate::stalls::Watch;
use crate::telemetry::{EndedInvocation, RequestTrace};

/// The `tracing` target of the log line that is written when an invocation ends, at level `info`,
/// or `error` if it failed. The line of a cancelled invocation has the target `ppio`.
///
/// Writing the line costs more than answering a small request, so `info` is off by default.
pub(crate) const LOG_TARGET: &str = "ppio::invocation";

/// Decides whether an invocation may start.
pub(crate) struct Admission {
    pub(crate) counters: Counters,
    /// Watches the function while it is polled.
    watch: Watch,
    kind: AdmittedKind,
    max_concurrency: Option<usize>,
    /// The number of running invocations; counted only if there is a limit.
    running: AtomicUsize,
    /// The time after which a running invocation makes `/ping` return `HealthyBusy`. Platforms
    /// reclaim idle sandboxes, and a sandbox whose requests have no traffic for minutes counts as
    /// idle.
    busy_after: Duration,
    /// The number of running invocations that have run for longer than `busy_after`.
    long: AtomicUsize,
    /// Changes when a shutdown begins.
    shutdown: watch::Receiver<()>,
}

/// The kind of request that is admitted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AdmittedKind {
    Invocation,
    /// A request to the author's own routes.
    Route,
}

impl AdmittedKind {
    /// Returns the name of a request of this kind in log lines.
    fn name(self) -> &'static str {
        match self {
            Self::Invocation => "invocation",
            Self::Route => "request of a route",
        }
    }

    /// Returns the name, in log lines, of the code that handles a request of this kind.
    fn code(self) -> &'static str {
        match self {
            Self::Invocation => "the entrypoint",
            Self::Route => "the route",
        }
    }
}

impl Admission {
    pub(crate) fn new(
        settings: &RuntimeSettings,
        shutdown: watch::Receiver<()>,
        watch: Watch,
    ) -> Self {
        Self {
            counters: Counters::new(),
            watch,
            kind: AdmittedKind::Invocation,
            max_concurrency: settings.max_concurrency,
            busy_after: settings.busy_after,
            running: AtomicUsize::new(0),
            long: AtomicUsize::new(0),
            shutdown,
        }
    }

    /// Returns the admission of requests to the author's own routes. `max_concurrency` does not
    /// limit them.
    pub(crate) fn of_routes(
        settings: &RuntimeSettings,
        shutdown: watch::Receiver<()>,
        watch: Watch,
    ) -> Self {
        Self {
            kind: AdmittedKind::Route,
            max_concurrency: None,
            ..Self::new(settings, shutdown, watch)
        }
    }

    /// Whether an invocation has run for longer than `busy_after`.
    pub(crate) fn has_long(&self) -> bool {
        self.long.load(Ordering::Relaxed) > 0
    }
}

/// The part of a stream that is already counted.
#[derive(Default)]
struct StreamCount {
    counted: InvocationProgress,
    has_sent_item: bool,
}

/// A running invocation. If the guard is dropped before the invocation has ended, the invocation
/// counts as cancelled.
pub(crate) struct InvocationGuard {
    admission: PerConnection<Admission>,
    context: RequestContext,
    span: Span,
    started: Instant,
    protocol: Option<Protocol>,
    /// The part of the stream that is already counted. It is boxed, since most invocations have no
    /// stream, and the guard is moved with its invocation.
    stream: Option<Box<StreamCount>>,
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
        admission.counters.count_start(exchange.protocol);
        let limit = admission.max_concurrency;
        let running = limit.map(|_| admission.running.fetch_add(1, Ordering::Relaxed));
        // From here on, dropping the guard decrements `running`.
        let mut guard = Self {
            admission: admission.clone(),
            context,
            span: exchange.span.clone(),
            started: exchange.started,
            protocol: exchange.protocol,
            stream: None,
            ended: false,
            long: false,
        };
        guard.trace().begin_invocation(guard.context.request_id());
        // `has_changed` fails if the sender was dropped: the server has stopped.
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
                guard.end(
                    InvocationEnd::ServerError,
                    Some(rejection.status()),
                    Some(rejection.error_type()),
                    InvocationProgress::default(),
                );
                Err(rejection)
            }
        }
    }

    pub(crate) fn context(&self) -> &RequestContext {
        &self.context
    }

    /// Returns the watch that records the polls of the function.
    pub(crate) fn watch(&self) -> Watch {
        self.admission.watch
    }

    /// Calls `poll`, which polls the function, and records the poll in the watch.
    #[inline]
    pub(crate) fn poll<R>(&self, poll: impl FnOnce() -> R) -> R {
        self.watch().poll(self.context.request_id_bytes(), poll)
    }

    /// Counts what a stream has sent so far. May also be called after the stream has ended.
    pub(crate) fn sent(&mut self, progress: InvocationProgress) {
        let stream = self.stream.get_or_insert_default();
        if !stream.has_sent_item && progress.items > 0 {
            stream.has_sent_item = true;
            self.admission.counters.count_first_item(
                self.protocol,
                self.started.elapsed(),
                &self.context,
            );
        }
        self.count(progress);
    }

    fn count(&mut self, progress: InvocationProgress) {
        if progress != InvocationProgress::default() {
            let stream = self.stream.get_or_insert_default();
            let counters = &self.admission.counters;
            counters.count_progress(self.protocol, stream.counted, progress);
            stream.counted = progress;
        }
    }

    /// Returns the time at which the invocation has to be marked as a long one; `None` if it is
    /// marked already or has ended.
    ///
    /// The code that waits for an invocation already has a timer, so a fast invocation needs no
    /// additional timer.
    pub(crate) fn becomes_long_at(&self) -> Option<Instant> {
        (!self.long && !self.ended).then(|| self.started + self.admission.busy_after)
    }

    /// Counts the invocation as long-running.
    pub(crate) fn mark_long(&mut self) {
        if !std::mem::replace(&mut self.long, true) {
            self.admission.long.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the invocation with a response, counts and logs it by its status, and returns how long
    /// it took.
    pub(crate) fn responded(
        &mut self,
        status: StatusCode,
        progress: InvocationProgress,
    ) -> Duration {
        let end = match status {
            status if status.is_server_error() => InvocationEnd::ServerError,
            status if status.is_client_error() => InvocationEnd::ClientError,
            _ => InvocationEnd::Success,
        };
        let items = progress.items;
        let duration = self.end(end, Some(status), None, progress);
        let (status, duration_ms) = (status.as_u16(), milliseconds(duration));
        let (request, code) = (self.admission.kind.name(), self.admission.kind.code());
        if end == InvocationEnd::ServerError {
            self.log(|| {
                tracing::error!(
                    target: LOG_TARGET,
                    error = format_args!("{code} returned a response with this status"),
                    status,
                    duration_ms,
                    "{request} failed"
                );
            });
        } else if tracing::enabled!(target: LOG_TARGET, Level::INFO) {
            self.log(|| {
                if end == InvocationEnd::ClientError {
                    tracing::info!(target: LOG_TARGET, status, duration_ms, "{request} refused");
                } else {
                    tracing::info!(target: LOG_TARGET, status, duration_ms, items, "{request} finished");
                }
            });
        }
        duration
    }

    /// Ends the invocation with an error, and returns the error.
    pub(crate) fn failed(&mut self, error: Error) -> Error {
        self.stream_failed(&error, InvocationProgress::default());
        error
    }

    pub(crate) fn stream_failed(&mut self, error: &Error, progress: InvocationProgress) {
        let items = progress.items;
        let status = error.status();
        let error_type = error.error_type();
        let request = self.admission.kind.name();
        let end = if error.rejection().is_some_and(Rejection::is_cancellation) {
            InvocationEnd::Cancelled
        } else if error.rejection().is_some_and(Rejection::is_timeout) {
            InvocationEnd::Timeout
        } else if status.is_server_error() {
            InvocationEnd::ServerError
        } else {
            InvocationEnd::ClientError
        };
        let answered = (end != InvocationEnd::Cancelled).then_some(status);
        let duration = self.end(end, answered, Some(error_type), progress);
        let duration_ms = milliseconds(duration);
        if end == InvocationEnd::Cancelled {
            self.log(|| {
                tracing::info!(target: "ppio", %error, duration_ms, items, "{request} cancelled");
            });
        } else if status.is_server_error() {
            self.log(|| {
                tracing::error!(
                    target: LOG_TARGET,
                    error = %ErrorChain(error),
                    error_type,
                    status = status.as_u16(),
                    duration_ms,
                    items,
                    "{request} failed"
                );
            });
        } else {
            // At `info`, so that invalid requests cannot fill the default log.
            self.log(|| {
                tracing::info!(
                    target: LOG_TARGET,
                    error = %ErrorChain(error),
                    error_type,
                    status = status.as_u16(),
                    duration_ms,
                    "{request} refused"
                );
            });
        }
    }

    pub(crate) fn cancelled(&mut self, progress: InvocationProgress) {
        let items = progress.items;
        let duration = self.end(InvocationEnd::Cancelled, None, None, progress);
        let duration_ms = milliseconds(duration);
        let request = self.admission.kind.name();
        self.log(|| {
            // The target is not this module's path: `ppio::invocation=warn` in the default filter
            // would hide the line.
            tracing::info!(target: "ppio", duration_ms, items, "client disconnected; {request} cancelled");
        });
    }

    fn trace(&self) -> &RequestTrace {
        self.context.trace()
    }

    fn log(&self, write: impl FnOnce()) {
        log_about(&self.context, &self.span, write);
    }

    /// Counts the end, ends the span, and returns the duration. The clock is read once, for the
    /// counters, the span, the log and the response. `status` is `None` if there was no response.
    fn end(
        &mut self,
        end: InvocationEnd,
        status: Option<StatusCode>,
        error_type: Option<&str>,
        progress: InvocationProgress,
    ) -> Duration {
        self.ended = true;
        let duration = self.started.elapsed();
        // The invocation is released before the caller or `GET /metrics` can observe its end, so
        // that the next request is admitted.
        self.release();
        self.count(progress);
        let counters = &self.admission.counters;
        counters.count_end(self.protocol, end, duration, &self.context);
        // The counted progress of the stream is used, since the `progress` at its end can be empty.
        let sent = self.stream.as_ref().map(|stream| stream.counted);
        let InvocationProgress { items, tokens } = sent.unwrap_or_default();
        self.trace().end_invocation(&EndedInvocation {
            status: status.map(|status| status.as_u16()),
            error_type,
            is_failure: matches!(end, InvocationEnd::ServerError | InvocationEnd::Timeout),
            items,
            tokens,
            duration,
            is_route: self.admission.kind == AdmittedKind::Route,
        });
        duration
    }

    /// Stops counting the invocation as running.
    fn release(&self) {
        if self.long {
            self.admission.long.fetch_sub(1, Ordering::Relaxed);
        }
        if self.admission.max_concurrency.is_some() {
            self.admission.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Returns a duration in milliseconds, rounded to the microsecond, since most agents that call no
/// other service answer within a millisecond.
fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

impl Drop for InvocationGuard {
    fn drop(&mut self) {
        if !self.ended {
            self.cancelled(InvocationProgress::default());
        }
        self.context.cancel();
    }
}
