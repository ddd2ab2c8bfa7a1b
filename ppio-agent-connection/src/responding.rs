//! The future of one request.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::Response;
use http_body::Body;
use pin_project_lite::pin_project;

use crate::discard::{close_after, closes, settle};
use crate::progress::Progress;
use crate::response_body::TrackedBody;
use crate::rest_of_body::is_chunked;

type Settling<'a, B> = Pin<Box<dyn Future<Output = Response<B>> + Send + 'a>>;

pin_project! {
    /// Waits for the handler, and then for the decision whether the response closes the connection.
    ///
    /// Not an `async` block: its future would be twice as large as the handler's, and hyper copies
    /// the future.
    pub(crate) struct Responding<'a, F, B> {
        #[pin]
        handler: F,
        // Boxed, because few requests have an unread body.
        settling: Option<Settling<'a, B>>,
        progress: &'a Arc<Progress>,
        head: RequestFraming,
    }
}

/// The parts of a request's head that the response depends on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestFraming {
    /// Whether the end of the request is unambiguous; otherwise the connection is closed after the
    /// response.
    pub(crate) is_framed: bool,
    /// Whether the client supports chunks.
    pub(crate) is_http_11: bool,
    pub(crate) keeps_alive: bool,
}

impl<'a, F, B> Responding<'a, F, B> {
    pub(crate) fn new(handler: F, progress: &'a Arc<Progress>, head: RequestFraming) -> Self {
        Self {
            handler,
            settling: None,
            progress,
            head,
        }
    }
}

impl<F, B> Future for Responding<'_, F, B>
where
    F: Future<Output = Response<B>>,
    B: Body + Send + 'static,
{
    type Output = Result<Response<TrackedBody<B>>, Infallible>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let progress = *this.progress;
        let response = if let Some(settling) = this.settling {
            ready!(settling.as_mut().poll(cx))
        } else {
            let mut response = ready!(this.handler.poll(cx));
            if !this.head.is_framed {
                close_after(response.headers_mut());
            }
            if progress.unread() > 0 {
                let settling = this.settling.insert(Box::pin(async move {
                    settle(progress, response.headers_mut()).await;
                    response
                }));
                ready!(settling.as_mut().poll(cx))
            } else {
                response
            }
        };
        let is_chunked = this.head.is_http_11 && is_chunked(&response);
        let keeps_alive = is_chunked && this.head.keeps_alive && !closes(response.headers());
        progress.respond(is_chunked, keeps_alive);
        let body = |body| TrackedBody::new(body, Arc::clone(progress));
        Poll::Ready(Ok(response.map(body)))
    }
}
