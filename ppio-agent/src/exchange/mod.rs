//! The types of one request and its response, which the other modules use.
//!
//! The module is named `exchange` because `http` is a public re-export of this crate.

pub(crate) mod agent_core_headers;
pub(crate) mod agent_envelope;
pub(crate) mod agent_info;
pub(crate) mod body;
pub(crate) mod caller_deadline;
pub(crate) mod catch_panic;
pub(crate) mod clipped;
pub(crate) mod context;
pub(crate) mod counted;
mod envelope_serializer;
pub(crate) mod error;
#[cfg(feature = "chat")]
pub(crate) mod failure;
pub(crate) mod header_names;
pub(crate) mod json;
mod limited_body;
#[cfg(feature = "logging")]
pub(crate) mod log_format;
pub(crate) mod log_ids;
pub(crate) mod media_types;
mod on_end_body;
pub(crate) mod open_spans;
pub(crate) mod per_connection;
pub(crate) mod platform;
pub(crate) mod policies;
pub(crate) mod protocol;
pub(crate) mod random;
pub(crate) mod rejection;
mod reply_serializer;
pub(crate) mod request_headers;
pub(crate) mod request_id;
pub(crate) mod requested_format;
pub(crate) mod runtime_settings;
pub(crate) mod scoped_body;
mod stream_requested;
pub(crate) mod task_tracker;
pub(crate) mod written_value;

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use ppio_agent_protocol::ResponseFormat;
use tracing::Span;

use self::body::Response;
use self::error::Error;
#[cfg(feature = "chat")]
use self::failure::Failure;
use self::header_names::RESPONSE_FORMAT;
use self::protocol::Protocol;
use self::rejection::Rejection;
use self::request_id::RequestId;
use self::requested_format::RequestedFormat;
use crate::telemetry::RequestTrace;

/// The data of a request that is kept until its response is sent.
#[derive(Clone)]
pub(crate) struct Exchange {
    pub(crate) request_id: RequestId,
    /// The span of an invocation; disabled for other routes, and if no subscriber records it.
    pub(crate) span: Span,
    /// The exported span of the request.
    pub(crate) trace: RequestTrace,
    pub(crate) started: Instant,
    /// The time by which the response has to begin.
    pub(crate) deadline: Instant,
    /// The time by which the whole invocation has to end, if the caller sends a timeout.
    pub(crate) requested_deadline: Option<Instant>,
    pub(crate) format: RequestedFormat,
    /// The protocol of the route, if it is not that of `POST /invocations`.
    pub(crate) protocol: Option<Protocol>,
    /// The function that writes the body of an error in the protocol of the route.
    #[cfg(feature = "chat")]
    pub(crate) error_body: Option<fn(&Failure) -> Bytes>,
}

impl Exchange {
    /// Returns the response whose body is a value or its envelope.
    pub(crate) fn value_response(&self, body: Bytes) -> Response {
        let mut response = json::response(StatusCode::OK, body);
        self.announce(self.format.of_value(), &mut response);
        response
    }

    /// Sets the header that names the format of the response, if the caller requests a format. An
    /// existing header is not replaced: the code that set the header also wrote the body.
    pub(crate) fn announce(&self, format: ResponseFormat, response: &mut Response) {
        let headers = response.headers_mut();
        if self.format.is_announced() && !headers.contains_key(RESPONSE_FORMAT) {
            headers.insert(RESPONSE_FORMAT, HeaderValue::from_static(format.as_str()));
            response.body_mut().set_format(format);
        }
    }

    /// Sets the header of [`announce`](Self::announce) again in a response into which middleware
    /// moved the body. A body that middleware has written or read may be in any format, so the
    /// response gets no header.
    pub(crate) fn announce_again(&self, response: &mut Response) {
        if let Some(format) = response.body().format() {
            self.announce(format, response);
        }
    }

    fn error_body(&self, error: &Error, duration: Duration) -> Bytes {
        let id = self.request_id.as_str();
        #[cfg(feature = "chat")]
        if let Some(write) = self.error_body {
            return write(&Failure::of(error, id));
        }
        json::error_body(error, duration, id)
    }

    /// Returns the response for an error, with the error in its extensions.
    pub(crate) fn error_response(&self, error: Error) -> Response {
        self.error_response_after(error, self.started.elapsed())
    }

    /// Returns the same as [`error_response`](Self::error_response), for an error that ended an
    /// invocation of the given duration.
    pub(crate) fn error_response_after(&self, error: Error, duration: Duration) -> Response {
        let body = error
            .body()
            .cloned()
            .unwrap_or_else(|| self.error_body(&error, duration));
        let mut response = json::response(error.status(), body);
        self.announce(ResponseFormat::Envelope, &mut response);
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
        #[cfg(feature = "websocket")]
        if let Some(rejection) = error.rejection() {
            headers.extend(rejection.handshake_headers());
        }
        response.extensions_mut().insert(error);
        response
    }
}
