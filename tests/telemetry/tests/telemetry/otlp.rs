//! Decodes OTLP into types that tests compare.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use serde_json::{Value, json};

pub(crate) type Attributes = BTreeMap<String, Value>;

#[derive(Debug, Clone)]
pub(crate) struct Span {
    pub(crate) service: String,
    pub(crate) name: String,
    pub(crate) kind: i32,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) attributes: Attributes,
    pub(crate) is_error: bool,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Span {
    /// Returns an attribute, or null if it is missing.
    pub(crate) fn get(&self, name: &str) -> &Value {
        self.attributes.get(name).unwrap_or(&Value::Null)
    }
}

#[derive(Debug, Clone)]
pub(crate) struct LogRecord {
    pub(crate) body: Value,
    pub(crate) trace: String,
    pub(crate) span: String,
    pub(crate) attributes: Attributes,
}

/// A point of a histogram or a sum.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) metric: String,
    pub(crate) attributes: Attributes,
    pub(crate) count: u64,
    pub(crate) sum: f64,
}

pub(crate) fn spans(body: &[u8]) -> Vec<Span> {
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let service = service(of_resource.resource);
        for span in of_resource.scope_spans.into_iter().flat_map(|it| it.spans) {
            spans.push(Span {
                service: service.clone(),
                name: span.name,
                kind: span.kind,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                attributes: attributes(span.attributes),
                is_error: span.status.is_some_and(|status| status.code == 2),
                start: span.start_time_unix_nano,
                end: span.end_time_unix_nano,
            });
        }
    }
    spans
}

pub(crate) fn logs(body: &[u8]) -> Vec<LogRecord> {
    let request = ExportLogsServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_logs
        .into_iter()
        .flat_map(|it| it.scope_logs);
    let records = scopes.flat_map(|scope| scope.log_records);
    records
        .map(|record| LogRecord {
            body: value(record.body),
            trace: hex(&record.trace_id),
            span: hex(&record.span_id),
            attributes: attributes(record.attributes),
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "the sums are small")]
pub(crate) fn points(body: &[u8]) -> Vec<Point> {
    let request = ExportMetricsServiceRequest::decode(body).unwrap();
    let scopes = request
        .resource_metrics
        .into_iter()
        .flat_map(|it| it.scope_metrics);
    let mut points = Vec::new();
    for metric in scopes.flat_map(|scope| scope.metrics) {
        let name = metric.name;
        let point = |found, count, sum| Point {
            metric: name.clone(),
            attributes: attributes(found),
            count,
            sum,
        };
        match metric.data {
            Some(Data::Histogram(histogram)) => points.extend(
                histogram
                    .data_points
                    .into_iter()
                    .map(|it| point(it.attributes, it.count, it.sum.unwrap_or_default())),
            ),
            Some(Data::Sum(sum)) => points.extend(sum.data_points.into_iter().map(|it| {
                use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
                let sum = match it.value {
                    Some(Value::AsInt(number)) => number as f64,
                    Some(Value::AsDouble(number)) => number,
                    None => 0.0,
                };
                point(it.attributes, 0, sum)
            })),
            _ => {}
        }
    }
    points
}

fn service(resource: Option<Resource>) -> String {
    let attributes = attributes(resource.unwrap_or_default().attributes);
    attributes["service.name"].as_str().unwrap().to_owned()
}

fn hex(id: &[u8]) -> String {
    let digit = |bits: u8| char::from_digit(bits.into(), 16).unwrap();
    id.iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

fn attributes(list: Vec<KeyValue>) -> Attributes {
    let list = list.into_iter().map(|pair| (pair.key, value(pair.value)));
    let mut attributes = Attributes::new();
    for (name, value) in list {
        let earlier = attributes.insert(name.clone(), value);
        assert_eq!(earlier, None, "duplicate attribute {name}");
    }
    attributes
}

fn value(value: Option<AnyValue>) -> Value {
    use any_value::Value as Any;
    match value.and_then(|value| value.value) {
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::BoolValue(flag)) => json!(flag),
        Some(Any::ArrayValue(array)) => array
            .values
            .into_iter()
            .map(|it| self::value(Some(it)))
            .collect(),
        _ => Value::Null,
    }
}
