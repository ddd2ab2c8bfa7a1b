//! Converts the messages of OTLP to spans and log records.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord as OtlpLogRecord;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span as OtlpSpan;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};

use super::log_record::{LogRecord, take_text};
use super::shared_text::SharedText;
use super::span::{Attributes, MAX_ID, MAX_NAME, MAX_TEXT, Nanos, Span, SpanEvent};
use crate::dev::clipped::clipped;
use crate::log_level::LogLevel;

const TRACE_ID_LENGTH: usize = 16;
const SPAN_ID_LENGTH: usize = 8;

/// Returns the spans of a request, converted one by one; `None` for one whose ids are not valid.
pub(super) fn spans(request: ExportTraceServiceRequest) -> impl Iterator<Item = Option<Span>> {
    let resources = request.resource_spans.into_iter();
    resources.flat_map(|of_resource| {
        let service = service(of_resource.resource);
        let scopes = of_resource.scope_spans.into_iter();
        let spans = scopes.flat_map(|scope| scope.spans);
        spans.map(move |span| self::span(span, &service))
    })
}

/// Returns the log records of a request, converted one by one.
pub(super) fn log_records(request: ExportLogsServiceRequest) -> impl Iterator<Item = LogRecord> {
    let resources = request.resource_logs.into_iter();
    resources.flat_map(|of_resource| {
        let service = service(of_resource.resource);
        let scopes = of_resource.scope_logs.into_iter();
        scopes.flat_map(move |scope| {
            let target = scope.scope.map(|scope| scope.name).unwrap_or_default();
            let target = SharedText::from(clipped(target, MAX_NAME));
            let service = service.clone();
            let records = scope.log_records.into_iter();
            records.map(move |record| log_record(record, &service, &target))
        })
    })
}

fn span(span: OtlpSpan, service: &SharedText) -> Option<Span> {
    let status = span.status.unwrap_or_default();
    let events = span.events.into_iter().map(|event| SpanEvent {
        name: clipped(event.name, MAX_NAME),
        time: Nanos(event.time_unix_nano),
        attributes: attributes(event.attributes),
    });
    Some(Span {
        trace_id: id(&span.trace_id, TRACE_ID_LENGTH)?,
        id: id(&span.span_id, SPAN_ID_LENGTH)?,
        parent_id: id(&span.parent_span_id, SPAN_ID_LENGTH),
        name: clipped(span.name, MAX_NAME),
        kind: kind(span.kind),
        service: service.clone(),
        start: Nanos(span.start_time_unix_nano),
        end: Nanos(span.end_time_unix_nano.max(span.start_time_unix_nano)),
        is_error: status.code == StatusCode::Error as i32,
        status_message: clipped(status.message, MAX_TEXT),
        attributes: attributes(span.attributes),
        events: events.collect(),
    })
}

fn log_record(record: OtlpLogRecord, service: &SharedText, target: &SharedText) -> LogRecord {
    let mut fields = attributes(record.attributes);
    let mut take = |names: &[&str]| Some(clipped(take_text(&mut fields, names)?, MAX_ID));
    let run_id = take(&["ppio.request.id", "request_id"]);
    let session_id = take(&["session.id", "session_id"]);
    let time = match record.time_unix_nano {
        0 => record.observed_time_unix_nano,
        time => time,
    };
    LogRecord {
        timestamp: Nanos(time),
        level: match record.severity_number {
            0 => LogLevel::named(&record.severity_text).unwrap_or(LogLevel::Info),
            number => level_of_severity(number),
        },
        message: match value(record.body) {
            Value::String(text) => text,
            Value::Null => clipped(record.event_name, MAX_TEXT),
            other => clipped(other.to_string(), MAX_TEXT),
        },
        target: target.clone(),
        run_id,
        session_id,
        trace_id: id(&record.trace_id, TRACE_ID_LENGTH),
        span_id: id(&record.span_id, SPAN_ID_LENGTH),
        service: Some(service.clone()),
        fields,
    }
}

/// Returns the level of a severity number. Each severity of OTLP has four numbers; FATAL is an
/// error, and unknown numbers are [`LogLevel::Info`].
fn level_of_severity(number: i32) -> LogLevel {
    match number {
        1..=4 => LogLevel::Trace,
        5..=8 => LogLevel::Debug,
        13..=16 => LogLevel::Warn,
        17.. => LogLevel::Error,
        _ => LogLevel::Info,
    }
}

/// Returns an id as hexadecimal digits; `None` unless it has this length and is not zero.
fn id(bytes: &[u8], length: usize) -> Option<String> {
    if bytes.len() != length || bytes.iter().all(|&byte| byte == 0) {
        return None;
    }
    let mut text = String::with_capacity(length * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    Some(text)
}

fn kind(kind: i32) -> &'static str {
    match kind {
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "internal",
    }
}

fn service(resource: Option<Resource>) -> SharedText {
    let attributes = resource.unwrap_or_default().attributes.into_iter();
    let mut names = attributes.filter(|pair| pair.key == "service.name");
    let name = match names.next().map(|pair| value(pair.value)) {
        Some(Value::String(name)) => name,
        _ => "unknown_service".to_owned(),
    };
    clipped(name, MAX_NAME).into()
}

fn attributes(list: Vec<KeyValue>) -> Attributes {
    list.into_iter()
        .map(|pair| (clipped(pair.key, MAX_NAME), value(pair.value)))
        .collect()
}

fn value(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        None => Value::Null,
        Some(Any::StringValue(text)) => Value::String(clipped(text, MAX_TEXT)),
        Some(Any::BoolValue(flag)) => Value::Bool(flag),
        Some(Any::IntValue(number)) => Value::from(number),
        // NaN and the infinities are not numbers of JSON.
        Some(Any::DoubleValue(number)) => serde_json::Number::from_f64(number)
            .map_or_else(|| Value::String(number.to_string()), Value::Number),
        Some(Any::ArrayValue(array)) => {
            let values = array.values.into_iter();
            values.map(|item| self::value(Some(item))).collect()
        }
        Some(Any::KvlistValue(list)) => Value::Object(attributes(list.values)),
        Some(Any::BytesValue(bytes)) => json!({ "bytes": bytes.len() }),
        // An index into a table that only profiles have.
        Some(Any::StringValueStrindex(index)) => Value::from(index),
    }
}
