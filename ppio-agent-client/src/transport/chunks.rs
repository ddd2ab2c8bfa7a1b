//! A body read piece by piece, with a limit on the silence between the pieces.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Body as _;
use tokio::time::{Instant, Sleep};

use super::body::ResponseBody;
use crate::error::{Error, NetworkError, NetworkErrorKind};

/// The pieces of an open stream. After an error or the end there is nothing more.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// `None` once it is over, which gives the connection back or closes it.
    body: Option<ResponseBody>,
    host: String,
    idle: Duration,
    silence: Pin<Box<Sleep>>,
    /// Somebody waits for the next piece. A reader that takes its time is not the sender's silence.
    waiting: bool,
}

impl Chunks {
    pub(crate) fn new(body: ResponseBody, idle: Duration) -> Self {
        Self {
            host: body.host().to_owned(),
            body: Some(body),
            idle,
            silence: Box::pin(tokio::time::sleep(idle)),
            waiting: false,
        }
    }

    /// The next piece; `None` if the sender ended the body properly.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        loop {
            let Some(body) = &mut self.body else {
                return Poll::Ready(Ok(None));
            };
            match Pin::new(body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    self.waiting = false;
                    // Trailers carry nothing that a caller is told.
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
                        // A time too far away to be written is no limit.
                        && let Some(until) = Instant::now().checked_add(self.idle)
                    {
                        self.silence.as_mut().reset(until);
                    }
                    std::task::ready!(self.silence.as_mut().poll(cx));
                    self.body = None;
                    return Poll::Ready(Err(Error::StreamIdle { limit: self.idle }));
                }
            }
        }
    }

    /// [`poll_next`](Self::poll_next), awaited. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Reads nothing more: closes the connection unless the sender has ended the body.
    pub(crate) fn close(&mut self) {
        self.body = None;
    }

    /// The error of a stream that ended before what it carries did.
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
