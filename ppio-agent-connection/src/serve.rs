//! Runs a connection.

use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use http::header::EXPECT;
use http::{Request, Response, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1::{self, UpgradeableConnection};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::deadlines::{Deadlines, Expired, RELEASE_TIMEOUT};
use crate::discard::Discarding;
use crate::head_scan::AmbiguousLength;
use crate::limits::{ConnectionError, Limits};
use crate::progress::{Phase, Progress};
use crate::request_body::{RequestBody, left};
use crate::responding::Responding;
use crate::stream::ConnectionStream;

/// Serves the requests of one connection until it ends. Upgrades work as with hyper.
///
/// `http` needs no timer: the timeouts are those of `limits`. When the client disconnects, the
/// future of `handler` or the response body is dropped.
///
/// hyper and its buffers exist only while there is a request, and for up to a second after frequent
/// ones: an idle connection takes little memory.
///
/// The shutdown begins when `shutdown` changes, or has changed. A connection without the whole head
/// of a request then ends at once, any other with its current request.
///
/// # Errors
/// If the connection breaks, or the client exceeds a limit.
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
    let service =
        service_fn(|request| Responding::new(handler(begin(&progress, request)), &progress));
    let mut http = http.clone();
    // The stream notices that the client disconnects; hyper would keep a buffer for that.
    http.half_close(true);
    // One of the two: hyper's connection, with its buffers, is made when there is something to read.
    let mut waiting = Some(ConnectionStream::new(stream, Arc::clone(&progress)));
    let mut connection = None;
    let mut waiting_since = Instant::now();
    let mut is_frequent = false;
    let mut discarding = Discarding::default();
    let mut registering = shutdown.clone();
    let mut changed = pin!(registering.changed());
    let mut registered: Option<Waker> = None;
    let mut is_shutting_down = false;
    poll_fn(|cx| {
        loop {
            if let Some(stream) = &mut waiting
                && stream.poll_first_bytes(cx).is_ready()
            {
                // The first request of a connection says nothing about the next one.
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
                // Polling `changed` takes a lock that connections share. So it is polled once, to
                // register the waker; the later polls, of which every request causes some, read
                // one atomic instead. Before the check, so that a change in between is not missed.
                if !is_registered(registered.as_ref(), cx) {
                    let _ = changed.as_mut().poll(cx);
                    registered = Some(cx.waker().clone());
                }
                // An error means that the server is gone.
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
            if !has_buffers || is_frequent {
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
            // The request is answered and nothing of a later one is whole, so a new connection of
            // hyper's can read it.
            let Some(parts) = connection
                .take()
                .and_then(UpgradeableConnection::into_parts)
            else {
                return Poll::Ready(Ok(()));
            };
            let mut stream = parts.io.into_inner();
            stream.unread(&parts.read_buf);
            waiting = Some(stream);
            waiting_since = Instant::now();
        }
    })
    .await
}

/// Records the head of a request.
fn begin(progress: &Arc<Progress>, mut request: Request<Incoming>) -> Request<RequestBody> {
    let unread = left(request.body());
    // As hyper decides it.
    let awaits_continue = unread > 0
        && request.version() > Version::HTTP_10
        && request
            .headers()
            .get_all(EXPECT)
            .iter()
            .any(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"));
    if progress.request(unread, awaits_continue) {
        request.extensions_mut().insert(AmbiguousLength);
    }
    request.map(|body| RequestBody::new(body, progress))
}

fn is_registered(waker: Option<&Waker>, cx: &Context<'_>) -> bool {
    waker.is_some_and(|waker| waker.will_wake(cx.waker()))
}
