//! Answers the exports of OpenTelemetry over HTTP: protobuf and JSON, also compressed with gzip.
//!
//! The rules are those of <https://opentelemetry.io/docs/specs/otlp/#otlphttp>: an answer has the
//! encoding of its request, and an error is a `google.rpc.Status`.

use std::io::{self, Read as _};

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use flate2::read::MultiGzDecoder;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::otlp;
use super::store::SharedStore;

/// The largest body as it is sent.
const MAX_BODY: usize = 8 * 1024 * 1024;
/// The largest body after it is decompressed.
const MAX_DECOMPRESSED: usize = 32 * 1024 * 1024;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// What is exported.
#[derive(Debug, Clone, Copy)]
pub(super) enum Signal {
    Traces,
    Logs,
}

impl Signal {
    /// What is exported to a path of the specification.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/v1/traces" => Some(Self::Traces),
            "/v1/logs" => Some(Self::Logs),
            _ => None,
        }
    }
}

/// How a request and its answer are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

/// Why an export is refused.
#[derive(Debug)]
struct Refusal {
    status: StatusCode,
    message: String,
}

/// What was not kept of an export, and why.
#[derive(Debug, Default)]
struct Rejected {
    count: usize,
    reason: String,
}

/// Keeps what a request exports.
pub(super) async fn receive(request: Request, signal: Signal, store: SharedStore) -> Response {
    let encoding = match Encoding::of(request.headers()) {
        Ok(encoding) => encoding,
        Err(refusal) => return refusal.into_response(Encoding::Json),
    };
    let received = async {
        let is_compressed = is_gzip(request.headers())?;
        let body = read(request).await?;
        // Decoding a large export takes a while.
        let decoding = tokio::task::spawn_blocking(move || {
            let body = if is_compressed {
                decompress(&body)?
            } else {
                body
            };
            keep(&store, &body, encoding, signal)
        });
        decoding
            .await
            .map_err(|_| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, "decoding failed"))?
    };
    match received.await {
        Ok(rejected) => rejected.into_response(encoding, signal),
        Err(refusal) => refusal.into_response(encoding),
    }
}

fn keep(
    store: &SharedStore,
    body: &[u8],
    encoding: Encoding,
    signal: Signal,
) -> Result<Rejected, Refusal> {
    match signal {
        Signal::Traces => {
            let request: ExportTraceServiceRequest = encoding.decode(body)?;
            let (spans, invalid) = otlp::spans(request);
            let dropped = store.lock().add_spans(spans);
            let mut reasons = Vec::new();
            if invalid > 0 {
                reasons.push(format!("{invalid} spans have no valid ids"));
            }
            if dropped > 0 {
                reasons.push(format!("{dropped} spans are of traces that are too large"));
            }
            Ok(Rejected {
                count: invalid + dropped,
                reason: reasons.join("; "),
            })
        }
        Signal::Logs => {
            let request: ExportLogsServiceRequest = encoding.decode(body)?;
            let records = otlp::log_records(request);
            let mut store = store.lock();
            for record in records {
                store.add_log(record);
            }
            Ok(Rejected::default())
        }
    }
}

impl Encoding {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let found = headers.get(header::CONTENT_TYPE);
        let found = found.map(|value| value.to_str().unwrap_or_default());
        let essence = found.map(|value| value.split(';').next().unwrap_or_default().trim());
        match essence {
            Some(essence) if essence.eq_ignore_ascii_case(PROTOBUF) => Ok(Self::Protobuf),
            Some(essence) if essence.eq_ignore_ascii_case(JSON) => Ok(Self::Json),
            other => Err(Refusal::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                format!(
                    "the content type is {:?}; send {PROTOBUF} or {JSON}",
                    other.unwrap_or_default()
                ),
            )),
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => PROTOBUF,
            Self::Json => JSON,
        })
    }

    fn decode<T: Message + Default + DeserializeOwned>(self, body: &[u8]) -> Result<T, Refusal> {
        let decoded = match self {
            Self::Protobuf => T::decode(body).map_err(|error| error.to_string()),
            Self::Json => serde_json::from_slice(body).map_err(|error| error.to_string()),
        };
        decoded.map_err(|error| {
            let message = format!("the body is no export of OTLP: {error}");
            Refusal::new(StatusCode::BAD_REQUEST, message)
        })
    }
}

/// Whether the body is compressed with gzip.
fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let found = headers.get(header::CONTENT_ENCODING);
    let found = found.map_or("identity", |value| value.to_str().unwrap_or_default());
    match found.trim() {
        coding if coding.eq_ignore_ascii_case("gzip") => Ok(true),
        coding if coding.eq_ignore_ascii_case("identity") => Ok(false),
        coding => Err(Refusal::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!("the content encoding is {coding:?}; send gzip, or the body as it is"),
        )),
    }
}

async fn read(request: Request) -> Result<Vec<u8>, Refusal> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    match body {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large(MAX_BODY)),
        Err(error) => {
            let message = format!("the body cannot be read: {error}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, message))
        }
    }
}

fn decompress(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let limit = u64::try_from(MAX_DECOMPRESSED).unwrap_or(u64::MAX);
    let mut decompressed = Vec::new();
    let read: io::Result<usize> = MultiGzDecoder::new(body)
        .take(limit + 1)
        .read_to_end(&mut decompressed);
    match read {
        Ok(length) if length > MAX_DECOMPRESSED => Err(too_large(MAX_DECOMPRESSED)),
        Ok(_) => Ok(decompressed),
        Err(error) => {
            let message = format!("the body is not gzip: {error}");
            Err(Refusal::new(StatusCode::BAD_REQUEST, message))
        }
    }
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("the body has more than {limit} bytes; export less at once"),
    )
}

impl Refusal {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    fn into_response(self, encoding: Encoding) -> Response {
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

impl Rejected {
    fn into_response(self, encoding: Encoding, signal: Signal) -> Response {
        let body = match encoding {
            Encoding::Json => self.to_json(signal).into_bytes(),
            Encoding::Protobuf => self.into_protobuf(signal),
        };
        ([(header::CONTENT_TYPE, encoding.content_type())], body).into_response()
    }

    fn to_json(&self, signal: Signal) -> String {
        if self.count == 0 {
            return "{}".to_owned();
        }
        let name = match signal {
            Signal::Traces => "rejectedSpans",
            Signal::Logs => "rejectedLogRecords",
        };
        // 64 bits are a text in the JSON of protobuf.
        json!({"partialSuccess": {name: self.count.to_string(), "errorMessage": self.reason}})
            .to_string()
    }

    fn into_protobuf(self, signal: Signal) -> Vec<u8> {
        let is_partial = self.count > 0;
        let count = i64::try_from(self.count).unwrap_or(i64::MAX);
        match signal {
            Signal::Traces => ExportTraceServiceResponse {
                partial_success: is_partial.then_some(ExportTracePartialSuccess {
                    rejected_spans: count,
                    error_message: self.reason,
                }),
            }
            .encode_to_vec(),
            Signal::Logs => ExportLogsServiceResponse {
                partial_success: is_partial.then_some(ExportLogsPartialSuccess {
                    rejected_log_records: count,
                    error_message: self.reason,
                }),
            }
            .encode_to_vec(),
        }
    }
}
