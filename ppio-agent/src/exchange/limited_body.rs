//! A request's body under a size limit and a deadline.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use ppio_agent_protocol::ByteSize;
use tokio::time::Sleep;

use super::error::{BoxError, Error};
use super::rejection::Rejection;

/// A request's body under a size limit and a deadline.
pub(super) struct LimitedBody<B> {
    body: B,
    limit: ByteSize,
    left: u64,
    deadline: Duration,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<B> LimitedBody<B> {
    pub(super) fn new(body: B, limit: ByteSize, deadline: Duration) -> Self {
        Self {
            body,
            limit,
            left: limit.bytes(),
            deadline,
            timer: None,
        }
    }
}

impl<B> HttpBody for LimitedBody<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let too_large = Rejection::TooLarge { limit: self.limit };
        // A `content-length` over the limit is refused before a byte is read.
        if self.body.size_hint().lower() > self.left {
            return Poll::Ready(Some(Err(too_large.into())));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.left.checked_sub(length) {
                    Some(left) => {
                        self.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => Poll::Ready(Some(Err(too_large.into()))),
                }
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(Rejection::BodyCut(
                error.into().to_string(),
            )
            .into()))),
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let deadline = self.deadline;
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline)));
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Some(Err(Rejection::BodyTooSlow(deadline).into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
