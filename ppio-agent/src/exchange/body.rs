//! The body of a request or a response, as middleware sees it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use ppio_agent_protocol::ByteSize;
use tokio::time::Sleep;

use crate::exchange::error::{BoxError, Error};
use crate::exchange::rejection::Failure;
use crate::invocation::sse_body::EventStreamBody;

/// A request as middleware receives it.
pub type Request = http::Request<Body>;

/// A response as middleware returns it, and what an entrypoint returns to answer by itself.
pub type Response = http::Response<Body>;

/// How much is read and thrown away so that a caller that is still sending can read the 413.
const LINGER_BYTES: u64 = 4 << 20;
/// How long that may take.
const LINGER: Duration = Duration::from_secs(1);

/// The body of a [`Request`] or a [`Response`].
///
/// Reading a request's body obeys the configured size limit and read deadline wherever it is read,
/// in middleware as well as before the entrypoint.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), ppio::Error> {
/// let body = ppio::Body::from("hello");
/// assert_eq!(body.bytes().await?, "hello");
/// # Ok(()) }
/// ```
pub struct Body(Inner);

enum Inner {
    Empty,
    Full(Bytes),
    Incoming(Box<Limited<Incoming>>),
    Events(Pin<Box<EventStreamBody>>),
    Boxed(UnsyncBoxBody<Bytes, BoxError>),
}

impl Body {
    /// A body without a byte.
    pub fn empty() -> Self {
        Self(Inner::Empty)
    }

    /// Wraps any `http_body::Body`, for example one that counts or changes the frames of another.
    pub fn new<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Inner::Boxed(body.map_err(Into::into).boxed_unsync()))
    }

    /// Reads the whole body.
    ///
    /// # Errors
    /// 413 when it is larger than the limit, 408 when it arrives too slowly, 400 when the sender
    /// breaks off.
    pub async fn bytes(mut self) -> Result<Bytes, Error> {
        if let Inner::Full(bytes) = self.0 {
            return Ok(bytes);
        }
        let mut all = BytesMut::new();
        while let Some(frame) = self.frame().await {
            let frame = match frame {
                Ok(frame) => frame,
                Err(error) => {
                    if let (Some(Failure::TooLarge { .. }), Inner::Incoming(limited)) =
                        (error.failure(), self.0)
                    {
                        limited.linger().await;
                    }
                    return Err(error);
                }
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            // The usual request arrives in one piece and is handed on without a copy.
            if all.is_empty() && self.is_end_stream() {
                return Ok(data);
            }
            all.extend_from_slice(&data);
        }
        Ok(all.freeze())
    }

    /// Calls `callback` once when the body is over: at its end, at an error, or when the other side
    /// went away before. This is how middleware times a whole stream.
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
        Self::new(Watched {
            body: self,
            callback: Some(Box::new(callback)),
        })
    }

    /// The body of a request that came over a connection.
    pub(crate) fn incoming(body: Incoming, limit: ByteSize, deadline: Duration) -> Self {
        if body.is_end_stream() {
            return Self::empty();
        }
        Self(Inner::Incoming(Box::new(Limited::new(
            body, limit, deadline,
        ))))
    }

    /// Notes that its sender waits for `100 Continue`, which the first read sends.
    pub(crate) fn wait_to_be_asked(&mut self) {
        if let Inner::Incoming(limited) = &mut self.0 {
            limited.asks_first = true;
        }
    }

    /// The body of a request that came in another way, under the same limits.
    pub(crate) fn limited<B>(body: B, limit: ByteSize, deadline: Duration) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::new(Limited::new(Box::pin(body), limit, deadline))
    }

    /// Whether code of an author's runs when this is polled: after the response was returned.
    pub(crate) fn runs_on(&self) -> bool {
        matches!(self.0, Inner::Boxed(_)) && !self.is_end_stream()
    }

    pub(crate) fn events(body: EventStreamBody) -> Self {
        Self(Inner::Events(Box::pin(body)))
    }
}

/// How a body came to its end; see [`Body::on_end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodyEnd {
    /// Everything was sent.
    Complete,
    /// The body itself failed.
    Failed,
    /// It was dropped before its end: the other side went away.
    Dropped,
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.0 {
            Inner::Empty => Poll::Ready(None),
            Inner::Full(_) => match std::mem::replace(&mut self.0, Inner::Empty) {
                Inner::Full(bytes) if !bytes.is_empty() => {
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                _ => Poll::Ready(None),
            },
            Inner::Incoming(limited) => Pin::new(limited).poll_frame(cx),
            Inner::Events(events) => events.as_mut().poll_frame(cx),
            Inner::Boxed(body) => Pin::new(body).poll_frame(cx).map_err(unbox),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Inner::Empty => true,
            Inner::Full(bytes) => bytes.is_empty(),
            Inner::Incoming(limited) => limited.is_end_stream(),
            Inner::Events(_) => false,
            Inner::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Incoming(limited) => limited.size_hint(),
            Inner::Events(_) => SizeHint::new(),
            Inner::Boxed(body) => body.size_hint(),
        }
    }
}

/// An error of ours that went through a boxed body comes out as it was.
fn unbox(error: BoxError) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => *own,
        Err(error) => Error::internal(error.to_string()).with_source(error),
    }
}

/// A request's body under a size limit and a deadline.
struct Limited<B> {
    body: B,
    limit: ByteSize,
    left: u64,
    deadline: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    asks_first: bool,
}

impl<B> Limited<B> {
    fn new(body: B, limit: ByteSize, deadline: Duration) -> Self {
        Self {
            body,
            limit,
            left: limit.bytes(),
            deadline,
            timer: None,
            asks_first: false,
        }
    }
}

impl<B> HttpBody for Limited<B>
where
    B: HttpBody<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let too_large = Failure::TooLarge { limit: self.limit };
        // An announced length that is too much is refused before a byte of it is read.
        if self.body.size_hint().lower() > self.left {
            return Poll::Ready(Some(Err(too_large.into())));
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match self.left.checked_sub(length) {
                    Some(left) => {
                        self.left = left;
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => Poll::Ready(Some(Err(too_large.into()))),
                }
            }
            Poll::Ready(Some(Err(error))) => {
                Poll::Ready(Some(Err(Failure::BodyCut(error.into().to_string()).into())))
            }
            Poll::Ready(None) => Poll::Ready(None),
            Poll::Pending => {
                let deadline = self.deadline;
                let timer = self
                    .timer
                    .get_or_insert_with(|| Box::pin(tokio::time::sleep(deadline)));
                ready!(timer.as_mut().poll(cx));
                Poll::Ready(Some(Err(Failure::BodyTooSlow(deadline).into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Limited<Incoming> {
    /// Reads on for a bounded while so that a caller that is still sending gets to read the answer
    /// instead of a connection reset.
    async fn linger(mut self) {
        // A caller that waits for `100 Continue` sends nothing yet. Reading would tell it to begin.
        if self.asks_first && self.left == self.limit.bytes() {
            return;
        }
        let drain = async {
            let mut left = LINGER_BYTES;
            while let Some(Ok(frame)) = self.body.frame().await {
                let length = frame.data_ref().map_or(0, |data| data.len() as u64);
                match left.checked_sub(length) {
                    Some(rest) => left = rest,
                    None => break,
                }
            }
        };
        // Reaching the deadline is fine: whatever has not come by then is not waited for.
        let _ = tokio::time::timeout(LINGER, drain).await;
    }
}

/// A body that reports its end.
struct Watched {
    body: Body,
    callback: Option<Box<dyn FnOnce(BodyEnd) + Send>>,
}

impl Watched {
    fn end(&mut self, end: BodyEnd) {
        if let Some(callback) = self.callback.take() {
            callback(end);
        }
    }
}

impl HttpBody for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        match &frame {
            None => self.end(BodyEnd::Complete),
            Some(Err(_)) => self.end(BodyEnd::Failed),
            // hyper does not poll again after the last byte of a body with a known length.
            Some(Ok(_)) if self.body.is_end_stream() => self.end(BodyEnd::Complete),
            Some(Ok(_)) => {}
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let end = if self.body.is_end_stream() {
            BodyEnd::Complete
        } else {
            BodyEnd::Dropped
        };
        self.end(end);
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.0 {
            Inner::Empty => "empty",
            Inner::Full(_) => "full",
            Inner::Incoming(_) => "incoming",
            Inner::Events(_) => "events",
            Inner::Boxed(_) => "boxed",
        };
        f.debug_tuple("Body").field(&kind).finish()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(Inner::Full(bytes))
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
