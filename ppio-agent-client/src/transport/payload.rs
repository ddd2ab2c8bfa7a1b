//! The body of a request.

use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

/// The largest frame of a body with a meter, in bytes. hyper buffers up to 16 frames before it
/// waits for the socket, so the count is at most 16 frames ahead of the socket.
const MAX_METERED_FRAME: usize = 16 * 1024;

/// A callback that receives the number of bytes of a body sent so far.
#[derive(Clone)]
pub(crate) struct UploadMeter(Arc<dyn Fn(u64) + Send + Sync>);

impl UploadMeter {
    pub(crate) fn new(progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Arc::new(progress))
    }
}

impl fmt::Debug for UploadMeter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UploadMeter")
    }
}

/// A body of bytes in memory, which is sent in one frame, or in several if a meter counts the
/// bytes.
#[derive(Debug)]
pub(crate) struct RequestPayload {
    rest: Bytes,
    sent: u64,
    meter: Option<UploadMeter>,
}

impl RequestPayload {
    pub(super) fn new(bytes: Bytes, meter: Option<UploadMeter>) -> Self {
        Self {
            rest: bytes,
            sent: 0,
            meter,
        }
    }
}

impl Body for RequestPayload {
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
            Some(_) => self.rest.len().min(MAX_METERED_FRAME),
            None => self.rest.len(),
        };
        let frame = self.rest.split_to(length);
        self.sent += length as u64;
        if let Some(UploadMeter(progress)) = &self.meter {
            progress(self.sent);
        }
        Poll::Ready(Some(Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}
