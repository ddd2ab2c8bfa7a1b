//! Trace context in the headers of requests (W3C Trace Context and Baggage).

use std::borrow::Cow;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use ppio_agent_protocol::environment;

use super::error::TelemetryError;
use super::trace_headers::{BAGGAGE, TRACE_HEADERS, TRACEPARENT, TRACESTATE, joined};

const PROPAGATORS: &str = "OTEL_PROPAGATORS";

/// The headers that are read and written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Propagators {
    trace_context: bool,
    baggage: bool,
}

impl Propagators {
    /// Both kinds of headers, which is the default.
    pub(super) const ALL: Self = Self {
        trace_context: true,
        baggage: true,
    };

    pub(super) fn configured() -> Result<Self, TelemetryError> {
        let Some(text) = environment::text(PROPAGATORS) else {
            return Ok(Self::ALL);
        };
        let mut propagators = Self {
            trace_context: false,
            baggage: false,
        };
        for name in text.split(',') {
            match name.trim() {
                "tracecontext" => propagators.trace_context = true,
                "baggage" => propagators.baggage = true,
                "none" | "" => {}
                _ => {
                    return Err(TelemetryError::variable(
                        PROPAGATORS,
                        &text,
                        "set it to a list of `tracecontext` and `baggage`, or to `none`",
                    ));
                }
            }
        }
        Ok(propagators)
    }

    /// Returns the context that the headers of a request describe; an empty context if the headers
    /// describe none.
    pub(super) fn extract(self, headers: &HeaderMap) -> Context {
        // Comparing the few header names of a request costs less than hashing `name` for a lookup.
        let has = |name: &HeaderName| headers.keys().any(|found| found == name);
        let mut context = Context::new();
        if self.trace_context && has(&TRACEPARENT) {
            let received = ReceivedHeaders::of(headers, &TRACESTATE);
            context = TraceContextPropagator::new().extract_with_context(&context, &received);
        }
        if self.baggage && has(&BAGGAGE) {
            let received = ReceivedHeaders::of(headers, &BAGGAGE);
            context = BaggagePropagator::new().extract_with_context(&context, &received);
        }
        context
    }

    /// Sets the headers that propagate the current context. Returns `false` if the context has no
    /// span.
    pub(super) fn inject(self, headers: &mut HeaderMap) -> bool {
        Context::map_current(|context| {
            if !context.span().span_context().is_valid() {
                return false;
            }
            for name in TRACE_HEADERS {
                headers.remove(name);
            }
            let mut sent = SentHeaders(headers);
            if self.trace_context {
                TraceContextPropagator::new().inject_context(context, &mut sent);
            }
            if self.baggage && !context.baggage().is_empty() {
                BaggagePropagator::new().inject_context(context, &mut sent);
            }
            true
        })
    }
}

/// The headers of a request; the header in `list` may be repeated.
struct ReceivedHeaders<'a> {
    headers: &'a HeaderMap,
    list: (&'static HeaderName, Option<Cow<'a, str>>),
}

impl<'a> ReceivedHeaders<'a> {
    fn of(headers: &'a HeaderMap, list: &'static HeaderName) -> Self {
        Self {
            headers,
            list: (list, joined(headers, list)),
        }
    }
}

impl Extractor for ReceivedHeaders<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        if self.list.0 == key {
            return self.list.1.as_deref();
        }
        let mut values = self.headers.get_all(key).iter();
        let value = values.next()?.to_str().ok();
        // A header with two values is not used.
        value.filter(|_| values.next().is_none())
    }

    fn keys(&self) -> Vec<&str> {
        self.headers.keys().map(HeaderName::as_str).collect()
    }
}

struct SentHeaders<'a>(&'a mut HeaderMap);

impl Injector for SentHeaders<'_> {
    fn set(&mut self, key: &str, value: String) {
        // The value of `tracestate` may be empty; the header is then not set.
        if !value.is_empty()
            && let Ok(name) = HeaderName::try_from(key)
            && let Ok(value) = HeaderValue::try_from(value)
        {
            self.0.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TraceContextExt as _;

    use super::*;

    fn headers(list: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for &(name, value) in list {
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn extracted_context_is_injected_again() {
        let received = headers(&[
            ("traceparent", PARENT),
            ("tracestate", "a=1"),
            ("tracestate", "b=2"),
            ("baggage", "user=ann"),
            ("baggage", "tier=gold"),
        ]);
        let _guard = Propagators::ALL.extract(&received).attach();
        let mut sent = headers(&[("traceparent", "old"), ("accept", "text/plain")]);
        assert!(Propagators::ALL.inject(&mut sent));
        assert_eq!(sent["traceparent"], PARENT);
        assert_eq!(sent["tracestate"], "a=1,b=2");
        let baggage = sent["baggage"].to_str().unwrap();
        assert!(
            baggage.contains("user=ann") && baggage.contains("tier=gold"),
            "{baggage}"
        );
        assert_eq!(sent["accept"], "text/plain");
    }

    #[test]
    fn invalid_trace_headers_give_no_context() {
        for list in [
            &[][..],
            &[("traceparent", "")],
            &[(
                "traceparent",
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            )],
            &[("traceparent", PARENT), ("traceparent", PARENT)],
            &[("tracestate", "a=1")],
        ] {
            let context = Propagators::ALL.extract(&headers(list));
            assert!(!context.span().span_context().is_valid(), "{list:?}");
        }
    }
}
