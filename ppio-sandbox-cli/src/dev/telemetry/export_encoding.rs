//! The encodings of exports (protobuf or JSON, also with gzip), and the errors of exports that are
//! refused.

use std::io::{self, Read as _};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::read::MultiGzDecoder;
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::decoded_size::{self, MessageKind};

/// The largest body, both before and after decompression, in bytes.
pub(super) const MAX_BODY: usize = 8 * 1024 * 1024;
/// The estimated memory that an export may take when it is decoded, in bytes.
const MAX_DECODED: usize = 96 * 1024 * 1024;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// The encoding of a request and of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Protobuf,
    Json,
}

impl Encoding {
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ExportRefusal> {
        let found = headers.get(header::CONTENT_TYPE);
        let found = found.map(|value| value.to_str().unwrap_or_default());
        let essence = found.map(|value| value.split(';').next().unwrap_or_default().trim());
        match essence {
            Some(essence) if essence.eq_ignore_ascii_case(PROTOBUF) => Ok(Self::Protobuf),
            Some(essence) if essence.eq_ignore_ascii_case(JSON) => Ok(Self::Json),
            other => Err(ExportRefusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "the content type is {:?}; send {PROTOBUF} or {JSON}",
                    other.unwrap_or_default()
                ),
            )),
        }
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        })
    }

    /// Refuses a body that takes too much memory when it is decoded.
    pub(super) fn check_size(self, kind: MessageKind, body: &[u8]) -> Result<(), ExportRefusal> {
        let exceeds = match self {
            Self::Protobuf => decoded_size::protobuf_exceeds(kind, body, MAX_DECODED),
            Self::Json => decoded_size::json_exceeds(body, MAX_DECODED),
        };
        if !exceeds {
            return Ok(());
        }
        let message = format!(
            "the body takes more than {MAX_DECODED} bytes when it is decoded; export less at once"
        );
        Err(ExportRefusal::new(StatusCode::PAYLOAD_TOO_LARGE, message))
    }

    pub(super) fn decode<T: Message + Default + DeserializeOwned>(
        self,
        body: &[u8],
    ) -> Result<T, ExportRefusal> {
        let decoded = match self {
            Self::Protobuf => T::decode(body).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        };
        decoded.map_err(|error| {
            let message = format!("the body is not an OTLP export: {error}");
            ExportRefusal::new(StatusCode::BAD_REQUEST, message)
        })
    }
}

/// The reason why an export is refused.
#[derive(Debug)]
pub(super) struct ExportRefusal {
    status: StatusCode,
    message: String,
}

impl ExportRefusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// Creates the refusal of a body of more than [`MAX_BODY`] bytes.
    pub(super) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("the body has more than {MAX_BODY} bytes; export less at once"),
        )
    }

    pub(super) fn into_response(self, encoding: Encoding) -> Response {
        // `google.rpc.Code`: INTERNAL and INVALID_ARGUMENT.
        let code = if self.status.is_server_error() { 13 } else { 3 };
        let body = match encoding {
            Encoding::Json => json!({"code": code, "message": self.message})
                .to_string()
                .into_bytes(),
            Encoding::Protobuf => {
                let mut body = Vec::new();
                prost::encoding::int32::encode(1, &code, &mut body);
                prost::encoding::string::encode(2, &self.message, &mut body);
                body
            }
        };
        let headers = [(header::CONTENT_TYPE, encoding.content_type())];
        (self.status, headers, body).into_response()
    }
}

/// Whether the body is compressed with gzip. Any other compression is refused.
pub(super) fn is_gzip(headers: &HeaderMap) -> Result<bool, ExportRefusal> {
    let found = headers.get(header::CONTENT_ENCODING);
    let found = found.map_or("identity", |value| value.to_str().unwrap_or_default());
    match found.trim() {
        coding if coding.eq_ignore_ascii_case("gzip") => Ok(true),
        coding if coding.eq_ignore_ascii_case("identity") => Ok(false),
        coding => Err(ExportRefusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the content encoding is {coding:?}; send gzip or an uncompressed body"),
        )),
    }
}

/// Returns the decompressed body. A body that is not gzip, or has more than [`MAX_BODY`] bytes, is
/// refused.
pub(super) fn decompress(body: &[u8]) -> Result<Vec<u8>, ExportRefusal> {
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    let mut decompressed = Vec::new();
    let read: io::Result<usize> = MultiGzDecoder::new(body)
        .take(limit + 1)
        .read_to_end(&mut decompressed);
    match read {
        Ok(length) if length > MAX_BODY => Err(ExportRefusal::too_large()),
        Ok(_) => Ok(decompressed),
        Err(error) => {
            let message = format!("the body is not gzip: {error}");
            Err(ExportRefusal::new(StatusCode::BAD_REQUEST, message))
        }
    }
}
