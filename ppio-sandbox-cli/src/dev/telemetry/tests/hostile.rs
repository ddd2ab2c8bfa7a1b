//! Exports and log lines that would use up the memory.

use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use prost::encoding::{WireType, encode_key, encode_varint};
use serde_json::json;

use super::*;

/// Returns a field of protobuf with these bytes.
fn field(number: u32, content: &[u8]) -> Vec<u8> {
    let mut field = Vec::with_capacity(content.len() + 8);
    encode_key(number, WireType::LengthDelimited, &mut field);
    encode_varint(content.len() as u64, &mut field);
    field.extend_from_slice(content);
    field
}

/// Returns nested fields with these numbers, the first one outermost.
fn nested(numbers: &[u32], content: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    for number in numbers.iter().rev() {
        content = field(*number, &content);
    }
    content
}

fn logs(service: &str, target: &str, records: Vec<LogRecord>) -> Vec<u8> {
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", text(service))],
                ..Resource::default()
            }),
            scope_logs: vec![ScopeLogs {
                scope: Some(InstrumentationScope {
                    name: target.to_owned(),
                    ..InstrumentationScope::default()
                }),
                log_records: records,
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    request.encode_to_vec()
}

#[tokio::test]
async fn an_export_that_takes_much_memory_when_it_is_decoded_is_refused() {
    let telemetry = DevTelemetry::new();
    let empty = |number: u32, count: usize| field(number, &[]).repeat(count);
    // Wraps the content in the fields of a request, a resource and a scope.
    let in_scope = |content: &[u8]| nested(&[1, 2], content);
    let in_record = |number: u32, content: &[u8]| nested(&[1, 2, 2, number], content);
    let objects = |count| "{},".repeat(count) + "{}";
    for (what, target, content_type, body) in [
        ("records", LOGS, PROTOBUF, in_scope(&empty(2, 600_000))),
        ("spans", TRACES, PROTOBUF, in_scope(&empty(2, 500_000))),
        ("resources", LOGS, PROTOBUF, empty(1, 1_500_000)),
        (
            "attributes of a record",
            LOGS,
            PROTOBUF,
            nested(&[1, 2, 2], &empty(6, 2_000_000)),
        ),
        (
            "events",
            TRACES,
            PROTOBUF,
            nested(&[1, 2, 2], &empty(11, 2_000_000)),
        ),
        (
            "elements of an array",
            LOGS,
            PROTOBUF,
            in_record(5, &field(5, &empty(1, 4_000_000))),
        ),
        (
            "records of JSON",
            LOGS,
            JSON,
            format!(
                r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#,
                objects(600_000)
            )
            .into_bytes(),
        ),
        (
            "values of JSON",
            LOGS,
            JSON,
            format!(
                r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{"body":{{"no\"value":[{}0]}}}}]}}]}}]}}"#,
                "0,".repeat(2_000_000)
            )
            .into_bytes(),
        ),
    ] {
        let headers = [("content-type", content_type)];
        let (status, _, answer) = send(&telemetry, target, &headers, body).await;
        let answer = String::from_utf8_lossy(&answer);
        assert_eq!(status, 413, "{what}: {answer}");
        assert!(answer.contains("when it is decoded"), "{what}: {answer}");
    }
    // Fields in fields, up to the end of the body: the decoder has a limit.
    let mut deep = Vec::new();
    for _ in 0..20_000 {
        deep = field(1, &field(6, &field(2, &deep)));
    }
    let headers = [("content-type", PROTOBUF)];
    let (status, ..) = send(&telemetry, LOGS, &headers, in_record(6, &deep)).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_is_too_much_for_one_export_is_rejected_in_part() {
    let telemetry = DevTelemetry::new();
    let headers = [("content-type", PROTOBUF)];
    let body = nested(&[1, 2], &field(2, &[]).repeat(50_007));
    let (status, _, answer) = send(&telemetry, LOGS, &headers, body).await;
    assert_eq!(status, 200);
    let answer = ExportLogsServiceResponse::decode(&*answer).unwrap();
    let partial = answer.partial_success.expect("not all are kept");
    assert_eq!(partial.rejected_log_records, 7);
    assert_eq!(
        partial.error_message,
        "7 log records are too many for one export"
    );
    let body = nested(&[1, 2], &field(2, &[]).repeat(50_007));
    let (_, _, answer) = send(&telemetry, TRACES, &headers, body).await;
    let answer = ExportTraceServiceResponse::decode(&*answer).unwrap();
    let partial = answer.partial_success.expect("not all are kept");
    assert_eq!(partial.rejected_spans, 50_007);
    assert_eq!(
        partial.error_message,
        "50000 spans have no valid ids; 7 spans are too many for one export"
    );
}

#[tokio::test]
async fn long_texts_are_cut() {
    let telemetry = DevTelemetry::new();
    let long = "é".repeat(300_000);
    let record = LogRecord {
        body: Some(AnyValue {
            value: Some(text(&long)),
        }),
        attributes: vec![
            attribute("request_id", text(&long)),
            attribute("session.id", text(&long)),
            attribute(&long, text(&long)),
        ],
        trace_id: vec![1; 16],
        ..LogRecord::default()
    };
    let headers = [("content-type", PROTOBUF)];
    let body = logs(&long, &long, vec![record]);
    assert_eq!(send(&telemetry, LOGS, &headers, body).await.0, 200);
    log(
        &telemetry,
        &json!({
            "level": "INFO", "message": "m", "target": long, "request_id": long, "session_id": long,
            "trace_id": long, "span_id": long,
        })
        .to_string(),
    );
    let (_, found) = get(&telemetry, "/_ppio/dev/logs").await;
    let lengths = |value: &Value, limit: usize, names: &[&str]| {
        for name in names {
            let text = value[name].as_str().unwrap_or_default();
            assert!(text.ends_with('…') && text.len() <= limit, "{name}");
        }
    };
    let records = found["logs"].as_array().unwrap();
    assert_eq!(records.len(), 2);
    let exported = records.iter().find(|it| it["message"] != "m").unwrap();
    lengths(exported, 256 * 1024 + 3, &["message"]);
    lengths(exported, 1027, &["service", "target"]);
    lengths(exported, 259, &["run_id", "session_id"]);
    let (name, value) = exported["fields"]
        .as_object()
        .unwrap()
        .iter()
        .next()
        .unwrap();
    assert!(name.len() <= 1027 && value.as_str().unwrap().len() <= 256 * 1024 + 3);
    let printed = records.iter().find(|it| it["message"] == "m").unwrap();
    lengths(printed, 1027, &["target"]);
    let ids = ["run_id", "session_id", "trace_id", "span_id"];
    lengths(printed, 259, &ids);

    let mut all = with(
        span(2, 1, 0, &long, 0, 1),
        &[
            ("ppio.request.id", text(&long)),
            (long.as_str(), text(&long)),
        ],
    );
    all.status = Some(Status {
        message: long.clone(),
        code: 2,
    });
    post(&telemetry, vec![all]).await;
    let (_, found) = get(&telemetry, "/_ppio/dev/traces").await;
    lengths(&found["traces"][0], 1027, &["name"]);
    let run = found["traces"][0]["runs"][0].as_str().unwrap();
    assert!(run.len() <= 259, "{}", run.len());
    let (_, found) = get(
        &telemetry,
        &format!("/_ppio/dev/traces/{}", "02".repeat(16)),
    )
    .await;
    lengths(&found["spans"][0], 256 * 1024 + 3, &["status_message"]);
}

#[tokio::test]
async fn every_text_of_a_log_record_counts() {
    let limit = 100_000;
    let id = "i".repeat(200);
    for (fields, most) in [
        (json!({"request_id": id}), 200),
        (json!({"session_id": id}), 200),
        (json!({"trace_id": id, "span_id": id}), 140),
    ] {
        let telemetry = DevTelemetry::with_limits(StoreLimits {
            logs: limit,
            ..StoreLimits::default()
        });
        let mut line = json!({"level": "INFO", "message": "m"});
        let members = line.as_object_mut().unwrap();
        members.extend(fields.as_object().unwrap().clone());
        for _ in 0..500 {
            log(&telemetry, &line.to_string());
        }
        let (_, found) = get(&telemetry, "/_ppio/dev/logs").await;
        let kept = found["logs"].as_array().unwrap().len();
        assert!((100..=most).contains(&kept), "{kept}: {fields}");
    }
    let telemetry = DevTelemetry::with_limits(StoreLimits {
        logs: limit,
        ..StoreLimits::default()
    });
    let headers = [("content-type", PROTOBUF)];
    let body = logs(&id.repeat(4), "", vec![LogRecord::default(); 500]);
    assert_eq!(send(&telemetry, LOGS, &headers, body).await.0, 200);
    let (_, found) = get(&telemetry, "/_ppio/dev/logs").await;
    let kept = found["logs"].as_array().unwrap().len();
    assert!((50..=90).contains(&kept), "{kept}");
}

#[tokio::test]
async fn numbers_of_tokens_have_a_largest_sum() {
    let telemetry = DevTelemetry::new();
    let tokens = [
        ("gen_ai.operation.name", text("chat")),
        ("gen_ai.usage.input_tokens", Any::IntValue(i64::MAX)),
        ("gen_ai.usage.output_tokens", Any::IntValue(i64::MAX)),
    ];
    let spans = (1..=3).map(|id| with(span(1, id, 0, "chat", 0, 1), &tokens));
    post(&telemetry, spans.collect()).await;
    let (status, found) = get(&telemetry, "/_ppio/dev/traces").await;
    assert_eq!(status, 200);
    let tokens = &found["traces"][0]["tokens"];
    assert_eq!(*tokens, json!({"input": u64::MAX, "output": u64::MAX}));
}

#[tokio::test]
async fn a_span_that_is_too_large_creates_no_trace() {
    let telemetry = DevTelemetry::with_limits(StoreLimits {
        trace: 1000,
        ..StoreLimits::default()
    });
    let filler = [("filler", text(&"x".repeat(2000)))];
    for trace in 1..=3 {
        post(
            &telemetry,
            vec![with(span(trace, 1, 0, "span", 0, 1), &filler)],
        )
        .await;
    }
    post(&telemetry, vec![span(4, 1, 0, "small", 0, 1)]).await;
    assert_eq!(trace_ids(&telemetry, "").await, ["04"]);
}
