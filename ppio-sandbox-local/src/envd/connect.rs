//! The Connect protocol, version 1, with its JSON codec: unary calls and server streams.

use std::io;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// Flag of the envelope that ends a stream.
const END_STREAM: u8 = 0x02;
/// Flag of an envelope whose message is compressed.
const COMPRESSED: u8 = 0x01;
const ENVELOPE_HEADER: usize = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ConnectCode {
    InvalidArgument,
    NotFound,
    AlreadyExists,
    PermissionDenied,
    ResourceExhausted,
    FailedPrecondition,
    Unimplemented,
    Internal,
    DeadlineExceeded,
    Unavailable,
    Unauthenticated,
    /// Not an error code of the protocol, which answers an unknown content type with status 415
    /// alone.
    UnsupportedMediaType,
}

impl ConnectCode {
    fn status(self) -> StatusCode {
        match self {
            Self::InvalidArgument | Self::FailedPrecondition => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::AlreadyExists => StatusCode::CONFLICT,
            Self::PermissionDenied => StatusCode::FORBIDDEN,
            Self::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
            Self::Unimplemented => StatusCode::NOT_IMPLEMENTED,
            Self::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Self::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
            Self::Unauthenticated => StatusCode::UNAUTHORIZED,
            Self::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        }
    }
}

#[derive(Debug, Serialize)]
pub(super) struct ConnectError {
    pub(super) code: ConnectCode,
    pub(super) message: String,
}

impl ConnectError {
    pub(super) fn new(code: ConnectCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ConnectCode::InvalidArgument, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(ConnectCode::NotFound, message)
    }
}

impl IntoResponse for ConnectError {
    fn into_response(self) -> Response {
        (self.code.status(), Json(self)).into_response()
    }
}

/// A unary or streaming request whose message is not yet parsed.
pub(super) struct ConnectCall {
    headers: HeaderMap,
    message: Bytes,
    streaming: bool,
}

impl ConnectCall {
    /// Reads a request with the framing that its content type names.
    fn read(headers: HeaderMap, body: Bytes) -> Result<Self, ConnectError> {
        let content_type = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let content_type = content_type.split(';').next().unwrap_or_default().trim();
        match content_type {
            "application/json" => Ok(Self {
                headers,
                message: body,
                streaming: false,
            }),
            "application/connect+json" => Ok(Self {
                message: open_envelope(&body)?,
                headers,
                streaming: true,
            }),
            other => Err(ConnectError::new(
                ConnectCode::UnsupportedMediaType,
                format!(
                    "content type {other:?} is not application/json or application/connect+json"
                ),
            )),
        }
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn is_streaming(&self) -> bool {
        self.streaming
    }

    pub(super) fn message<T: DeserializeOwned>(&self) -> Result<T, ConnectError> {
        let text: &[u8] = if self.message.is_empty() {
            b"{}"
        } else {
            &self.message
        };
        serde_json::from_slice(text)
            .map_err(|error| ConnectError::invalid(format!("invalid message: {error}")))
    }

    /// Returns the timeout of the call; `None` for no timeout.
    pub(super) fn timeout(&self) -> Option<Duration> {
        self.number("connect-timeout-ms")
            .filter(|millis| *millis > 0)
            .map(Duration::from_millis)
    }

    /// Returns the interval of keepalive messages on a quiet stream; 90 s if the call names none.
    pub(super) fn keepalive(&self) -> Duration {
        let seconds = self
            .number("keepalive-ping-interval")
            .filter(|seconds| *seconds > 0);
        Duration::from_secs(seconds.unwrap_or(90))
    }

    fn number(&self, header: &str) -> Option<u64> {
        self.headers.get(header)?.to_str().ok()?.parse().ok()
    }
}

impl<S: Send + Sync> FromRequest<S> for ConnectCall {
    type Rejection = ConnectError;

    async fn from_request(mut request: Request, state: &S) -> Result<Self, ConnectError> {
        let headers = std::mem::take(request.headers_mut());
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| {
                let code = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                    ConnectCode::ResourceExhausted
                } else {
                    ConnectCode::InvalidArgument
                };
                ConnectError::new(code, rejection.body_text())
            })?;
        Self::read(headers, body)
    }
}

fn open_envelope(body: &Bytes) -> Result<Bytes, ConnectError> {
    if body.len() < ENVELOPE_HEADER {
        return Err(ConnectError::invalid(
            "the envelope of the message is cut short",
        ));
    }
    if body[0] & COMPRESSED != 0 {
        return Err(ConnectError::new(
            ConnectCode::Unimplemented,
            "compressed messages are not supported",
        ));
    }
    let length = u32::from_be_bytes([body[1], body[2], body[3], body[4]]) as usize;
    if body.len() - ENVELOPE_HEADER < length {
        return Err(ConnectError::invalid(
            "the message is shorter than the length in its envelope",
        ));
    }
    Ok(body.slice(ENVELOPE_HEADER..ENVELOPE_HEADER + length))
}

fn envelope(flags: u8, message: &Value) -> Bytes {
    let text = message.to_string();
    let mut bytes = Vec::with_capacity(ENVELOPE_HEADER + text.len());
    bytes.push(flags);
    // Messages are chunks of output, far below 4 GiB.
    bytes.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
    Bytes::from(bytes)
}

/// Returns the envelope of one message of a stream.
pub(super) fn message(value: &Value) -> Bytes {
    envelope(0, value)
}

pub(super) fn end_of_stream(error: Option<&ConnectError>) -> Bytes {
    envelope(
        END_STREAM,
        &error.map_or_else(|| json!({}), |error| json!({ "error": error })),
    )
}

/// Returns a streamed response. An error of `pieces` cuts the connection, as the end of a sandbox's
/// machine does in the cloud.
pub(super) fn stream(pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Response {
    let body = Body::from_stream(pieces);
    ([(header::CONTENT_TYPE, "application/connect+json")], body).into_response()
}

/// Returns an error response; a stream contains the error in its last message.
pub(super) fn refuse(streaming: bool, error: ConnectError) -> Response {
    if !streaming {
        return error.into_response();
    }
    stream(futures_util::stream::iter([Ok(end_of_stream(Some(
        &error,
    )))]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envelopes_round_trip() {
        let closed = message(&json!({"path": "/tmp"}));
        assert_eq!(&open_envelope(&closed).unwrap()[..], br#"{"path":"/tmp"}"#);
        for length in 0..closed.len() {
            assert!(open_envelope(&closed.slice(..length)).is_err(), "{length}");
        }
    }
}
