//! The spans of an invocation that its chat events describe: steps, tool calls and model calls.

use std::time::SystemTime;

use opentelemetry::trace::{Span as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Array, Context, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SdkTracer;
use ppio_agent_protocol::{ChatEvent, FinishReason};

use crate::exchange::clipped::clipped;
use crate::token_usage::TokenUsage;

/// The maximum number of tool calls that wait for their results at the same time and get a span.
const MAX_OPEN_TOOLS: usize = 256;
/// The maximum number of nested steps that get a span.
const MAX_OPEN_STEPS: usize = 32;
/// The maximum length of the text of an attribute, in bytes.
const MAX_CONTENT: usize = 64 * 1024;

/// The spans that the events so far have begun.
#[derive(Default)]
pub(super) struct ChatSpans {
    steps: Vec<(String, Context)>,
    tools: Vec<OpenTool>,
    /// The start of the next model call that is recorded: the time of the last step start, tool
    /// result or usage. If there is none, the model call starts with the invocation.
    model_since: Option<SystemTime>,
    /// The tokens of all model calls.
    usage: Option<TokenUsage>,
    finish: Option<FinishReason>,
}

/// A tool call that has no result yet. Its span is created with the result, since the caller may
/// run the tool.
struct OpenTool {
    id: String,
    name: String,
    arguments: String,
    since: SystemTime,
    parent: Context,
}

/// The data from which spans are created.
pub(super) struct Recorder<'a> {
    pub(super) tracer: &'a SdkTracer,
    pub(super) invocation: &'a Context,
    pub(super) started: SystemTime,
    pub(super) captures_content: bool,
}

impl ChatSpans {
    /// Creates or ends the spans that an event begins or ends.
    pub(super) fn event(&mut self, event: ChatEvent, recorder: &Recorder<'_>) {
        match event {
            ChatEvent::StepStart { name } => self.start_step(name, recorder),
            ChatEvent::StepEnd { name } => {
                // Inner steps that have not ended end with this one.
                if let Some(index) = self.steps.iter().rposition(|(step, _)| *step == name) {
                    for (_, context) in self.steps.drain(index..).rev() {
                        context.span().end();
                    }
                }
            }
            ChatEvent::ToolCallStart { id, name } if self.tools.len() < MAX_OPEN_TOOLS => {
                let parent = self.parent(recorder).clone();
                self.tools.push(OpenTool {
                    id,
                    name,
                    arguments: String::new(),
                    since: opentelemetry::time::now(),
                    parent,
                });
            }
            ChatEvent::ToolCallArguments { id, delta } if recorder.captures_content => {
                if let Some(tool) = self.tools.iter_mut().find(|tool| tool.id == id) {
                    push_within(&mut tool.arguments, &delta);
                }
            }
            ChatEvent::ToolResult {
                id,
                result,
                is_error,
            } => {
                if let Some(index) = self.tools.iter().position(|tool| tool.id == id) {
                    let tool = self.tools.remove(index);
                    let result = recorder.captures_content.then(|| result.to_string());
                    tool.end(recorder, result, is_error.then_some("tool_error"));
                }
                self.model_since = Some(opentelemetry::time::now());
            }
            ChatEvent::Usage {
                input_tokens,
                output_tokens,
            } => {
                let usage = TokenUsage {
                    input_tokens,
                    output_tokens,
                };
                self.end_model_call(usage, recorder);
            }
            ChatEvent::Finish { reason } => self.finish = Some(reason),
            _ => {}
        }
    }

    fn parent<'a>(&'a self, recorder: &'a Recorder<'_>) -> &'a Context {
        self.steps
            .last()
            .map_or(recorder.invocation, |(_, context)| context)
    }

    fn start_step(&mut self, name: String, recorder: &Recorder<'_>) {
        self.model_since = Some(opentelemetry::time::now());
        if self.steps.len() >= MAX_OPEN_STEPS {
            return;
        }
        let parent = self.parent(recorder);
        let span = recorder
            .tracer
            .span_builder(format!("step {name}"))
            .with_kind(SpanKind::Internal)
            .start_with_context(recorder.tracer, parent);
        let context = parent.with_span(span);
        self.steps.push((name, context));
    }

    /// Creates the span of a model call, whose last event is the usage.
    fn end_model_call(&mut self, usage: TokenUsage, recorder: &Recorder<'_>) {
        let since = self.model_since.unwrap_or(recorder.started);
        let attributes = [
            KeyValue::new("gen_ai.operation.name", "chat"),
            KeyValue::new("gen_ai.usage.input_tokens", integer(usage.input_tokens)),
            KeyValue::new("gen_ai.usage.output_tokens", integer(usage.output_tokens)),
        ];
        let mut span = recorder
            .tracer
            .span_builder("chat")
            .with_kind(SpanKind::Client)
            .with_start_time(since)
            .with_attributes(attributes)
            .start_with_context(recorder.tracer, self.parent(recorder));
        span.end();
        self.usage.get_or_insert_default().add(usage);
        self.model_since = Some(opentelemetry::time::now());
    }

    /// Ends the open spans, and returns the attributes of the invocation. `error` is the type of
    /// the invocation's error. Without an error, a tool call that has no result gets no span, since
    /// the caller runs the tool.
    pub(super) fn end(&mut self, recorder: &Recorder<'_>, error: Option<&str>) -> Vec<KeyValue> {
        for tool in self.tools.drain(..) {
            if let Some(error) = error {
                tool.end(recorder, None, Some(error));
            }
        }
        for (_, context) in self.steps.drain(..).rev() {
            context.span().end();
        }
        let mut attributes = Vec::new();
        if let Some(usage) = self.usage {
            attributes.push(KeyValue::new(
                "gen_ai.usage.input_tokens",
                integer(usage.input_tokens),
            ));
            attributes.push(KeyValue::new(
                "gen_ai.usage.output_tokens",
                integer(usage.output_tokens),
            ));
        }
        if let Some(reason) = self.finish {
            let reasons = vec![StringValue::from(finish_reason(reason))];
            let reasons = Value::Array(Array::String(reasons));
            attributes.push(KeyValue::new("gen_ai.response.finish_reasons", reasons));
        }
        attributes
    }
}

impl OpenTool {
    fn end(self, recorder: &Recorder<'_>, result: Option<String>, error: Option<&str>) {
        let mut attributes = vec![
            KeyValue::new("gen_ai.operation.name", "execute_tool"),
            KeyValue::new("gen_ai.tool.name", self.name.clone()),
            KeyValue::new("gen_ai.tool.call.id", self.id),
            KeyValue::new("gen_ai.tool.type", "function"),
        ];
        if recorder.captures_content {
            attributes.push(KeyValue::new("gen_ai.tool.call.arguments", self.arguments));
        }
        if let Some(mut result) = result {
            truncate(&mut result);
            attributes.push(KeyValue::new("gen_ai.tool.call.result", result));
        }
        if let Some(error) = error {
            attributes.push(KeyValue::new("error.type", error.to_owned()));
        }
        let mut span = recorder
            .tracer
            .span_builder(format!("execute_tool {}", self.name))
            .with_kind(SpanKind::Internal)
            .with_start_time(self.since)
            .with_attributes(attributes)
            .start_with_context(recorder.tracer, &self.parent);
        if error.is_some() {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Appends text up to the maximum length of an attribute.
pub(super) fn push_within(text: &mut String, more: &str) {
    if text.len() < MAX_CONTENT {
        text.push_str(more);
        truncate(text);
    }
}

fn truncate(text: &mut String) {
    text.truncate(clipped(text, MAX_CONTENT).len());
}

fn finish_reason(reason: FinishReason) -> &'static str {
    match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_calls",
        FinishReason::ContentFilter => "content_filter",
        _ => "other",
    }
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
