//! The body of a request.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use crate::progress::{Progress, UNKNOWN};

/// The body of a request. The connection discards the part that is not read.
pub struct RequestBody(Option<Unread>);

struct Unread {
    body: Incoming,
    /// The number of the request.
    number: u16,
    awaits_continue: bool,
    progress: Arc<Progress>,
}

impl RequestBody {
    pub(crate) fn new(body: Incoming, progress: &Arc<Progress>) -> Self {
        if body.is_end_stream() {
            return Self(None);
        }
        Self(Some(Unread {
            body,
            number: progress.request_number(),
            awaits_continue: progress.awaits_continue(),
            progress: Arc::clone(progress),
        }))
    }
}

/// Returns how many bytes of a body are left; [`UNKNOWN`] for chunks.
pub(crate) fn left(body: &Incoming) -> u64 {
    body.size_hint().exact().unwrap_or(UNKNOWN)
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(Unread {
            body,
            number,
            awaits_continue,
            progress,
        }) = &mut self.0
        else {
            return Poll::Ready(None);
        };
        if std::mem::take(awaits_continue) {
            progress.set_unread(*number, left(body));
        }
        let frame = ready!(Pin::new(&mut *body).poll_frame(cx));
        match frame {
            Some(Ok(_)) if !body.is_end_stream() => progress.set_unread(*number, left(body)),
            // The bytes after a broken body are not a request.
            Some(Err(_)) => {
                progress.set_unread(*number, UNKNOWN);
                self.0 = None;
            }
            _ => {
                progress.set_unread(*number, 0);
                self.0 = None;
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Some(unread) => unread.body.size_hint(),
            None => SizeHint::with_exact(0),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if let Some(Unread {
            body,
            number,
            progress,
            ..
        }) = self.0.take()
        {
            progress.abandon(number, body);
        }
    }
}

impl fmt::Debug for RequestBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("is_end_stream", &self.is_end_stream())
            .finish_non_exhaustive()
    }
}
