//! Metrics and logs.

use ppio_test_support::{call, eventually_some};
use serde_json::{Value, json};

use crate::agents::exporting;
use crate::receiver::Receiver;

const INVOCATION: &str = "invoke_agent telemetry-tests";

/// Log records belong to the span of their invocation, including those of middleware.
#[tokio::test(flavor = "multi_thread")]
async fn log_records_have_the_ids_of_their_span() {
    let receiver = Receiver::start().await;
    let agent = exporting(&receiver).start();
    let request = json!({"prompt": "log"});
    call::invoke_with(&agent, &[("x-log", "1")], &request)
        .await
        .text()
        .await;
    let span = receiver.span(INVOCATION).await;
    for (text, answer) in [("in the agent", json!(42)), ("in middleware", Value::Null)] {
        let record = eventually_some(text, async || {
            let logs = receiver.received().logs.into_iter();
            logs.into_iter().find(|record| record.body == text)
        })
        .await;
        assert_eq!(
            (&record.trace, &record.span),
            (&span.trace, &span.id),
            "{text}"
        );
        let found = record.attributes.get("answer").unwrap_or(&Value::Null);
        assert_eq!(found, &answer);
        // The agent's own log contains the trace as well.
        let trace = format!(r#""trace_id":"{}""#, span.trace);
        let log = agent.stderr();
        let line = log.lines().find(|line| line.contains(text)).unwrap();
        assert!(line.contains(&trace), "{line}");
    }
}

/// Invocations are counted whether or not their traces are recorded.
#[tokio::test(flavor = "multi_thread")]
async fn metrics_do_not_depend_on_traces() {
    for (variable, value) in [
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_TRACES_EXPORTER", "none"),
    ] {
        let receiver = Receiver::start().await;
        let agent = exporting(&receiver).env(variable, value).start();
        let events = [("accept", "text/event-stream")];
        call::invoke_with(&agent, &events, &json!({"prompt": "chat"}))
            .await
            .text()
            .await;
        assert!(agent.stop_gracefully().success());
        let found = receiver.received();
        assert!(found.spans.is_empty());
        let count = |metric: &str| {
            let points = found.points.iter().filter(|point| point.metric == metric);
            points
                .map(|point| (point.count, point.sum))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            count("gen_ai.server.request.duration")[0].0,
            1,
            "{variable}"
        );
        let mut tokens = count("gen_ai.client.token.usage");
        tokens.sort_by(|a, b| a.1.total_cmp(&b.1));
        assert_eq!(tokens, [(1, 27.0), (1, 300.0)], "{variable}");
    }
}

/// A shutdown sends everything, including what no timer would have sent yet.
#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_exports_everything() {
    let receiver = Receiver::start().await;
    let agent = exporting(&receiver)
        .env("OTEL_BSP_SCHEDULE_DELAY", "3600000")
        .env("OTEL_BLRP_SCHEDULE_DELAY", "3600000")
        .env("OTEL_METRIC_EXPORT_INTERVAL", "3600000")
        .start();
    let events = [("accept", "text/event-stream")];
    call::invoke_with(&agent, &events, &json!({"prompt": "chat"}))
        .await
        .text()
        .await;
    call::invoke(&agent, &json!({"prompt": "fail"}))
        .await
        .text()
        .await;
    assert!(receiver.received().spans.is_empty());
    assert!(agent.stop_gracefully().success());
    let found = receiver.received();
    assert_eq!(found.spans.len(), 7);
    let failed = |record: &crate::otlp::LogRecord| record.body == "invocation failed";
    assert!(found.logs.iter().any(failed), "{:#?}", found.logs);
    let sum = |metric: &str, attribute: (&str, Value)| {
        let points = found.points.iter().filter(|point| {
            let found = point.attributes.get(attribute.0).unwrap_or(&Value::Null);
            point.metric == metric && *found == attribute.1
        });
        points.fold((0, 0.0), |(count, sum), point| {
            (count + point.count, sum + point.sum)
        })
    };
    let duration = "gen_ai.server.request.duration";
    assert_eq!(sum(duration, ("error.type", Value::Null)).0, 1);
    assert_eq!(sum(duration, ("error.type", json!("AgentError"))).0, 1);
    let tokens = "gen_ai.client.token.usage";
    assert_eq!(
        sum(tokens, ("gen_ai.token.type", json!("input"))),
        (1, 300.0)
    );
    assert_eq!(
        sum(tokens, ("gen_ai.token.type", json!("output"))),
        (1, 27.0)
    );
}
