//! The body of a response, which holds its connection until the body is read to the end.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::limit::BodyLimit;
use super::pool::PooledConnection;
use crate::error::{Error, NetworkError, NetworkErrorKind};

/// The maximum number of bytes that are read of an unsuccessful response's body. Error texts are
/// shorter.
const MAX_ERROR_BODY: usize = 64 * 1024;

/// The maximum number of bytes that are reserved for a body before its bytes have arrived.
const MAX_RESERVE: usize = 1024 * 1024;

/// The body of a response. Dropping the body before its end closes the connection.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    incoming: Incoming,
    host: String,
    connection: Option<PooledConnection>,
}

impl ResponseBody {
    pub(super) fn new(incoming: Incoming, connection: PooledConnection) -> Self {
        let mut body = Self {
            incoming,
            host: connection.host().to_owned(),
            connection: Some(connection),
        };
        body.release_at_end();
        body
    }

    /// Creates the empty body of an upgrade to another protocol. The connection is not used for
    /// further requests, and counts as active until this body is dropped.
    pub(super) fn upgraded(incoming: Incoming, connection: PooledConnection) -> Self {
        Self {
            incoming,
            host: connection.host().to_owned(),
            connection: Some(connection),
        }
    }

    /// The host of the server.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// Reads the whole body. A body larger than `limit` is an error and closes the connection.
    pub(crate) async fn whole(mut self, operation: &str, limit: BodyLimit) -> Result<Bytes, Error> {
        let exceeded = || limit.exceeded(operation, "the response");
        if self.expected_size() > limit.bytes() {
            return Err(exceeded());
        }
        match self.read(operation, limit.bytes()).await? {
            ReadOutcome::Whole(bytes) => Ok(bytes),
            ReadOutcome::Start(_) => Err(exceeded()),
        }
    }

    /// Reads up to `MAX_ERROR_BODY` bytes of an unsuccessful response's body. If the body is
    /// longer, the connection is closed.
    pub(crate) async fn start(mut self, operation: &str) -> Result<Bytes, Error> {
        let (ReadOutcome::Whole(bytes) | ReadOutcome::Start(bytes)) =
            self.read(operation, MAX_ERROR_BODY).await?;
        Ok(bytes)
    }

    /// Returns a lower bound on the size of the body, from the response headers.
    fn expected_size(&self) -> usize {
        usize::try_from(self.size_hint().lower()).unwrap_or(usize::MAX)
    }

    /// Reads up to `limit` bytes. A body that arrives in one frame is not copied.
    async fn read(&mut self, operation: &str, limit: usize) -> Result<ReadOutcome, Error> {
        let expected = self.expected_size().min(limit).min(MAX_RESERVE);
        let mut first = Bytes::new();
        let mut whole = Vec::new();
        while let Some(frame) = self.frame().await {
            let frame = frame.map_err(|error| Error::Network {
                operation: operation.to_owned(),
                source: NetworkError::new(NetworkErrorKind::Cut, self.host.clone(), error),
            })?;
            // Trailers are not used.
            let Ok(bytes) = frame.into_data() else {
                continue;
            };
            let length = first.len() + whole.len();
            if bytes.len() > limit - length {
                whole.extend_from_slice(&first);
                whole.extend_from_slice(&bytes[..limit - length]);
                return Ok(ReadOutcome::Start(Bytes::from(whole)));
            }
            if length == 0 {
                first = bytes;
                continue;
            }
            if !first.is_empty() {
                whole.reserve(expected);
                whole.extend_from_slice(&std::mem::take(&mut first));
            }
            whole.extend_from_slice(&bytes);
        }
        if whole.is_empty() {
            return Ok(ReadOutcome::Whole(first));
        }
        Ok(ReadOutcome::Whole(Bytes::from(whole)))
    }

    fn release_at_end(&mut self) {
        if self.incoming.is_end_stream()
            && let Some(connection) = self.connection.take()
        {
            connection.release();
        }
    }
}

/// How much of a body was read.
enum ReadOutcome {
    Whole(Bytes),
    /// The first bytes of a longer body.
    Start(Bytes),
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = ready!(Pin::new(&mut self.incoming).poll_frame(cx));
        match &frame {
            Some(Ok(_)) => self.release_at_end(),
            Some(Err(_)) => self.connection = None,
            None => {
                if let Some(connection) = self.connection.take() {
                    connection.release();
                }
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
