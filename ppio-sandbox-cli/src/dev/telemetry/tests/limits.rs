//! The bounded memory.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use serde_json::json;

use super::*;

#[tokio::test]
async fn the_oldest_are_dropped_when_the_memory_is_used_up() {
    let filler = "x".repeat(1000);
    let large = |trace: u8| {
        with(
            span(trace, 1, 0, "span", 0, 1),
            &[("filler", text(&filler))],
        )
    };
    let size = |spans| {
        let spans = otlp::spans(export(spans)).flatten();
        spans.map(|span| span.size()).sum::<usize>()
    };
    let one = size(vec![large(1)]);
    let telemetry = DevTelemetry::with_limits(Limits {
        traces: one * 3,
        trace: one * 2,
        logs: 5000,
    });
    for trace in 1..=5 {
        post(&telemetry, vec![large(trace)]).await;
    }
    assert_eq!(trace_ids(&telemetry, "").await, ["05", "04", "03"]);
    // One trace that does not end leaves room for others, and what is too much is said.
    let many = (2..=9).map(|id| with(span(5, id, 1, "more", 0, 1), &[("filler", text(&filler))]));
    let headers = [("content-type", PROTOBUF)];
    let body = export(many.collect()).encode_to_vec();
    let (_, _, answer) = send(&telemetry, TRACES, &headers, body).await;
    let answer = ExportTraceServiceResponse::decode(&*answer).unwrap();
    assert_eq!(answer.partial_success.unwrap().rejected_spans, 7);
    assert_eq!(trace_ids(&telemetry, "").await, ["05", "04"]);
    let (_, found) = get(&telemetry, "/_ppio/dev/traces").await;
    assert_eq!(
        (
            &found["traces"][0]["spans"],
            &found["traces"][0]["dropped_spans"]
        ),
        (&json!(2), &json!(7))
    );

    for number in 0..50 {
        log(
            &telemetry,
            &format!(r#"{{"level":"INFO","message":"{number}"}}"#),
        );
    }
    log(
        &telemetry,
        &format!(r#"{{"level":"INFO","message":"{}"}}"#, "x".repeat(9000)),
    );
    let (_, found) = get(&telemetry, "/_ppio/dev/logs").await;
    let logs = found["logs"].as_array().unwrap();
    assert!((5..20).contains(&logs.len()), "{}", logs.len());
    assert_eq!(logs.last().unwrap()["message"], "49");
}
