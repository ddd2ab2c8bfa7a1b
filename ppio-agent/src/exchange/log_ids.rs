//! Adds the ids of a request to its log lines.
//!
//! A program with its own subscriber obtains the ids from a span around each invocation. The
//! default log reads them from the context of the request when a line is written: a span costs a
//! third as much as answering a small request, and most requests write no line.

use std::sync::atomic::{AtomicBool, Ordering};

use http::HeaderMap;
use tracing::Span;

use super::body::Request;
use super::clipped::clipped;
use super::context::{AgentRuntimeContext, RequestContext, session_header};
use super::request_id::RequestId;

/// The maximum length of the path in a span, in bytes.
const MAX_PATH: usize = 200;

/// Whether the subscriber of this program reads the ids from the context.
static READ_FROM_CONTEXT: AtomicBool = AtomicBool::new(false);

/// Turns off the spans of invocations, since the default log is installed.
#[cfg(feature = "logging")]
pub(crate) fn read_from_context() {
    READ_FROM_CONTEXT.store(true, Ordering::Relaxed);
}

/// Returns the span around one invocation; disabled if the default log is installed.
pub(crate) fn invocation_span(request_id: &RequestId, headers: &HeaderMap) -> Span {
    if READ_FROM_CONTEXT.load(Ordering::Relaxed) {
        Span::none()
    } else {
        tracing::info_span!(
            "invocation",
            request_id = request_id.as_str(),
            session_id = session_header(headers),
        )
    }
}

/// Returns the span around a request to the author's own routes.
pub(crate) fn route_span(request_id: &RequestId, request: &Request) -> Span {
    let method = request.method().as_str();
    // The query may contain secrets.
    let path = clipped(request.uri().path(), MAX_PATH);
    if READ_FROM_CONTEXT.load(Ordering::Relaxed) {
        return tracing::info_span!("route", method, path);
    }
    tracing::info_span!(
        "route",
        request_id = request_id.as_str(),
        session_id = session_header(request.headers()),
        method,
        path,
    )
}

/// Writes a log line about a request from outside of its context.
pub(crate) fn log_about(context: &RequestContext, span: &Span, write: impl FnOnce()) {
    AgentRuntimeContext::sync_scope(context.clone(), || span.in_scope(write));
}
