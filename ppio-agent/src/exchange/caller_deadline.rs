//! The deadline that a caller sets for its whole invocation.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Sleep, sleep_until};

use super::body::Body;
use super::error::Error;
use super::rejection::Rejection;

/// The time by which an invocation has to end, including its stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CallerDeadline {
    pub(crate) at: Instant,
    /// The time at which the request arrived.
    pub(crate) started: Instant,
}

impl CallerDeadline {
    /// Returns the error for a stream that has not ended, or `None` before the deadline.
    pub(crate) fn expired(self) -> Option<Rejection> {
        (Instant::now() >= self.at).then(|| Rejection::StreamTimedOut(self.at - self.started))
    }
}

/// A body of user code that fails at the deadline.
pub(crate) struct DeadlineBody {
    body: Body,
    deadline: CallerDeadline,
    timer: Pin<Box<Sleep>>,
}

impl DeadlineBody {
    pub(crate) fn new(body: Body, deadline: CallerDeadline) -> Self {
        Self {
            body,
            deadline,
            timer: Box::pin(sleep_until(deadline.at.into())),
        }
    }
}

impl HttpBody for DeadlineBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        let more = frame.is_pending() || matches!(frame, Poll::Ready(Some(Ok(_))));
        if more
            && self.timer.as_mut().poll(cx).is_ready()
            && let Some(expired) = self.deadline.expired()
        {
            return Poll::Ready(Some(Err(expired.into())));
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
