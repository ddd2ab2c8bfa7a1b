//! The task of a running run: it polls the handler and appends the items that the handler writes to
//! the log of the run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::StatusCode;
use http_body::Body as _;
use ppio_agent_protocol::RunStatus;
use tokio::time::{Sleep, sleep_until};

use super::answer::{Answer, KeptValue};
use super::run::Run;
use super::run::production::Permission;
use super::run::state::LoggedHead;
use crate::exchange::agent_envelope::AgentEnvelope;
use crate::exchange::body::{Body, Response};
use crate::exchange::caller_deadline::{CallerDeadline, DeadlineBody};
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;
use crate::exchange::scoped_body::scoped;
use crate::exchange::task_tracker::RunningTask;
use crate::invocation::counters::InvocationProgress;
use crate::invocation::event_buffer::HIGH_WATER;
use crate::invocation::executor::InvocationFuture;
use crate::invocation::guard::InvocationGuard;
use crate::invocation::reply::Outcome;
use crate::invocation::session_gate::SessionTurn;

/// A future that polls the invocation of a run to its end.
pub(super) struct Producer {
    pub(super) run: Arc<Run>,
    pub(super) source: AnswerSource,
    pub(super) guard: InvocationGuard,
    pub(super) span: tracing::Span,
    /// The time by which the answer has to begin.
    pub(super) deadline: Instant,
    pub(super) started: Instant,
    pub(super) max_silence: Duration,
    pub(super) silent_since: Instant,
    /// One timer for all limits.
    pub(super) timer: Option<Pin<Box<Sleep>>>,
    pub(super) progress: InvocationProgress,
    pub(super) _running: RunningTask,
}

/// The handler or body that is polled.
pub(super) enum AnswerSource {
    Handler(InvocationFuture),
    /// The body of a response that the handler returned.
    Body {
        body: Body,
        status: StatusCode,
        turn: Option<Box<SessionTurn>>,
    },
}

/// The result of one poll of the source.
enum ProducerStep {
    /// The number of bytes that were written.
    Wrote(usize),
    /// The handler returned a response, whose body is polled next.
    Responded,
    Ended,
}

impl Future for Producer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut written = 0;
        loop {
            let cancelled_at = match self.run.permission(cx) {
                Permission::Produce(cancelled_at) => cancelled_at,
                Permission::Wait => {
                    // The handler is not polled while the producer waits, so this time does not
                    // count as silence.
                    self.timer = None;
                    self.silent_since = Instant::now();
                    return Poll::Pending;
                }
                Permission::End(reason) => {
                    let progress = self.progress;
                    match reason {
                        Some(error) => self.guard.stream_failed(&error, progress),
                        None => self.guard.cancelled(progress),
                    }
                    return Poll::Ready(());
                }
            };
            match self.poll_source(cx) {
                Poll::Ready(ProducerStep::Ended) => return Poll::Ready(()),
                Poll::Ready(ProducerStep::Responded) => {}
                // A handler that stopped because it wrote much data has to be polled again.
                Poll::Ready(ProducerStep::Wrote(bytes)) => {
                    self.silent_since = Instant::now();
                    written += bytes;
                    if written >= HIGH_WATER {
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                }
                Poll::Pending => return self.poll_limits(cancelled_at, cx),
            }
        }
    }
}

impl Producer {
    fn poll_source(&mut self, cx: &mut Context<'_>) -> Poll<ProducerStep> {
        match &mut self.source {
            AnswerSource::Handler(_) => self.poll_handler(cx),
            AnswerSource::Body { body, turn, .. } => {
                if let Some(turn) = turn
                    && let Poll::Ready(Err(interrupted)) = turn.poll(cx)
                {
                    self.fail(interrupted.into());
                    return Poll::Ready(ProducerStep::Ended);
                }
                match ready!(self.guard.poll(|| Pin::new(body).poll_frame(cx))) {
                    Some(Ok(frame)) => {
                        let data = frame.into_data().unwrap_or_default();
                        let length = data.len();
                        self.run.append(data.into(), 1);
                        Poll::Ready(ProducerStep::Wrote(length))
                    }
                    Some(Err(_)) => {
                        let expired = self.caller_deadline().and_then(CallerDeadline::expired);
                        self.fail(expired.unwrap_or(Rejection::ResponseCut).into());
                        Poll::Ready(ProducerStep::Ended)
                    }
                    None => {
                        self.succeed();
                        Poll::Ready(ProducerStep::Ended)
                    }
                }
            }
        }
    }

    fn poll_handler(&mut self, cx: &mut Context<'_>) -> Poll<ProducerStep> {
        let caller_deadline = self.caller_deadline();
        let AnswerSource::Handler(invocation) = &mut self.source else {
            return Poll::Pending;
        };
        // The timer is not polled as long as the handler has an item at every poll, so the deadline
        // is also checked here.
        if invocation.buffer().is_streaming()
            && let Some(expired) = caller_deadline.and_then(CallerDeadline::expired)
        {
            self.fail(expired.into());
            return Poll::Ready(ProducerStep::Ended);
        }
        let polled = self.guard.poll(|| Pin::new(&mut *invocation).poll(cx));
        let is_streaming = invocation.buffer().is_streaming();
        let (events, progress) = invocation.buffer().take();
        if is_streaming {
            self.run.begin(LoggedHead::Events);
        }
        let length = events.len();
        if length > 0 {
            self.guard.sent(progress);
            let items = progress.items - self.progress.items;
            self.run.append(events, items);
            self.progress = progress;
        }
        match polled {
            Poll::Pending if length > 0 => Poll::Ready(ProducerStep::Wrote(length)),
            Poll::Pending => Poll::Pending,
            Poll::Ready(outcome) => Poll::Ready(self.finish(outcome, is_streaming)),
        }
    }

    fn finish(&mut self, outcome: Outcome, is_streaming: bool) -> ProducerStep {
        match outcome {
            Outcome::Failed(error) => self.fail(error),
            Outcome::Response(response) if !is_streaming => {
                self.respond(*response);
                return ProducerStep::Responded;
            }
            Outcome::Value(value) if !is_streaming => {
                let duration = self
                    .guard
                    .responded(StatusCode::OK, InvocationProgress::default());
                let answer = Answer::Value(KeptValue {
                    json: value.into(),
                    envelope: None,
                    duration,
                });
                self.run.end(RunStatus::Success, answer);
            }
            Outcome::Envelope(envelope) if !is_streaming => self.finish_envelope(*envelope),
            // A handler that has begun a stream returns no value or response.
            Outcome::StreamEnded
            | Outcome::Value(_)
            | Outcome::Envelope(_)
            | Outcome::Response(_) => self.succeed(),
        }
        ProducerStep::Ended
    }

    /// Ends the run with an envelope that the handler filled. An envelope with the status `error`
    /// fails the invocation.
    fn finish_envelope(&mut self, envelope: AgentEnvelope) {
        let id = self.run.id.as_str();
        let queue_time = match &self.source {
            AnswerSource::Handler(invocation) => invocation.buffer().queue_time(),
            AnswerSource::Body { .. } => Duration::ZERO,
        };
        if let Some(error) = envelope.failure() {
            let body = envelope.into_body(self.started.elapsed(), queue_time, id);
            self.fail(error.with_body(body));
            return;
        }
        let duration = self
            .guard
            .responded(StatusCode::OK, InvocationProgress::default());
        let answer = Answer::Value(KeptValue {
            json: envelope.result(),
            envelope: Some(envelope.into_body(duration, queue_time, id)),
            duration,
        });
        self.run.end(RunStatus::Success, answer);
    }

    /// Continues with the body of a response that the handler returned.
    fn respond(&mut self, response: Response) {
        let AnswerSource::Handler(invocation) = &mut self.source else {
            return;
        };
        let turn = invocation.take_turn();
        let (head, body) = response.into_parts();
        let body = match self.caller_deadline() {
            Some(deadline) if body.is_user_body() => Body::new(DeadlineBody::new(body, deadline)),
            _ => body,
        };
        let body = scoped(body, self.guard.context().clone(), &self.span);
        let status = head.status;
        self.run
            .begin(LoggedHead::Response(Arc::new((status, head.headers))));
        self.source = AnswerSource::Body { body, status, turn };
    }

    fn succeed(&mut self) {
        let status = match self.source {
            AnswerSource::Handler(_) => StatusCode::OK,
            AnswerSource::Body { status, .. } => status,
        };
        self.guard.responded(status, self.progress);
        let status = if status.is_client_error() || status.is_server_error() {
            RunStatus::Error
        } else {
            RunStatus::Success
        };
        self.run.end(status, Answer::Logged);
    }

    fn fail(&mut self, error: Error) {
        let duration = self.started.elapsed();
        self.guard.stream_failed(&error, self.progress);
        self.run.fail(error, duration);
    }

    /// Returns the time by which the whole invocation has to end, if its caller set a timeout.
    fn caller_deadline(&self) -> Option<CallerDeadline> {
        Some(CallerDeadline {
            at: self.guard.context().requested_deadline()?,
            started: self.started,
        })
    }

    /// Waits for the next time limit, and handles the limits that are reached.
    fn poll_limits(&mut self, cancelled_at: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let now = Instant::now();
            let long_at = self.guard.becomes_long_at();
            if long_at.is_some_and(|at| now >= at) {
                self.guard.mark_long();
                continue;
            }
            if cancelled_at.is_some_and(|at| now >= at) {
                let reason = "its last reader disconnected and did not reconnect";
                self.fail(Rejection::Cancelled { reason }.into());
                return Poll::Ready(());
            }
            let limit = match self.limit() {
                Some((at, rejection)) if now >= at => {
                    self.fail(rejection.into());
                    return Poll::Ready(());
                }
                limit => limit.map(|(at, _)| at),
            };
            let Some(next) = [long_at, cancelled_at, limit].into_iter().flatten().min() else {
                return Poll::Pending;
            };
            let next = next.into();
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(sleep_until(next)));
            // A timer for an earlier limit is kept, and is set again once it has elapsed.
            if timer.is_elapsed() || timer.deadline() > next {
                timer.as_mut().reset(next);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Returns the current deadline of the handler, and the error if the handler misses it.
    fn limit(&self) -> Option<(Instant, Rejection)> {
        match &self.source {
            AnswerSource::Handler(invocation) if invocation.buffer().is_streaming() => {
                let stalled = Rejection::StreamStalled(self.max_silence);
                let stalls = self.silent_since + self.max_silence;
                match self.caller_deadline() {
                    Some(CallerDeadline { at, started }) if at <= stalls => {
                        Some((at, Rejection::StreamTimedOut(at - started)))
                    }
                    _ => Some((stalls, stalled)),
                }
            }
            AnswerSource::Handler(_) => {
                let deadline = self.guard.context().deadline().unwrap_or(self.deadline);
                let late = Rejection::TimedOut(deadline - self.started);
                Some((deadline, late))
            }
            AnswerSource::Body { .. } => None,
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // The tokio runtime drops tasks when it ends.
        self.run.cancel("the agent has shut down");
    }
}
