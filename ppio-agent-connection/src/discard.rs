//! Reads and discards the part of a request body that the handler did not read.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue};
use http_body::Body;
use hyper::body::Incoming;

use crate::progress::{Phase, Progress, UNKNOWN};
use crate::request_body::left;

/// The maximum number of bytes of a body that are discarded so that the connection can be used
/// again. Opening another connection costs less than reading more; Go's server has the same limit.
pub const MAX_DISCARDED: u64 = 256 * 1024;
/// How long a client may take to send the discarded bytes, counted from the response, or from the
/// time at which the handler drops the body if that is later; nginx waits for further bytes for the
/// same time.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the response waits for the end of a chunked body. If the body has not ended by then,
/// the response has the header `connection: close`.
const CHUNKED_TIMEOUT: Duration = Duration::from_millis(250);

/// Decides whether the connection is closed after a response to a request with an unread body, and
/// sets the headers of the response accordingly.
pub(crate) async fn settle(progress: &Progress, headers: &mut HeaderMap) {
    let number = progress.request_number();
    let mut body = progress.take_abandoned();
    // A client that still waits for `100 Continue` may send the body or another request next.
    let may_go_on = !progress.awaits_continue() && !closes(headers);
    if may_go_on
        && progress.unread() == UNKNOWN
        && let Some(body) = &mut body
    {
        let mut discard = Discard::new(MAX_DISCARDED, CHUNKED_TIMEOUT);
        let end = std::future::poll_fn(|cx| discard.poll(body, cx));
        if tokio::time::timeout(CHUNKED_TIMEOUT, end).await == Ok(true) {
            progress.set_unread(number, 0);
            return;
        }
    }
    if may_go_on && progress.unread() <= MAX_DISCARDED {
        // The connection discards the body while the response is sent.
        if let Some(body) = body {
            progress.abandon(number, body);
        }
    } else {
        close_after(headers);
    }
}

/// Sets the header with which the connection is closed after the response.
pub(crate) fn close_after(headers: &mut HeaderMap) {
    if !closes(headers) {
        headers.append(CONNECTION, HeaderValue::from_static("close"));
    }
}

/// Whether the headers contain `connection: close`.
pub(crate) fn closes(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(contains_close)
}

/// Whether the value of a `Connection` header contains `close`.
pub(crate) fn contains_close(value: &HeaderValue) -> bool {
    value
        .as_bytes()
        .split(|byte| *byte == b',')
        .any(|token| token.trim_ascii().eq_ignore_ascii_case(b"close"))
}

/// The number of bytes that may still be discarded, and the deadline.
#[derive(Debug)]
pub(crate) struct Discard {
    left: u64,
    pub(crate) until: Instant,
}

impl Discard {
    pub(crate) fn new(bytes: u64, timeout: Duration) -> Self {
        Self {
            left: bytes,
            until: Instant::now() + timeout,
        }
    }

    /// Discards the bytes that have arrived. Returns true if the body has ended, false if it is
    /// broken or too long.
    pub(crate) fn poll(&mut self, body: &mut Incoming, cx: &mut Context<'_>) -> Poll<bool> {
        while !body.is_end_stream() {
            let Some(frame) = ready!(Pin::new(&mut *body).poll_frame(cx)) else {
                return Poll::Ready(true);
            };
            let length = match &frame {
                Ok(frame) => frame.data_ref().map_or(0, |data| data.len() as u64),
                Err(_) => return Poll::Ready(false),
            };
            match self.left.checked_sub(length) {
                Some(left) => self.left = left,
                None => return Poll::Ready(false),
            }
        }
        Poll::Ready(true)
    }
}

/// The discarding of one body by its connection.
#[derive(Debug, Default)]
pub(crate) struct Discarding(Option<Discarded>);

#[derive(Debug)]
struct Discarded {
    body: Incoming,
    /// The number of the request that `body` belongs to.
    number: u16,
    rest: Discard,
}

impl Discarding {
    /// Discards the bytes of an abandoned body that have arrived. Returns whether the connection
    /// has to be polled again.
    pub(crate) fn poll(&mut self, progress: &Progress, cx: &mut Context<'_>) -> bool {
        if self.0.is_none() {
            // Begins only while the response to a request with an unread body is being sent.
            if progress.unread() == 0 || progress.phase() < Phase::Responding {
                return false;
            }
            let Some(body) = progress.take_abandoned_or_wake(cx.waker()) else {
                return false;
            };
            self.0 = Some(Discarded {
                body,
                number: progress.request_number(),
                rest: Discard::new(MAX_DISCARDED, DISCARD_TIMEOUT),
            });
        }
        let Some(Discarded { body, number, rest }) = &mut self.0 else {
            return false;
        };
        match rest.poll(body, cx) {
            Poll::Pending => {
                progress.set_unread(*number, left(body));
                return false;
            }
            Poll::Ready(true) => progress.set_unread(*number, 0),
            Poll::Ready(false) => progress.set_unread(*number, UNKNOWN),
        }
        self.0 = None;
        true
    }

    /// Returns the time at which discarding ends.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.0.as_ref().map(|discarded| discarded.rest.until)
    }

    /// Drops the body, whereupon hyper closes the connection after the response.
    pub(crate) fn give_up(&mut self, progress: &Progress) {
        if let Some(Discarded { number, .. }) = self.0.take() {
            progress.set_unread(number, UNKNOWN);
        }
    }
}
