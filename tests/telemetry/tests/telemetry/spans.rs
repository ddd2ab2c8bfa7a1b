//! The spans of invocations: how they are nested, and what they contain.

use ppio_test_support::{AgentProcess, call};
use serde_json::{Value, json};

use crate::agents::exporting;
use crate::otlp::Span;
use crate::receiver::Receiver;

const SERVER: i32 = 2;
const INTERNAL: i32 = 1;
const CLIENT: i32 = 3;

const SESSION: (&str, &str) = ("x-amzn-bedrock-agentcore-runtime-session-id", "s-1");

async fn invoke(agent: &AgentProcess, headers: &[(&str, &str)], prompt: &str) -> call::Answer {
    call::invoke_with(agent, headers, &json!({"prompt": prompt})).await
}

/// Returns the children of a span, in the order of their starts.
fn children<'a>(spans: &'a [Span], parent: &Span) -> Vec<&'a Span> {
    let mut children: Vec<&Span> = spans.iter().filter(|it| it.parent == parent.id).collect();
    children.sort_by_key(|span| span.start);
    children
}

fn names<'a>(spans: &[&'a Span]) -> Vec<&'a str> {
    spans.iter().map(|span| &*span.name).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

const INVOCATION: &str = "invoke_agent telemetry-tests";

/// The spans of a chat's steps, tools and models are within the invocation's span and time.
#[tokio::test(flavor = "multi_thread")]
async fn the_span_of_a_chat_contains_its_tools_and_models() {
    let receiver = Receiver::start().await;
    let agent = exporting(&receiver).start();
    let events = ("accept", "text/event-stream");
    let answer = invoke(&agent, &[events, SESSION], "chat").await;
    assert_eq!(answer.items().await.len(), 14);
    let spans = receiver.spans(6).await;
    let invocation = named(&spans, INVOCATION);
    assert_eq!(invocation.kind, SERVER);
    assert_eq!(invocation.service, "telemetry-tests");
    assert_eq!(invocation.parent, "");
    assert!(!invocation.is_error);
    for (name, value) in [
        ("gen_ai.operation.name", json!("invoke_agent")),
        ("gen_ai.agent.name", json!("telemetry-tests")),
        ("gen_ai.conversation.id", json!("s-1")),
        ("session.id", json!("s-1")),
        ("gen_ai.usage.input_tokens", json!(300)),
        ("gen_ai.usage.output_tokens", json!(27)),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("http.request.method", json!("POST")),
        ("http.response.status_code", json!(200)),
        ("ppio.stream.items", json!(14)),
        ("error.type", Value::Null),
        ("gen_ai.input.messages", Value::Null),
        ("gen_ai.output.messages", Value::Null),
    ] {
        assert_eq!(invocation.get(name), &value, "{name}");
    }
    let in_invocation = children(&spans, invocation);
    assert_eq!(in_invocation.len(), 3);
    let step = named(&spans, "step plan");
    assert_eq!(step.parent, invocation.id);
    assert_eq!(
        names(&children(&spans, step)),
        ["chat", "execute_tool weather"]
    );
    let tool = named(&spans, "execute_tool weather");
    assert_eq!(tool.kind, INTERNAL);
    for (name, value) in [
        ("gen_ai.operation.name", json!("execute_tool")),
        ("gen_ai.tool.name", json!("weather")),
        ("gen_ai.tool.call.id", json!("c1")),
        ("gen_ai.tool.call.arguments", Value::Null),
        ("gen_ai.tool.call.result", Value::Null),
    ] {
        assert_eq!(tool.get(name), &value, "{name}");
    }
    let broken = named(&spans, "execute_tool broken");
    assert_eq!(broken.parent, invocation.id);
    assert!(broken.is_error && !tool.is_error);
    assert_eq!(broken.get("error.type"), "tool_error");
    let models = spans.iter().filter(|span| span.name == "chat");
    let mut models: Vec<&Span> = models.collect();
    models.sort_by_key(|span| span.start);
    assert_eq!(models[0].parent, step.id);
    assert_eq!(models[1].parent, invocation.id);
    for (model, input, output) in [(models[0], 100, 20), (models[1], 200, 7)] {
        assert_eq!(model.kind, CLIENT);
        assert_eq!(model.get("gen_ai.operation.name"), "chat");
        assert_eq!(model.get("gen_ai.usage.input_tokens"), input);
        assert_eq!(model.get("gen_ai.usage.output_tokens"), output);
    }
    for span in &spans {
        assert_eq!(span.trace, invocation.trace);
        assert!(
            invocation.start <= span.start && span.end <= invocation.end,
            "{span:?}"
        );
    }
}

/// The span records how an invocation ends, for every kind of answer.
#[tokio::test(flavor = "multi_thread")]
async fn the_span_records_how_an_invocation_ended() {
    for (prompt, status, error, is_error, tools) in [
        ("value", json!(200), Value::Null, false, &[][..]),
        ("refuse", json!(400), json!("BadRequest"), false, &[]),
        ("fail", json!(500), json!("AgentError"), true, &[]),
        (
            "fail-later",
            json!(500),
            json!("AgentError"),
            true,
            &["AgentError"],
        ),
        (
            "hang",
            Value::Null,
            json!("cancelled"),
            false,
            &["cancelled"],
        ),
        // The caller runs this tool.
        ("callers-tool", json!(200), Value::Null, false, &[]),
    ] {
        let receiver = Receiver::start().await;
        let agent = exporting(&receiver).start();
        let mut answer = invoke(&agent, &[("accept", "text/event-stream")], prompt).await;
        if prompt == "hang" {
            answer.next_text().await;
            drop(answer);
        } else {
            answer.text().await;
        }
        let invocation = receiver.span(INVOCATION).await;
        assert_eq!(
            invocation.get("http.response.status_code"),
            &status,
            "{prompt}"
        );
        assert_eq!(invocation.get("error.type"), &error, "{prompt}");
        assert_eq!(invocation.is_error, is_error, "{prompt}");
        assert!(agent.stop_gracefully().success());
        let spans = receiver.received().spans;
        let found: Vec<_> = children(&spans, &invocation);
        let found: Vec<_> = found.iter().map(|span| span.get("error.type")).collect();
        assert_eq!(found, tools, "{prompt}");
    }
}

/// A kept run has one span, which ends with the run; a request that joins the run has its own span.
#[tokio::test(flavor = "multi_thread")]
async fn a_kept_run_and_each_joining_request_have_a_span() {
    let receiver = Receiver::start().await;
    let agent = exporting(&receiver).start();
    let headers = [("accept", "text/event-stream"), ("idempotency-key", "k-1")];
    for _ in 0..2 {
        invoke(&agent, &headers, "chat").await.text().await;
    }
    // The span of the second request has no children.
    let spans = receiver.spans(7).await;
    let invocations = spans.iter().filter(|span| span.name == INVOCATION);
    let (joined, first): (Vec<&Span>, _) =
        invocations.partition(|span| span.get("ppio.run.joined") == true);
    assert_eq!((joined.len(), first.len()), (1, 1), "{spans:#?}");
    assert_eq!(first[0].get("gen_ai.usage.input_tokens"), 300);
    assert_eq!(
        first[0].get("ppio.request.id"),
        joined[0].get("ppio.request.id")
    );
    assert!(children(&spans, joined[0]).is_empty());
}

/// A protocol request has its own span, which contains that of the invocation.
#[tokio::test(flavor = "multi_thread")]
async fn the_span_of_a_protocol_request_contains_the_invocation() {
    for stream in [true, false] {
        let receiver = Receiver::start().await;
        let agent = exporting(&receiver).start();
        let request = json!({
            "model": "any", "stream": stream,
            "messages": [{"role": "user", "content": if stream { "chat" } else { "value" }}],
        });
        let headers = [("content-type", "application/json")];
        let path = "/v1/chat/completions";
        let answer = call::send(&agent, "POST", path, &headers, request.to_string()).await;
        assert_eq!(answer.status(), 200);
        answer.text().await;
        let request = receiver.span("POST openai").await;
        let invocation = receiver.span(INVOCATION).await;
        assert_eq!(request.kind, SERVER);
        assert_eq!(request.get("url.path"), path);
        assert_eq!(request.get("ppio.protocol"), "openai");
        assert_eq!(request.get("http.response.status_code"), 200);
        assert_eq!(invocation.parent, request.id);
        assert_eq!(invocation.kind, INTERNAL);
        assert!(request.start <= invocation.start && invocation.end <= request.end);
        if stream {
            assert_eq!(invocation.get("gen_ai.usage.output_tokens"), 27);
        }
    }
}

/// The messages of requests and answers are recorded only if a variable is set.
#[tokio::test(flavor = "multi_thread")]
async fn content_is_recorded_on_request() {
    const CAPTURE: &str = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT";
    for (prompt, output) in [("chat", "It is warm."), ("value", "forty-two")] {
        let receiver = Receiver::start().await;
        let agent = exporting(&receiver).env(CAPTURE, "true").start();
        let accept = if prompt == "chat" {
            "text/event-stream"
        } else {
            "*/*"
        };
        invoke(&agent, &[("accept", accept)], prompt)
            .await
            .text()
            .await;
        let invocation = receiver.span(INVOCATION).await;
        let text = |name| invocation.get(name).as_str().unwrap().to_owned();
        let asked = text("gen_ai.input.messages");
        assert!(asked.contains("user") && asked.contains(prompt), "{asked}");
        let answered: Value = serde_json::from_str(&text("gen_ai.output.messages")).unwrap();
        assert_eq!(answered[0]["role"], "assistant");
        assert_eq!(answered[0]["parts"][0]["content"], output);
        if prompt == "chat" {
            let tool = receiver.span("execute_tool weather").await;
            assert_eq!(tool.get("gen_ai.tool.call.arguments"), r#"{"city":"Rome"}"#);
            assert_eq!(tool.get("gen_ai.tool.call.result"), r#"{"degrees":20}"#);
        }
    }
}

/// A caller gets the same bytes with and without a receiver.
#[tokio::test(flavor = "multi_thread")]
async fn exporting_does_not_change_an_answer() {
    let receiver = Receiver::start().await;
    let (traced, silent) = (exporting(&receiver).start(), crate::agents::agent().start());
    for prompt in ["chat", "envelopes", "fail-later", "callers-tool"] {
        let headers = [("accept", "text/event-stream"), ("x-request-id", "r-1")];
        let traced = invoke(&traced, &headers, prompt).await.text().await;
        let silent = invoke(&silent, &headers, prompt).await.text().await;
        assert_eq!(traced, silent, "{prompt}");
    }
}
