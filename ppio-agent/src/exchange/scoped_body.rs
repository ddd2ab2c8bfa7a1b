//! A user body that is polled in the context of its request.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tracing::Span;

use super::body::Body;
use super::context::{AgentRuntimeContext, RequestContext};
use super::error::Error;

/// Wraps a body that runs user code, so that its log lines carry the request's ids.
pub(crate) fn scoped(body: Body, context: RequestContext, span: &Span) -> Body {
    if body.is_user_body() {
        body.wrap(|body| ScopedBody::new(body, context, span.clone()))
    } else {
        body
    }
}

/// A body that is polled and dropped in the context of its request.
struct ScopedBody {
    body: Body,
    context: RequestContext,
    span: Span,
}

impl ScopedBody {
    fn new(body: Body, context: RequestContext, span: Span) -> Self {
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
