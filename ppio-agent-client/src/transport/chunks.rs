//! The chunks of a stream, with a limit on the time between them.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use tokio::time::{Instant, Sleep};

use super::body::ResponseBody;
use crate::error::{Error, NetworkError, NetworkErrorKind};

/// The chunks of an open stream. No chunk follows an error or the end.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// `None` after the end, when the connection has been returned to the pool or closed.
    body: Option<ResponseBody>,
    host: String,
    idle_timeout: Duration,
    timer: Pin<Box<Sleep>>,
    /// Whether the reader is waiting. The time that a slow reader takes does not count as idle.
    waiting: bool,
}

impl Chunks {
    pub(crate) fn new(body: ResponseBody, idle_timeout: Duration) -> Self {
        Self {
            host: body.host().to_owned(),
            body: Some(body),
            idle_timeout,
            timer: Box::pin(tokio::time::sleep(idle_timeout)),
            waiting: false,
        }
    }

    /// Polls for the next chunk; `None` at the end of the body.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Ready(Ok(None));
            };
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.waiting = false;
                    // Trailers are not used.
                    if let Ok(bytes) = frame.into_data() {
                        return Poll::Ready(Ok(Some(bytes)));
                    }
                }
                Poll::Ready(None) => {
                    self.body = None;
                    return Poll::Ready(Ok(None));
                }
                Poll::Ready(Some(Err(error))) => {
                    self.body = None;
                    return Poll::Ready(Err(self.cut_error(error)));
                }
                Poll::Pending => {
                    if !std::mem::replace(&mut self.waiting, true)
                        // A timeout beyond the range of the clock sets no limit.
                        && let Some(until) = Instant::now().checked_add(self.idle_timeout)
                    {
                        self.timer.as_mut().reset(until);
                    }
                    std::task::ready!(self.timer.as_mut().poll(cx));
                    self.body = None;
                    return Poll::Ready(Err(Error::StreamIdle {
                        limit: self.idle_timeout,
                    }));
                }
            }
        }
    }

    /// Like [`poll_next`](Self::poll_next), but `async`. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Ends the stream, and closes the connection unless the body has ended.
    pub(crate) fn close(&mut self) {
        self.body = None;
    }

    /// Returns the error for a stream whose connection broke or that ended too early.
    pub(crate) fn cut_error(
        &self,
        why: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Error {
        Error::Network {
            operation: "read stream".into(),
            source: NetworkError::new(NetworkErrorKind::Cut, self.host.clone(), why),
        }
    }
}
