//! The body of an event stream.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame};
use tokio::time::{Instant, Sleep};

use super::executor::InvocationFuture;
use super::guard::InvocationGuard;
use super::reply::Outcome;
use crate::exchange::caller_deadline::CallerDeadline;
use crate::exchange::error::Error;
use crate::exchange::json;
use crate::exchange::rejection::Rejection;

/// A comment line that keeps proxies from closing an idle stream. Clients ignore comments.
pub(crate) const HEARTBEAT: &[u8] = b": keep-alive\n\n";

/// The limits at which a stream fails.
pub(crate) struct StreamLimits {
    /// The maximum time for which the handler may produce no item.
    pub(super) max_silence: Duration,
    /// The time at which the stream has to end, if the caller sets a timeout.
    pub(super) deadline: Option<CallerDeadline>,
}

impl StreamLimits {
    /// Returns the error of a stream whose deadline has passed.
    fn expired(&self) -> Option<Rejection> {
        self.deadline?.expired()
    }
}

/// Polls the handler when the connection can take more data, and sends the events that it wrote.
pub(crate) struct SseBody {
    invocation: InvocationFuture,
    guard: InvocationGuard,
    heartbeat: Option<Duration>,
    limits: StreamLimits,
    last_item: Instant,
    last_byte: Instant,
    /// Whether the connection has taken a frame of events, and the timer was not polled since.
    writing: bool,
    /// One timer for all limits. It is not reset at every item: when it fires, the times are
    /// compared to decide whether a limit is reached.
    timer: Option<Pin<Box<Sleep>>>,
    state: SseState,
}

#[derive(PartialEq, Eq)]
enum SseState {
    Running,
    /// The handler is done. This event, if not empty, is the last one.
    Last(Bytes),
    Ended,
}

impl SseBody {
    pub(crate) fn new(
        invocation: InvocationFuture,
        guard: InvocationGuard,
        heartbeat: Option<Duration>,
        limits: StreamLimits,
    ) -> Self {
        let now = Instant::now();
        Self {
            invocation,
            guard,
            heartbeat,
            limits,
            last_item: now,
            last_byte: now,
            writing: false,
            timer: None,
            state: SseState::Running,
        }
    }

    /// Ends the stream with the outcome of the handler, after the events that it wrote.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        let progress = self.invocation.buffer().progress();
        self.state = SseState::Last(match outcome {
            Outcome::Failed(error) => {
                self.guard.stream_failed(&error, progress);
                let format = self.invocation.buffer().format();
                json::error_event(&error, self.guard.context().request_id(), format)
            }
            // A handler that has begun a stream returns no value or response.
            Outcome::StreamEnded
            | Outcome::Value(_)
            | Outcome::Envelope(_)
            | Outcome::Response(_) => {
                self.guard.responded(StatusCode::OK, progress);
                Bytes::new()
            }
        });
    }

    fn poll_invocation(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let invocation = Pin::new(&mut self.invocation);
        self.guard.poll(|| invocation.poll(cx))
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<Timer> {
        loop {
            let now = Instant::now();
            if std::mem::take(&mut self.writing) {
                // The handler is not polled while a client reads slowly, so that time does not
                // count as silence.
                self.last_item += now - self.last_byte;
                self.last_byte = now;
            }
            let max_silence = self.limits.max_silence;
            let stalls = self.last_item + max_silence;
            let beats = self.heartbeat.map(|interval| self.last_byte + interval);
            let long = self.guard.becomes_long_at().map(Instant::from_std);
            if long.is_some_and(|long| now >= long) {
                self.guard.mark_long();
                continue;
            }
            if let Some(expired) = self.limits.expired() {
                return Poll::Ready(Timer::Failed(expired));
            }
            if now >= stalls {
                return Poll::Ready(Timer::Failed(Rejection::StreamStalled(max_silence)));
            }
            if beats.is_some_and(|beats| now >= beats) {
                return Poll::Ready(Timer::Heartbeat);
            }
            let ends = self
                .limits
                .deadline
                .map(|deadline| Instant::from_std(deadline.at));
            let next = [beats, ends, long]
                .into_iter()
                .flatten()
                .fold(stalls, Instant::min);
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(next)));
            // A timer that fires early is set again.
            if timer.is_elapsed() || timer.deadline() > next {
                timer.as_mut().reset(next);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl HttpBody for SseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            // The timer is not polled while the handler always has a next item, so the deadline is
            // checked here as well.
            if self.state == SseState::Running
                && let Some(expired) = self.limits.expired()
            {
                self.end(Outcome::Failed(expired.into()));
            }
            if self.state == SseState::Running
                && let Poll::Ready(outcome) = self.poll_invocation(cx)
            {
                self.end(outcome);
            }
            // Events that were written before the end are sent before the last event.
            let (events, progress) = self.invocation.buffer().take();
            if !events.is_empty() {
                self.guard.sent(progress);
                let now = Instant::now();
                (self.last_item, self.last_byte) = (now, now);
                self.writing = true;
                if self
                    .guard
                    .becomes_long_at()
                    .is_some_and(|long| now.into_std() >= long)
                {
                    self.guard.mark_long();
                }
                return Poll::Ready(Some(Ok(Frame::data(events.into()))));
            }
            match std::mem::replace(&mut self.state, SseState::Ended) {
                SseState::Running => self.state = SseState::Running,
                SseState::Last(event) if !event.is_empty() => {
                    return Poll::Ready(Some(Ok(Frame::data(event))));
                }
                SseState::Last(_) | SseState::Ended => return Poll::Ready(None),
            }
            match self.poll_timer(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Timer::Heartbeat) => {
                    self.last_byte = Instant::now();
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(HEARTBEAT)))));
                }
                Poll::Ready(Timer::Failed(failure)) => self.end(Outcome::Failed(failure.into())),
            }
        }
    }
}

/// A limit that was reached.
enum Timer {
    Heartbeat,
    Failed(Rejection),
}

impl Drop for SseBody {
    fn drop(&mut self) {
        if self.state == SseState::Running {
            self.guard.cancelled(self.invocation.buffer().progress());
        }
    }
}
