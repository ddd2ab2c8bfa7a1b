//! Exports, and what the API returns for them.

mod api;
mod exports;
mod hostile;
mod limits;

use axum::body::Body;
use http_body_util::BodyExt as _;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message as _;
use serde_json::Value;

use super::*;

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";
const TRACES: &str = "/_ppio/dev/otlp/v1/traces";
const LOGS: &str = "/_ppio/dev/otlp/v1/logs";
/// 2026-11-26T10:00:00Z, in nanoseconds since the Unix epoch.
const START: u64 = 1_795_687_200_000_000_000;

/// Returns a span of the trace with this number, from one millisecond to another.
fn span(trace: u8, id: u8, parent: u8, name: &str, from: u64, to: u64) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: vec![id; 8],
        parent_span_id: if parent == 0 { vec![] } else { vec![parent; 8] },
        name: name.to_owned(),
        kind: 1,
        start_time_unix_nano: START + from * 1_000_000,
        end_time_unix_nano: START + to * 1_000_000,
        ..Span::default()
    }
}

fn with(mut span: Span, attributes: &[(&str, Any)]) -> Span {
    span.attributes = attributes
        .iter()
        .map(|(key, value)| attribute(key, value.clone()))
        .collect();
    span
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn text(text: &str) -> Any {
    Any::StringValue(text.to_owned())
}

fn export(spans: Vec<Span>) -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: vec![attribute("service.name", text("my-agent"))],
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

/// Returns the trace of an invocation with a step, a tool that fails, a model, and a task that
/// continues.
fn invocation(trace: u8, run: &str) -> Vec<Span> {
    let operation = |name| ("gen_ai.operation.name", text(name));
    let mut tool = with(
        span(trace, 3, 2, "execute_tool weather", 20, 50),
        &[operation("execute_tool")],
    );
    tool.status = Some(Status {
        message: "no such city".to_owned(),
        code: 2,
    });
    let model = [
        operation("chat"),
        ("gen_ai.usage.input_tokens", Any::IntValue(120)),
        ("gen_ai.usage.output_tokens", Any::IntValue(15)),
    ];
    let agent = [
        operation("invoke_agent"),
        ("ppio.request.id", text(run)),
        ("session.id", text("session-1")),
        ("gen_ai.usage.input_tokens", Any::IntValue(120)),
        ("score", Any::DoubleValue(0.5)),
    ];
    vec![
        tool,
        with(span(trace, 4, 1, "chat", 0, 10), &model),
        span(trace, 2, 1, "step plan", 15, 60),
        with(span(trace, 1, 0, "invoke_agent my-agent", 0, 100), &agent),
        span(trace, 5, 1, "task", 70, 900),
        // Dropped right after the invocation.
        span(trace, 6, 1, "search", 60, 105),
    ]
}

async fn send(
    telemetry: &Arc<DevTelemetry>,
    target: &str,
    headers: &[(&str, &str)],
    body: Vec<u8>,
) -> (u16, String, Vec<u8>) {
    let method = if target.contains("/otlp/") {
        "POST"
    } else {
        "GET"
    };
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::from(body)).unwrap();
    let response = Arc::clone(telemetry).respond(request).await;
    let status = response.status().as_u16();
    let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
    let content_type = content_type.to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, content_type, body.to_vec())
}

async fn post(telemetry: &Arc<DevTelemetry>, spans: Vec<Span>) {
    let body = export(spans).encode_to_vec();
    let (status, ..) = send(telemetry, TRACES, &[("content-type", PROTOBUF)], body).await;
    assert_eq!(status, 200);
}

async fn get(telemetry: &Arc<DevTelemetry>, target: &str) -> (u16, Value) {
    let (status, content_type, body) = send(telemetry, target, &[], Vec::new()).await;
    assert_eq!(content_type, JSON, "{target}");
    (status, serde_json::from_slice(&body).unwrap())
}

fn log(telemetry: &DevTelemetry, line: &str) {
    telemetry.log_line(line.into());
}

async fn trace_ids(telemetry: &Arc<DevTelemetry>, query: &str) -> Vec<String> {
    let (status, found) = get(telemetry, &format!("/_ppio/dev/traces{query}")).await;
    assert_eq!(status, 200, "{found}");
    let traces = found["traces"].as_array().unwrap().iter();
    traces
        .map(|trace| trace["trace_id"].as_str().unwrap()[..2].to_owned())
        .collect()
}
