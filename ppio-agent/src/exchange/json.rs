//! The JSON bodies of responses; nothing else writes them.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use ppio_agent_protocol::{ErrorItem, sse};
use serde::Serialize;

use super::body::Response;
use super::error::Error;
use super::rejection::Rejection;

/// How a value is written into the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponseFormat {
    /// `{"result": …, "status": "success", …}`, as PPIO's callers expect it.
    Envelope,
    /// The value itself, as AWS AgentCore's callers expect it.
    Bare,
}

/// The initial capacity of a body: enough for the envelope and a short value.
const INITIAL_CAPACITY: usize = 256;

/// Begins a success body with the value; [`finish`] completes it.
pub(crate) fn begin<T: Serialize + ?Sized>(
    value: &T,
    format: ResponseFormat,
) -> Result<Vec<u8>, Error> {
    let mut body = Vec::with_capacity(INITIAL_CAPACITY);
    if format == ResponseFormat::Envelope {
        body.extend_from_slice(br#"{"result":"#);
    }
    serde_json::to_writer(&mut body, value)
        .map_err(|error| Rejection::NotSerializable(error.to_string()))?;
    Ok(body)
}

/// Completes a success body.
pub(crate) fn finish(
    mut body: Vec<u8>,
    format: ResponseFormat,
    duration: Duration,
    request_id: &str,
) -> Bytes {
    if format == ResponseFormat::Envelope {
        body.extend_from_slice(br#","status":"success","duration":"#);
        // Writing a number to a `Vec` cannot fail.
        let _ = serde_json::to_writer(&mut body, &seconds(duration));
        body.extend_from_slice(br#","metadata":{"request_id":""#);
        // A `RequestId` has no character that needs an escape.
        body.extend_from_slice(request_id.as_bytes());
        body.extend_from_slice(br#""},"error":null}"#);
    }
    body.into()
}

/// The body of an error.
pub(crate) fn error_body(error: &Error, duration: Duration, request_id: &str) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        result: (),
        status: &'static str,
        error: Cow<'a, str>,
        error_type: &'a str,
        duration: f64,
        metadata: Metadata<'a>,
    }
    #[derive(Serialize)]
    struct Metadata<'a> {
        request_id: &'a str,
    }
    to_bytes(&Body {
        result: (),
        status: "error",
        error: error.response_text(request_id),
        error_type: error.error_type(),
        duration: seconds(duration),
        metadata: Metadata { request_id },
    })
}

/// The last event of a stream that failed.
pub(crate) fn error_event(error: &Error, request_id: &str) -> Bytes {
    let item = ErrorItem::new(error.response_text(request_id)).with_type(error.error_type());
    let mut event = BytesMut::new();
    // An `ErrorItem` has string keys and no code that fails.
    let _ = sse::write_json(&mut event, &item);
    event.freeze()
}

/// A response whose body is JSON.
pub(crate) fn response(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Serializes a struct of this crate. All of them have string keys, so it cannot fail.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// The seconds of a duration, rounded to microseconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_has_all_fields() {
        let body = begin(&serde_json::json!({"a": 1}), ResponseFormat::Envelope).unwrap();
        let body = finish(
            body,
            ResponseFormat::Envelope,
            Duration::from_micros(1_000_002),
            "r-1",
        );
        assert_eq!(
            body,
            r#"{"result":{"a":1},"status":"success","duration":1.000002,"metadata":{"request_id":"r-1"},"error":null}"#
        );
    }

    #[test]
    fn the_bare_format_is_the_value() {
        let body = begin("hi", ResponseFormat::Bare).unwrap();
        assert_eq!(
            finish(body, ResponseFormat::Bare, Duration::ZERO, "r-1"),
            r#""hi""#
        );
    }

    #[test]
    fn a_value_that_json_cannot_represent_is_an_error() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = begin(&map, ResponseFormat::Envelope).unwrap_err();
        assert_eq!(error.error_type(), "SerializationError");
    }
}
