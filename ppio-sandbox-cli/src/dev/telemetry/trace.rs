//! One trace, with the spans that have arrived so far.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::span::{MAX_ID, Nanos, Span, SpansById};
use crate::dev::clipped::clipped;

/// The spans of one trace that have arrived.
#[derive(Debug, Clone)]
pub(super) struct Trace {
    pub(super) spans: SpansById,
    pub(super) bytes: usize,
    /// The number of spans for which the trace had no room.
    pub(super) dropped_spans: usize,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    /// The number of spans with an error.
    pub(super) errors: usize,
    pub(super) runs: BTreeSet<String>,
    pub(super) sessions: BTreeSet<String>,
}

impl Trace {
    pub(super) fn new(span: &Span) -> Self {
        Self {
            spans: SpansById::new(),
            bytes: 0,
            dropped_spans: 0,
            start: span.start,
            end: span.end,
            errors: 0,
            runs: BTreeSet::new(),
            sessions: BTreeSet::new(),
        }
    }

    pub(super) fn add(&mut self, span: Span) {
        self.start = self.start.min(span.start);
        self.end = self.end.max(span.end);
        self.errors += usize::from(span.is_error);
        let id = |id: &str| clipped(id.to_owned(), MAX_ID);
        self.runs.extend(span.run_id().map(id));
        self.sessions.extend(span.session_id().map(id));
        self.spans.insert(span.id.clone(), Arc::new(span));
    }
}
