//! Traces and log records in a bounded memory: the oldest are dropped first.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log_record::LogRecord;
use super::span::{MAX_ID, Nanos, Span, SpansById};
use crate::dev::clipped::clipped;
use crate::log_level::LogLevel;

/// How much memory is used at most, in bytes as [`Span::size`] and [`LogRecord::size`] estimate them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) traces: usize,
    /// Of one trace, so that one that never ends does not replace all others.
    pub(super) trace: usize,
    pub(super) logs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            traces: 64 * 1024 * 1024,
            trace: 16 * 1024 * 1024,
            logs: 32 * 1024 * 1024,
        }
    }
}

/// A store that several requests use.
#[derive(Debug, Clone)]
pub(super) struct SharedStore(Arc<Mutex<Store>>);

impl SharedStore {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Mutex::new(Store::new(limits))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
pub(super) struct Store {
    limits: Limits,
    traces: HashMap<String, Trace>,
    /// The ids of the traces, by the arrival of their first spans.
    oldest: VecDeque<String>,
    trace_bytes: usize,
    /// In the order of their arrival.
    logs: VecDeque<LogRecord>,
    log_bytes: usize,
}

/// The spans of one trace that have arrived.
#[derive(Debug)]
pub(super) struct Trace {
    pub(super) spans: SpansById,
    bytes: usize,
    /// The spans for which the trace had no room.
    pub(super) dropped_spans: usize,
    pub(super) start: Nanos,
    pub(super) end: Nanos,
    /// The spans with an error.
    pub(super) errors: usize,
    pub(super) runs: BTreeSet<String>,
    pub(super) sessions: BTreeSet<String>,
}

/// Which traces are listed: those that have all that is set.
#[derive(Debug, Default)]
pub(super) struct TraceFilter<'a> {
    pub(super) run: Option<&'a str>,
    pub(super) session: Option<&'a str>,
    /// Whether a span has an error.
    pub(super) error: Option<bool>,
    /// Those that began then or later.
    pub(super) since: Option<Nanos>,
}

/// Which log records are listed: those that have all that is set.
#[derive(Debug, Default)]
pub(super) struct LogFilter<'a> {
    pub(super) run: Option<&'a str>,
    pub(super) trace: Option<&'a str>,
    pub(super) session: Option<&'a str>,
    /// This level and those above.
    pub(super) level: Option<LogLevel>,
    pub(super) target: Option<&'a str>,
    pub(super) since: Option<Nanos>,
}

impl Store {
    fn new(limits: Limits) -> Self {
        Self {
            limits,
            traces: HashMap::new(),
            oldest: VecDeque::new(),
            trace_bytes: 0,
            logs: VecDeque::new(),
            log_bytes: 0,
        }
    }

    /// Adds a span, and drops the oldest traces if there is no room. Returns `false` if its trace is too
    /// large.
    pub(super) fn add_span(&mut self, span: Span) -> bool {
        let size = span.size();
        if let Some(trace) = self.traces.get_mut(&span.trace_id) {
            // An export that is sent again has the same spans.
            if trace.spans.contains_key(&span.id) {
                return true;
            }
            if trace.bytes + size > self.limits.trace {
                trace.dropped_spans += 1;
                return false;
            }
        } else if size > self.limits.trace {
            return false;
        }
        let trace = self.traces.entry(span.trace_id.clone()).or_insert_with(|| {
            self.oldest.push_back(span.trace_id.clone());
            Trace::new(&span)
        });
        trace.bytes += size;
        trace.add(span);
        self.trace_bytes += size;
        while self.trace_bytes > self.limits.traces {
            let Some(oldest) = self.oldest.pop_front() else {
                break;
            };
            if let Some(trace) = self.traces.remove(&oldest) {
                self.trace_bytes -= trace.bytes;
            }
        }
        true
    }

    /// Adds a log record, and drops the oldest ones if there is no room. Returns `false` if it is too
    /// large.
    pub(super) fn add_log(&mut self, record: LogRecord) -> bool {
        let size = record.size();
        if size > self.limits.logs {
            return false;
        }
        self.log_bytes += size;
        self.logs.push_back(record);
        while self.log_bytes > self.limits.logs {
            let Some(oldest) = self.logs.pop_front() else {
                break;
            };
            self.log_bytes -= oldest.size();
        }
        true
    }

    pub(super) fn trace(&self, id: &str) -> Option<&Trace> {
        self.traces.get(id)
    }

    /// The traces with their ids, newest first.
    pub(super) fn traces(&self, filter: &TraceFilter<'_>) -> Vec<(&str, &Trace)> {
        let traces = self.traces.iter().map(|(id, trace)| (id.as_str(), trace));
        let mut traces: Vec<_> = traces.filter(|(_, trace)| filter.has(trace)).collect();
        traces.sort_by(|(a_id, a), (b_id, b)| (b.start, b_id).cmp(&(a.start, a_id)));
        traces
    }

    /// The log records, oldest first. Those of a run without its id are found by its traces.
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
        let records = self.logs.iter();
        let records = records.filter(|record| is_of_run(record) && filter.has(record));
        let mut records: Vec<_> = records.collect();
        // Records arrive in two ways, of which one is slower.
        records.sort_by_key(|record| record.timestamp);
        records
    }
}

impl Trace {
    fn new(span: &Span) -> Self {
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

    fn add(&mut self, span: Span) {
        self.start = self.start.min(span.start);
        self.end = self.end.max(span.end);
        self.errors += usize::from(span.is_error);
        let id = |id: &str| clipped(id.to_owned(), MAX_ID);
        self.runs.extend(span.run_id().map(id));
        self.sessions.extend(span.session_id().map(id));
        self.spans.insert(span.id.clone(), span);
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
    /// Whether a record has all but the run, which its trace may have.
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
