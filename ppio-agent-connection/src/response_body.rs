//! The body of a response.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};

use crate::progress::Progress;

/// A body that records its end in the state of the connection.
pub(crate) struct TrackedBody<B: Send + 'static> {
    /// `None` only while this value is being dropped.
    body: Option<B>,
    progress: Arc<Progress>,
}

impl<B: Send + 'static> TrackedBody<B> {
    pub(crate) fn new(body: B, progress: Arc<Progress>) -> Self {
        let body = Some(body);
        Self { body, progress }
    }
}

impl<B: Body + Unpin + Send + 'static> Body for TrackedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let Some(body) = &mut self.body else {
            return Poll::Ready(None);
        };
        Pin::new(body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(Body::size_hint).unwrap_or_default()
    }
}

impl<B: Send + 'static> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        if self.progress.is_releasing() {
            if let Some(body) = self.body.take() {
                self.progress.keep_body(Box::new(body));
            }
        } else {
            self.progress.response_ended();
        }
    }
}
