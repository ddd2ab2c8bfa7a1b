//! Answers the exports of OpenTelemetry over HTTP.
//!
//! The rules are those of <https://opentelemetry.io/docs/specs/otlp/#otlphttp>: an answer has the
//! encoding of its request, and an error is a `google.rpc.Status`.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsPartialSuccess, ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde_json::json;
use tokio::sync::Semaphore;

use super::decoded_size::MessageKind;
use super::export_encoding::{Encoding, ExportRefusal, MAX_BODY, decompress, is_gzip};
use super::otlp;
use super::store::SharedStore;

/// The largest number of spans or log records that are kept of one export.
const MAX_RECORDS: usize = 50_000;

/// The kind of data that is exported.
#[derive(Debug, Clone, Copy)]
pub(super) enum ExportKind {
    Traces,
    Logs,
}

impl ExportKind {
    /// Returns the kind of data that is exported to a path of the specification.
    pub(super) fn of_path(path: &str) -> Option<Self> {
        match path {
            "/v1/traces" => Some(Self::Traces),
            "/v1/logs" => Some(Self::Logs),
            _ => None,
        }
    }
}

/// The number of records of an export that were not kept, and the reason.
#[derive(Debug)]
struct Rejected {
    count: usize,
    reason: String,
}

/// Stores the data that a request exports. `decoding` has a permit for each export that may be
/// decoded now.
pub(super) async fn receive(
    request: Request,
    kind: ExportKind,
    store: SharedStore,
    decoding: Arc<Semaphore>,
) -> Response {
    let encoding = match Encoding::of(request.headers()) {
        Ok(encoding) => encoding,
        Err(refusal) => return refusal.into_response(Encoding::Json),
    };
    let received = async {
        let is_compressed = is_gzip(request.headers())?;
        let body = read(request).await?;
        let permit = decoding.acquire_owned().await.map_err(decoding_failed)?;
        // Decoding a large export takes a while, and continues if the request is dropped.
        let decoding = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let body = if is_compressed {
                decompress(&body)?
            } else {
                body
            };
            keep(&store, &body, encoding, kind)
        });
        decoding.await.map_err(decoding_failed)?
    };
    match received.await {
        Ok(rejected) => rejected.into_response(encoding, kind),
        Err(refusal) => refusal.into_response(encoding),
    }
}

fn keep(
    store: &SharedStore,
    body: &[u8],
    encoding: Encoding,
    kind: ExportKind,
) -> Result<Rejected, ExportRefusal> {
    match kind {
        ExportKind::Traces => {
            encoding.check_size(MessageKind::TracesRequest, body)?;
            let request: ExportTraceServiceRequest = encoding.decode(body)?;
            let (mut invalid, mut too_large) = (0, 0);
            let mut spans = otlp::spans(request);
            for span in spans.by_ref().take(MAX_RECORDS) {
                match span {
                    Some(span) => too_large += usize::from(!store.lock().add_span(span)),
                    None => invalid += 1,
                }
            }
            Ok(Rejected::of([
                (invalid, "spans have no valid ids"),
                (too_large, "spans are of traces that are too large"),
                (spans.count(), "spans are too many for one export"),
            ]))
        }
        ExportKind::Logs => {
            encoding.check_size(MessageKind::LogsRequest, body)?;
            let request: ExportLogsServiceRequest = encoding.decode(body)?;
            let mut too_large = 0;
            let mut records = otlp::log_records(request);
            for record in records.by_ref().take(MAX_RECORDS) {
                too_large += usize::from(!store.lock().add_log(record));
            }
            Ok(Rejected::of([
                (too_large, "log records are too large"),
                (records.count(), "log records are too many for one export"),
            ]))
        }
    }
}

async fn read(request: Request) -> Result<Vec<u8>, ExportRefusal> {
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    match body {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(ExportRefusal::too_large()),
        Err(error) => {
            let message = format!("the body cannot be read: {error}");
            Err(ExportRefusal::new(StatusCode::BAD_REQUEST, message))
        }
    }
}

fn decoding_failed<E>(_: E) -> ExportRefusal {
    ExportRefusal::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "cannot decode the export",
    )
}

impl Rejected {
    /// Adds up the numbers of records that are not kept, with the reasons.
    fn of<const N: usize>(counts: [(usize, &str); N]) -> Self {
        let found = counts.iter().filter(|(count, _)| *count > 0);
        let reasons: Vec<_> = found
            .map(|(count, reason)| format!("{count} {reason}"))
            .collect();
        Self {
            count: counts.iter().map(|(count, _)| count).sum(),
            reason: reasons.join("; "),
        }
    }

    fn into_response(self, encoding: Encoding, kind: ExportKind) -> Response {
        let body = match encoding {
            Encoding::Json => self.to_json(kind).into_bytes(),
            Encoding::Protobuf => self.into_protobuf(kind),
        };
        ([(header::CONTENT_TYPE, encoding.content_type())], body).into_response()
    }

    fn to_json(&self, kind: ExportKind) -> String {
        if self.count == 0 {
            return "{}".to_owned();
        }
        let name = match kind {
            ExportKind::Traces => "rejectedSpans",
            ExportKind::Logs => "rejectedLogRecords",
        };
        // The JSON encoding of protobuf writes 64-bit integers as strings.
        json!({"partialSuccess": {name: self.count.to_string(), "errorMessage": self.reason}})
            .to_string()
    }

    fn into_protobuf(self, kind: ExportKind) -> Vec<u8> {
        let is_partial = self.count > 0;
        let count = i64::try_from(self.count).unwrap_or(i64::MAX);
        match kind {
            ExportKind::Traces => ExportTraceServiceResponse {
                partial_success: is_partial.then_some(ExportTracePartialSuccess {
                    rejected_spans: count,
                    error_message: self.reason,
                }),
            }
            .encode_to_vec(),
            ExportKind::Logs => ExportLogsServiceResponse {
                partial_success: is_partial.then_some(ExportLogsPartialSuccess {
                    rejected_log_records: count,
                    error_message: self.reason,
                }),
            }
            .encode_to_vec(),
        }
    }
}
