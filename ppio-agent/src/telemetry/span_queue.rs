//! The bounded queue of ended spans, which counts the dropped spans.
//!
//! A span costs as much as answering a small request, most of it on the thread that exports. The
//! rate of exported spans is therefore bounded as well: no trace begins while the queue is full
//! ([`SpanQueue::is_full`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry::trace::SpanId;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};
use ppio_agent_protocol::environment;

use super::error::TelemetryError;

const MAX_QUEUE_SIZE: &str = "OTEL_BSP_MAX_QUEUE_SIZE";
const DEFAULT_QUEUE_SIZE: usize = 2048;
/// The maximum number of spans that are exported per second.
const MAX_SPANS_PER_SECOND: f64 = 5000.0;
/// The maximum number of traces that are exported per second. Only an agent that answers small
/// requests reaches this rate, and each of its traces costs about as much as the request.
const MAX_TRACES_PER_SECOND: f64 = 2000.0;
/// The maximum duration of one sleep of the thread that exports.
const MAX_SLEEP: Duration = Duration::from_millis(20);

/// The fill level of the queue of the SDK's processor, which does not report this level.
#[derive(Debug)]
pub(super) struct SpanQueue {
    capacity: usize,
    queued: AtomicUsize,
    dropped: AtomicU64,
    has_dropped: AtomicBool,
    /// Whether spans are sent without a rate limit, because the agent is shutting down.
    is_flushing: AtomicBool,
}

impl SpanQueue {
    pub(super) fn configured() -> Result<Self, TelemetryError> {
        let capacity = match environment::text(MAX_QUEUE_SIZE) {
            None => DEFAULT_QUEUE_SIZE,
            Some(value) => match value.parse() {
                Ok(capacity) if capacity > 0 => capacity,
                _ => {
                    return Err(TelemetryError::variable(
                        MAX_QUEUE_SIZE,
                        &value,
                        "set it to a number of spans, 1 or more",
                    ));
                }
            },
        };
        Ok(Self {
            capacity,
            queued: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
            has_dropped: AtomicBool::new(false),
            is_flushing: AtomicBool::new(false),
        })
    }

    pub(super) fn is_full(&self) -> bool {
        self.queued.load(Relaxed) >= self.capacity
    }

    /// Counts a span that is dropped at its end, or a trace that does not begin, because the queue
    /// is full. Logs a warning at the first call.
    pub(super) fn count_dropped(&self) {
        self.dropped.fetch_add(1, Relaxed);
        if !self.has_dropped.load(Relaxed) && !self.has_dropped.swap(true, Relaxed) {
            tracing::warn!(
                capacity = self.capacity,
                "the queue of spans is full; traces are dropped and counted until it has room"
            );
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Relaxed)
    }

    /// Exports without a rate limit from now on.
    pub(super) fn flush(&self) {
        self.is_flushing.store(true, Relaxed);
    }

    /// Blocks the thread that exports until a batch is within the rate limits.
    #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
    fn pace(&self, spans: usize, traces: usize, since: Instant) {
        let due = (spans as f64 / MAX_SPANS_PER_SECOND).max(traces as f64 / MAX_TRACES_PER_SECOND);
        let due = Duration::from_secs_f64(due);
        loop {
            let left = due.saturating_sub(since.elapsed());
            if left.is_zero() || self.is_flushing.load(Relaxed) {
                return;
            }
            std::thread::sleep(left.min(MAX_SLEEP));
        }
    }
}

/// The SDK's batch processor, with the limits of a [`SpanQueue`].
#[derive(Debug)]
pub(super) struct QueuedProcessor {
    queue: Arc<SpanQueue>,
    batches: BatchSpanProcessor,
}

impl QueuedProcessor {
    pub(super) fn new(queue: Arc<SpanQueue>, exporter: impl SpanExporter + 'static) -> Self {
        let exporter = CountedExporter {
            queue: Arc::clone(&queue),
            exporter,
        };
        // The builder reads `OTEL_BSP_*`.
        let batches = BatchConfigBuilder::default().with_max_queue_size(queue.capacity);
        let batches = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build());
        Self {
            queue,
            batches: batches.build(),
        }
    }
}

impl SpanProcessor for QueuedProcessor {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        if self.queue.queued.fetch_add(1, Relaxed) >= self.queue.capacity {
            self.queue.queued.fetch_sub(1, Relaxed);
            self.queue.count_dropped();
            return;
        }
        self.batches.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// Counts the spans that the processor takes out of the queue.
#[derive(Debug)]
struct CountedExporter<E> {
    queue: Arc<SpanQueue>,
    exporter: E,
}

impl<E: SpanExporter> SpanExporter for CountedExporter<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let (spans, since) = (batch.len(), Instant::now());
        let traces = batch.iter().filter(|span| is_local_root(span)).count();
        let result = self.exporter.export(batch).await;
        self.queue.pace(spans, traces, since);
        self.queue.queued.fetch_sub(spans, Relaxed);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// Whether the span is the first one of its trace in this process.
fn is_local_root(span: &SpanData) -> bool {
    span.parent_span_is_remote || span.parent_span_id == SpanId::INVALID
}
