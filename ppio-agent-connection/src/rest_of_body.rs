//! Writes the rest of a response without hyper.

use std::error::Error as StdError;
use std::fmt::Write as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, BytesMut};
use http::header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING};
use http::{Response, Version};
use http_body::Body;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::limits::ConnectionError;
use crate::progress::Progress;
use crate::stream::ConnectionStream;

/// While this many bytes are buffered, no further frame of the body is read.
const BUFFER_SIZE: usize = 32 * 1024;

/// The rest of a response body that is sent in chunks and was not ready immediately.
///
/// hyper keeps two buffers of 8 KB for as long as a response lasts, and a stream can last for
/// hours.
#[derive(Debug)]
pub(crate) struct RestOfBody<B> {
    /// `None` once the body has ended.
    body: Option<Box<B>>,
    progress: Arc<Progress>,
    out: BytesMut,
}

/// Whether hyper sends the body in chunks and nothing after it.
pub(crate) fn is_chunked<B: Body>(response: &Response<B>) -> bool {
    response.version() == Version::HTTP_11
        && response.body().size_hint().exact().is_none()
        && [CONTENT_LENGTH, TRANSFER_ENCODING, TRAILER]
            .iter()
            .all(|name| !response.headers().contains_key(name))
}

impl<B> RestOfBody<B>
where
    B: Body + Unpin,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    pub(crate) fn new(body: Box<B>, progress: Arc<Progress>) -> Self {
        Self {
            body: Some(body),
            progress,
            out: BytesMut::new(),
        }
    }

    /// Sends the rest of the body. Returns whether the connection can be used again; otherwise it
    /// was closed, as it always is if `is_last`.
    pub(crate) fn poll<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut ConnectionStream<S>,
        is_last: bool,
        cx: &mut Context<'_>,
    ) -> Poll<Result<bool, ConnectionError>> {
        let mut stream = Pin::new(stream);
        loop {
            // Polled even while the client reads slowly, so that the body does not count as silent.
            let is_pending = self.fill(cx)?;
            if self.out.is_empty() {
                self.out = BytesMut::new();
                // This also detects that the client has closed its side.
                ready!(stream.as_mut().poll_flush(cx)).map_err(ConnectionError::Write)?;
                if is_pending {
                    return Poll::Pending;
                }
                let goes_on = self.progress.keeps_alive() && !is_last;
                if !goes_on {
                    ready!(stream.poll_shutdown(cx)).map_err(ConnectionError::Write)?;
                }
                return Poll::Ready(Ok(goes_on));
            }
            let written = ready!(stream.as_mut().poll_write(cx, &self.out));
            match written.map_err(ConnectionError::Write)? {
                0 => {
                    let error = io::ErrorKind::WriteZero.into();
                    return Poll::Ready(Err(ConnectionError::Write(error)));
                }
                length => self.out.advance(length),
            }
        }
    }

    /// Buffers the part of the body that is ready. Returns whether there will be more.
    fn fill(&mut self, cx: &mut Context<'_>) -> Result<bool, ConnectionError> {
        while let Some(body) = &mut self.body {
            if self.out.len() >= BUFFER_SIZE {
                break;
            }
            match Pin::new(&mut **body).poll_frame(cx) {
                Poll::Pending => break,
                Poll::Ready(Some(frame)) => {
                    let frame = frame.map_err(|error| ConnectionError::Body(error.into()))?;
                    // An empty chunk would end the body.
                    if let Ok(data) = frame.into_data()
                        && data.has_remaining()
                    {
                        // Writing to memory does not fail.
                        let _ = write!(self.out, "{:X}\r\n", data.remaining());
                        self.out.put(data);
                        self.out.put_slice(b"\r\n");
                    }
                }
                Poll::Ready(None) => {
                    self.out.put_slice(b"0\r\n\r\n");
                    self.body = None;
                    self.progress.response_ended();
                }
            }
        }
        Ok(self.body.is_some())
    }
}
