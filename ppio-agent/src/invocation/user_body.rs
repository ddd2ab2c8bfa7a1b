//! The body of a response that the handler returned. The invocation ends when the body ends.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};

use super::counters::InvocationProgress;
use super::guard::InvocationGuard;
use super::session_gate::SessionTurn;
use crate::exchange::body::Body;
use crate::exchange::caller_deadline::{CallerDeadline, DeadlineBody};
use crate::exchange::error::Error;
use crate::exchange::rejection::Rejection;

/// Forwards the frames of a user body, and ends the invocation when the body ends.
pub(super) struct UserBody {
    body: Body,
    status: StatusCode,
    guard: InvocationGuard,
    turn: Option<Box<SessionTurn>>,
    deadline: Option<CallerDeadline>,
    /// Fires when the invocation has run for `busy_after`.
    timer: Option<Pin<Box<Sleep>>>,
    ended: bool,
}

impl UserBody {
    pub(super) fn new(
        body: Body,
        status: StatusCode,
        guard: InvocationGuard,
        turn: Option<Box<SessionTurn>>,
        deadline: Option<CallerDeadline>,
    ) -> Self {
        let body = match deadline {
            Some(deadline) => Body::new(DeadlineBody::new(body, deadline)),
            None => body,
        };
        Self {
            body,
            status,
            guard,
            turn,
            deadline,
            timer: None,
            ended: false,
        }
    }

    fn end(&mut self, error: Option<&Error>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        match error {
            None => {
                self.guard
                    .responded(self.status, InvocationProgress::default());
            }
            Some(error) => self
                .guard
                .stream_failed(error, InvocationProgress::default()),
        }
        self.turn = None;
    }

    /// Marks the invocation as a long one once the invocation has run for `busy_after`.
    fn poll_long(&mut self, cx: &mut Context<'_>) {
        let Some(at) = self.guard.becomes_long_at() else {
            return;
        };
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(sleep_until(at.into())));
        if timer.as_mut().poll(cx).is_ready() {
            self.guard.mark_long();
        }
    }
}

impl HttpBody for UserBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Some(turn) = &self.turn
            && let Poll::Ready(Err(interrupted)) = turn.poll(cx)
        {
            let error = interrupted.into();
            self.end(Some(&error));
            return Poll::Ready(Some(Err(error)));
        }
        let this = &mut *self;
        let body = Pin::new(&mut this.body);
        let poll = this.guard.poll(|| body.poll_frame(cx));
        match &poll {
            Poll::Pending => self.poll_long(cx),
            Poll::Ready(None) => self.end(None),
            Poll::Ready(Some(Err(_))) => {
                let expired = self.deadline.and_then(CallerDeadline::expired);
                let failure = expired.unwrap_or(Rejection::ResponseCut);
                self.end(Some(&failure.into()));
            }
            // hyper does not poll a body again after its last byte if the length is known.
            Poll::Ready(Some(Ok(_))) if self.body.is_end_stream() => self.end(None),
            Poll::Ready(Some(Ok(_))) => {}
        }
        poll
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for UserBody {
    fn drop(&mut self) {
        // Without this call, dropping the guard would count a complete body as cancelled.
        if self.body.is_end_stream() {
            self.end(None);
        }
    }
}
