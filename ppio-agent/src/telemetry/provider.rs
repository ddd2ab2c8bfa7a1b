//! The telemetry that this process exports, set up once.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::resource::{EnvResourceDetector, TelemetryResourceDetector};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use ppio_agent_protocol::environment;
use tokio::sync::oneshot;

use super::error::TelemetryError;
use super::exporters;
use super::metrics::Metrics;
use super::otlp_client::OtlpSender;
use super::propagation::Propagators;
use super::sampler::{self, SheddingSampler};
use super::signal::TelemetrySignal;
use super::span_queue::{QueuedProcessor, SpanQueue};

static TELEMETRY: OnceLock<Telemetry> = OnceLock::new();

/// The exported signals, and the data that all spans have in common.
pub(super) struct Telemetry {
    /// The name of the agent.
    pub(super) agent: &'static str,
    /// The name of the span of an invocation.
    pub(super) invocation: &'static str,
    pub(super) propagators: Propagators,
    /// Whether spans contain the messages of requests and answers.
    pub(super) captures_content: bool,
    pub(super) traces: Option<Traces>,
    pub(super) metrics: Option<Metrics>,
    pub(super) logs: Option<SdkLoggerProvider>,
}

pub(super) struct Traces {
    pub(super) tracer: SdkTracer,
    pub(super) queue: Arc<SpanQueue>,
    provider: SdkTracerProvider,
}

/// Returns the telemetry of the process; `None` if nothing is exported.
#[inline]
pub(super) fn telemetry() -> Option<&'static Telemetry> {
    TELEMETRY.get()
}

/// Starts to export the signals that the `OTEL_*` variables select. Later calls have no effect.
pub(crate) fn start(agent: &'static str, version: &'static str) -> Result<(), TelemetryError> {
    if TELEMETRY.get().is_some() || flag("OTEL_SDK_DISABLED")? {
        return Ok(());
    }
    let mut exported = Vec::new();
    for signal in TelemetrySignal::ALL {
        if signal.is_exported()? {
            exported.push(signal);
        }
    }
    if exported.is_empty() {
        return Ok(());
    }
    let sender = OtlpSender::start(exported.iter().any(|signal| signal.uses_tls()))?;
    let resource = resource(agent, version);
    let is_exported = |signal| exported.contains(&signal);
    let traces = is_exported(TelemetrySignal::Traces).then(|| Traces::new(&sender, &resource));
    let metrics = is_exported(TelemetrySignal::Metrics)
        .then(|| Ok(Metrics::new(exporters::metrics(&sender)?, &resource, agent)));
    let logs = is_exported(TelemetrySignal::Logs).then(|| {
        let logs = SdkLoggerProvider::builder().with_resource(resource.clone());
        // The builder reads `OTEL_BLRP_*`.
        let logs = logs.with_batch_exporter(exporters::logs(&sender)?);
        Ok(logs.build())
    });
    let telemetry = Telemetry {
        agent,
        // The name is leaked once per process, so that spans can borrow it.
        invocation: format!("invoke_agent {agent}").leak(),
        propagators: Propagators::configured()?,
        captures_content: flag("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT")?,
        traces: traces.transpose()?,
        metrics: metrics.transpose()?,
        logs: logs.transpose()?,
    };
    if let (Some(metrics), Some(traces)) = (&telemetry.metrics, &telemetry.traces) {
        metrics.observe_dropped(Arc::clone(&traces.queue));
    }
    let _ = TELEMETRY.set(telemetry);
    Ok(())
}

impl Traces {
    fn new(sender: &OtlpSender, resource: &Resource) -> Result<Self, TelemetryError> {
        let queue = Arc::new(SpanQueue::configured()?);
        let sampler = SheddingSampler {
            sampler: sampler::configured()?,
            queue: Arc::clone(&queue),
        };
        let processor = QueuedProcessor::new(Arc::clone(&queue), exporters::spans(sender)?);
        let provider = SdkTracerProvider::builder()
            .with_resource(resource.clone())
            .with_sampler(sampler)
            .with_span_processor(processor)
            .build();
        Ok(Self {
            tracer: provider.tracer("ppio-agent"),
            queue,
            provider,
        })
    }
}

/// Returns the resource of the exported telemetry: the agent, with the attributes in
/// `OTEL_RESOURCE_ATTRIBUTES` and the name in `OTEL_SERVICE_NAME`.
fn resource(agent: &'static str, version: &'static str) -> Resource {
    let mut own = vec![KeyValue::new("service.name", agent)];
    if !version.is_empty() {
        own.push(KeyValue::new("service.version", version));
    }
    let resource = Resource::builder_empty()
        .with_attributes(own)
        .with_detectors(&[
            Box::new(TelemetryResourceDetector),
            Box::new(EnvResourceDetector::new()),
        ]);
    match environment::text("OTEL_SERVICE_NAME") {
        Some(name) => resource.with_service_name(name).build(),
        None => resource.build(),
    }
}

/// Returns the value of a boolean variable; `false` if the variable is not set.
fn flag(name: &str) -> Result<bool, TelemetryError> {
    match environment::text(name) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(value) => Err(TelemetryError::variable(
            name,
            &value,
            "set it to `true` or `false`",
        )),
    }
}

/// Sets the headers that propagate the current context. Returns `false` if the context has no span.
pub(crate) fn inject(headers: &mut HeaderMap) -> bool {
    let propagators = telemetry().map_or(Propagators::ALL, |telemetry| telemetry.propagators);
    propagators.inject(headers)
}

/// Returns the number of spans and traces that were dropped because the queue was full; `None` if
/// traces are not exported.
#[cfg(feature = "metrics")]
pub(crate) fn dropped_spans() -> Option<u64> {
    let traces = telemetry()?.traces.as_ref()?;
    Some(traces.queue.dropped())
}

/// The maximum time for which a shutdown waits for a receiver that does not respond.
pub(crate) const MAX_FLUSH: Duration = Duration::from_secs(5);

/// Sends the queued telemetry, and waits for at most `limit`.
pub(crate) async fn flush(limit: Duration) {
    let Some(telemetry) = telemetry() else {
        return;
    };
    let mut flushes = Vec::new();
    if let Some(traces) = &telemetry.traces {
        traces.queue.flush();
        let dropped = traces.queue.dropped();
        if dropped > 0 {
            tracing::warn!(
                dropped,
                "traces were not exported because the span queue was full"
            );
        }
        flushes.push(in_thread(|| traces.provider.force_flush()));
    }
    if let Some(metrics) = &telemetry.metrics {
        flushes.push(in_thread(|| metrics.provider.force_flush()));
    }
    if let Some(logs) = &telemetry.logs {
        flushes.push(in_thread(|| logs.force_flush()));
    }
    let all = async {
        for flush in flushes.into_iter().flatten() {
            let _ = flush.await;
        }
    };
    // A receiver that does not answer is not waited for beyond the limit.
    let _ = tokio::time::timeout(limit, all).await;
}

/// Like [`flush`], outside of a tokio runtime.
pub(crate) fn flush_blocking(limit: Duration) {
    if telemetry().is_none() {
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    if let Ok(runtime) = runtime {
        runtime.block_on(flush(limit));
    }
}

/// Runs a blocking flush on a thread of its own, since all threads of the runtime may be blocked.
/// Returns `None` if the thread cannot start.
fn in_thread<R>(flush: impl FnOnce() -> R + Send + 'static) -> Option<oneshot::Receiver<()>> {
    let (sender, done) = oneshot::channel();
    let thread = std::thread::Builder::new().spawn(move || {
        // The HTTP client of the exporter logs failures.
        flush();
        let _ = sender.send(());
    });
    thread.ok().map(|_| done)
}
