//! The headers of the current OpenTelemetry span (W3C Trace Context and Baggage).

use std::fmt::Write as _;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::{Baggage, BaggageExt as _};
use opentelemetry::trace::TraceContextExt as _;

use crate::platform::encode;

/// Returns the headers that make a request a part of the current trace, or none outside of a trace.
pub(super) fn current() -> HeaderMap {
    Context::map_current(headers)
}

fn headers(context: &Context) -> HeaderMap {
    let span = context.span();
    let span = span.span_context();
    if !span.is_valid() {
        return HeaderMap::new();
    }
    let parent = format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags()
    );
    let headers = [
        ("traceparent", parent),
        ("tracestate", span.trace_state().header()),
        ("baggage", list(context.baggage())),
    ];
    headers
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        // A value that no header can carry is left out.
        .filter_map(|(name, value)| {
            let value = HeaderValue::try_from(value).ok()?;
            Some((HeaderName::from_static(name), value))
        })
        .collect()
}

/// Returns the value of a `baggage` header.
fn list(baggage: &Baggage) -> String {
    let mut list = String::new();
    for (key, (value, metadata)) in baggage {
        if !list.is_empty() {
            list.push(',');
        }
        let written = write!(list, "{key}={}", encode(value.as_str()));
        debug_assert!(written.is_ok(), "writing to a `String` cannot fail");
        if !metadata.as_str().is_empty() {
            list.push(';');
            list.push_str(metadata.as_str());
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;
    use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

    use super::*;

    #[test]
    fn a_span_is_written_in_the_w3c_format() {
        let state = TraceState::from_key_value([("vendor", "1")]).unwrap();
        let span = SpanContext::new(
            TraceId::from_hex("0af7651916cd43dd8448eb211c80319c").unwrap(),
            SpanId::from_hex("b7ad6b7169203331").unwrap(),
            TraceFlags::SAMPLED,
            false,
            state,
        );
        let context = Context::new()
            .with_remote_span_context(span)
            .with_baggage([KeyValue::new("user", "Ann, Bob")]);
        let headers = headers(&context);
        assert_eq!(
            headers["traceparent"],
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        );
        assert_eq!(headers["tracestate"], "vendor=1");
        assert_eq!(headers["baggage"], "user=Ann%2C%20Bob");
    }

    #[test]
    fn there_are_no_headers_outside_of_a_trace() {
        assert!(headers(&Context::new()).is_empty());
    }
}
