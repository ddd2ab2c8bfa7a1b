//! Traces and log records in a bounded memory: the oldest are dropped first.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::log_record::LogRecord;
use super::snapshot::Snapshot;
use super::span::Span;
use super::trace::Trace;

/// The maximum memory use, in bytes as [`Span::size`] and [`LogRecord::size`] estimate it.
#[derive(Debug, Clone, Copy)]
pub(super) struct StoreLimits {
    pub(super) traces: usize,
    /// The limit for one trace, so that an endless trace does not displace all others.
    pub(super) trace: usize,
    pub(super) logs: usize,
}

impl Default for StoreLimits {
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
    pub(super) fn new(limits: StoreLimits) -> Self {
        Self(Arc::new(Mutex::new(Store::new(limits))))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Store> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the current contents. The store can be changed while the snapshot is read.
    pub(super) fn snapshot(&self) -> Snapshot {
        let store = self.lock();
        Snapshot {
            traces: store.traces.clone(),
            logs: store.logs.iter().cloned().collect(),
        }
    }
}

#[derive(Debug)]
pub(super) struct Store {
    limits: StoreLimits,
    traces: HashMap<Arc<str>, Arc<Trace>>,
    /// The ids of the traces, by the arrival of their first spans.
    oldest: VecDeque<Arc<str>>,
    trace_bytes: usize,
    /// The log records, in the order of their arrival.
    logs: VecDeque<Arc<LogRecord>>,
    log_bytes: usize,
}

impl Store {
    fn new(limits: StoreLimits) -> Self {
        Self {
            limits,
            traces: HashMap::new(),
            oldest: VecDeque::new(),
            trace_bytes: 0,
            logs: VecDeque::new(),
            log_bytes: 0,
        }
    }

    /// Adds a span, and drops the oldest traces if there is no room. Returns `false` if the trace
    /// of the span would become too large.
    pub(super) fn add_span(&mut self, span: Span) -> bool {
        let size = span.size();
        if let Some(trace) = self.traces.get_mut(&*span.trace_id) {
            // An export that is sent again has the same spans.
            if trace.spans.contains_key(&span.id) {
                return true;
            }
            if trace.bytes + size > self.limits.trace {
                Arc::make_mut(trace).dropped_spans += 1;
                return false;
            }
        } else if size > self.limits.trace {
            return false;
        }
        let id: Arc<str> = span.trace_id.as_str().into();
        let trace = self.traces.entry(Arc::clone(&id)).or_insert_with(|| {
            self.oldest.push_back(id);
            Arc::new(Trace::new(&span))
        });
        // The trace is copied if a snapshot has it; the spans of the trace are shared.
        let trace = Arc::make_mut(trace);
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

    /// Adds a log record, and drops the oldest ones if there is no room. Returns `false` if the
    /// record is too large.
    pub(super) fn add_log(&mut self, record: LogRecord) -> bool {
        let size = record.size();
        if size > self.limits.logs {
            return false;
        }
        self.log_bytes += size;
        self.logs.push_back(Arc::new(record));
        while self.log_bytes > self.limits.logs {
            let Some(oldest) = self.logs.pop_front() else {
                break;
            };
            self.log_bytes -= oldest.size();
        }
        true
    }
}
