//! Writes the JSON bodies of the runtime's responses.

use std::borrow::Cow;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use ppio_agent_protocol::{ErrorItem, sse};
use serde::Serialize;

use super::body::Response;
use super::error::Error;
#[cfg(feature = "chat")]
use super::failure::Failure;
use super::requested_format::RequestedFormat;

/// Whether a JSON text is an object. A derived `Deserialize` accepts an array for a struct as well.
pub(crate) fn is_object(text: &[u8]) -> bool {
    text.trim_ascii_start().starts_with(b"{")
}

/// The beginning of an envelope, up to its result.
pub(super) const RESULT: &[u8] = br#"{"result":"#;

/// Completes a success body, which [`WrittenValue`](super::written_value::WrittenValue) began.
pub(crate) fn finish(
    mut body: Vec<u8>,
    format: RequestedFormat,
    duration: Duration,
    request_id: &str,
) -> Bytes {
    if format.has_envelope() {
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

/// Returns the body of a success whose value is already JSON.
pub(crate) fn success_body(
    value: &Bytes,
    format: RequestedFormat,
    duration: Duration,
    request_id: &str,
) -> Bytes {
    if !format.has_envelope() {
        return value.clone();
    }
    let mut body = Vec::with_capacity(value.len() + 256);
    body.extend_from_slice(RESULT);
    body.extend_from_slice(value);
    finish(body, format, duration, request_id)
}

/// Returns the body of an error, if the agent did not provide one.
pub(crate) fn error_body(error: &Error, duration: Duration, request_id: &str) -> Bytes {
    #[derive(Serialize)]
    struct ErrorBody<'a> {
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
    to_bytes(&ErrorBody {
        result: (),
        status: "error",
        error: error.response_text(request_id),
        error_type: error.error_type(),
        duration: seconds(duration),
        metadata: Metadata { request_id },
    })
}

/// Returns the last event of a stream that failed. For protocols, and for callers that read the
/// format of the response, the event has the name `error`, because an item of the agent may look
/// like an error. For other callers the event has no name: they read every line that does not begin
/// with `data:` as an item. For protocols, the data of the event is a `Failure`.
pub(crate) fn error_event(error: &Error, request_id: &str, format: RequestedFormat) -> Bytes {
    #[cfg(feature = "chat")]
    if format == RequestedFormat::Chat {
        let mut event = BytesMut::from(&b"event: error\n"[..]);
        // This cannot fail: a `Failure` has only string keys and no fallible serialization code.
        let _ = sse::write_json(&mut event, &Failure::of(error, request_id));
        return event.freeze();
    }
    let item = ErrorItem::new(error.response_text(request_id)).with_type(error.error_type());
    let mut event = BytesMut::new();
    if format.is_announced() {
        event.extend_from_slice(b"event: error\n");
    }
    // This cannot fail: an `ErrorItem` has only string keys and no fallible serialization code.
    let _ = sse::write_json(&mut event, &item);
    event.freeze()
}

/// Returns the JSON of `object`, which must have a member already, with one more member; `value` is
/// JSON.
pub(crate) fn with_member(object: &[u8], name: &str, value: &[u8]) -> Bytes {
    let mut all = Vec::with_capacity(object.len() + name.len() + value.len() + 4);
    all.extend_from_slice(&object[..object.len().saturating_sub(1)]);
    all.extend_from_slice(b",\"");
    all.extend_from_slice(name.as_bytes());
    all.extend_from_slice(b"\":");
    all.extend_from_slice(value);
    all.push(b'}');
    all.into()
}

/// Returns a response whose body is JSON.
pub(crate) fn response(status: StatusCode, body: Bytes) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Serializes a struct of this crate, a text or a JSON value. Such values have only string keys, so
/// the serialization cannot fail.
pub(crate) fn to_bytes<T: Serialize>(value: &T) -> Bytes {
    serde_json::to_vec(value).unwrap_or_default().into()
}

/// Serializes a value of a protocol as a part of an event, in one line, which every reader of event
/// streams accepts. Such values have string keys, so this cannot fail.
#[cfg(feature = "chat")]
pub(crate) fn line<T: Serialize + ?Sized>(value: &T) -> String {
    let json = serde_json::to_string(value).unwrap_or_default();
    let line = sse::single_line(json.as_bytes());
    // The rewritten text is UTF-8 as well.
    line.and_then(|line| String::from_utf8(line).ok())
        .unwrap_or(json)
}

/// Returns the seconds of a duration, rounded to microseconds.
pub(super) fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}
