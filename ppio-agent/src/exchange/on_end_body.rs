//! A body that calls a function at its end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http_body::{Body as HttpBody, Frame, SizeHint};

/// How a body ended; see [`Body::on_end`](crate::Body::on_end).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyEnd {
    /// The body was read to its end. The client may not have received the last bytes yet.
    Complete,
    /// The body returned an error.
    Failed,
    /// The body was dropped before its end, for example because the client disconnected.
    Dropped,
}

/// A body that calls a function at its end.
pub(super) struct OnEndBody<B: HttpBody> {
    body: B,
    callback: Option<Box<dyn FnOnce(BodyEnd) + Send>>,
}

impl<B: HttpBody> OnEndBody<B> {
    pub(super) fn new(body: B, callback: impl FnOnce(BodyEnd) + Send + 'static) -> Self {
        Self {
            body,
            callback: Some(Box::new(callback)),
        }
    }

    fn end(&mut self, end: BodyEnd) {
        if let Some(callback) = self.callback.take() {
            callback(end);
        }
    }
}

impl<B: HttpBody + Unpin> HttpBody for OnEndBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.end(BodyEnd::Complete),
            Some(Err(_)) => self.end(BodyEnd::Failed),
            // hyper does not poll a body again after its last byte if the length is known.
            Some(Ok(_)) if self.body.is_end_stream() => self.end(BodyEnd::Complete),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<B: HttpBody> Drop for OnEndBody<B> {
    fn drop(&mut self) {
        let end = if self.body.is_end_stream() {
            BodyEnd::Complete
        } else {
            BodyEnd::Dropped
        };
        self.end(end);
    }
}
