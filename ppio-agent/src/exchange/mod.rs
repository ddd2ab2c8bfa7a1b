//! One request and its response: what every layer above reads, writes and passes on.
//!
//! Named `exchange` because `http` is a public re-export of this crate.

pub(crate) mod body;
pub(crate) mod context;
pub(crate) mod error;
pub(crate) mod header_names;
pub(crate) mod json;
mod limited_body;
pub(crate) mod log_ids;
mod on_end_body;
pub(crate) mod per_connection;
pub(crate) mod rejection;
pub(crate) mod request_headers;
pub(crate) mod request_id;
pub(crate) mod scoped_body;
mod stream_requested;
pub(crate) mod task_tracker;

use std::time::Instant;

use http::HeaderValue;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use tracing::Span;

use self::body::Response;
use self::error::Error;
use self::json::ResponseFormat;
use self::rejection::Rejection;
use self::request_id::RequestId;

/// The data from the head of a request that lasts until its response is sent.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) request_id: RequestId,
    /// The span of an invocation; disabled for other routes and where no subscriber shows it.
    pub(crate) span: Span,
    pub(crate) started: Instant,
    /// When the head of the response is due.
    pub(crate) deadline: Instant,
    pub(crate) format: ResponseFormat,
}

impl Exchange {
    /// Writes an error as a response. Nothing else in the crate does.
    pub(crate) fn error_response(&self, error: &Error) -> Response {
        let body = json::error_body(error, self.started.elapsed(), self.request_id.as_str());
        let mut response = json::response(error.status(), body);
        let headers = response.headers_mut();
        if let Some(allow) = error.rejection().and_then(Rejection::allow) {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        if let Some(seconds) = error.rejection().and_then(Rejection::retry_after) {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if error.rejection().is_some_and(Rejection::closes_connection) {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}
