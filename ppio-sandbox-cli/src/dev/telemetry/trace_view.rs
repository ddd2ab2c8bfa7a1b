//! A trace as the API shows it: its spans in the order of a tree.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::span::{Attributes, Nanos, Span, SpanCategory, SpansById, milliseconds};
use super::trace::Trace;

/// The time by which a span may end later than its invocation without being marked: the function of
/// an invocation is dropped after the span of the invocation has ended.
const OUTLIVING_SLACK: Duration = Duration::from_millis(10);

/// A trace without its spans.
#[derive(Debug, Serialize)]
pub(super) struct TraceSummary<'a> {
    trace_id: &'a str,
    /// The name of the first span of the trace.
    name: &'a str,
    service: &'a str,
    started_at: Nanos,
    duration_ms: f64,
    spans: usize,
    /// The number of spans with an error.
    errors: usize,
    /// The number of spans for which there was no room.
    dropped_spans: usize,
    runs: &'a BTreeSet<String>,
    sessions: &'a BTreeSet<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<Tokens>,
}

/// The sums of the token counts in a trace.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Tokens {
    input: u64,
    output: u64,
}

/// A span, with its position in the tree.
#[derive(Debug, Serialize)]
pub(super) struct SpanView<'a> {
    span_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<&'a str>,
    /// The depth in the tree: 0 for a span whose parent is not in the trace, and for spans in
    /// or below a cycle.
    depth: usize,
    name: &'a str,
    category: SpanCategory,
    kind: &'static str,
    service: &'a str,
    started_at: Nanos,
    /// The time since the start of the trace, in milliseconds.
    offset_ms: f64,
    duration_ms: f64,
    is_error: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    status_message: &'a str,
    /// Whether the span continued after the invocation around it was answered.
    outlives_answer: bool,
    attributes: &'a Attributes,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    events: Vec<EventView<'a>>,
}

#[derive(Debug, Serialize)]
struct EventView<'a> {
    name: &'a str,
    offset_ms: f64,
    attributes: &'a Attributes,
}

impl<'a> TraceSummary<'a> {
    pub(super) fn new(trace_id: &'a str, trace: &'a Trace) -> Self {
        let first = first(&trace.spans);
        Self {
            trace_id,
            name: first.map_or("", |span| &span.name),
            service: first.map_or("", |span| &span.service),
            started_at: trace.start,
            duration_ms: milliseconds(trace.end.since(trace.start)),
            spans: trace.spans.len(),
            errors: trace.errors,
            dropped_spans: trace.dropped_spans,
            runs: &trace.runs,
            sessions: &trace.sessions,
            tokens: Tokens::of(&trace.spans),
        }
    }
}

impl Tokens {
    /// Returns the token counts of the model calls; if no model call has any, those of the
    /// invocations.
    fn of(spans: &SpansById) -> Option<Self> {
        let counted = |category| {
            let mut found = None;
            for span in spans.values().filter(|span| span.category() == category) {
                let (input, output) = (span.tokens("input"), span.tokens("output"));
                if input.is_some() || output.is_some() {
                    let tokens: &mut Self = found.get_or_insert_default();
                    tokens.input = tokens.input.saturating_add(input.unwrap_or_default());
                    tokens.output = tokens.output.saturating_add(output.unwrap_or_default());
                }
            }
            found
        };
        counted(SpanCategory::Model).or_else(|| counted(SpanCategory::Agent))
    }
}

/// Returns all spans of a trace: each before its children, siblings by their start.
pub(super) fn spans(trace: &Trace) -> Vec<SpanView<'_>> {
    // The times at which the invocations around the span ended, by depth.
    let mut answers: Vec<Option<Nanos>> = Vec::new();
    let tree = tree(&trace.spans).into_iter();
    tree.map(|(depth, span)| {
        answers.truncate(depth);
        let answered = answers.last().copied().flatten();
        let is_agent = span.category() == SpanCategory::Agent;
        answers.push(if is_agent { Some(span.end) } else { answered });
        let events = span.events.iter().map(|event| EventView {
            name: &event.name,
            offset_ms: milliseconds(event.time.since(trace.start)),
            attributes: &event.attributes,
        });
        SpanView {
            span_id: &span.id,
            parent_id: span.parent_id.as_deref(),
            depth,
            name: &span.name,
            category: span.category(),
            kind: span.kind,
            service: &span.service,
            started_at: span.start,
            offset_ms: milliseconds(span.start.since(trace.start)),
            duration_ms: milliseconds(span.duration()),
            is_error: span.is_error,
            status_message: &span.status_message,
            outlives_answer: answered
                .is_some_and(|answered| span.end.since(answered) > OUTLIVING_SLACK),
            attributes: &span.attributes,
            events: events.collect(),
        }
    })
    .collect()
}

/// Returns the earliest span that has no parent in the trace, otherwise the earliest span.
fn first(spans: &SpansById) -> Option<&Span> {
    let earlier = |a: &&Span, b: &&Span| (a.start, &a.id).cmp(&(b.start, &b.id));
    let all = || spans.values().map(Arc::as_ref);
    let roots = all().filter(|span| parent(span, spans).is_none());
    // Spans that are their own ancestors have no root.
    roots.min_by(earlier).or_else(|| all().min_by(earlier))
}

/// Returns the id of the span's parent, if the parent is in the trace.
fn parent<'a>(span: &'a Span, spans: &SpansById) -> Option<&'a str> {
    let parent = span.parent_id.as_deref();
    parent.filter(|parent| spans.contains_key(*parent))
}

/// Returns the spans with their depth, each before its children.
fn tree(spans: &SpansById) -> Vec<(usize, &Span)> {
    let mut children: BTreeMap<&str, Vec<&Span>> = BTreeMap::new();
    let mut roots = Vec::new();
    for span in spans.values().map(Arc::as_ref) {
        match parent(span, spans) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => roots.push(span),
        }
    }
    let latest_first = |spans: &mut Vec<&Span>| {
        spans.sort_by(|a, b| (b.start, &b.id).cmp(&(a.start, &a.id)));
    };
    children.values_mut().for_each(latest_first);
    latest_first(&mut roots);
    let mut open: Vec<_> = roots.into_iter().map(|root| (0, root)).collect();
    let mut ordered = Vec::with_capacity(spans.len());
    while let Some((depth, span)) = open.pop() {
        ordered.push((depth, span));
        let below = children.remove(span.id.as_str()).unwrap_or_default();
        open.extend(below.into_iter().map(|child| (depth + 1, child)));
    }
    // Spans that are their own ancestors are in no tree.
    let mut rest: Vec<_> = children.into_values().flatten().collect();
    latest_first(&mut rest);
    ordered.extend(rest.into_iter().rev().map(|span| (0, span)));
    ordered
}
