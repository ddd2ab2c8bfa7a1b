//! The receiver: encodings, errors, and what is left out.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use serde_json::json;

use super::*;

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn every_encoding_of_an_export_is_the_same_trace() {
    let request = export(invocation(1, "run-1"));
    let protobuf = request.encode_to_vec();
    let json = serde_json::to_vec(&request).unwrap();
    let mut seen = Vec::new();
    for (content_type, coding, body) in [
        (PROTOBUF, "identity", protobuf.clone()),
        ("Application/X-Protobuf", "gzip", gzip(&protobuf)),
        (JSON, "identity", json.clone()),
        ("application/json; charset=utf-8", "GZIP", gzip(&json)),
    ] {
        let telemetry = DevTelemetry::new();
        let headers = [("content-type", content_type), ("content-encoding", coding)];
        let (status, answered, body) = send(&telemetry, TRACES, &headers, body).await;
        assert_eq!(status, 200, "{content_type}");
        if content_type.contains("json") {
            assert_eq!((&*answered, &*body), (JSON, &b"{}"[..]));
        } else {
            assert_eq!((&*answered, &*body), (PROTOBUF, &b""[..]));
        }
        let (_, trace) = get(
            &telemetry,
            &format!("/_ppio/dev/traces/{}", "01".repeat(16)),
        )
        .await;
        seen.push(trace);
    }
    assert!(seen.iter().all(|trace| *trace == seen[0]), "{seen:#?}");
}

/// The JSON is as a browser's SDK writes it, and differs from the JSON of the generated types.
#[tokio::test]
async fn json_may_leave_members_out_and_have_unknown_ones() {
    let telemetry = DevTelemetry::new();
    let body = json!({"resourceSpans": [{"new": 1, "scopeSpans": [{"spans": [{
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
        "name": "page", "startTimeUnixNano": "1544712660000000000", "endTimeUnixNano": 1_544_712_661_000_000_000_u64,
        "kind": 2, "status": {"code": 2}, "attributes": [{"key": "n", "value": {"intValue": "7"}}],
    }]}]}]});
    let headers = [("content-type", JSON)];
    let body = body.to_string().into_bytes();
    assert_eq!(send(&telemetry, TRACES, &headers, body).await.0, 200);
    let (_, trace) = get(
        &telemetry,
        "/_ppio/dev/traces/5b8efff798038103d269b633813fc60c",
    )
    .await;
    let found = &trace["spans"][0];
    assert_eq!(found["attributes"], json!({"n": 7}));
    assert_eq!(found["duration_ms"], 1000.0);
    assert_eq!(
        (&found["kind"], &found["is_error"]),
        (&json!("server"), &json!(true))
    );
    assert_eq!(trace["service"], "unknown_service");
}

#[tokio::test]
async fn an_export_that_cannot_be_read_is_refused() {
    let telemetry = DevTelemetry::new();
    let good = export(invocation(1, "run-1")).encode_to_vec();
    let cut = good[..good.len() - 3].to_vec();
    let cut_gzip = gzip(&good)[..40].to_vec();
    let zeros = vec![0; 9 * 1024 * 1024];
    for (content_type, coding, body, expected, says) in [
        (
            PROTOBUF,
            "identity",
            cut.clone(),
            400,
            "the body is not an OTLP export",
        ),
        (PROTOBUF, "gzip", cut_gzip, 400, "the body is not gzip"),
        (PROTOBUF, "gzip", cut, 400, "the body is not gzip"),
        (
            JSON,
            "identity",
            b"{\"resourceSpans\": [".to_vec(),
            400,
            "not an OTLP export: EOF",
        ),
        (
            JSON,
            "identity",
            b"{\"resourceSpans\": 3}".to_vec(),
            400,
            "not an OTLP export: invalid type",
        ),
        (
            PROTOBUF,
            "identity",
            zeros.clone(),
            413,
            "more than 8388608 bytes",
        ),
        (
            PROTOBUF,
            "gzip",
            gzip(&zeros),
            413,
            "more than 8388608 bytes",
        ),
        (
            PROTOBUF,
            "br",
            good.clone(),
            415,
            "the content encoding is \"br\"",
        ),
        (
            "text/plain",
            "identity",
            good,
            415,
            "the content type is \"text/plain\"",
        ),
    ] {
        let headers = [("content-type", content_type), ("content-encoding", coding)];
        let (status, answered, body) = send(&telemetry, TRACES, &headers, body).await;
        assert_eq!(status, expected, "{says}");
        // A `google.rpc.Status` in the encoding of the request.
        let of_request = if content_type == PROTOBUF {
            PROTOBUF
        } else {
            JSON
        };
        assert_eq!(answered, of_request, "{says}");
        let body = String::from_utf8_lossy(&body);
        assert!(
            body.contains(&says.replace('"', if of_request == JSON { "\\\"" } else { "\"" })),
            "{says}: {body}"
        );
        if of_request == JSON {
            assert_eq!(serde_json::from_str::<Value>(&body).unwrap()["code"], 3);
        } else {
            assert!(body.starts_with("\u{8}\u{3}\u{12}"), "{body:?}");
        }
    }
    assert_eq!(trace_ids(&telemetry, "").await, [""; 0]);
}

#[tokio::test]
async fn spans_without_valid_ids_are_rejected_and_the_others_kept() {
    let telemetry = DevTelemetry::new();
    let mut short = span(1, 2, 0, "short", 0, 1);
    short.trace_id.pop();
    let body = export(vec![
        span(1, 1, 0, "good", 0, 1),
        short,
        span(0, 3, 0, "zero", 0, 1),
    ]);
    let headers = [("content-type", PROTOBUF)];
    let (status, _, answer) = send(&telemetry, TRACES, &headers, body.encode_to_vec()).await;
    assert_eq!(status, 200);
    let answer = ExportTraceServiceResponse::decode(&*answer).unwrap();
    let partial = answer.partial_success.unwrap();
    assert_eq!(partial.rejected_spans, 2);
    assert_eq!(partial.error_message, "2 spans have no valid ids");
    let headers = [("content-type", JSON)];
    let body = serde_json::to_vec(&body).unwrap();
    let (_, _, answer) = send(&telemetry, TRACES, &headers, body).await;
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!(answer["partialSuccess"]["rejectedSpans"], "2");
    let (_, found) = get(&telemetry, "/_ppio/dev/traces").await;
    assert_eq!(found["traces"][0]["spans"], 1);
}

#[tokio::test]
async fn other_methods_are_refused() {
    let telemetry = DevTelemetry::new();
    for (method, target, allowed) in [
        ("GET", TRACES, "POST"),
        ("OPTIONS", LOGS, "POST"),
        ("POST", "/_ppio/dev/traces", "GET"),
        ("DELETE", "/_ppio/dev/logs", "GET"),
    ] {
        let request = Request::builder().method(method).uri(target);
        let request = request.body(Body::empty()).unwrap();
        let response = Arc::clone(&telemetry).respond(request).await;
        assert_eq!(
            response.status(),
            StatusCode::METHOD_NOT_ALLOWED,
            "{target}"
        );
        assert_eq!(response.headers()[header::ALLOW], allowed, "{target}");
    }
}
