//! A body whose frames fit into a connection's buffer.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::exchange::body::Body;
use crate::exchange::error::Error;

/// The largest frame, in bytes.
pub(crate) const MAX_FRAME: usize = 32 * 1024;

/// Splits large frames. The connection copies each frame into its buffer, which would grow to the
/// largest frame and keep that size.
pub(crate) struct ChunkedBody {
    body: Body,
    /// The rest of the current frame.
    rest: Bytes,
}

impl ChunkedBody {
    pub(crate) fn new(body: Body) -> Self {
        Self {
            body,
            rest: Bytes::new(),
        }
    }
}

impl HttpBody for ChunkedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.rest.is_empty() {
            let frame = match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            match frame.into_data() {
                Ok(data) if data.len() > MAX_FRAME => self.rest = data,
                Ok(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            }
        }
        let length = self.rest.len().min(MAX_FRAME);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn frames_are_small_and_add_up_to_the_body() {
        for length in [0, 1, MAX_FRAME, MAX_FRAME + 1, 3 * MAX_FRAME, 100_000] {
            let whole: Vec<u8> = (0..length).map(|byte| byte.to_le_bytes()[0]).collect();
            let mut chunked = ChunkedBody::new(Body::from(whole.clone()));
            let mut joined = Vec::new();
            while let Some(frame) = chunked.frame().await {
                let chunk = frame.unwrap().into_data().unwrap();
                assert!((1..=MAX_FRAME).contains(&chunk.len()));
                joined.extend_from_slice(&chunk);
                let left = (length - joined.len()) as u64;
                assert_eq!(chunked.size_hint().exact(), Some(left));
                assert_eq!(chunked.is_end_stream(), left == 0);
            }
            assert_eq!(joined, whole);
        }
    }
}
