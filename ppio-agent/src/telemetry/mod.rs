//! OpenTelemetry, with the feature `otel`: spans, metrics and logs over OTLP.
//!
//! The runtime creates its own spans with the SDK, since a span of `tracing` costs several times as
//! much; spans of the author's `tracing` macros become their children (`layers`). [`RequestTrace`]
//! is the span of one request, and does nothing without the feature or if nothing is exported.

#[cfg(feature = "otel")]
mod chat_spans;
#[cfg(feature = "otel")]
mod error;
#[cfg(feature = "otel")]
mod exporters;
#[cfg(feature = "otel")]
pub(crate) mod layers;
#[cfg(feature = "otel")]
mod metrics;
#[cfg(feature = "otel")]
mod otlp_client;
#[cfg(feature = "otel")]
mod propagation;
#[cfg(feature = "otel")]
mod provider;
#[cfg(feature = "otel")]
mod request_trace;
#[cfg(not(feature = "otel"))]
#[path = "no_request_trace.rs"]
mod request_trace;
#[cfg(feature = "otel")]
mod sampler;
#[cfg(feature = "otel")]
mod signal;
#[cfg(feature = "otel")]
mod span_queue;
mod trace_headers;

#[cfg(feature = "otel")]
pub use error::TelemetryError;
#[cfg(all(feature = "otel", feature = "metrics"))]
pub(crate) use provider::dropped_spans;
#[cfg(feature = "otel")]
pub(crate) use provider::{MAX_FLUSH, flush, flush_blocking, inject, start};
pub(crate) use request_trace::RequestTrace;
pub(crate) use trace_headers::{BAGGAGE, TRACE_HEADERS, TRACEPARENT, TRACESTATE, joined, trace_id};

use std::time::Duration;

use http::HeaderMap;

use crate::token_usage::TokenUsage;

/// Whether the current thread exports telemetry, so that its log lines are about exporting.
#[cfg(feature = "logging")]
pub(crate) fn is_sender_thread() -> bool {
    #[cfg(feature = "otel")]
    let is_sender = otlp_client::is_sender_thread();
    #[cfg(not(feature = "otel"))]
    let is_sender = false;
    is_sender
}

/// Returns the trace id of the current span, if the span is recorded.
#[cfg(feature = "logging")]
pub(crate) fn current_trace_id() -> Option<String> {
    #[cfg(feature = "otel")]
    {
        use opentelemetry::trace::TraceContextExt as _;

        let context = opentelemetry::Context::current();
        let span = context.span();
        let span = span.span_context();
        (span.is_valid() && span.is_sampled()).then(|| span.trace_id().to_string())
    }
    #[cfg(not(feature = "otel"))]
    None
}

/// The kind of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RequestKind {
    /// A request that calls the agent; its span is the span of the invocation.
    Invocation,
    /// A request that calls the agent over a WebSocket.
    #[cfg(feature = "websocket")]
    WebSocket,
    /// A request of a protocol, which may call the agent.
    #[cfg_attr(
        not(feature = "chat"),
        expect(dead_code, reason = "no protocol is built in")
    )]
    Protocol(&'static str),
    /// A request of the author's own routes.
    Route,
}

/// The kind, method, path and headers of a request, from which its span is created.
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "read by spans"))]
pub(crate) struct RequestHead<'a> {
    pub(crate) kind: RequestKind,
    pub(crate) method: &'a http::Method,
    pub(crate) path: &'a str,
    pub(crate) headers: &'a HeaderMap,
}

/// The result of an ended invocation.
#[cfg_attr(not(feature = "otel"), expect(dead_code, reason = "read by spans"))]
pub(crate) struct EndedInvocation<'a> {
    /// The HTTP status; `None` if the invocation was cancelled.
    pub(crate) status: Option<u16>,
    /// The type of the error that the invocation failed with.
    pub(crate) error_type: Option<&'a str>,
    /// Whether the agent, rather than its caller, caused the error.
    pub(crate) is_failure: bool,
    pub(crate) items: u64,
    pub(crate) tokens: TokenUsage,
    pub(crate) duration: Duration,
    /// Whether the invocation was a request of the author's own routes, which the exported metrics
    /// do not count.
    pub(crate) is_route: bool,
}
