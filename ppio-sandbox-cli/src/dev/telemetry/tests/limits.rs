//! The bounded memory.

use std::pin::pin;
use std::task::{Context, Waker};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use serde_json::json;
use tokio::task::JoinSet;

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
    let telemetry = DevTelemetry::with_limits(StoreLimits {
        traces: one * 3,
        trace: one * 2,
        logs: 5000,
    });
    for trace in 1..=5 {
        post(&telemetry, vec![large(trace)]).await;
    }
    assert_eq!(trace_ids(&telemetry, "").await, ["05", "04", "03"]);
    // A trace that does not end leaves room for other traces, and the answer has the number of
    // rejected spans.
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

#[tokio::test]
async fn a_snapshot_is_read_while_the_store_changes() {
    let telemetry = DevTelemetry::new();
    let add = async |id: u8| {
        post(&telemetry, vec![span(1, id, 0, "span", 0, 1)]).await;
        log(&telemetry, r#"{"level":"INFO","message":"m"}"#);
    };
    add(1).await;
    let before = telemetry.store.snapshot();
    add(2).await;
    let after = telemetry.store.snapshot();
    for (kept, count) in [(before, 1), (after, 2)] {
        let trace = kept.trace(&"01".repeat(16)).unwrap();
        assert_eq!((trace.spans.len(), kept.logs.len()), (count, count));
    }
}

/// Neither the search for the data nor the writing of the JSON delays the agent's output.
#[tokio::test]
async fn an_answer_is_written_outside_of_the_worker() {
    for target in ["logs", "traces", "runs/r", "traces/01"] {
        let telemetry = DevTelemetry::new();
        let request = Request::builder().uri(format!("/_ppio/dev/{target}"));
        let request = request.body(Body::empty()).unwrap();
        let mut answer = pin!(Arc::clone(&telemetry).respond(request));
        {
            let _held = telemetry.store.lock();
            let mut context = Context::from_waker(Waker::noop());
            let first = answer.as_mut().poll(&mut context);
            assert!(first.is_pending(), "{target}");
        }
        assert!(!answer.await.status().is_server_error(), "{target}");
    }
}

#[tokio::test]
async fn one_export_is_decoded_at_a_time() {
    let telemetry = DevTelemetry::new();
    let permit = Arc::clone(&telemetry.decoding).acquire_owned().await;
    let mut exports = JoinSet::new();
    for trace in 1..=5 {
        let telemetry = Arc::clone(&telemetry);
        exports.spawn(async move { post(&telemetry, invocation(trace, "run-1")).await });
    }
    // Each export reads its body, and waits.
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(trace_ids(&telemetry, "").await, [""; 0]);
    drop(permit);
    exports.join_all().await;
    assert_eq!(trace_ids(&telemetry, "").await.len(), 5);
}
