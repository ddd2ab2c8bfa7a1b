//! The JSON bodies of answers: the only place that writes them.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use ppio_agent_protocol::{ErrorItem, sse};
use serde::Serialize;

use crate::exchange::body::Response;
use crate::exchange::error::Error;
use crate::exchange::rejection::Failure;

/// How a value is put into the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// `{"result": …, "status": "success", …}`, as PPIO's callers expect it.
    Envelope,
    /// The value itself, as AWS AgentCore's callers expect it.
    Bare,
}

/// Room for the envelope and a short answer, so that the usual answer is written without growing.
const USUAL_ANSWER: usize = 256;

/// Starts a success body with the value. `finish` completes it.
pub(crate) fn begin<T: Serialize + ?Sized>(value: &T, style: Style) -> Result<Vec<u8>, Error> {
    let mut body = Vec::with_capacity(USUAL_ANSWER);
    if style == Style::Envelope {
        body.extend_from_slice(br#"{"result":"#);
    }
    // The value goes straight into the body; no copy of it is made as a `Value`.
    serde_json::to_writer(&mut body, value)
        .map_err(|error| Failure::NotSerializable(error.to_string()))?;
    Ok(body)
}

/// Completes a success body.
pub(crate) fn finish(
    mut body: Vec<u8>,
    style: Style,
    duration: Duration,
    request_id: &str,
) -> Bytes {
    if style == Style::Envelope {
        body.extend_from_slice(br#","status":"success","duration":"#);
        // Writing a number to a `Vec` cannot fail.
        let _ = serde_json::to_writer(&mut body, &seconds(duration));
        body.extend_from_slice(br#","metadata":{"request_id":""#);
        // A request id is checked to be plain ASCII without quotes (see `request_id`).
        body.extend_from_slice(request_id.as_bytes());
        body.extend_from_slice(br#""},"error":null}"#);
    }
    body.into()
}

/// The body of every answer that is an error.
pub(crate) fn error_body(error: &Error, duration: Duration, request_id: &str) -> Bytes {
    #[derive(Serialize)]
    struct Body<'a> {
        result: (),
        status: &'static str,
        error: &'a str,
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
        error: error.message(),
        error_type: error.error_type(),
        duration: seconds(duration),
        metadata: Metadata { request_id },
    })
}

/// The last event of a stream that failed.
pub(crate) fn error_event(error: &Error) -> Bytes {
    let item = ErrorItem::new(error.message()).with_type(error.error_type());
    let mut event = Vec::new();
    sse::write_data(&mut event, &to_bytes(&item));
    event.into()
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

/// Serializes one of our own structs, which has string keys only and so cannot fail.
pub(crate) fn to_bytes<T: Serialize>(own: &T) -> Bytes {
    serde_json::to_vec(own).unwrap_or_default().into()
}

/// Whole microseconds, as seconds.
fn seconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_envelope_is_the_one_of_the_wire() {
        let body = begin(&serde_json::json!({"a": 1}), Style::Envelope).unwrap();
        let body = finish(
            body,
            Style::Envelope,
            Duration::from_micros(1_000_002),
            "r-1",
        );
        assert_eq!(
            body,
            r#"{"result":{"a":1},"status":"success","duration":1.000002,"metadata":{"request_id":"r-1"},"error":null}"#
        );
    }

    #[test]
    fn a_bare_answer_is_the_value() {
        let body = begin("hi", Style::Bare).unwrap();
        assert_eq!(finish(body, Style::Bare, Duration::ZERO, "r-1"), r#""hi""#);
    }

    #[test]
    fn what_json_cannot_say_is_an_error() {
        let map = std::collections::BTreeMap::from([((1, 2), 3)]);
        let error = begin(&map, Style::Envelope).unwrap_err();
        assert_eq!(error.error_type(), "SerializationError");
    }
}
