//! Examples of the invocations in each bucket of a histogram.
//!
//! A scrape in the `OpenMetrics` format requests one example for each bucket: the next invocation
//! that falls into it. Without such a scrape, an invocation only reads one number that is seldom
//! written.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::exchange::context::RequestContext;

/// The examples of one histogram.
#[derive(Debug, Default)]
pub(super) struct Exemplars {
    /// The bits of the buckets whose next invocation becomes the example. A scrape sets all bits.
    wanted: AtomicU32,
    found: Mutex<BTreeMap<usize, Exemplar>>,
}

/// An invocation that is the example of a bucket.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Exemplar {
    /// The name of the id: `trace_id` or `request_id`.
    pub(crate) label: &'static str,
    pub(crate) id: String,
    pub(crate) duration: Duration,
    pub(crate) at: SystemTime,
}

impl Exemplars {
    /// Records an invocation as the example of its bucket, if a scrape has requested one.
    #[inline]
    pub(super) fn offer(&self, bucket: usize, duration: Duration, context: &RequestContext) {
        if self.wanted.load(Ordering::Relaxed) & (1 << bucket) != 0 {
            self.take(bucket, duration, context);
        }
    }

    #[cold]
    fn take(&self, bucket: usize, duration: Duration, context: &RequestContext) {
        let bit = 1 << bucket;
        if self.wanted.fetch_and(!bit, Ordering::Relaxed) & bit == 0 {
            return;
        }
        let (label, id) = match context.trace_id() {
            Some(id) => ("trace_id", id),
            None => ("request_id", context.request_id().into()),
        };
        let exemplar = Exemplar {
            label,
            id: id.into_owned(),
            duration,
            at: SystemTime::now(),
        };
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.insert(bucket, exemplar);
    }

    /// Returns the last example of each bucket. From now on, the next invocation in a bucket
    /// becomes its new example.
    #[cfg(feature = "metrics")]
    pub(super) fn latest(&self) -> BTreeMap<usize, Exemplar> {
        self.wanted.store(u32::MAX, Ordering::Relaxed);
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.clone()
    }
}
