//! Metrics of invocations, with the names of `OpenTelemetry`'s semantic conventions.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{BoundHistogram, Histogram, MeterProvider as _};
use opentelemetry_otlp::MetricExporter;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;

use super::span_queue::SpanQueue;
use crate::token_usage::TokenUsage;

/// The bucket boundaries of durations in seconds, from a millisecond to an hour.
const DURATION_BOUNDARIES: [f64; 12] = [
    0.001, 0.004, 0.016, 0.064, 0.256, 1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 3600.0,
];
const TOKEN_BOUNDARIES: [f64; 12] = [
    1.0,
    4.0,
    16.0,
    64.0,
    256.0,
    1024.0,
    4096.0,
    16384.0,
    65536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
];

pub(super) struct Metrics {
    pub(super) provider: SdkMeterProvider,
    duration: Histogram<f64>,
    /// The duration of invocations without an error type, whose attributes are always the same.
    success_duration: BoundHistogram<f64>,
    tokens: Histogram<u64>,
    success: [KeyValue; 2],
}

impl Metrics {
    pub(super) fn new(exporter: MetricExporter, resource: &Resource, agent: &'static str) -> Self {
        // The builder reads `OTEL_METRIC_EXPORT_INTERVAL`.
        let provider = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_periodic_exporter(exporter)
            .build();
        let meter = provider.meter("ppio-agent");
        let success = [
            KeyValue::new("gen_ai.operation.name", "invoke_agent"),
            KeyValue::new("gen_ai.agent.name", agent),
        ];
        let duration = meter
            .f64_histogram("gen_ai.server.request.duration")
            .with_description("Time from the request to the end of the answer.")
            .with_unit("s")
            .with_boundaries(DURATION_BOUNDARIES.to_vec())
            .build();
        Self {
            success_duration: duration.bind(&success),
            duration,
            tokens: meter
                .u64_histogram("gen_ai.client.token.usage")
                .with_description("Tokens that the models of an invocation used.")
                .with_unit("{token}")
                .with_boundaries(TOKEN_BOUNDARIES.to_vec())
                .build(),
            success,
            provider,
        }
    }

    /// Exports the number of dropped spans and traces.
    pub(super) fn observe_dropped(&self, queue: Arc<SpanQueue>) {
        let meter = self.provider.meter("ppio-agent");
        meter
            .u64_observable_counter("otel.sdk.processor.span.processed")
            .with_description("Spans that were dropped because the span queue was full.")
            .with_unit("{span}")
            .with_callback(move |observer| {
                let reason = KeyValue::new("error.type", "queue_full");
                observer.observe(queue.dropped(), &[reason]);
            })
            .build();
    }

    pub(super) fn ended(&self, duration: Duration, error_type: Option<&str>) {
        let seconds = duration.as_secs_f64();
        match error_type {
            None => self.success_duration.record(seconds),
            Some(error) => {
                let [operation, agent] = self.success.clone();
                let error = KeyValue::new("error.type", error.to_owned());
                self.duration.record(seconds, &[operation, agent, error]);
            }
        }
    }

    /// Records the tokens of an invocation, unless the invocation reports none.
    pub(super) fn tokens(&self, tokens: TokenUsage) {
        if tokens == TokenUsage::default() {
            return;
        }
        for (kind, tokens) in [
            ("input", tokens.input_tokens),
            ("output", tokens.output_tokens),
        ] {
            let [operation, agent] = self.success.clone();
            let kind = KeyValue::new("gen_ai.token.type", kind);
            self.tokens.record(tokens, &[operation, agent, kind]);
        }
    }
}
