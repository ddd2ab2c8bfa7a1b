//! Propagates the trace of a request to the calls that an agent makes.

use http::HeaderMap;

use crate::exchange::context::AgentRuntimeContext;
use crate::telemetry::{TRACE_HEADERS, joined};

/// Sets the headers that make an agent's outgoing request a part of the current trace:
/// `traceparent`, `tracestate` and `baggage`.
///
/// With the feature `otel` the headers name the current span: a `tracing` span, the span of a tool,
/// or the span of the invocation. If there is no such span, the trace headers of the current
/// request are passed on. Without a span and outside of a request, `headers` is not changed.
///
/// ```
/// use ppio::http::HeaderMap;
///
/// #[ppio::entrypoint]
/// async fn agent(city: String) -> String {
///     let mut headers = HeaderMap::new();
///     ppio::trace::inject(&mut headers);
///     // reqwest: client.get(url).headers(headers)
///     weather(&city, headers).await
/// }
/// # async fn weather(_: &str, _: HeaderMap) -> String { String::new() }
/// ```
pub fn inject(headers: &mut HeaderMap) {
    #[cfg(feature = "otel")]
    if crate::telemetry::inject(headers) {
        return;
    }
    let Some(context) = AgentRuntimeContext::current() else {
        return;
    };
    for name in TRACE_HEADERS {
        if let Some(value) = joined(context.headers(), name)
            && let Ok(value) = http::HeaderValue::try_from(&*value)
        {
            headers.insert(name, value);
        }
    }
}

/// Returns a layer that exports the spans and the log of the program's own subscriber; the default
/// log has this layer. The layer exports nothing if it is created before
/// [`start_telemetry`](crate::AgentRuntimeApp::start_telemetry), or if that method finds no target
/// for the export.
///
/// Spans of the level `info` and above are exported, and the events that `log` selects: a level, or
/// targets with levels as in [`RuntimeConfig::log`](crate::RuntimeConfig::log).
///
/// ```no_run
/// use tracing_subscriber::layer::SubscriberExt as _;
/// use tracing_subscriber::util::SubscriberInitExt as _;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let app = ppio::AgentRuntimeApp::annotated()?;
/// app.start_telemetry()?;
/// tracing_subscriber::registry()
///     .with(tracing_subscriber::fmt::layer())
///     .with(ppio::trace::layer(&"info".parse()?))
///     .init();
/// app.run()?;
/// # Ok(()) }
/// ```
#[cfg(feature = "otel")]
pub fn layer<S>(
    log: &tracing_subscriber::filter::Targets,
) -> impl tracing_subscriber::Layer<S> + Send + Sync
where
    S: tracing::Subscriber + for<'a> tracing_subscriber::registry::LookupSpan<'a> + Send + Sync,
{
    crate::telemetry::layers::layers(log)
}
