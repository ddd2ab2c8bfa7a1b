//! The body of a request or a response, as middleware uses it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use ppio_agent_connection::RequestBody;
use ppio_agent_protocol::{ByteSize, ResponseFormat};

use super::error::{BoxError, Error};
use super::limited_body::LimitedBody;
pub use super::on_end_body::BodyEnd;
use super::on_end_body::OnEndBody;

/// A request as middleware receives it.
pub type Request = http::Request<Body>;

/// A response as middleware returns it, and as an entrypoint returns it to choose status and
/// headers.
pub type Response = http::Response<Body>;

/// The body of a [`Request`] or a [`Response`].
///
/// The configured size limit and read deadline apply to a request's body wherever it is read: in
/// middleware and before the entrypoint.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ppio::Error> {
/// let body = ppio::Body::from("hello");
/// assert_eq!(body.bytes().await?, "hello");
/// # Ok(()) }
/// ```
pub struct Body {
    kind: BodyKind,
    /// The format of a response body that the runtime or an entrypoint wrote. Unlike the header
    /// `PPIO-Response-Format`, the format stays when middleware moves the body into a new response.
    format: Option<ResponseFormat>,
}

enum BodyKind {
    Empty,
    Full(Bytes),
    Incoming(Box<LimitedBody<RequestBody>>),
    /// The runtime's own stream. No layer converts its errors, so that polling the stream costs one
    /// call.
    Stream(Pin<Box<dyn HttpBody<Data = Bytes, Error = Error> + Send>>),
    User(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// Returns an empty body.
    pub fn empty() -> Self {
        BodyKind::Empty.into()
    }

    /// Wraps any `http_body::Body`, for example a body that counts or changes the frames of another
    /// body.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        BodyKind::User(body.map_err(Into::into).boxed_unsync()).into()
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// A 413 error if the body is larger than the limit, a 408 if it arrives too slowly, and a 400
    /// if the connection ends before the body does. A body that user code created with
    /// [`new`](Self::new), and the body of a response, fail with their own error: an [`Error`] is
    /// returned unchanged, any other error as a 500.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        self.read().await
    }

    /// Reads the rest of the body.
    pub(crate) async fn read(&mut self) -> Result<Bytes, Error> {
        let mut all = BytesMut::new();
        while let Some(frame) = self.frame().await {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            // Most requests arrive in one frame, which needs no copy.
            if all.is_empty() && self.is_end_stream() {
                return Ok(data);
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    /// Calls `callback` once when the body ends, fails, or is dropped before its end. Middleware
    /// can measure a whole stream with this method.
    ///
    /// ```
    /// # use std::time::Instant;
    /// #[ppio::middleware]
    /// async fn timing(request: ppio::Request, next: ppio::Next) -> ppio::Response {
    ///     let started = Instant::now();
    ///     next.run(request).await.map(|body| {
    ///         body.on_end(move |end| eprintln!("{end:?} after {:?}", started.elapsed()))
    ///     })
    /// }
    /// ```
    pub fn on_end(self, callback: impl FnOnce(BodyEnd) + Send + 'static) -> Self {
        self.wrap(|body| OnEndBody::new(body, callback))
    }

    /// Returns the body of a request that arrived on a connection, under a size limit and a read
    /// deadline.
    pub(crate) fn incoming(body: RequestBody, limit: ByteSize, deadline: Duration) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        BodyKind::Incoming(Box::new(LimitedBody::new(body, limit, deadline))).into()
    }

    /// Returns the body of a request that another server received, under the limits of
    /// [`incoming`](Self::incoming).
    pub(crate) fn limited<B>(body: B, limit: ByteSize, deadline: Duration) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::new(LimitedBody::new(Box::pin(body), limit, deadline))
    }

    /// Whether polling this body runs user code.
    pub(crate) fn is_user_body(&self) -> bool {
        matches!(self.kind, BodyKind::User(_)) && !self.is_end_stream()
    }

    /// Creates a body from a stream that the runtime itself writes.
    pub(crate) fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes, Error = Error> + Send + 'static,
    {
        BodyKind::Stream(Box::pin(body)).into()
    }

    /// Returns the body that `wrap` returns, with the format of this body.
    pub(crate) fn wrap<B>(self, wrap: impl FnOnce(Self) -> B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let format = self.format;
        Self {
            format,
            ..Self::new(wrap(self))
        }
    }

    /// Returns the format of a response body, if it is known.
    pub(crate) fn format(&self) -> Option<ResponseFormat> {
        self.format
    }

    pub(crate) fn set_format(&mut self, format: ResponseFormat) {
        self.format = Some(format);
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.kind {
            BodyKind::Empty => Poll::Ready(None),
            BodyKind::Full(_) => match std::mem::replace(&mut self.kind, BodyKind::Empty) {
                BodyKind::Full(bytes) if !bytes.is_empty() => {
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                _ => Poll::Ready(None),
            },
            BodyKind::Incoming(limited) => Pin::new(limited).poll_frame(cx),
            BodyKind::Stream(stream) => stream.as_mut().poll_frame(cx),
            BodyKind::User(body) => Pin::new(body).poll_frame(cx).map_err(unbox),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            BodyKind::Empty => true,
            BodyKind::Full(bytes) => bytes.is_empty(),
            BodyKind::Incoming(limited) => limited.is_end_stream(),
            BodyKind::Stream(_) => false,
            BodyKind::User(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            BodyKind::Empty => SizeHint::with_exact(0),
            BodyKind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodyKind::Incoming(limited) => limited.size_hint(),
            BodyKind::Stream(_) => SizeHint::new(),
            BodyKind::User(body) => body.size_hint(),
        }
    }
}

/// Converts the error of a boxed body; a boxed `Error` is returned unchanged.
fn unbox(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => *own,
        Err(error) => Error::internal(error.to_string()).with_source(error),
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.kind {
            BodyKind::Empty => "empty",
            BodyKind::Full(_) => "full",
            BodyKind::Incoming(_) => "incoming",
            BodyKind::Stream(_) => "stream",
            BodyKind::User(_) => "user",
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}

impl From<BodyKind> for Body {
    fn from(kind: BodyKind) -> Self {
        Self { kind, format: None }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        BodyKind::Full(bytes).into()
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}
