//! The propagation of traces from service to service.

use ppio_test_support::call;
use serde_json::json;

use crate::agents::{agent, exporting};
use crate::receiver::Receiver;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const INVOCATION: &str = "invoke_agent telemetry-tests";

/// The span is a child of the caller's span, and the parent of requests that the agent sends.
#[tokio::test(flavor = "multi_thread")]
async fn a_trace_passes_through_the_agent() {
    let receiver = Receiver::start().await;
    let agent = exporting(&receiver).start();
    let headers = [
        ("traceparent", PARENT),
        ("tracestate", "vendor=1"),
        ("baggage", "user=ann"),
    ];
    let request = json!({"prompt": "headers"});
    let answer = call::invoke_with(&agent, &headers, &request).await;
    let sent = answer.result().await.as_str().unwrap().to_owned();
    let span = receiver.span(INVOCATION).await;
    assert_eq!((&*span.trace, &*span.parent), (TRACE, "b7ad6b7169203331"));
    let parent = format!("traceparent: 00-{TRACE}-{}-01\r\n", span.id);
    for expected in [
        &*parent,
        "tracestate: vendor=1\r\n",
        "baggage: user=ann\r\n",
    ] {
        assert!(sent.contains(expected), "{expected} is not in {sent}");
    }
}

/// Headers are passed on without a receiver, and in a trace that the caller does not record.
#[tokio::test(flavor = "multi_thread")]
async fn headers_are_passed_on_even_if_no_span_is_recorded() {
    let agent = agent().start();
    let headers = [("traceparent", PARENT), ("baggage", "user=ann")];
    let request = json!({"prompt": "headers"});
    let answer = call::invoke_with(&agent, &headers, &request).await;
    let sent = answer.result().await;
    assert_eq!(
        sent,
        format!("traceparent: {PARENT}\r\nbaggage: user=ann\r\n")
    );
    let answer = call::invoke(&agent, &request).await;
    assert_eq!(answer.result().await, "");

    let receiver = Receiver::start().await;
    let agent = exporting(&receiver).start();
    let headers = [("traceparent", UNSAMPLED)];
    let answer = call::invoke_with(&agent, &headers, &request).await;
    let sent = answer.result().await.as_str().unwrap().to_owned();
    assert!(
        sent.starts_with(&format!("traceparent: 00-{TRACE}-")),
        "{sent}"
    );
    assert!(sent.ends_with("-00\r\n"), "{sent}");
    assert!(agent.stop_gracefully().success());
    assert!(receiver.received().spans.is_empty());
}

/// One agent calls another within a span that its author created.
#[tokio::test(flavor = "multi_thread")]
async fn one_trace_has_both_agents() {
    let receiver = Receiver::start().await;
    let second = exporting(&receiver)
        .env("OTEL_SERVICE_NAME", "second")
        .start();
    let first = exporting(&receiver)
        .env("OTEL_SERVICE_NAME", "first")
        .start();
    let request = json!({"prompt": format!("call {}", second.addr())});
    let answer = call::invoke(&first, &request).await.result().await;
    assert!(answer.as_str().unwrap().contains("forty-two"), "{answer}");
    let spans = receiver.spans(3).await;
    let of = |service: &str, name: &str| {
        let found = spans
            .iter()
            .find(|it| it.service == service && it.name == name);
        found.unwrap_or_else(|| panic!("no {name} of {service} in {spans:#?}"))
    };
    let outer = of("first", INVOCATION);
    let call = of("first", "call");
    let inner = of("second", INVOCATION);
    assert_eq!(call.parent, outer.id);
    assert_eq!(inner.parent, call.id);
    assert_eq!(inner.trace, outer.trace);
}
