//! Runs a connection.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http::header::{CONNECTION, EXPECT};
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::deadlines::{Deadlines, Expired, RELEASE_TIMEOUT};
use crate::discard::{Discarding, contains_close};
use crate::framing::FramingError;
use crate::limits::{ConnectionError, Limits};
use crate::progress::{Phase, Progress, UNKNOWN};
use crate::request_body::{RequestBody, left};
use crate::responding::{RequestFraming, Responding};
use crate::rest_of_body::RestOfBody;
use crate::stream::ConnectionStream;

/// Serves the requests of one connection until it ends. Upgrades work as with hyper.
///
/// `http` needs no timer: the timeouts are those of `limits`. When the client disconnects after its
/// request was read, the future of `handler` or the response body is dropped.
///
/// hyper's connection and its buffers are dropped once a response is written or its body has
/// nothing ready; with frequent requests they are kept for up to a second. So an idle connection or
/// stream takes little memory.
///
/// The shutdown begins when the value of `shutdown` changes or its sender is dropped, and
/// immediately if the value has changed already. A connection that waits for a request, or for the
/// rest of its head, then ends immediately; any other connection ends after its current request.
///
/// # Errors
/// If the connection breaks, a request is invalid, the client exceeds a limit, or the body of a
/// response fails.
pub async fn serve<S, H, F, B, T>(
    stream: S,
    http: &http1::Builder,
    limits: &Limits,
    shutdown: watch::Receiver<T>,
    handler: H,
) -> Result<(), ConnectionError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<RequestBody>) -> F,
    F: Future<Output = Response<B>>,
    B: Body + Unpin + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    let progress = Arc::new(Progress::new());
    let mut timer = pin!(tokio::time::sleep(limits.header_timeout));
    let mut deadlines = Deadlines::new(limits);
    let service = service_fn(|mut request: Request<Incoming>| {
        let head = begin(&progress, &mut request);
        let request = request.map(|body| RequestBody::new(body, &progress));
        Responding::new(handler(request), &progress, head)
    });
    let mut http = http.clone();
    // The stream detects that the client disconnects; hyper would keep a buffer for that.
    http.half_close(true);
    // Either `waiting` or `connection` is set. hyper's connection is created when bytes arrive.
    let mut waiting = Some(ConnectionStream::new(stream, Arc::clone(&progress)));
    let mut connection = None;
    // The rest of a response body, written to `waiting` before the next request is read.
    let mut rest: Option<RestOfBody<B>> = None;
    let mut waiting_since = Instant::now();
    let mut is_frequent = false;
    let mut discarding = Discarding::default();
    let mut registering = shutdown.clone();
    let mut changed = pin!(registering.changed());
    let mut registered: Option<Waker> = None;
    let mut is_shutting_down = false;
    poll_fn(|cx| {
        loop {
            if let (Some(unsent), Some(stream)) = (&mut rest, &mut waiting)
                && let Poll::Ready(is_reusable) = unsent.poll(stream, is_shutting_down, cx)
            {
                if !is_reusable? {
                    return Poll::Ready(Ok(()));
                }
                rest = None;
                waiting_since = Instant::now();
            }
            if rest.is_none()
                && let Some(stream) = &mut waiting
                && stream.poll_first_bytes(cx).is_ready()
            {
                // A connection's first request does not count as frequent.
                is_frequent =
                    progress.phase() == Phase::Idle && waiting_since.elapsed() < RELEASE_TIMEOUT;
                connection = waiting.take().map(|stream| {
                    let http = http.serve_connection(TokioIo::new(stream), service);
                    http.with_upgrades()
                });
            }
            if let Some(http) = &mut connection {
                if let Poll::Ready(end) = Pin::new(http).poll(cx) {
                    return Poll::Ready(end.map_err(ConnectionError::from));
                }
                if discarding.poll(&progress, cx) {
                    continue;
                }
            }
            if !is_shutting_down {
                // Polling `changed` takes a lock that all connections share, so it is polled only
                // to register a new waker; other polls read one atomic. Registering comes first, so
                // no change is missed.
                if !is_registered(registered.as_ref(), cx) {
                    let _ = changed.as_mut().poll(cx);
                    registered = Some(cx.waker().clone());
                }
                // `has_changed` fails if the sender was dropped.
                if shutdown.has_changed().unwrap_or(true) {
                    if progress.awaits_head() && progress.lingers_until().is_none() {
                        return Poll::Ready(Ok(()));
                    }
                    is_shutting_down = true;
                    deadlines.shut_down();
                    if let Some(http) = &mut connection {
                        Pin::new(http).graceful_shutdown();
                    }
                    continue;
                }
            }
            let has_buffers = connection.is_some() && progress.is_idle() && !is_shutting_down;
            let is_releasable = connection.is_some() && progress.is_releasable();
            if !is_releasable && (!has_buffers || is_frequent) {
                let body = discarding.until();
                match deadlines.poll(&progress, body, has_buffers, timer.as_mut(), cx) {
                    Poll::Ready(Expired::Buffers) => {}
                    Poll::Ready(Expired::Body) => {
                        discarding.give_up(&progress);
                        continue;
                    }
                    Poll::Ready(Expired::Connection(end)) => return Poll::Ready(end),
                    Poll::Pending => return Poll::Pending,
                }
            }
            // Only the rest of a response body may be unsent, and no complete request is buffered,
            // so a new hyper connection can read the next request.
            progress.release();
            let Some(parts) = connection
                .take()
                .and_then(UpgradeableConnection::into_parts)
            else {
                return Poll::Ready(Ok(()));
            };
            // hyper has read at most the empty lines that may precede a request.
            if parts.read_buf.iter().any(|byte| !b"\r\n".contains(byte)) {
                return Poll::Ready(Ok(()));
            }
            waiting = Some(parts.io.into_inner());
            waiting_since = Instant::now();
            let body = progress.take_body();
            rest = body.map(|body| RestOfBody::new(body, Arc::clone(&progress)));
        }
    })
    .await
}

/// Records the head of a request.
fn begin(progress: &Progress, request: &mut Request<Incoming>) -> RequestFraming {
    let unread = left(request.body());
    // One pass over the headers costs less than two lookups.
    let (mut expects_continue, mut closes) = (false, false);
    for (name, value) in request.headers() {
        if name == EXPECT {
            expects_continue |= value.as_bytes().eq_ignore_ascii_case(b"100-continue");
        } else if name == CONNECTION {
            closes |= contains_close(value);
        }
    }
    // The condition under which hyper sends `100 Continue`.
    let awaits_continue = expects_continue && unread > 0 && request.version() > Version::HTTP_10;
    let is_announced = progress.request(unread, awaits_continue);
    let error = (unread == UNKNOWN)
        .then(|| FramingError::check_coding(request.headers()))
        .flatten()
        .or_else(|| (!is_announced).then_some(FramingError::AmbiguousLength));
    let head = RequestFraming {
        is_framed: error.is_none(),
        is_http_11: request.version() == Version::HTTP_11,
        keeps_alive: !closes,
    };
    if let Some(error) = error {
        request.extensions_mut().insert(error);
    }
    head
}

fn is_registered(waker: Option<&Waker>, cx: &Context<'_>) -> bool {
    waker.is_some_and(|waker| waker.will_wake(cx.waker()))
}
