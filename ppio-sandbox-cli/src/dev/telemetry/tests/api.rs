//! The API: trees, lists, filters and logs.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use serde_json::json;

use super::*;

#[tokio::test]
async fn a_trace_is_a_tree_with_its_tokens_and_what_outlived_the_answer() {
    let telemetry = DevTelemetry::new();
    post(&telemetry, invocation(1, "run-1")).await;
    // An export that is sent again, and a span that arrives late.
    post(&telemetry, invocation(1, "run-1")).await;
    let not_a_number = [("score", Any::DoubleValue(f64::NAN))];
    let late = span(1, 9, 8, "of a service", 30, 40);
    post(&telemetry, vec![with(late, &not_a_number)]).await;
    let (_, trace) = get(
        &telemetry,
        &format!("/_ppio/dev/traces/{}", "01".repeat(16)),
    )
    .await;
    let spans = trace["spans"].as_array().unwrap();
    let seen: Vec<_> = spans
        .iter()
        .map(|span| {
            let name = span["name"].as_str().unwrap();
            let category = span["category"].as_str().unwrap();
            let depth = span["depth"].as_u64().unwrap();
            (depth, name, category, span["outlives_answer"] == true)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (0, "invoke_agent my-agent", "agent", false),
            (1, "chat", "model", false),
            (1, "step plan", "step", false),
            (2, "execute_tool weather", "tool", false),
            (1, "search", "other", false),
            (1, "task", "task", true),
            (0, "of a service", "other", false),
        ]
    );
    let tool = &spans[3];
    assert_eq!(tool["status_message"], "no such city");
    assert_eq!(
        (&tool["offset_ms"], &tool["duration_ms"]),
        (&json!(20.0), &json!(30.0))
    );
    assert_eq!(spans[0]["attributes"]["score"], 0.5);
    assert_eq!(spans[6]["attributes"]["score"], "NaN");
    assert_eq!(trace["name"], "invoke_agent my-agent");
    assert_eq!(trace["tokens"], json!({"input": 120, "output": 15}));
    assert_eq!(
        (&trace["errors"], &trace["duration_ms"]),
        (&json!(1), &json!(900.0))
    );
    assert_eq!(trace["started_at"], "2026-11-26T10:00:00.000000000Z");
    assert_eq!(
        (&trace["runs"], &trace["service"]),
        (&json!(["run-1"]), &json!("my-agent"))
    );
}

#[tokio::test]
async fn spans_in_a_cycle_are_shown() {
    let telemetry = DevTelemetry::new();
    let spans = vec![
        span(1, 1, 2, "a", 0, 1),
        span(1, 2, 1, "b", 0, 1),
        span(1, 3, 3, "c", 0, 1),
    ];
    post(&telemetry, spans).await;
    let (_, trace) = get(
        &telemetry,
        &format!("/_ppio/dev/traces/{}", "01".repeat(16)),
    )
    .await;
    assert_eq!(trace["spans"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn traces_are_listed_newest_first_and_filtered() {
    let telemetry = DevTelemetry::new();
    let mut late = invocation(1, "run-1");
    for span in &mut late {
        span.start_time_unix_nano += 5_000_000_000;
    }
    post(&telemetry, late).await;
    let other = [
        ("ppio.request.id", text("run/2")),
        ("session.id", text("s&2")),
    ];
    post(
        &telemetry,
        vec![with(span(2, 1, 0, "invoke_agent", 0, 1), &other)],
    )
    .await;
    post(&telemetry, vec![span(3, 1, 0, "GET", 2000, 2001)]).await;
    for (query, expected) in [
        ("", &["01", "03", "02"][..]),
        ("?limit=1", &["01"]),
        ("?run=run-1", &["01"]),
        ("?run=run%2F2", &["02"]),
        ("?session=s%262", &["02"]),
        ("?session=s%262&run=run-1", &[]),
        ("?error=true", &["01"]),
        ("?error=false", &["03", "02"]),
        ("?since=2026-11-26T10:00:01Z", &["01", "03"]),
    ] {
        assert_eq!(trace_ids(&telemetry, query).await, expected, "{query}");
    }
    let (_, found) = get(&telemetry, "/_ppio/dev/runs/run%2F2").await;
    assert_eq!(found["run_id"], "run/2");
    assert_eq!(found["traces"][0]["spans"][0]["name"], "invoke_agent");
    let (_, found) = get(&telemetry, "/_ppio/dev/runs/unknown").await;
    assert_eq!((&found["traces"], &found["logs"]), (&json!([]), &json!([])));
    for (target, expected) in [
        ("/_ppio/dev/traces?limit=x", 400),
        ("/_ppio/dev/traces?sesion=s", 400),
        ("/_ppio/dev/traces?since=yesterday", 400),
        ("/_ppio/dev/logs?level=loud", 400),
        ("/_ppio/dev/traces/00", 404),
        ("/_ppio/dev/runs", 404),
        ("/_ppio/dev/runs/", 404),
        ("/_ppio/dev/other", 404),
        ("/_ppio/dev/", 404),
    ] {
        let (status, found) = get(&telemetry, target).await;
        assert_eq!(status, expected, "{target}");
        assert!(found["error"].is_string(), "{found}");
    }
}

#[tokio::test]
async fn the_log_of_a_run_has_its_lines_and_those_of_its_trace() {
    let telemetry = DevTelemetry::new();
    post(&telemetry, invocation(1, "run-1")).await;
    let line = |second: u8, level: &str, message: &str, ids: &str| {
        log(
            &telemetry,
            &format!(
                r#"{{"timestamp":"2026-11-26T10:00:{second:02}Z","level":"{level}","message":"{message}"{ids}}}"#
            ),
        );
    };
    line(1, "INFO", "started", r#","target":"ppio::server""#);
    line(
        3,
        "WARN",
        "in the run",
        r#","request_id":"run-1","session_id":"session-1""#,
    );
    line(
        4,
        "ERROR",
        "in another run",
        &format!(r#","request_id":"run-2","trace_id":"{}""#, "01".repeat(16)),
    );
    line(
        5,
        "DEBUG",
        "in its trace",
        &format!(r#","trace_id":"{}""#, "01".repeat(16)),
    );
    log(&telemetry, "not a log line");
    let exported = LogRecord {
        time_unix_nano: START + 2_000_000_000,
        severity_number: 9,
        body: Some(AnyValue {
            value: Some(text("exported")),
        }),
        attributes: vec![attribute("n", Any::IntValue(3))],
        trace_id: vec![1; 16],
        span_id: vec![3; 8],
        ..LogRecord::default()
    };
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            scope_logs: vec![ScopeLogs {
                log_records: vec![exported],
                ..ScopeLogs::default()
            }],
            ..ResourceLogs::default()
        }],
    };
    let headers = [("content-type", PROTOBUF)];
    let (status, ..) = send(&telemetry, LOGS, &headers, request.encode_to_vec()).await;
    assert_eq!(status, 200);
    for (target, expected) in [
        (
            "logs",
            &[
                "started",
                "exported",
                "in the run",
                "in another run",
                "in its trace",
            ][..],
        ),
        ("runs/run-1", &["exported", "in the run", "in its trace"]),
        ("logs?run=run-1&level=warn", &["in the run"]),
        ("logs?session=session-1", &["in the run"]),
        ("logs?target=ppio%3A%3Aserver", &["started"]),
        (
            "logs?since=2026-11-26T10:00:04Z",
            &["in another run", "in its trace"],
        ),
    ] {
        let (_, found) = get(&telemetry, &format!("/_ppio/dev/{target}")).await;
        let logs = found["logs"].as_array().unwrap().iter();
        let messages: Vec<_> = logs
            .map(|record| record["message"].as_str().unwrap())
            .collect();
        assert_eq!(messages, expected, "{target}");
    }
    let (_, found) = get(&telemetry, "/_ppio/dev/runs/run-1").await;
    let exported = &found["logs"][0];
    assert_eq!(exported["fields"], json!({"n": 3}));
    assert_eq!(exported["span_id"], "03".repeat(8));
}
