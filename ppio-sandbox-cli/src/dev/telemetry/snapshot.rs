//! The contents of the store at one moment, and the filters for listing them.

use std::collections::HashMap;
use std::sync::Arc;

use super::log_record::LogRecord;
use super::span::Nanos;
use super::trace::Trace;
use crate::log_level::LogLevel;

/// The traces and log records at one moment, which are shared with the store.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) traces: HashMap<Arc<str>, Arc<Trace>>,
    /// The log records, in the order of their arrival.
    pub(super) logs: Vec<Arc<LogRecord>>,
}

/// Selects the traces that match all fields that are set.
#[derive(Debug, Default)]
pub(super) struct TraceFilter<'a> {
    pub(super) run: Option<&'a str>,
    pub(super) session: Option<&'a str>,
    /// Whether a span has an error.
    pub(super) error: Option<bool>,
    /// Only traces that began at this time or later.
    pub(super) since: Option<Nanos>,
}

/// Selects the log records that match all fields that are set.
#[derive(Debug, Default)]
pub(super) struct LogFilter<'a> {
    pub(super) run: Option<&'a str>,
    pub(super) trace: Option<&'a str>,
    pub(super) session: Option<&'a str>,
    /// Only records of this level and of higher ones.
    pub(super) level: Option<LogLevel>,
    pub(super) target: Option<&'a str>,
    pub(super) since: Option<Nanos>,
}

impl Snapshot {
    pub(super) fn trace(&self, id: &str) -> Option<&Trace> {
        self.traces.get(id).map(Arc::as_ref)
    }

    /// Returns the traces with their ids, newest first.
    pub(super) fn traces(&self, filter: &TraceFilter<'_>) -> Vec<(&str, &Trace)> {
        let traces = self.traces.iter().map(|(id, trace)| (&**id, &**trace));
        let mut traces: Vec<_> = traces.filter(|(_, trace)| filter.has(trace)).collect();
        traces.sort_by(|(a_id, a), (b_id, b)| (b.start, b_id).cmp(&(a.start, a_id)));
        traces
    }

    /// Returns the log records, oldest first. Records that lack the id of their run are found by
    /// the traces of the run.
    pub(super) fn logs(&self, filter: &LogFilter<'_>) -> Vec<&LogRecord> {
        let is_of_run = |record: &LogRecord| {
            let Some(run) = filter.run else {
                return true;
            };
            match (&record.run_id, &record.trace_id) {
                (Some(id), _) => run == id,
                (None, Some(trace)) => self
                    .trace(trace)
                    .is_some_and(|trace| trace.runs.contains(run)),
                (None, None) => false,
            }
        };
        let records = self.logs.iter().map(Arc::as_ref);
        let records = records.filter(|record| is_of_run(record) && filter.has(record));
        let mut records: Vec<_> = records.collect();
        // Exported records arrive later than lines of the output.
        records.sort_by_key(|record| record.timestamp);
        records
    }
}

impl TraceFilter<'_> {
    fn has(&self, trace: &Trace) -> bool {
        self.run.is_none_or(|run| trace.runs.contains(run))
            && self
                .session
                .is_none_or(|session| trace.sessions.contains(session))
            && self.error.is_none_or(|error| (trace.errors > 0) == error)
            && self.since.is_none_or(|since| trace.start >= since)
    }
}

impl LogFilter<'_> {
    /// Whether a record matches all fields except `run`, which the record's trace may match
    /// instead.
    fn has(&self, record: &LogRecord) -> bool {
        let is = |wanted: Option<&str>, found: Option<&str>| {
            wanted.is_none_or(|wanted| Some(wanted) == found)
        };
        is(self.trace, record.trace_id.as_deref())
            && is(self.session, record.session_id.as_deref())
            && is(self.target, Some(&*record.target))
            && self.level.is_none_or(|level| record.level >= level)
            && self.since.is_none_or(|since| record.timestamp >= since)
    }
}
