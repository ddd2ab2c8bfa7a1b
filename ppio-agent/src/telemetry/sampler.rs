//! Selects the traces that are recorded: those that `OTEL_TRACES_SAMPLER` selects, and no new
//! traces while the queue is full.

use std::sync::Arc;

use opentelemetry::trace::{Link, SpanKind, TraceContextExt as _, TraceId, TraceState};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, SamplingResult, ShouldSample};
use ppio_agent_protocol::environment;

use super::error::TelemetryError;
use super::span_queue::SpanQueue;

const SAMPLER: &str = "OTEL_TRACES_SAMPLER";
const SAMPLER_ARG: &str = "OTEL_TRACES_SAMPLER_ARG";

/// Returns the sampler that the variables select. By default every trace is recorded, unless its
/// caller does not record it.
pub(super) fn configured() -> Result<Sampler, TelemetryError> {
    let Some(name) = environment::text(SAMPLER) else {
        return Ok(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)));
    };
    let (follows_parent, root) = match name.strip_prefix("parentbased_") {
        Some(root) => (true, root),
        None => (false, &*name),
    };
    let sampler = match root {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => Sampler::TraceIdRatioBased(ratio()?),
        _ => {
            return Err(TelemetryError::variable(
                SAMPLER,
                &name,
                "set it to `always_on`, `always_off` or `traceidratio`, or one of them with \
                 `parentbased_` in front",
            ));
        }
    };
    Ok(if follows_parent {
        Sampler::ParentBased(Box::new(sampler))
    } else {
        sampler
    })
}

fn ratio() -> Result<f64, TelemetryError> {
    let Some(value) = environment::text(SAMPLER_ARG) else {
        return Ok(1.0);
    };
    match value.parse() {
        Ok(ratio) if (0.0..=1.0).contains(&ratio) => Ok(ratio),
        _ => Err(TelemetryError::variable(
            SAMPLER_ARG,
            &value,
            "set it to a number from 0 to 1",
        )),
    }
}

/// A sampler that records no trace that begins in this process while the queue is full: a span that
/// is dropped at its end costs as much as an exported span, and leaves a gap in its trace.
#[derive(Debug, Clone)]
pub(super) struct SheddingSampler {
    pub(super) sampler: Sampler,
    pub(super) queue: Arc<SpanQueue>,
}

impl ShouldSample for SheddingSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        name: &str,
        kind: &SpanKind,
        attributes: &[KeyValue],
        links: &[Link],
    ) -> SamplingResult {
        let has_local_parent = parent.is_some_and(|parent| {
            let span = parent.span();
            let parent = span.span_context();
            parent.is_valid() && !parent.is_remote()
        });
        if !has_local_parent && self.queue.is_full() {
            self.queue.count_dropped();
            return SamplingResult {
                decision: SamplingDecision::Drop,
                attributes: Vec::new(),
                trace_state: TraceState::default(),
            };
        }
        let sampler = &self.sampler;
        sampler.should_sample(parent, trace_id, name, kind, attributes, links)
    }
}
