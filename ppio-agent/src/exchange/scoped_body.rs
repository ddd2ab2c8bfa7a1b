//! A body of the author's own, which runs after its response was returned.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::Span;

use crate::exchange::body::Body;
use crate::exchange::context::{AgentRuntimeContext, RequestContext};
use crate::exchange::error::Error;

/// A body that is polled and dropped in the context of its request, so that what it logs carries
/// the request's ids.
pub(crate) struct ScopedBody {
    body: Body,
    context: RequestContext,
    span: Span,
}

impl ScopedBody {
    pub(crate) fn new(body: Body, context: RequestContext, span: Span) -> Self {
        Self {
            body,
            context,
            span,
        }
    }

    fn in_scope<R>(&mut self, work: impl FnOnce(&mut Body) -> R) -> R {
        let body = &mut self.body;
        AgentRuntimeContext::sync_scope(self.context.clone(), || self.span.in_scope(|| work(body)))
    }
}

impl HttpBody for ScopedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.in_scope(|body| Pin::new(body).poll_frame(cx))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ScopedBody {
    fn drop(&mut self) {
        self.in_scope(|body| drop(std::mem::take(body)));
    }
}
