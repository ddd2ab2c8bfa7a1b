//! What OTLP transports, as spans and log records.

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

use super::log_record::LogRecord;
use super::span::{Attributes, Nanos, Span, SpanEvent};
use crate::log_level::LogLevel;

const TRACE_ID_LENGTH: usize = 16;
const SPAN_ID_LENGTH: usize = 8;

/// The spans of a request, and the number of those whose ids are not valid.
pub(super) fn spans(request: ExportTraceServiceRequest) -> (Vec<Span>, usize) {
    let mut spans = Vec::new();
    let mut invalid = 0;
    for of_resource in request.resource_spans {
        let service = service(of_resource.resource);
        for span in of_resource.scope_spans.into_iter().flat_map(|it| it.spans) {
            match self::span(span, &service) {
                Some(span) => spans.push(span),
                None => invalid += 1,
            }
        }
    }
    (spans, invalid)
}

/// The log records of a request.
pub(super) fn log_records(request: ExportLogsServiceRequest) -> Vec<LogRecord> {
    let mut records = Vec::new();
    for of_resource in request.resource_logs {
        let service = service(of_resource.resource);
        for scope in of_resource.scope_logs {
            let target = scope.scope.map(|scope| scope.name).unwrap_or_default();
            let of_scope = scope.log_records.into_iter();
            records.extend(of_scope.map(|record| log_record(record, &service, &target)));
        }
    }
    records
}

fn span(span: OtlpSpan, service: &str) -> Option<Span> {
    let status = span.status.unwrap_or_default();
    let events = span.events.into_iter().map(|event| SpanEvent {
        name: event.name,
        time: Nanos(event.time_unix_nano),
        attributes: attributes(event.attributes),
    });
    Some(Span {
        trace_id: id(&span.trace_id, TRACE_ID_LENGTH)?,
        id: id(&span.span_id, SPAN_ID_LENGTH)?,
        parent_id: id(&span.parent_span_id, SPAN_ID_LENGTH),
        name: span.name,
        kind: kind(span.kind),
        service: service.to_owned(),
        start: Nanos(span.start_time_unix_nano),
        end: Nanos(span.end_time_unix_nano.max(span.start_time_unix_nano)),
        is_error: status.code == StatusCode::Error as i32,
        status_message: status.message,
        attributes: attributes(span.attributes),
        events: events.collect(),
    })
}

fn log_record(record: OtlpLogRecord, service: &str, target: &str) -> LogRecord {
    let mut fields = attributes(record.attributes);
    let mut take = |names: &[&str]| {
        let value = names.iter().find_map(|name| fields.remove(*name))?;
        value.as_str().map(str::to_owned)
    };
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
            Value::Null => record.event_name,
            other => other.to_string(),
        },
        target: target.to_owned(),
        run_id,
        session_id,
        trace_id: id(&record.trace_id, TRACE_ID_LENGTH),
        span_id: id(&record.span_id, SPAN_ID_LENGTH),
        service: Some(service.to_owned()),
        fields,
    }
}

/// A level by the number of a severity, four of which each level has.
fn level_of_severity(number: i32) -> LogLevel {
    match number {
        1..=4 => LogLevel::Trace,
        5..=8 => LogLevel::Debug,
        13..=16 => LogLevel::Warn,
        17.. => LogLevel::Error,
        _ => LogLevel::Info,
    }
}

/// An id as hexadecimal digits; `None` unless it has this length and is not zero.
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

fn service(resource: Option<Resource>) -> String {
    let attributes = resource.unwrap_or_default().attributes.into_iter();
    let mut names = attributes.filter(|pair| pair.key == "service.name");
    match names.next().map(|pair| value(pair.value)) {
        Some(Value::String(name)) => name,
        _ => "unknown_service".to_owned(),
    }
}

fn attributes(list: Vec<KeyValue>) -> Attributes {
    list.into_iter()
        .map(|pair| (pair.key, value(pair.value)))
        .collect()
}

fn value(value: Option<AnyValue>) -> Value {
    match value.and_then(|value| value.value) {
        None => Value::Null,
        Some(Any::StringValue(text)) => Value::String(text),
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
