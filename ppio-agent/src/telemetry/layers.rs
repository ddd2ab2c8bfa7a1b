//! Exports the author's `tracing` spans and events as spans and logs of OpenTelemetry.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::level_filters::LevelFilter;
use tracing::{Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{Targets, filter_fn};
use tracing_subscriber::registry::LookupSpan;

use super::provider::telemetry;

/// The targets of the exporters' own log lines, which are not exported: each export would produce
/// more such lines.
const EXPORTER_TARGETS: [&str; 6] = [
    "ppio::telemetry",
    "opentelemetry",
    "hyper",
    "hyper_util",
    "hyper_rustls",
    "rustls",
];
/// The target of the spans that the runtime creates for subscribers without these layers.
const REQUEST_SPAN_TARGET: &str = "ppio::exchange::log_ids";

type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// Returns the layers for a subscriber; `None` if neither traces nor logs are exported. `logs`
/// selects the exported events.
pub(crate) fn layers<S>(logs: &Targets) -> Option<Vec<BoxedLayer<S>>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let telemetry = telemetry()?;
    let mut layers: Vec<BoxedLayer<S>> = Vec::new();
    if let Some(traces) = &telemetry.traces {
        let spans = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target(REQUEST_SPAN_TARGET, LevelFilter::OFF)
            .with_targets(EXPORTER_TARGETS.map(|target| (target, LevelFilter::OFF)));
        let layer = tracing_opentelemetry::layer()
            .with_tracer(traces.tracer.clone())
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_location(false);
        // Events are exported as logs.
        let is_exported = move |metadata: &Metadata<'_>| {
            metadata.is_span() && spans.would_enable(metadata.target(), metadata.level())
        };
        let spans = filter_fn(is_exported).with_max_level_hint(LevelFilter::INFO);
        layers.push(layer.with_filter(spans).boxed());
    }
    if let Some(provider) = &telemetry.logs {
        let exported = logs
            .clone()
            .with_targets(EXPORTER_TARGETS.map(|target| (target, LevelFilter::OFF)));
        let layer = OpenTelemetryTracingBridge::new(provider);
        layers.push(layer.with_filter(exported).boxed());
    }
    // An empty list would turn off the other layers as well.
    (!layers.is_empty()).then_some(layers)
}

/// Installs the layers as the subscriber of a program without the runtime's log, unless the program
/// has a subscriber.
#[cfg(not(feature = "logging"))]
pub(crate) fn install() {
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::util::SubscriberInitExt as _;

    let logs = Targets::new().with_default(LevelFilter::INFO);
    if let Some(layers) = layers(&logs) {
        // An error means that the program has a subscriber.
        let _ = tracing_subscriber::registry().with(layers).try_init();
    }
}
