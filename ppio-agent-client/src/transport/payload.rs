//! The body of a request on its way out.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// What is handed over at once where somebody counts. hyper takes up to 16 pieces before it waits
/// for the socket, so the count is at most that much ahead.
const PIECE: usize = 16 * 1024;

/// Is told how many bytes of a body are sent.
#[derive(Clone)]
pub(crate) struct Meter(Arc<dyn Fn(u64) + Send + Sync>);

impl Meter {
    pub(crate) fn new(tell: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meter")
    }
}

/// Bytes that are there already: in one piece, or piece by piece where somebody counts.
#[derive(Debug)]
pub(crate) struct Payload {
    rest: Bytes,
    sent: u64,
    meter: Option<Meter>,
}

impl Payload {
    pub(super) fn new(bytes: Bytes, meter: Option<Meter>) -> Self {
        Self {
            rest: bytes,
            sent: 0,
            meter,
        }
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = match self.meter {
            Some(_) => self.rest.len().min(PIECE),
            None => self.rest.len(),
        };
        let piece = self.rest.split_to(length);
        self.sent += length as u64;
        if let Some(Meter(tell)) = &self.meter {
            tell(self.sent);
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
